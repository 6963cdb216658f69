"""A choice between two bodies, of which only the chosen one is computed, as JAX's ``cond``.

Its gradient is a choice between the gradients of the bodies, by the same condition.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..errors import InputError
from ..ir.dims import Dim, Size, names
from ..ir.evaluate import evaluate
from ..ir.expr import Array, Body, Expr, Op, register, toposort, variable
from ..ir.ops.item import results_of
from ..ir.ops.opaque import defined_by
from ..ir.types import TensorType, TupleType
from .autodiff import pull_back
from .bodies import fresh_names, local_dims

Shapes = tuple[tuple[Dim, ...], ...]
Defines = tuple[tuple[str, int, int], ...]


def _infer(
    condition: TensorType, *captured: TensorType, body: Body, shapes: Shapes, defines: Defines
) -> TupleType:
    if condition != TensorType("bool", ()):
        raise InputError(f"a choice is made by one bool, got {condition}")
    then, otherwise = of_each(body)
    if [x.dtype for x in then] != [x.dtype for x in otherwise]:
        raise InputError("two bodies differ in the dtypes of their results")
    return TupleType(tuple(TensorType(x.dtype, s) for x, s in zip(then, shapes, strict=True)))


def of_each(body: Body) -> tuple[tuple[Expr, ...], tuple[Expr, ...]]:
    """The results of the one, and those of the other."""
    count = len(body.outputs) // 2
    return body.outputs[:count], body.outputs[count:]


def _ref(
    condition: Array, *captured: Array, body: Body, shapes: Shapes, defines: Defines
) -> tuple[Array, ...]:
    given = {v.attrs["name"]: x for v, x in zip(body.inputs, captured, strict=True)}
    return tuple(evaluate(of_each(body)[0 if condition else 1], given))


def _vjp(
    cts: dict[int, Expr],
    out: Expr,
    condition: Expr,
    *captured: Expr,
    body: Body,
    shapes: Shapes,
    defines: Defines,
    needed: frozenset[int],
) -> tuple[Expr | None, ...]:
    """The cotangents of what is captured, by the body that was chosen."""
    wanted = [i for i, x in enumerate(captured) if x.type.is_float and i + 1 in needed]
    given, fresh = sorted(cts), fresh_names(body)
    targets = [body.inputs[i] for i in wanted]
    variables, outputs = [], []
    for results in of_each(body):
        # The lengths of a result may be called otherwise here than outside.
        own = [variable(next(fresh), results[i].type) for i in given]
        outputs += pull_back([results[i] for i in given], own, targets)
        variables += own
    back = Body((*body.inputs, *variables), tuple(outputs), body.depth)
    weights = [cts[i] for i in given]
    node = _COND(
        condition,
        *captured,
        *weights,
        *weights,
        body=back,
        shapes=tuple(x.shape for x in targets),
        defines=(),
    )
    found = dict(zip(wanted, results_of(node), strict=True))
    return (None, *(found.get(i) for i in range(len(captured))))


def _defined(node: Expr) -> dict[str, tuple[Expr, int]]:
    return defined_by(results_of(node), node.attrs["defines"])


_COND: Op = register(
    Op(
        "Cond",
        _infer,
        _ref,
        _vjp,
        lambda b, node, *names: b.cond(node, names),
        defines=_defined,
    )
)


def cond(
    condition: Expr,
    captured: Sequence[Expr],
    body: Body,
    new: Callable[[int, int], tuple[str, Dim]],
) -> list[Expr]:
    """The results of one of two bodies.

    Args:
        condition: which one: the first one if it holds.
        captured: what the inputs of the body are.
        body: the results of the one, and then as many of the other.
        new: makes a name for a length in which they differ, of a result and an axis, and the dim
            that it stands for.

    Raises:
        InputError: if the results differ in dtype or rank.
    """
    shapes, defines = [], []
    local = local_dims(toposort(body.outputs))
    for place, (one, other) in enumerate(zip(*of_each(body), strict=True)):
        if one.rank != other.rank:
            raise InputError(f"two bodies give {one.type} and {other.type}")
        shape = []
        for axis, (dim, second) in enumerate(zip(one.shape, other.shape, strict=True)):
            if dim == second and not (isinstance(dim, Size) and names(dim) & local):
                shape.append(dim)
                continue
            name, made = new(place, axis)
            defines.append((name, place, axis))
            shape.append(made)
        shapes.append(tuple(shape))
    node = _COND(condition, *captured, body=body, shapes=tuple(shapes), defines=tuple(defines))
    return results_of(node)
