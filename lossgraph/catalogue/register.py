"""The register of losses that can be named, as ``gluon.HuberLoss`` or by a short alias.

Losses are found in the modules of ``NAMESPACES``; nothing is said here that a class says
itself. What no signature tells, the types and values of plausible inputs, is in ``examples``.
"""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from types import ModuleType
from typing import Any

from ..authoring import description
from ..authoring.annotations import signature_of_method
from ..authoring.block import Block
from ..authoring.functions import FunctionLoss
from ..authoring.signature import Kind
from ..errors import InputError
from .examples import OBSERVED, Example, example, example_options

NAMESPACES = {
    "gluon": "lossgraph.gluon",
    "losses": "lossgraph.losses",
    "nn": "lossgraph.nn",
    "optax": "lossgraph.optax",
}

ALIASES = {
    "bce": "nn.BCELoss",
    "bce_with_logits": "nn.BCEWithLogitsLoss",
    "cosine_embedding": "gluon.CosineEmbeddingLoss",
    "cross_entropy": "nn.CrossEntropyLoss",
    "ctc": "gluon.CTCLoss",
    "gaussian_nll": "nn.GaussianNLLLoss",
    "hinge": "gluon.HingeLoss",
    "huber": "gluon.HuberLoss",
    "kl_div": "gluon.KLDivLoss",
    "l1": "gluon.L1Loss",
    "l2": "gluon.L2Loss",
    "logistic": "gluon.LogisticLoss",
    "mse": "nn.MSELoss",
    "multi_margin": "nn.MultiMarginLoss",
    "nll": "nn.NLLLoss",
    "poisson_nll": "gluon.PoissonNLLLoss",
    "sdml": "gluon.SDMLLoss",
    "sigmoid_bce": "gluon.SigmoidBinaryCrossEntropyLoss",
    "smooth_l1": "nn.SmoothL1Loss",
    "softmax_ce": "gluon.SoftmaxCrossEntropyLoss",
    "squared_hinge": "gluon.SquaredHingeLoss",
    "triplet": "gluon.TripletLoss",
}

# What is documented where its namespace comes from; the names are the same there.
FRAMEWORKS = {"gluon": "mxnet.gluon.loss", "nn": "torch.nn", "optax": "optax.losses"}

# One loss in several namespaces, up to options, constant factors and reductions.
SAME = (
    ("gluon.CTCLoss", "nn.CTCLoss", "optax.ctc_loss", "optax.ctc_loss_with_forward_probs"),
    ("gluon.CosineEmbeddingLoss", "nn.CosineEmbeddingLoss"),
    ("gluon.HingeLoss", "optax.hinge_loss"),
    ("gluon.HuberLoss", "nn.HuberLoss", "nn.SmoothL1Loss", "optax.huber_loss"),
    ("gluon.KLDivLoss", "losses.relative_entropy", "nn.KLDivLoss", "optax.kl_divergence",
     "optax.kl_divergence_with_log_targets"),
    ("gluon.L1Loss", "nn.L1Loss"),
    ("gluon.L2Loss", "nn.MSELoss", "optax.l2_loss", "optax.squared_error"),
    ("gluon.LogisticLoss", "nn.SoftMarginLoss"),
    ("gluon.PoissonNLLLoss", "nn.PoissonNLLLoss"),
    ("gluon.SigmoidBinaryCrossEntropyLoss", "nn.BCELoss", "nn.BCEWithLogitsLoss",
     "nn.MultiLabelSoftMarginLoss", "optax.sigmoid_binary_cross_entropy"),
    ("gluon.SoftmaxCrossEntropyLoss", "nn.CrossEntropyLoss", "nn.NLLLoss",
     "optax.safe_softmax_cross_entropy", "optax.softmax_cross_entropy",
     "optax.softmax_cross_entropy_with_integer_labels"),
    ("gluon.TripletLoss", "nn.TripletMarginLoss", "nn.TripletMarginWithDistanceLoss",
     "optax.triplet_margin_loss"),
    ("losses.binary_sparsemax", "optax.sparsemax_loss"),
    ("losses.dice", "optax.binary_dice_loss", "optax.dice_loss"),
    ("losses.fenchel_young", "optax.make_fenchel_young_loss"),
    ("losses.gaussian_nll", "nn.GaussianNLLLoss"),
    ("losses.generalized_dice", "optax.multiclass_generalized_dice_loss"),
    ("losses.log_cosh", "optax.log_cosh"),
    ("losses.multiclass_hinge", "optax.multiclass_hinge_loss", "optax.multiclass_perceptron_loss"),
    ("losses.nt_xent", "optax.ntxent"),
    ("losses.poly_cross_entropy", "optax.poly_loss_cross_entropy"),
    ("losses.ranking_softmax", "optax.ranking_softmax_loss"),
    ("losses.sigmoid_focal", "optax.sigmoid_focal_loss"),
    ("losses.smooth_labels", "optax.smooth_labels"),
    ("losses.sparsemax", "optax.multiclass_sparsemax_loss"),
)  # fmt: skip


_PARAGRAPH = re.DOTALL | re.MULTILINE


@dataclass(frozen=True)
class Entry:
    """A loss of the register.

    Attributes:
        namespace: the convention it belongs to.
        source: its class, or the loss itself where that was made of a function.
        aliases: other names for it.
    """

    namespace: str
    source: type[Block] | FunctionLoss
    aliases: tuple[str, ...]

    @property
    def own_name(self) -> str:
        """Its name in its namespace."""
        return _name_of(self.source)

    @property
    def name(self) -> str:
        """The full name, like ``gluon.HuberLoss``."""
        return f"{self.namespace}.{self.own_name}"

    @property
    def summary(self) -> str:
        """The first line of the documentation."""
        return description.summary_of(_documentation(self.source))

    @property
    def formula(self) -> str:
        """The formula in TeX, as the documentation has it."""
        return formula_of(self.source)

    @property
    def paper(self) -> str:
        """Where it comes from, as the documentation says; empty if that does not."""
        match = re.search(r"^Source: (.*?)(?:\n\s*\n|\Z)", _documentation(self.source), _PARAGRAPH)
        return " ".join(match.group(1).split()) if match else ""

    @property
    def original(self) -> str:
        """Its name in the framework that its namespace follows; empty if there is none."""
        framework = FRAMEWORKS.get(self.namespace)
        return f"{framework}.{self.own_name}" if framework else ""

    @property
    def module(self) -> ModuleType:
        """Where it is written: the family that it belongs to."""
        written = self.source.body if isinstance(self.source, FunctionLoss) else self.source
        return import_module(written.__module__)

    @property
    def same(self) -> tuple[str, ...]:
        """Full names of the same loss in this namespace and others."""
        group = next((group for group in SAME if self.name in group), ())
        return tuple(name for name in group if name != self.name)

    @property
    def options(self) -> dict[str, Any]:
        """The options with their defaults: of the constructor, or of a function's call.

        One that has no default has the value of an example.
        """
        if isinstance(self.source, FunctionLoss):
            return self.source.options
        needed = example_options(self.namespace, self.own_name)
        return {
            p.name: needed[p.name] if p.default is p.empty else p.default
            for p in list(inspect.signature(self.source.__init__).parameters.values())[1:]
            if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
        }

    @property
    def inputs(self) -> dict[str, bool]:
        """Whether an input must be given, by the name of the input."""
        return {**self.declared, **dict.fromkeys(self.make().parameter_shapes, True)}

    @property
    def declared(self) -> dict[str, bool]:
        """The same of those inputs that the signature names."""
        if isinstance(self.source, FunctionLoss):
            signature = self.source.signature
        else:
            signature = signature_of_method(self.source, "hybrid_forward", 2)
        return {p.name: p.required for p in signature.parameters if p.kind is Kind.ARRAY}

    @property
    def predictions(self) -> tuple[str, ...]:
        """The inputs that training differentiates by: what a model predicts or learns.

        They are those that must be given, are real numbers and were not observed; for a loss that
        has only such as were, these.
        """
        given = example_types(self.make())
        real = tuple(name for name, (dtype, _) in given.items() if dtype.startswith("float"))
        return tuple(name for name in real if name not in OBSERVED) or real

    def make(self, options: Mapping[str, Any] | None = None) -> Block:
        """The loss with some options.

        Raises:
            InputError: for an option that it does not have, or a value that one cannot take.
        """
        given = {**example_options(self.namespace, self.own_name), **(options or {})}
        for name in given:
            if name not in self.options:
                known = ", ".join(f"{key}={value!r}" for key, value in self.options.items())
                raise InputError(
                    f"{self.name} has no option {name!r}{_hint(name, self.options)}: "
                    f"its options are {known}"
                )
        if isinstance(self.source, FunctionLoss):
            return self.source.with_options(**given)
        made: Block = self.source(**given)
        return made


@lru_cache(maxsize=1)
def entries() -> tuple[Entry, ...]:
    """Every loss, by namespace and name."""
    found = []
    for namespace, module_name in NAMESPACES.items():
        names = _losses(module_name)
        for source in sorted(names, key=_name_of):
            full = f"{namespace}.{_name_of(source)}"
            short = [alias for alias, target in ALIASES.items() if target == full]
            found.append(Entry(namespace, source, (*sorted(short), *names[source])))
    return tuple(found)


def lookup(name: str) -> Entry:
    """The loss of a name: qualified, an alias, or a class's name in any spelling.

    ``gluon.HuberLoss``, ``HuberLoss``, ``huber_loss`` and ``huber`` are one loss.

    Raises:
        InputError: for a name that no loss has, or several losses of several namespaces.
    """
    namespace, _, bare = name.rpartition(".")
    namespace = namespace.lower().removesuffix(".loss")  # Gluon says gluon.loss.HuberLoss
    wanted = _plain(bare)
    matches = [
        entry
        for entry in entries()
        if wanted in _plain_names(entry) and namespace in ("", entry.namespace)
    ]
    if len(matches) > 1:
        target = {_plain(alias): full for alias, full in ALIASES.items()}.get(wanted)
        matches = [entry for entry in matches if entry.name == target] or matches
    if not matches:
        raise InputError(f"no loss is called {name!r}{_near(name)}: `lossgraph list` shows all")
    if len(matches) > 1:
        listed = ", ".join(entry.name for entry in matches)
        raise InputError(f"the name {name!r} is ambiguous: choose one of {listed}")
    return matches[0]


def entry_of(loss: object) -> Entry | None:
    """The entry of a loss's class or function, None for one that a user wrote."""
    return next((entry for entry in entries() if _is_made_by(loss, entry.source)), None)


def examples_of(loss: Block) -> dict[str, Example]:
    """Plausible inputs for a loss with its options, optional ones included."""
    entry = entry_of(loss)
    if entry is None:
        return {}
    declared = {
        name: example(entry.namespace, entry.own_name, name, loss.options)
        for name in entry.declared
    }
    shapes = loss.parameter_shapes
    return {**declared, **{name: Example(shape=shape) for name, shape in shapes.items()}}


def namespace_entries(namespace: str) -> tuple[Entry, ...]:
    """The losses of one namespace, by name.

    Raises:
        InputError: for a namespace that there is not.
    """
    if namespace not in NAMESPACES:
        raise InputError(
            f"no namespace is called {namespace!r}{_hint(namespace, NAMESPACES)}: "
            f"there are {', '.join(NAMESPACES)}"
        )
    return tuple(entry for entry in entries() if entry.namespace == namespace)


def example_types(loss: Block) -> dict[str, tuple[str, tuple[str | int, ...]]]:
    """Types of the inputs that a loss must have, for a user who gave none."""
    entry = entry_of(loss)
    declared = {} if entry is None else entry.declared
    return {name: e.type for name, e in examples_of(loss).items() if declared.get(name, True)}


def formula_of(source: object) -> str:
    """What stands under ``.. math::`` in the documentation of a loss, on one line."""
    return description.formula_of(_documentation(source))


def _losses(module_name: str) -> dict[type[Block] | FunctionLoss, tuple[str, ...]]:
    """The losses that a module offers, with the other names it has for them."""
    module = import_module(module_name)
    found: dict[type[Block] | FunctionLoss, tuple[str, ...]] = {}
    for name in sorted(module.__all__):
        source = getattr(module, name)
        if _is_loss(source):
            other = () if name == _name_of(source) else (name,)
            found[source] = (*found.get(source, ()), *other)
    return found


def _is_loss(value: object) -> bool:
    """A base has no mathematics of its own."""
    if isinstance(value, type):
        return issubclass(value, Block) and value.hybrid_forward is not Block.hybrid_forward
    return isinstance(value, FunctionLoss)


def _name_of(source: type[Block] | FunctionLoss) -> str:
    return source.name if isinstance(source, FunctionLoss) else source.__name__


def _is_made_by(loss: object, source: type[Block] | FunctionLoss) -> bool:
    if isinstance(source, FunctionLoss):
        return isinstance(loss, FunctionLoss) and loss.body is source.body
    return source is type(loss)


def _documentation(source: object) -> str:
    """Of a loss made of a function, the function's."""
    return inspect.getdoc(source.body if isinstance(source, FunctionLoss) else source) or ""


def _plain(name: str) -> str:
    """A spelling without what spellings differ in: case, underscores and a final "loss"."""
    return re.sub(r"[^a-z0-9]", "", name.lower()).removesuffix("loss")


def _plain_names(entry: Entry) -> set[str]:
    return {_plain(name) for name in (entry.own_name, *entry.aliases)}


def _near(name: str) -> str:
    """A suggestion: the full names of the losses that are spelled alike."""
    spelled: dict[str, list[str]] = {}
    for entry in entries():
        for plain in _plain_names(entry):
            spelled.setdefault(plain, []).append(entry.name)
    close = difflib.get_close_matches(_plain(name.rpartition(".")[2]), spelled, n=3, cutoff=0.5)
    listed = list(dict.fromkeys(full for plain in close for full in spelled[plain]))
    return f" (did you mean {' or '.join(listed)}?)" if listed else ""


def _hint(name: str, known: Mapping[str, object]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
