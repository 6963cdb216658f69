"""Programs: traced losses with their gradients, ready to lower. The pipeline in one page.

trace (which stabilizes) -> differentiate -> simplify -> lower.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from . import autodiff
from .dims import Dim
from .errors import GradientError, InputError
from .expr import Expr, variable
from .ops import count_outside, filled, settle
from .rewrite import rewrite
from .rules import SIMPLIFY
from .scan import merge_scans, prune_scans
from .trace import Body, Traced, trace
from .types import Constraint, TensorType

if TYPE_CHECKING:
    import onnx


OUTSIDE = "_outside"  # the output that counts labels which are no class


@dataclass(frozen=True)
class Program:
    """A graph of values and gradients, with what must hold when it runs.

    Attributes:
        name: the loss's name.
        inputs: inputs of the graph, in order.
        outputs: expressions by name: ``loss`` or ``loss_0``, ``loss_1``, ..; ``grad_<input>``.
        wrt: the inputs whose gradients are among the outputs.
        several: whether the loss returned a tuple.
        constraints: pairs of sizes that must be equal.
        labels: inputs of class labels, with the number of classes.
        derived: expressions of inputs that are class labels, likewise.
        outside: how many of all these are no class, an int64; None if there are none of them.
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
    outside: Expr | None = None

    @property
    def values(self) -> list[str]:
        """The names of the outputs that are values."""
        return [name for name in self.outputs if not name.startswith("grad_")]

    @property
    def to_run(self) -> dict[str, Expr]:
        """The outputs of the graph that is run here: with ``outside``, if there are labels."""
        guard = {} if self.outside is None else {OUTSIDE: self.outside}
        return {**self.outputs, **guard}

    def to_onnx(self, opset: int | None = None, to_run: bool = False) -> onnx.ModelProto:
        """The program as a checked ONNX model.

        Args:
            opset: version of the standard operators.
            to_run: as ONNX Runtime runs it here, not for export: with ``outside`` as an output,
                and in a form that other engines may not take.
        """
        from .lower import DEFAULT_OPSET, lower
        from .validate import check

        outputs = self.to_run if to_run else self.outputs
        model = lower(
            self.inputs,
            outputs,
            opset=DEFAULT_OPSET if opset is None else opset,
            name=self.name,
            metadata=self._metadata(),
            portable=not to_run,
        )
        check(model, {name: value.type for name, value in outputs.items()})
        return model

    def _metadata(self) -> dict[str, str]:
        from . import __version__

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
    outputs = {**dict(zip(values, traced.outputs, strict=True)), **gradients}
    outside = _outside(traced)
    merged = merge_scans(rewrite(settle([*outputs.values(), *outside]), SIMPLIFY))
    simple = prune_scans(merged)
    return Program(
        name,
        (*traced.inputs, *(cotangents or ())),
        dict(zip(outputs, simple, strict=False)),
        tuple(grad),
        traced.several,
        traced.constraints,
        traced.labels,
        {**(options or {}), **traced.constants},
        traced.derived,
        simple[-1] if outside else None,
    )


def _outside(traced: Traced) -> list[Expr]:
    """The number of labels that are no class, if there are labels."""
    by_name = {node.attrs["name"]: node for node in traced.inputs}
    given = [(by_name[name], classes) for name, classes in traced.labels]
    counts = [count_outside(label, classes) for label, classes in (*given, *traced.derived)]
    return [sum(counts[1:], counts[0])] if counts else []


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
