"""The program as kernels take it: formulas in place, every recurrence on variables of its own."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

from ..ir.expr import Body, Expr, const, rebuild, substitute, toposort, transform, variable
from ..ir.kernel_forms import Formula, Running
from ..ir.ops import (
    broadcast_to,
    expand_dims,
    full,
    greater_equal,
    isnan,
    less,
    logical_and,
    matmul,
    one_hot,
    pick,
    scatter_add,
    size_of,
    transpose,
    where,
)
from ..passes.scan import scan
from .unbatching import taken_apart


def prepared(inputs: Sequence[Expr], roots: Sequence[Expr]) -> list[Expr]:
    """The roots with samples apart, and in operations that have a form of their own."""
    return _own_variables(decomposed(taken_apart(inputs, roots)))


def decomposed(roots: Sequence[Expr]) -> list[Expr]:
    """The roots with other operations in the place of those that are a formula of others."""
    done: dict[Expr, Expr] = {}

    def expand(node: Expr, args: tuple[Expr, ...]) -> Expr:
        made = _formula(node, args)
        if made is None:
            return _with_body(node, args, decomposed) if node.op.has_body else rebuild(node, args)
        if made not in done:
            (done[made],) = transform([made], expand)
        return done[made]

    return transform(roots, expand)


def _formula(node: Expr, args: Sequence[Expr]) -> Expr | None:
    form = node.op.kernel
    if isinstance(form, Formula):
        made: Expr = form.of(*args, **node.attrs)
        return made
    if isinstance(form, Running):
        return _running_sum(args[0], node.attrs["axis"])
    if is_one_hot_product(node):
        x, hot = args
        turned = hot.op is not one_hot.op
        return _turned_product(x, hot.args[0]) if turned else _one_hot_product(x, hot)
    return None


def is_one_hot_product(node: Expr) -> bool:
    """Whether it is a product with what ``one_hot`` gives, or the transpose of that."""
    if node.op is not matmul:
        return False
    right = node.args[1]
    return right.op is one_hot.op or (_turns_rows(right) and right.args[0].op is one_hot.op)


def _with_body(node: Expr, args: Sequence[Expr], change) -> Expr:  # type: ignore[no-untyped-def]
    body = node.attrs["body"]
    return rebuild(node, args, body=body.replaced(change(body.outputs)))


def _one_hot_product(x: Expr, hot: Expr) -> Expr:
    """``x @ one_hot(label)``: the elements of rows of x added up by label, but for what is none."""
    known, label = _known(hot)
    index = broadcast_to(label, x.shape)
    added = where(known, x, const(0, x.dtype))
    return scatter_add(added, index, x.rank - 1, hot.shape[-1], unique_indices=False)


def _turned_product(x: Expr, hot: Expr) -> Expr:
    """``x @ one_hot(label).T``: of each row of x the elements that the labels say."""
    known, label = _known(hot)
    index = broadcast_to(label, (*x.shape[:-1], label.shape[-1]))
    return where(known, pick(x, index, x.rank - 1, unique_indices=False), const(0, x.dtype))


def _known(hot: Expr) -> tuple[Expr, Expr]:
    """Which labels are classes, and labels that all are, as rows of one for every row."""
    label = expand_dims(hot.args[0], (hot.rank - 2,))
    none = const(0, label.dtype)
    known = logical_and(greater_equal(label, none), less(label, size_of(hot.shape[-1])))
    return known, where(known, label, none)


def _turns_rows(node: Expr) -> bool:
    last = (*range(node.rank - 2), node.rank - 1, node.rank - 2)
    return node.op is transpose.op and tuple(node.attrs["perm"]) == last


# --- running totals -------------------------------------------------------------------------


def _running_sum(x: Expr, axis: int) -> Expr:
    """The totals up to each element, step by step along an axis.

    What each addition has rounded off is carried along too (Knuth's sum of two numbers), which is
    as good as a total of twice the digits.
    """
    forth = (axis, *(i for i in range(x.rank) if i != axis))
    back = (*range(1, axis + 1), 0, *range(axis + 1, x.rank))
    steps = transpose(x, forth)
    zero = full(0, x.dtype, steps.shape[1:])
    step = _exact_step if x.type.is_float else _step
    states = [zero, zero] if x.type.is_float else [zero]
    _, (totals,) = scan(step, states, [steps])
    return transpose(totals, back)


def _step(states: list[Expr], elements: list[Expr]) -> tuple[list[Expr], list[Expr]]:
    total = states[0] + elements[0]
    return [total], [total]


def _exact_step(states: list[Expr], elements: list[Expr]) -> tuple[list[Expr], list[Expr]]:
    (before, lost), (x,) = states, elements
    total = before + x
    of_x = total - before
    rest = lost + ((before - (total - of_x)) + (x - of_x))
    rest = where(isnan(rest), full(0, x.dtype, rest.shape), rest)  # a total that is infinite
    return [total, rest], [total + rest]


# --- variables ------------------------------------------------------------------------------


def _own_variables(roots: Sequence[Expr]) -> list[Expr]:
    """The same with variables in each body that no other body has."""
    numbers = itertools.count()

    def rename(node: Expr, args: tuple[Expr, ...]) -> Expr:
        return _renamed(node, args, numbers) if node.op.has_body else rebuild(node, args)

    return transform(roots, rename)


def _renamed(node: Expr, args: Sequence[Expr], numbers: Iterator[int]) -> Expr:
    body = node.attrs["body"]
    own = {v: variable(f"_step_{next(numbers)}", v.type) for v in body.inputs}
    outputs = substitute(body.outputs, own)
    return rebuild(node, args, body=Body(tuple(own.values()), tuple(outputs), body.depth))


def bodies(nodes: Sequence[Expr]) -> Iterator[tuple[Expr, list[Expr]]]:
    """Each recurrence among nodes, and the nodes of its body, in order."""
    for node in nodes:
        if node.op.has_body:
            yield node, toposort(node.attrs["body"].outputs)
