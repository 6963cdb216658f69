"""Mixed precision: what is heavy in 16 bits, all else in 32, parameters among it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, TypeAlias

from ..compiler.trace import Traced
from ..importer.graph import Graph
from ..ir import ops
from ..ir.expr import Expr
from ..passes.mixed_precision import HALF, autocast, widen
from ..symbolic.arguments import Check

_WORDS = " or ".join(map(repr, (*HALF, None)))
Precision: TypeAlias = Annotated[
    str | None, Check(lambda v: v is None or (isinstance(v, str) and v in HALF), _WORDS)
]


def narrowed(traced: Traced, graph: Graph, dtype: str | None) -> tuple[Traced, Graph]:
    """What is trained, and the model, with heavy operations in a dtype of 16 bits."""
    if dtype is None:
        return traced, graph
    names = list(graph.outputs)
    tensors = [name for name in names if graph.outputs[name].type.is_float]
    roots = [*traced.values, *traced.aux.values(), *(graph.outputs[name] for name in tensors)]
    done = autocast(widen(roots), dtype)
    count = len(traced.values)
    aux = dict(zip(traced.aux, done[count:], strict=False))
    outputs: Mapping[str, Expr] = dict(zip(tensors, done[count + len(aux) :], strict=True))
    return (
        replace(traced, values=tuple(done[:count]), aux=aux),
        replace(graph, outputs={**graph.outputs, **outputs}),
    )


def at_least_single(value: Expr) -> Expr:
    """A loss in at least 32 bits."""
    return ops.cast(value, "float32") if value.dtype in HALF else value
