"""The results of operations that have several."""

from __future__ import annotations

from ..expr import Expr, Op, builds, register
from ..kernel_forms import Result

_item: Op = register(
    Op(
        "Item",
        lambda source, *, index: source.items[index],
        lambda source, index: source[index],
        None,  # differentiated where tuples are: in autodiff
        lambda b, node, name: b.item(node),
        batching=lambda node, batch_dims, batch: batch_dims[0][node.attrs["index"]],
        is_item=True,
        kernel=Result(),
    )
)


@builds(_item)
def item(source: Expr, index: int) -> Expr:
    """One result of an operation with several."""
    return _item(source, index=index)


def results_of(node: Expr) -> list[Expr]:
    """All results of an operation with several."""
    return [item(node, index) for index in range(len(node.type.items))]
