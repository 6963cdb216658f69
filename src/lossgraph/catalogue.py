"""The register of losses that can be named, as ``gluon.HuberLoss`` or by a short alias.

Losses are found in the modules of ``NAMESPACES``; nothing is said here that a class says
itself. What no signature tells, the types and values of plausible inputs, is in one table.
"""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib import import_module
from typing import Any

from .errors import InputError
from .loss import Block

NAMESPACES = {"gluon": "lossgraph.gluon", "nn": "lossgraph.nn"}

ALIASES = {
    "ctc": "gluon.CTCLoss",
    "cosine_embedding": "gluon.CosineEmbeddingLoss",
    "hinge": "gluon.HingeLoss",
    "huber": "gluon.HuberLoss",
    "kl_div": "gluon.KLDivLoss",
    "l1": "gluon.L1Loss",
    "l2": "gluon.L2Loss",
    "logistic": "gluon.LogisticLoss",
    "poisson_nll": "gluon.PoissonNLLLoss",
    "sdml": "gluon.SDMLLoss",
    "sigmoid_bce": "gluon.SigmoidBinaryCrossEntropyLoss",
    "softmax_ce": "gluon.SoftmaxCrossEntropyLoss",
    "squared_hinge": "gluon.SquaredHingeLoss",
    "triplet": "gluon.TripletLoss",
}


@dataclass(frozen=True)
class Example:
    """A plausible input.

    Attributes:
        dtype: its dtype.
        shape: its shape, with names for what may vary.
        values: what its elements are: ``real``, ``unit`` (inside (0, 1)), ``positive``,
            ``sign`` (-1 or 1), ``count``, ``simplex`` (distributions along the last axis) or
            ``log_simplex``, or ``class`` (0 or 1) for class labels whose range the graph does
            not say.
    """

    dtype: str = "float32"
    shape: tuple[str | int, ...] = ("N", "C")
    values: str = "real"

    @property
    def type(self) -> tuple[str, tuple[str | int, ...]]:
        """The type as ``to_onnx`` takes it."""
        return self.dtype, self.shape


_BY_INPUT = {"sample_weight": Example(shape=("N",), values="positive")}
_SIGNS = Example(values="sign")
_MATRIX = Example(shape=("N", "D"))
_Condition = tuple[str, object]

# (loss, input) -> the example, and what replaces it when an option has some value.
_EXAMPLES: dict[tuple[str, str], tuple[Example, dict[_Condition, Example]]] = {
    ("gluon.CTCLoss", "label"): (
        Example("int64", ("N", "L"), "class"),
        {("label_layout", "TN"): Example("int64", ("L", "N"), "class")},
    ),
    ("gluon.CTCLoss", "label_lengths"): (Example("int64", ("N",)), {}),
    ("gluon.CTCLoss", "pred"): (
        Example(shape=("N", "T", "C")), {("layout", "TNC"): Example(shape=("T", "N", "C"))}
    ),
    ("gluon.CTCLoss", "pred_lengths"): (Example("int64", ("N",)), {}),
    ("gluon.CosineEmbeddingLoss", "input1"): (_MATRIX, {}),
    ("gluon.CosineEmbeddingLoss", "input2"): (_MATRIX, {}),
    ("gluon.CosineEmbeddingLoss", "label"): (Example(shape=("N",), values="sign"), {}),
    ("gluon.HingeLoss", "label"): (_SIGNS, {}),
    ("gluon.KLDivLoss", "label"): (Example(values="simplex"), {}),
    ("gluon.KLDivLoss", "pred"): (
        Example(values="log_simplex"), {("from_logits", False): Example()}
    ),
    ("gluon.LogisticLoss", "label"): (
        _SIGNS, {("label_format", "binary"): Example(values="unit")}
    ),
    ("gluon.PoissonNLLLoss", "pred"): (
        Example(), {("from_logits", False): Example(values="positive")}
    ),
    ("gluon.PoissonNLLLoss", "target"): (Example(values="count"), {}),
    ("gluon.SDMLLoss", "x1"): (_MATRIX, {}),
    ("gluon.SDMLLoss", "x2"): (_MATRIX, {}),
    ("gluon.SigmoidBinaryCrossEntropyLoss", "label"): (Example(values="unit"), {}),
    ("gluon.SigmoidBinaryCrossEntropyLoss", "pos_weight"): (
        Example(shape=("C",), values="positive"), {}
    ),
    ("gluon.SigmoidBinaryCrossEntropyLoss", "pred"): (
        Example(), {("from_sigmoid", True): Example(values="unit")}
    ),
    ("gluon.SoftmaxCrossEntropyLoss", "label"): (
        Example("int64", ("N",)), {("sparse_label", False): Example(values="simplex")}
    ),
    ("gluon.SoftmaxCrossEntropyLoss", "pred"): (
        Example(), {("from_logits", True): Example(values="log_simplex")}
    ),
    ("gluon.SquaredHingeLoss", "label"): (_SIGNS, {}),
    ("nn.CTCLoss", "input_lengths"): (Example("int64", ("N",)), {}),
    ("nn.CTCLoss", "log_probs"): (Example(shape=("T", "N", "C"), values="log_simplex"), {}),
    ("nn.CTCLoss", "target_lengths"): (Example("int64", ("N",)), {}),
    ("nn.CTCLoss", "targets"): (Example("int64", ("N", "L"), "class"), {}),
}  # fmt: skip


@dataclass(frozen=True)
class Entry:
    """A loss of the register.

    Attributes:
        namespace: the convention it belongs to.
        cls: its class.
        aliases: other names for it.
    """

    namespace: str
    cls: type[Block]
    aliases: tuple[str, ...]

    @property
    def name(self) -> str:
        """The full name, like ``gluon.HuberLoss``."""
        return f"{self.namespace}.{self.cls.__name__}"

    @property
    def summary(self) -> str:
        """The first line of the documentation."""
        return _documentation(self.cls).partition("\n")[0]

    @property
    def formula(self) -> str:
        """The formula in TeX, as the documentation has it."""
        return formula_of(self.cls)

    @property
    def options(self) -> dict[str, Any]:
        """The options of the constructor with their defaults."""
        return {
            p.name: p.default
            for p in list(inspect.signature(self.cls.__init__).parameters.values())[1:]
            if p.kind not in (p.VAR_KEYWORD, p.VAR_POSITIONAL)
        }

    @property
    def inputs(self) -> dict[str, bool]:
        """Whether an input must be given, by the name of the input."""
        parameters = list(inspect.signature(self.cls.hybrid_forward).parameters.values())[2:]
        return {p.name: p.default is p.empty for p in parameters if _is_array(p)}

    def make(self, options: Mapping[str, Any] | None = None) -> Block:
        """The loss with some options.

        Raises:
            InputError: for an option that it does not have, or a value that one cannot take.
        """
        given = dict(options or {})
        for name in given:
            if name not in self.options:
                known = ", ".join(f"{key}={value!r}" for key, value in self.options.items())
                raise InputError(
                    f"{self.name} has no option {name!r}{_hint(name, self.options)}: "
                    f"its options are {known}"
                )
        made: Block = self.cls(**given)
        return made


@lru_cache(maxsize=1)
def entries() -> tuple[Entry, ...]:
    """Every loss, by namespace and name."""
    found = []
    for namespace, module_name in NAMESPACES.items():
        names = _classes(module_name)
        for cls in sorted(names, key=lambda cls: cls.__name__):
            full = f"{namespace}.{cls.__name__}"
            short = [alias for alias, target in ALIASES.items() if target == full]
            found.append(Entry(namespace, cls, (*sorted(short), *names[cls])))
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
    """The entry of a loss's class, None for one that a user wrote."""
    return next((entry for entry in entries() if entry.cls is type(loss)), None)


def examples_of(loss: Block) -> dict[str, Example]:
    """Plausible inputs for a loss with its options, optional ones included."""
    entry = entry_of(loss)
    if entry is None:
        return {}
    return {name: _example(entry.name, name, loss.options) for name in entry.inputs}


def example_types(loss: Block) -> dict[str, tuple[str, tuple[str | int, ...]]]:
    """Types of the inputs that a loss must have, for a user who gave none."""
    entry = entry_of(loss)
    required = {} if entry is None else entry.inputs
    return {name: e.type for name, e in examples_of(loss).items() if required[name]}


def formula_of(cls: type) -> str:
    """What stands under ``.. math::`` in a class's documentation, on one line."""
    match = re.search(r"\.\. math::(.*?)(?:\n\s*\n|\Z)", _documentation(cls), re.DOTALL)
    return " ".join(match.group(1).split()) if match else ""


def _classes(module_name: str) -> dict[type[Block], tuple[str, ...]]:
    """The losses that a module offers, with the other names it has for them."""
    module = import_module(module_name)
    found: dict[type[Block], tuple[str, ...]] = {}
    for name in sorted(module.__all__):
        cls = getattr(module, name)
        if isinstance(cls, type) and _is_loss(cls):
            other = () if name == cls.__name__ else (name,)
            found[cls] = (*found.get(cls, ()), *other)
    return found


def _is_loss(cls: type) -> bool:
    """A base has no mathematics of its own."""
    return issubclass(cls, Block) and cls.hybrid_forward is not Block.hybrid_forward


def _is_array(parameter: inspect.Parameter) -> bool:
    """An input is annotated as anything; a number of the call says that it is one."""
    return parameter.kind is parameter.POSITIONAL_OR_KEYWORD and parameter.annotation in (
        "Any",
        Any,
        parameter.empty,
    )


def _example(loss: str, name: str, options: Mapping[str, object]) -> Example:
    example, replaced = _EXAMPLES.get((loss, name), (_BY_INPUT.get(name, Example()), {}))
    for (option, value), other in replaced.items():
        if options.get(option) == value:
            return other
    return example


def _documentation(cls: type) -> str:
    return inspect.getdoc(cls) or ""


def _plain(name: str) -> str:
    """A spelling without what spellings differ in: case, underscores and a final "loss"."""
    return re.sub(r"[^a-z0-9]", "", name.lower()).removesuffix("loss")


def _plain_names(entry: Entry) -> set[str]:
    return {_plain(name) for name in (entry.cls.__name__, *entry.aliases)}


def _near(name: str) -> str:
    """A suggestion: the full names of the losses that are spelled alike."""
    spelled = {plain: entry.name for entry in entries() for plain in sorted(_plain_names(entry))}
    close = difflib.get_close_matches(_plain(name.rpartition(".")[2]), spelled, n=3, cutoff=0.5)
    listed = list(dict.fromkeys(spelled[plain] for plain in close))
    return f" (did you mean {' or '.join(listed)}?)" if listed else ""


def _hint(name: str, known: Mapping[str, object]) -> str:
    close = difflib.get_close_matches(name, known, n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""
