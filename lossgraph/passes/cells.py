"""The cells of recurrent layers, as ONNX defines them: one step, in expressions.

A step reads what is projected of the input and of the hidden state, gates one after the other;
all else in it is elementwise, but for a GRU that resets the hidden state before it projects it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

from ..ir import ops
from ..ir.expr import Expr, const

Activation = tuple[str, float, float]  # the name, alpha, beta


def _elu(x: Expr, alpha: float) -> Expr:
    below = ops.expm1(ops.minimum(x, const(0, x.dtype)))
    return ops.relu(x) + below * const(alpha, x.dtype)


def _thresholded(x: Expr, alpha: float) -> Expr:
    return ops.where(ops.greater(x, const(alpha, x.dtype)), x, const(0, x.dtype))


def _leaky(x: Expr, alpha: float) -> Expr:
    return ops.where(ops.less(x, const(0, x.dtype)), x * const(alpha, x.dtype), x)


def _affine(x: Expr, alpha: float, beta: float) -> Expr:
    return x * const(alpha, x.dtype) + const(beta, x.dtype)


ACTIVATIONS: Mapping[str, Callable[[Expr, float, float], Expr]] = {
    "Affine": _affine,
    "Elu": lambda x, alpha, _: _elu(x, alpha),
    "HardSigmoid": lambda x, alpha, beta: ops.clip(_affine(x, alpha, beta), 0.0, 1.0),
    "LeakyRelu": lambda x, alpha, _: _leaky(x, alpha),
    "Relu": lambda x, *_: ops.relu(x),
    "ScaledTanh": lambda x, a, b: ops.tanh(x * const(b, x.dtype)) * const(a, x.dtype),
    "Sigmoid": lambda x, *_: ops.sigmoid(x),
    "Softplus": lambda x, *_: ops.softplus(x),
    "Softsign": lambda x, *_: x / (const(1, x.dtype) + ops.absolute(x)),
    "Tanh": lambda x, *_: ops.tanh(x),
    "ThresholdedRelu": lambda x, alpha, _: _thresholded(x, alpha),
}
# alpha and beta where a model does not say them; None for what a function has not, NaN where ONNX
# and engines differ
DEFAULTS: Mapping[str, tuple[float | None, float | None]] = {
    "Affine": (math.nan, math.nan),
    "Elu": (1.0, None),
    "HardSigmoid": (0.2, 0.5),
    "LeakyRelu": (0.01, None),
    "ScaledTanh": (math.nan, math.nan),
    "ThresholdedRelu": (math.nan, None),
}


@dataclass(frozen=True)
class Cell:
    """One direction's cell.

    Attributes:
        hidden: the length of the hidden state.
        activations: its functions.
        clip: the largest absolute value that a function is given; None for any.
    """

    hidden: int
    activations: tuple[Activation, ...]
    clip: float | None = None

    operator: ClassVar[str]
    gates: ClassVar[int]
    states: ClassVar[int] = 1
    default_activations: ClassVar[tuple[str, ...]]

    @property
    def projected(self) -> int:
        """How many gates read the hidden state as it is."""
        return self.gates

    def step(
        self,
        of_input: Sequence[Expr],
        of_hidden: Sequence[Expr],
        states: Sequence[Expr],
        peepholes: Expr | None,
        inner: Expr | None,
    ) -> list[Expr]:
        """The next states.

        Args:
            of_input: the projected input and the biases, [N, H] for each gate.
            of_hidden: the projected hidden state and its biases, likewise.
            states: the hidden state, and the cell's own if it has one.
            peepholes: an LSTM's weights of these, [3 H].
            inner: the weights of what is projected in a step, [H, H].
        """
        raise NotImplementedError

    def reset(
        self, of_input: Sequence[Expr], of_hidden: Sequence[Expr], hidden: Expr
    ) -> Expr | None:
        """What is projected in a step by ``inner``."""
        return None

    def own_attributes(self) -> dict[str, int]:
        """What ONNX calls the variant of the cell."""
        return {}

    def each(self, projected: Expr) -> list[Expr]:
        """What belongs to each gate, along the last axis."""
        last, count = projected.rank - 1, self.hidden
        width = projected.shape[last]
        assert isinstance(width, int)
        return [ops.take_range(projected, last, k, count) for k in range(0, width, count)]

    def apply(self, place: int, x: Expr) -> Expr:
        """One of the functions, of what is clipped.

        As in ONNX Runtime the cell state of an LSTM is not: ``function`` alone is applied to it.
        """
        return self.function(place, x if self.clip is None else ops.clip(x, -self.clip, self.clip))

    def function(self, place: int, x: Expr) -> Expr:
        """One of the functions."""
        name, alpha, beta = self.activations[place]
        return ACTIVATIONS[name](x, alpha, beta)


class Rnn(Cell):
    """h' = f(x W + h R + b)."""

    operator, gates, default_activations = "RNN", 1, ("Tanh",)

    def step(
        self,
        of_input: Sequence[Expr],
        of_hidden: Sequence[Expr],
        states: Sequence[Expr],
        peepholes: Expr | None,
        inner: Expr | None,
    ) -> list[Expr]:
        return [self.apply(0, of_input[0] + of_hidden[0])]


@dataclass(frozen=True)
class Lstm(Cell):
    """Gates i, o, f and the candidate; ``coupled``: f = 1 - i."""

    coupled: bool = False

    operator, gates, states = "LSTM", 4, 2
    default_activations = ("Sigmoid", "Tanh", "Tanh")

    def own_attributes(self) -> dict[str, int]:
        return {"input_forget": 1} if self.coupled else {}

    def step(
        self,
        of_input: Sequence[Expr],
        of_hidden: Sequence[Expr],
        states: Sequence[Expr],
        peepholes: Expr | None,
        inner: Expr | None,
    ) -> list[Expr]:
        cell = states[1]
        i, o, f, new = (a + q for a, q in zip(of_input, of_hidden, strict=True))
        if peepholes is not None:
            for_i, for_o, for_f = self.each(peepholes)
            i, f = i + for_i * cell, f + for_f * cell
        kept = self.apply(0, i)
        left = const(1, i.dtype) - kept if self.coupled else self.apply(0, f)
        following = left * cell + kept * self.apply(1, new)
        if peepholes is not None:
            o = o + for_o * following
        return [self.apply(0, o) * self.function(2, following), following]


@dataclass(frozen=True)
class Gru(Cell):
    """Gates z, r and the candidate; ``late``: the reset follows the projection, as in PyTorch."""

    late: bool = False

    operator, gates = "GRU", 3
    default_activations = ("Sigmoid", "Tanh")

    def own_attributes(self) -> dict[str, int]:
        return {"linear_before_reset": 1} if self.late else {}

    @property
    def projected(self) -> int:
        return 3 if self.late else 2

    def step(
        self,
        of_input: Sequence[Expr],
        of_hidden: Sequence[Expr],
        states: Sequence[Expr],
        peepholes: Expr | None,
        inner: Expr | None,
    ) -> list[Expr]:
        hidden = states[0]
        z = self.apply(0, of_input[0] + of_hidden[0])
        if inner is None:
            r = self.apply(0, of_input[1] + of_hidden[1])
            candidate = r * of_hidden[2]
        else:
            candidate = ops.gemm(self.reset(of_input, of_hidden, hidden), inner, None, False, True)
        new = self.apply(1, of_input[2] + candidate)
        return [(const(1, z.dtype) - z) * new + z * hidden]

    def reset(self, of_input: Sequence[Expr], of_hidden: Sequence[Expr], hidden: Expr) -> Expr:
        r = self.apply(0, of_input[1] + of_hidden[1])
        return r * hidden
