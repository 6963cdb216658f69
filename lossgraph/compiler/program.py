"""Programs: a loss's body becomes a graph of values and gradients. The pipeline in one page.

======================== ==================================================== =====================
stage                    what it does                                         where
======================== ==================================================== =====================
trace                    runs the body on symbols; notes labels, constraints  ``trace``
stabilize                forms that neither overflow nor cancel               ``rules.STABILIZE``
differentiate            adds the gradients, of the stable forms              ``autodiff``
                         without what guards do not choose                    ``guards``
resolve custom gradients drops rules of gradients, which have been applied    ``ops.gradient``
simplify                 fewer operations, the same results                   ``rules.SIMPLIFY``
narrow                   less for each operation to compute                   ``rules.NARROW``
merge scans              scans with the same steps become one                 ``fewer_results``
prune scans              drops what of a scan nobody reads                    ``fewer_results``
======================== ==================================================== =====================

That is a ``Program``. Stabilizing comes before differentiating: the gradient of an overflowing
form overflows, whatever is done to it afterwards. Two stages follow only where ONNX Runtime runs
the graph here; an exported graph assumes nothing. The last two make ONNX of it:

======================== ==================================================== =====================
assume valid labels      no NaN for invalid labels, but a check of labels     ``ops.index``
speculate                arrays have elements, numbers are finite; a check    ``assumptions``
widen                    computes 16-bit numbers in 32 bits                   ``mixed_precision``
lower                    operators of an opset, then ONNX's own checks        ``lowering``
======================== ==================================================== =====================

``stages`` gives the outputs after each of them but the last.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ..errors import GradientError, InputError
from ..ir import html, text
from ..ir.dims import Dim, plain_sizes
from ..ir.expr import Expr, inputs_of, variable
from ..ir.ops import (
    any_negative,
    assume_valid_labels,
    count_outside,
    full,
    maximum,
    only_select,
    resolve_custom_vjp,
)
from ..ir.types import Constraint, TensorType
from ..lowering.as_function import wrap_as_function
from ..lowering.lower import lower
from ..lowering.opsets import DEFAULT_OPSET
from ..lowering.releases import opset_for
from ..lowering.validate import check
from ..passes import autodiff
from ..passes.assumptions import speculate
from ..passes.batch_partition import independent_batch_dim
from ..passes.costs import PORTABLE, Target
from ..passes.fewer_results import merge_scans, prune_scans
from ..passes.mixed_precision import widen
from ..passes.rewrite import rewrite
from ..passes.rules import NARROW, SIMPLIFY, STABILIZE
from ..symbolic.arguments import checked
from .outputs import (
    Output,
    auxiliary_outputs,
    by_name,
    check_outputs,
    gradient_outputs,
    value_outputs,
    with_expressions,
)
from .pickling import PlainGraph, flatten, restore
from .trace import Body, Traced, trace

if TYPE_CHECKING:
    import onnx

Stage = Callable[[list[Expr]], list[Expr]]

INVALID_LABEL = "_invalid_label"  # the check that is positive if a label is no class index

_BEFORE_DIFFERENTIATION: Mapping[str, Stage] = {
    "stabilize": lambda roots: rewrite(roots, STABILIZE),
}
_AFTER_DIFFERENTIATION: Mapping[str, Stage] = {
    "resolve custom gradients": resolve_custom_vjp,
    "simplify": lambda roots: rewrite(roots, SIMPLIFY),
    "narrow": lambda roots: rewrite(roots, NARROW),
    "merge scans": merge_scans,
    "prune scans": prune_scans,
}


def build(
    body: Body,
    types: Mapping[str, TensorType],
    *,
    constants: Mapping[str, Any] | None = None,
    grad: Sequence[str] = (),
    with_ct: bool = False,
    name: str = "loss",
    options: Mapping[str, Any] | None = None,
    without_gradient: Sequence[str] = (),
) -> Program:
    """The program of a body: traced, differentiated and simplified.

    Args:
        body: ``body(F, **symbols, **constants)``.
        types: type of each input.
        constants: arguments that are no arrays.
        grad: names of the inputs whose gradients are wanted.
        with_ct: weigh the values by inputs ``ct`` (``ct_0``, ``ct_1``, ..) instead of ones.
        name: the loss's name.
        options: what the metadata says of the loss's options.
        without_gradient: inputs that have no gradient even if they are floats.
    """
    traced = trace(body, types, constants or {})
    program = assemble(traced, grad=grad, with_ct=with_ct, name=name, options=options)
    return replace(program, without_gradient=tuple(without_gradient))


def assemble(
    traced: Traced,
    *,
    grad: Sequence[str] = (),
    with_ct: bool = False,
    cotangents: Sequence[Expr] = (),
    name: str = "loss",
    options: Mapping[str, Any] | None = None,
) -> Program:
    """The program of what was traced: all stages after the first.

    The values are weighed by ``cotangents``, expressions of further inputs, if there are any.
    """
    cotangents = tuple(cotangents) or (_cotangents(traced) if with_ct else ())
    *_, (_, differentiable) = _before_and_with_derivatives(traced, grad, cotangents)
    return _program_of(traced, differentiable, tuple(inputs_of(cotangents)), name, options)


def _program_of(
    traced: Traced,
    differentiable: tuple[Output, ...],
    further: tuple[Expr, ...] = (),
    name: str = "loss",
    options: Mapping[str, Any] | None = None,
) -> Program:
    return Program(
        name,
        (*traced.inputs, *further),
        finished(differentiable),
        traced.several,
        traced.constraints,
        traced.labels,
        {**(options or {}), **traced.constants},
        traced.derived,
        differentiable,
    )


def finished(differentiable: Sequence[Output]) -> tuple[Output, ...]:
    """Outputs, with their gradients among them, after the stages that follow differentiation."""
    *_, (_, outputs) = _after_differentiation(differentiable)
    return outputs


def stages(
    body: Body,
    types: Mapping[str, TensorType],
    grad: Sequence[str] = (),
    *,
    constants: Mapping[str, Any] | None = None,
    target: Target = PORTABLE,
) -> Iterator[tuple[str, dict[str, Expr]]]:
    """The outputs of a body after each stage, as ``(stage, expressions by output name)``.

    Args:
        body: ``body(F, **symbols, **constants)``.
        types: type of each input.
        grad: names of the inputs whose gradients are wanted.
        constants: arguments that are no arrays.
        target: where the graph is to run; one that is not ``PORTABLE`` has stages of its own.
    """
    traced = trace(body, types, constants or {})
    for stage, differentiable in _before_and_with_derivatives(traced, grad):
        yield stage, by_name(differentiable)
    for stage, outputs in _after_differentiation(differentiable):
        yield stage, by_name(outputs)
    program = _program_of(traced, differentiable)
    if not target.portable:
        valid = program.assuming_valid_labels(target)
        yield "assume valid labels", dict(zip(program.outputs, valid, strict=True))
        yield "speculate", by_name(program.graph_outputs(target))
    yield "widen", by_name(_after(widen, program.graph_outputs(target)))


def _before_and_with_derivatives(
    traced: Traced, grad: Sequence[str], cotangents: Sequence[Expr] = ()
) -> Iterator[tuple[str, tuple[Output, ...]]]:
    outputs = (*value_outputs(traced.values, traced.several), *auxiliary_outputs(traced.aux))
    yield "trace", outputs
    for name, stage in _BEFORE_DIFFERENTIATION.items():
        outputs = _after(stage, outputs)
        yield name, outputs
    values = [output.expr for output in outputs if output.kind == "value"]
    outputs = (*outputs, *gradient_outputs(_gradients(traced.inputs, values, grad, cotangents)))
    yield "differentiate", outputs


def _after_differentiation(
    outputs: Sequence[Output],
) -> Iterator[tuple[str, tuple[Output, ...]]]:
    for name, stage in _AFTER_DIFFERENTIATION.items():
        outputs = _after(stage, outputs)
        yield name, tuple(outputs)


def _after(stage: Stage, outputs: Sequence[Output]) -> tuple[Output, ...]:
    return with_expressions(outputs, stage([output.expr for output in outputs]))


def _cotangents(traced: Traced) -> tuple[Expr, ...]:
    taken = [node.attrs["name"] for node in traced.inputs]
    names = ["ct"] if not traced.several else [f"ct_{i}" for i in range(len(traced.values))]
    for name in names:
        if name in taken:
            raise InputError(f"an input is called {name!r}, which is the cotangent's name")
    return tuple(variable(n, out.type) for n, out in zip(names, traced.values, strict=True))


def _gradients(
    inputs: Sequence[Expr], values: Sequence[Expr], grad: Sequence[str], cotangents: Sequence[Expr]
) -> dict[str, Expr]:
    """The gradients of the sum of the values, or of what cotangents weigh them by, by inputs."""
    if not grad:
        return {}
    wrt = inputs_of_gradients(inputs, grad)
    if len(set(grad)) != len(grad):
        raise InputError(f"the gradients {tuple(grad)} name an input twice")
    if not all(value.type.is_float for value in values):
        raise GradientError("a value of integers has no gradient")
    ones = [full(1.0, value.dtype, value.shape) for value in values]
    return dict(zip(grad, autodiff.vjp(values, cotangents or ones, wrt), strict=True))


def inputs_of_gradients(inputs: Sequence[Expr], names: Sequence[str]) -> list[Expr]:
    """The inputs of these names.

    Raises:
        InputError: for a name that no input has.
    """
    by_name = {node.attrs["name"]: node for node in inputs}
    for name in names:
        if name not in by_name:
            raise InputError(f"no gradient for {name!r}: the inputs are {sorted(by_name)}")
    return [by_name[name] for name in names]


@dataclass(frozen=True)
class Program:
    """A graph of values and gradients, with what must hold when it runs.

    Attributes:
        name: the loss's name.
        inputs: inputs of the graph, in order.
        typed_outputs: values first, then auxiliary outputs, then gradients.
        several: whether the loss returned a tuple.
        constraints: pairs of sizes that must be equal.
        labels: inputs of class labels, with the number of classes.
        options: the loss's options, for the model's metadata.
        derived: expressions of inputs that are class labels, likewise.
        differentiable: the outputs before the stages that follow differentiation, in forms that
            can be differentiated again.
        without_gradient: inputs that have no gradient even if they are floats.
    """

    name: str
    inputs: tuple[Expr, ...]
    typed_outputs: tuple[Output, ...]
    several: bool
    constraints: tuple[Constraint, ...]
    labels: tuple[tuple[str, Dim], ...]
    options: Mapping[str, Any]
    derived: tuple[tuple[Expr, Dim], ...] = ()
    differentiable: tuple[Output, ...] = ()
    without_gradient: tuple[str, ...] = ()

    def __reduce__(self) -> tuple[Any, ...]:
        """For ``pickle`` and ``copy``: the same program of plain data."""
        outputs = (*self.typed_outputs, *self.differentiable)
        labels, classes = zip(*self.derived, strict=True) if self.derived else ((), ())
        graph = flatten([*self.inputs, *(output.expr for output in outputs), *labels])
        kinds = [(output.kind, output.name, output.key) for output in outputs]
        plain = (self.name, self.several, self.constraints, self.labels, dict(self.options))
        return _restored, (graph, kinds, classes, plain, self.without_gradient)

    def _repr_html_(self) -> str:
        """A card for notebooks; ``view.drawing`` has the graph as a picture."""
        inputs = [(html.code(node.attrs["name"]), html.code(node.type)) for node in self.inputs]
        outputs = [
            (html.code(output.name), output.kind, html.code(output.expr.type))
            for output in self.typed_outputs
        ]
        lines = list(text.lines(self.outputs, self.inputs))
        return html.card(
            self.name,
            html.table(("input", "type"), inputs),
            html.table(("output", "what it is", "type"), outputs),
            html.folded(f"expression, {len(lines)} lines", lines),
        )

    @cached_property
    def outputs(self) -> Mapping[str, Expr]:
        """The expressions of the outputs by name."""
        return by_name(self.typed_outputs)

    @cached_property
    def values(self) -> list[str]:
        """The names of the outputs that are values."""
        return [output.name for output in self.typed_outputs if output.kind == "value"]

    @cached_property
    def aux(self) -> tuple[str, ...]:
        """What the loss calls the outputs beside its value."""
        return tuple(output.key for output in self.typed_outputs if output.kind == "auxiliary")

    @cached_property
    def wrt(self) -> tuple[str, ...]:
        """The inputs whose gradients are among the outputs."""
        return tuple(output.key for output in self.typed_outputs if output.kind == "gradient")

    def graph_outputs(self, target: Target) -> tuple[Output, ...]:
        """The outputs of the graph for a target: with checks where it is run here."""
        if target.portable:
            return self.typed_outputs
        roots, assumption_checks = speculate(self.assuming_valid_labels(target), target)
        checks = check_outputs({**self.label_check(target), **assumption_checks})
        return (*with_expressions(self.typed_outputs, roots), *checks)

    def assuming_valid_labels(self, target: Target) -> list[Expr]:
        """The outputs without NaN for invalid labels, whose results ``label_check`` rejects."""
        roots = [output.expr for output in self.typed_outputs]
        if self.class_labels:
            roots = rewrite(assume_valid_labels(roots, self._engine_checks_labels(target)), NARROW)
        return roots

    def label_check(self, target: Target) -> dict[str, Expr]:
        """``INVALID_LABEL``, an int64 that is positive if a label is none; empty without labels."""
        if not self.class_labels:
            return {}
        if self._engine_checks_labels(target):
            counts = [any_negative(label) for label, _ in self.class_labels]
        else:
            counts = [count_outside(label, classes) for label, classes in self.class_labels]
        return {INVALID_LABEL: functools.reduce(maximum, counts)}

    def _engine_checks_labels(self, target: Target) -> bool:
        """Whether ONNX Runtime rejects labels beyond the classes: it does on the CPU, as indices.

        Of nothing there is no smallest label to look at.
        """
        return (
            target.name == "cpu"
            and target.nonempty
            and all(plain_sizes(label.shape) for label, _ in self.class_labels)
            and only_select([label for label, _ in self.class_labels], list(self.outputs.values()))
        )

    @cached_property
    def has_independent_samples(self) -> bool:
        """Whether there is one value for each sample, and gradients of it by its sample alone."""
        outputs = list(self.outputs.values())
        return outputs[0].rank == 1 and bool(independent_batch_dim(self.inputs, outputs))

    @property
    def class_labels(self) -> list[tuple[Expr, Dim]]:
        """Expressions of class labels, with the number of classes."""
        by_name = {node.attrs["name"]: node for node in self.inputs}
        return [*((by_name[name], classes) for name, classes in self.labels), *self.derived]

    @checked
    def to_onnx(
        self,
        opset: int | None = None,
        target: Target = PORTABLE,
        *,
        as_function: bool = False,
        target_ort: str | None = None,
    ) -> onnx.ModelProto:
        """The program as a checked ONNX model.

        Args:
            opset: version of the standard operators.
            target: where it is to run; any other than ``PORTABLE`` is ONNX Runtime here, and the
                model has outputs that say when its results are not to be used.
            as_function: make it one node, of a function in the model.
            target_ort: release of ONNX Runtime that is to load it, like ``1.16``.
        """
        if target_ort is not None:
            opset = opset_for(target_ort, opset, DEFAULT_OPSET)
        outputs = by_name(self.graph_outputs(target))
        model = lower(
            self.inputs,
            outputs,
            opset=opset,
            name=self.name,
            metadata=self._metadata(),
            target=target,
        )
        if as_function:
            model = wrap_as_function(model)
        check(model, {name: value.type for name, value in outputs.items()})
        return model

    def _metadata(self) -> dict[str, str]:
        from .. import __version__

        return {
            "loss": self.name,
            "options": json.dumps(dict(self.options), sort_keys=True, default=str),
            "labels": json.dumps({name: str(classes) for name, classes in self.labels}),
            "constraints": json.dumps([[str(a), str(b)] for a, b in self.constraints]),
            "lossgraph_version": __version__,
        }


def _restored(
    graph: PlainGraph,
    kinds: Sequence[tuple[Any, str, str]],
    classes: Sequence[Dim],
    plain: Any,
    without_gradient: tuple[str, ...],
) -> Program:
    """The program that ``Program.__reduce__`` took apart."""
    exprs = restore(graph)
    first = len(exprs) - len(kinds) - len(classes)
    last = first + len(kinds)
    outputs = tuple(
        Output(kind, output, expr, key)
        for (kind, output, key), expr in zip(kinds, exprs[first:last], strict=True)
    )
    derived = tuple(zip(exprs[last:], classes, strict=True))
    name, several, constraints, labels, options = plain
    return Program(
        name,
        tuple(exprs[:first]),
        outputs[: len(outputs) // 2],
        several,
        constraints,
        labels,
        options,
        derived,
        outputs[len(outputs) // 2 :],
        without_gradient,
    )
