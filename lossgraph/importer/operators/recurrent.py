"""Recurrent layers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from ...ir import ops
from ...ir.expr import Expr
from ...passes.cells import ACTIVATIONS, DEFAULTS, Activation, Cell, Gru, Lstm, Rnn
from ...passes.recurrent import recurrent
from ..node import Node
from ..translations import NotTranslatedError, translates

_BACKWARDS = {"forward": (False,), "reverse": (True,), "bidirectional": (False, True)}
_KNOWN = {name.lower(): name for name in ACTIVATIONS}  # models may write them in any case


@translates("RNN", since=7)
def _rnn(node: Node) -> list[Expr]:
    return _layer(node, Rnn)


@translates("GRU", since=7)
def _gru(node: Node) -> list[Expr]:
    return _layer(node, Gru, late=bool(node.attribute("linear_before_reset", 0)))


@translates("LSTM", since=7)
def _lstm(node: Node) -> list[Expr]:
    coupled = bool(node.attribute("input_forget", 0))
    return _layer(node, Lstm, c=node.optional(6), p=node.optional(7), coupled=coupled)


def _layer(
    node: Node,
    kind: type[Cell],
    *,
    c: Expr | None = None,
    p: Expr | None = None,
    **variant: Any,
) -> list[Expr]:
    """The results, of which the steps or the samples stand in front."""
    by_sample = bool(node.attribute("layout", 0))
    backwards = _BACKWARDS[node.attribute("direction", "forward")]
    turned = _turned if by_sample else (lambda x: x)
    r = node[2]
    if not isinstance(r.shape[2], int):
        raise NotTranslatedError("the length of its hidden state is known at run time")
    clip = node.attribute("clip")
    cells = [kind(r.shape[2], functions, clip, **variant)
             for functions in _activations(node, kind, len(backwards))]  # fmt: skip
    h = node.optional(5)
    found = recurrent(
        cells,
        backwards,
        x=turned(node[0]),
        w=node[1],
        r=r,
        b=node.optional(3),
        lengths=node.optional(4),
        h=None if h is None else turned(h),
        c=None if c is None else turned(c),
        p=p,
    )
    if not by_sample:
        return found
    return [ops.transpose(found[0], (2, 0, 1, 3)), *(_turned(state) for state in found[1:])]


def _turned(x: Expr) -> Expr:
    """The first two axes exchanged."""
    return ops.transpose(x, (1, 0, 2))


def _activations(node: Node, kind: type[Cell], count: int) -> list[tuple[Activation, ...]]:
    """The functions of each direction, which take their numbers from lists one after the other."""
    default = list(kind.default_activations) * count
    names = [_KNOWN.get(name.lower()) for name in node.attribute("activations", default)]
    alphas, betas = (iter(node.attribute(f"activation_{k}", ())) for k in ("alpha", "beta"))
    functions = [_with_numbers(name, alphas, betas) for name in names]
    each = len(kind.default_activations)
    return [tuple(functions[k * each : (k + 1) * each]) for k in range(count)]


def _with_numbers(
    name: str | None, alphas: Iterator[float], betas: Iterator[float]
) -> tuple[str, float, float]:
    if name is None:
        raise NotTranslatedError("it has a function that ONNX does not define")
    alpha, beta = DEFAULTS.get(name, (None, None))
    numbers = (
        0.0 if alpha is None else float(next(alphas, alpha)),
        0.0 if beta is None else float(next(betas, beta)),
    )
    if any(map(math.isnan, numbers)):
        raise NotTranslatedError(f"it does not say the numbers of {name}")
    return (name, *numbers)
