"""Programs: traced losses with their gradients, ready to lower. The pipeline in one page.

trace (which stabilizes) -> differentiate -> simplify, narrow -> lower.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ..errors import GradientError, InputError
from ..ir.dims import Dim, plain_sizes
from ..ir.expr import Expr, variable
from ..ir.ops import any_negative, count_outside, filled, maximum, only_select, settle, trust_labels
from ..ir.types import Constraint, TensorType
from ..lowering.releases import opset_for
from ..passes import autodiff
from ..passes.assumptions import assume
from ..passes.costs import PORTABLE, Target
from ..passes.rewrite import rewrite
from ..passes.rules import NARROW, SIMPLIFY
from ..passes.scan import merge_scans, prune_scans
from .trace import Body, Traced, trace

if TYPE_CHECKING:
    import onnx


OUTSIDE = "_outside"  # the output that is positive if a label is no class


@dataclass(frozen=True)
class Program:
    """A graph of values and gradients, with what must hold when it runs.

    Attributes:
        name: the loss's name.
        inputs: inputs of the graph, in order.
        outputs: expressions by name: ``loss`` or ``loss_0``, ``loss_1``, ..; ``loss_<part>``;
            ``grad_<input>``.
        wrt: the inputs whose gradients are among the outputs.
        several: whether the loss returned a tuple.
        constraints: pairs of sizes that must be equal.
        labels: inputs of class labels, with the number of classes.
        derived: expressions of inputs that are class labels, likewise.
        parts: the names of what the loss returned beside its value.
        options: the loss's options, for the model's metadata.
    """

    name: str
    inputs: tuple[Expr, ...]
    outputs: Mapping[str, Expr]
    wrt: tuple[str, ...]
    several: bool
    constraints: tuple[Constraint, ...]
    labels: tuple[tuple[str, Dim], ...]
    options: Mapping[str, Any]
    derived: tuple[tuple[Expr, Dim], ...] = ()
    parts: tuple[str, ...] = ()

    @property
    def values(self) -> list[str]:
        """The names of the outputs that are values, without those of parts."""
        parts = {f"loss_{name}" for name in self.parts}
        return [name for name in self.outputs if not name.startswith("grad_") and name not in parts]

    def to_run(self, target: Target) -> dict[str, Expr]:
        """The outputs of the graph that is run here, guards among them."""
        roots, doubts = assume(list(self.trusting(target).values()), target)
        return {**dict(zip(self.outputs, roots, strict=True)), **self.guard(target), **doubts}

    def trusting(self, target: Target) -> dict[str, Expr]:
        """The outputs without NaN for labels outside: no result is used that ``guard`` refuses."""
        roots = list(self.outputs.values())
        if self.checks:
            roots = rewrite(trust_labels(roots, self._refused_by_engine(target)), NARROW)
        return dict(zip(self.outputs, roots, strict=True))

    def guard(self, target: Target) -> dict[str, Expr]:
        """``OUTSIDE``, an int64 that is positive if a label is no class, if there are labels."""
        if not self.checks:
            return {}
        if self._refused_by_engine(target):
            counts = [any_negative(label) for label, _ in self.checks]
        else:
            counts = [count_outside(label, classes) for label, classes in self.checks]
        return {OUTSIDE: functools.reduce(maximum, counts)}

    def _refused_by_engine(self, target: Target) -> bool:
        """Whether ONNX Runtime refuses labels beyond the classes: it does on the CPU, as indices.

        Of nothing there is no smallest label to look at.
        """
        return (
            target.name == "cpu"
            and target.nonempty
            and all(plain_sizes(label.shape) for label, _ in self.checks)
            and only_select([label for label, _ in self.checks], list(self.outputs.values()))
        )

    @property
    def checks(self) -> list[tuple[Expr, Dim]]:
        """Expressions of class labels, with the number of classes."""
        by_name = {node.attrs["name"]: node for node in self.inputs}
        return [*((by_name[name], classes) for name, classes in self.labels), *self.derived]

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
        from ..lowering.as_function import wrap_as_function
        from ..lowering.lower import DEFAULT_OPSET, lower
        from ..lowering.validate import check

        if target_ort is not None:
            opset = opset_for(target_ort, opset, DEFAULT_OPSET)
        outputs = dict(self.outputs) if target.portable else self.to_run(target)
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


def build(
    body: Body,
    types: Mapping[str, TensorType],
    *,
    constants: Mapping[str, Any] | None = None,
    grad: Sequence[str] = (),
    with_ct: bool = False,
    name: str = "loss",
    options: Mapping[str, Any] | None = None,
) -> Program:
    """Trace a body, differentiate it and simplify the result.

    Args:
        body: ``body(F, **symbols, **constants)``.
        types: type of each input.
        constants: arguments that are no arrays.
        grad: names of the inputs whose gradients are wanted.
        with_ct: weigh the values by inputs ``ct`` (``ct_0``, ``ct_1``, ..) instead of ones.
        name: the loss's name.
        options: what the metadata says of the loss's options.
    """
    traced = trace(body, types, constants or {})
    return assemble(traced, grad=grad, with_ct=with_ct, name=name, options=options)


def assemble(
    traced: Traced,
    *,
    grad: Sequence[str] = (),
    with_ct: bool = False,
    name: str = "loss",
    options: Mapping[str, Any] | None = None,
) -> Program:
    """Differentiate what was traced, and simplify values and gradients together."""
    values = _value_names(traced)
    cotangents = _cotangents(traced) if with_ct else None
    gradients = _gradients(traced, grad, cotangents)
    parts = {f"loss_{name}": part for name, part in traced.parts.items()}
    outputs = {**dict(zip(values, traced.outputs, strict=True)), **parts, **gradients}
    simple = rewrite(settle(list(outputs.values())), SIMPLIFY)
    simple = prune_scans(merge_scans(rewrite(simple, NARROW)))
    return Program(
        name,
        (*traced.inputs, *(cotangents or ())),
        dict(zip(outputs, simple, strict=True)),
        tuple(grad),
        traced.several,
        traced.constraints,
        traced.labels,
        {**(options or {}), **traced.constants},
        traced.derived,
        tuple(traced.parts),
    )


def _value_names(traced: Traced) -> list[str]:
    if not traced.several:
        return ["loss"]
    return [f"loss_{i}" for i in range(len(traced.outputs))]


def _cotangents(traced: Traced) -> tuple[Expr, ...]:
    taken = [node.attrs["name"] for node in traced.inputs]
    names = ["ct"] if not traced.several else [f"ct_{i}" for i in range(len(traced.outputs))]
    for name in names:
        if name in taken:
            raise InputError(f"an input is called {name!r}, which is the cotangent's name")
    return tuple(variable(n, out.type) for n, out in zip(names, traced.outputs, strict=True))


def _gradients(
    traced: Traced, grad: Sequence[str], cotangents: Sequence[Expr] | None
) -> dict[str, Expr]:
    if not grad:
        return {}
    by_name = {node.attrs["name"]: node for node in traced.inputs}
    for name in grad:
        if name not in by_name:
            raise InputError(f"no gradient for {name!r}: the inputs are {sorted(by_name)}")
    if len(set(grad)) != len(grad):
        raise InputError(f"the gradients {tuple(grad)} name an input twice")
    if not all(output.type.is_float for output in traced.outputs):
        raise GradientError("a value of integers has no gradient")
    ones = [filled(1.0, out.dtype, out.shape) for out in traced.outputs]
    found = autodiff.vjp(traced.outputs, cotangents or ones, [by_name[name] for name in grad])
    return {f"grad_{name}": gradient for name, gradient in zip(grad, found, strict=True)}
