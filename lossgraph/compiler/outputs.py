"""What the outputs of a program are, and the one place where their names are made and read.

A graph's outputs are called ``loss`` (``loss_0``, ``loss_1``, .. of a tuple), ``loss_<name>`` for
what a loss returns beside its value, and ``grad_<input>``. Within the package nobody reads a kind
off a name: a ``Program`` has typed outputs. Of a model from a file only the names are known.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from ..ir.expr import Expr

Kind = Literal["value", "auxiliary", "gradient", "check"]

_VALUE, _GRADIENT = "loss", "grad_"


@dataclass(frozen=True)
class Output:
    """One output of a program.

    Attributes:
        kind: a value, an auxiliary output (what a loss returns beside its value), a gradient, or
            a check: an int64 that is positive if the other outputs are not to be used.
        name: its name in a graph.
        expr: the expression that computes it.
        key: its key in what a call returns: the input that a gradient is of, or the name that the
            loss gave an auxiliary output; empty for others.
    """

    kind: Kind
    name: str
    expr: Expr
    key: str = ""

    @property
    def is_differentiable(self) -> bool:
        """Whether it has derivatives: values and gradients of floats do."""
        return self.kind in ("value", "gradient") and self.expr.type.is_float


def value_outputs(values: Sequence[Expr], several: bool) -> tuple[Output, ...]:
    """The values of a loss: of one, or of a tuple of them."""
    names = value_names(len(values) if several else None)
    return tuple(Output("value", *pair) for pair in zip(names, values, strict=True))


def auxiliary_outputs(aux: Mapping[str, Expr]) -> tuple[Output, ...]:
    """What a loss returns beside its value."""
    return tuple(Output("auxiliary", auxiliary_name(key), expr, key) for key, expr in aux.items())


def gradient_outputs(gradients: Mapping[str, Expr]) -> tuple[Output, ...]:
    """The gradients by inputs."""
    return tuple(Output("gradient", gradient_name(n), expr, n) for n, expr in gradients.items())


def check_outputs(checks: Mapping[str, Expr]) -> tuple[Output, ...]:
    """What says whether the other outputs are to be used."""
    return tuple(Output("check", name, expr) for name, expr in checks.items())


def with_expressions(outputs: Sequence[Output], exprs: Sequence[Expr]) -> tuple[Output, ...]:
    """The same outputs, computed by other expressions."""
    pairs = zip(outputs, exprs, strict=True)
    return tuple(replace(output, expr=expr) for output, expr in pairs)


def by_name(outputs: Sequence[Output]) -> dict[str, Expr]:
    """The expressions of outputs by their names."""
    return {output.name: output.expr for output in outputs}


# --- names ---


def value_names(count: int | None) -> list[str]:
    """The names of a tuple of so many values; of a single value for None."""
    return [_VALUE] if count is None else [f"{_VALUE}_{k}" for k in range(count)]


def auxiliary_name(key: str) -> str:
    """The name of an auxiliary output."""
    return f"{_VALUE}_{key}"


def gradient_name(input_name: str) -> str:
    """The name of the gradient by an input."""
    return f"{_GRADIENT}{input_name}"


def classify(name: str) -> tuple[Kind, str]:
    """The kind and key of an output of a model that was read from a file, by its name alone.

    An output with a name of no loss is a value.

    >>> classify("grad_pred"), classify("loss_boxes"), classify("loss_1")
    (('gradient', 'pred'), ('auxiliary', 'boxes'), ('value', ''))
    """
    if name.startswith(_GRADIENT):
        return "gradient", name.removeprefix(_GRADIENT)
    key = name.removeprefix(f"{_VALUE}_")
    if key != name and not key.isdecimal():
        return "auxiliary", key
    return "value", ""


def by_output_name(value: Any, grads: Mapping[str, Any]) -> dict[str, Any]:
    """What a call returned, by the names of outputs."""
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], dict):
        main, aux = value
        named = {_VALUE: main, **{auxiliary_name(key): array for key, array in aux.items()}}
    elif isinstance(value, tuple):
        named = dict(zip(value_names(len(value)), value, strict=True))
    else:
        named = {_VALUE: value}
    return {**named, **{gradient_name(name): array for name, array in grads.items()}}
