"""Scan: a body applied step after step to a carry and the elements of ``xs``, as JAX's ``scan``.

``scan`` is an operation like the others, with several results: the last state, and what each step
puts out, stacked. Its gradient is a scan in the other direction over the states that the first
one went through, so gradients nest. What a body does not change from step to step is computed
once, outside.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import numpy as np

from ..errors import InputError
from ..ir.batching import BatchDim, NotBatchableError, not_over
from ..ir.dims import Dim
from ..ir.evaluate import evaluate
from ..ir.expr import (
    Array,
    Body,
    Expr,
    Op,
    inputs_of,
    is_literal,
    rebuild,
    register,
    scalar_value,
    substitute,
    toposort,
    transform,
    variable,
)
from ..ir.kernel_forms import Recurrence
from ..ir.ops import flip, full, iota
from ..ir.ops.item import item, results_of
from ..ir.types import TensorType, TupleType, numpy_dtype, require_equal, unify
from .all_steps import at_once
from .autodiff import pull_back
from .batch_partition import batch_dims_of

Step = Callable[[list[Expr], list[Expr]], tuple[Sequence[Expr], Sequence[Expr]]]
_DEPTH: ContextVar[int] = ContextVar("depth", default=0)
_APART = 1000  # deeper than Python nests functions


def scan(
    step: Step,
    init: Sequence[Expr],
    xs: Sequence[Expr],
    *,
    length: Dim | None = None,
    reverse: bool = False,
    all_at_once: bool = False,
) -> tuple[list[Expr], list[Expr]]:
    """Apply ``step(carry, elements) -> (carry, outputs)`` along the first axis of ``xs``.

    Args:
        step: what is done at each step; it may use any expression from outside.
        init: the carry to begin with.
        xs: arrays that are read along axis 0, all of one length.
        length: that length, where there are none.
        reverse: begin at the end; outputs keep the place of their step.
        all_at_once: compute what does not wait for the carry for all steps before the first one,
            which is faster and takes memory for it.

    Returns:
        The last carry, and the outputs stacked along a new first axis.

    Raises:
        InputError: if the carry changes its type, or ``xs`` differ in length.
    """
    length = _length(xs, length)
    given = len(xs)
    xs = xs or [iota(length)]  # ONNX's Scan reads at least one
    with _deeper() as depth:
        carry = [variable(f"_carry{depth}_{i}", x.type) for i, x in enumerate(init)]
        elements = [_element(f"_x{depth}_{i}", x) for i, x in enumerate(xs)]
        following, outputs = step(carry, elements[:given])
    if len(following) != len(carry):
        raise InputError(f"a step takes {len(carry)} states and gives {len(following)}")
    results = [*following, *outputs]
    if all_at_once:
        results, elements, xs = _all_at_once(results, carry, elements, xs, depth)
    if reverse:
        xs = _flipped(xs)
    inside = [*carry, *elements]
    results, consts = _hoisted(results, inside, depth)
    body = Body((*inside, *consts), tuple(results), depth)
    node = _SCAN(
        *init,
        *xs,
        *consts.values(),
        body=body,
        num_carry=len(carry),
        num_xs=len(elements),
        length=length,
    )
    items = results_of(node)
    stacked = items[len(carry) :]
    return items[: len(carry)], _flipped(stacked) if reverse else stacked


def _element(name: str, sequence: Expr) -> Expr:
    """The variable of one element of a sequence."""
    return variable(name, sequence.type.with_shape(sequence.shape[1:]))


def _all_at_once(
    results: Sequence[Expr],
    carry: Sequence[Expr],
    elements: Sequence[Expr],
    xs: Sequence[Expr],
    depth: int,
) -> tuple[list[Expr], list[Expr], list[Expr]]:
    """The results, elements and sequences, where more of the latter are computed before."""
    added = at_once(results, carry, elements, xs)
    names = {node: f"_x{depth}_{len(elements) + i}" for i, node in enumerate(added)}
    replaced = {node: _element(names[node], sequence) for node, sequence in added.items()}
    results = substitute(results, replaced)
    read = set(inputs_of(results))
    pairs = [*zip(elements, xs, strict=True), *((replaced[n], s) for n, s in added.items())]
    kept = [pair for pair in pairs if pair[0] in read] or pairs[:1]
    return results, [element for element, _ in kept], [sequence for _, sequence in kept]


def _flipped(sequences: Sequence[Expr]) -> list[Expr]:
    """The other way round along the first axis: engines differ in what directions they know."""
    return [flip(sequence, (0,)) for sequence in sequences]


def _length(sequences: Sequence[Expr], length: Dim | None) -> Dim:
    for sequence in sequences:
        if not sequence.rank:
            raise InputError(f"a scan reads along the first axis, {sequence.type} has none")
        length = sequence.shape[0] if length is None else unify(length, sequence.shape[0])
    if length is None:
        raise InputError("a scan needs a sequence or a length")
    return length


@contextmanager
def apart() -> Iterator[None]:
    """Bodies made here are told apart from all that are made elsewhere, as deep as those may be.

    For operations that are lowered to scans: what theirs stand in is known to nobody by then.
    """
    token = _DEPTH.set(_APART)
    try:
        yield
    finally:
        _DEPTH.reset(token)


@contextmanager
def _deeper() -> Iterator[int]:
    depth = _DEPTH.get() + 1
    token = _DEPTH.set(depth)
    try:
        yield depth
    finally:
        _DEPTH.reset(token)


def _hoisted(
    roots: Sequence[Expr], inside: Sequence[Expr], depth: int
) -> tuple[list[Expr], dict[Expr, Expr]]:
    """The roots on variables alone, and what those stand for that are computed outside."""
    depends = set(inside)
    for node in toposort(roots):
        if any(arg in depends for arg in node.args):
            depends.add(node)
    users = [node for node in toposort(roots) if node in depends]
    border = [*(arg for node in users for arg in node.args), *roots]
    outside: dict[Expr, Expr] = {}
    for node in border:
        if node not in depends and node not in outside and not _stays(node):
            outside[node] = variable(f"_outer{depth}_{len(outside)}", node.type)
    return substitute(roots, outside), {name: node for node, name in outside.items()}


def _stays(node: Expr) -> bool:
    """Constants and numbers, however wide, are no arguments."""
    return is_literal(node) or scalar_value(node) is not None


# --- the operation --------------------------------------------------------------------------


def _infer(*types: TensorType, body: Body, num_carry: int, num_xs: int, length: Dim) -> TupleType:
    following, outputs = body.outputs[:num_carry], body.outputs[num_carry:]
    for read in types[num_carry : num_carry + num_xs]:
        require_equal(read.shape[0], length)
    for before, after in zip(types, following, strict=False):
        if before.dtype != after.dtype or before.rank != after.rank:
            raise InputError(f"a state changes from {before} to {after.type}")
        for a, b in zip(before.shape, after.shape, strict=True):
            unify(a, b)
    stacked = [node.type.with_shape((length, *node.shape)) for node in outputs]
    return TupleType((*types[:num_carry], *stacked))


def _ref(*arrays: Array, body: Body, num_carry: int, num_xs: int, length: int) -> tuple[Array, ...]:
    """The body evaluated step by step; every size is an int here."""
    names = [node.attrs["name"] for node in body.inputs]
    current = list(arrays[:num_carry])
    read = arrays[num_carry : num_carry + num_xs]
    fixed = arrays[num_carry + num_xs :]
    stacks = [
        np.empty((length, *map(int, node.shape)), numpy_dtype(node.dtype))  # type: ignore[arg-type]
        for node in body.outputs[num_carry:]
    ]
    for t in range(length):
        given = dict(zip(names, [*current, *(x[t] for x in read), *fixed], strict=True))
        values = evaluate(body.outputs, given)
        current = values[:num_carry]
        for stack, value in zip(stacks, values[num_carry:], strict=True):
            stack[t] = value
    return (*current, *stacks)


def _vjp(
    cts: dict[int, Expr],
    out: Expr,
    *args: Expr,
    body: Body,
    num_carry: int,
    num_xs: int,
    length: Dim,
    needed: frozenset[int],
) -> tuple[Expr | None, ...]:
    """The scan in the other direction, over the states that each step began with."""
    passed = _with_passed_states(out, args)
    s_vars, x_vars = body.inputs[:num_carry], body.inputs[num_carry : num_carry + num_xs]
    k_vars = body.inputs[num_carry + num_xs :]
    carried = [i for i, v in enumerate(s_vars) if v.type.is_float]
    fixed = [
        i for i, v in enumerate(k_vars) if v.type.is_float and num_carry + num_xs + i in needed
    ]
    read = [i for i, v in enumerate(x_vars) if v.type.is_float and num_carry + i in needed]
    given = [i for i in range(num_carry, len(body.outputs)) if i in cts]
    fresh = _fresh(body)
    ct_states = [variable(next(fresh), s_vars[i].type) for i in carried]
    sums = [variable(next(fresh), k_vars[i].type) for i in fixed]
    ct_outputs = [variable(next(fresh), body.outputs[i].type) for i in given]
    targets = [
        *(s_vars[i] for i in carried),
        *(k_vars[i] for i in fixed),
        *(x_vars[i] for i in read),
    ]
    pulled = pull_back(
        [*(body.outputs[i] for i in carried), *(body.outputs[i] for i in given)],
        [*ct_states, *ct_outputs],
        targets,
    )
    to_states, rest = pulled[: len(carried)], pulled[len(carried) :]
    to_fixed, to_read = rest[: len(fixed)], rest[len(fixed) :]
    added = [total + part for total, part in zip(sums, to_fixed, strict=True)]
    back = Body(
        (*ct_states, *sums, *ct_outputs, *s_vars, *x_vars, *k_vars),
        (*to_states, *added, *to_read),
        body.depth,
    )
    node = _SCAN(
        *(cts.get(i) or _zeros(args[i].type) for i in carried),
        *(_zeros(k_vars[i].type) for i in fixed),
        *_flipped([cts[i] for i in given]),
        *_flipped(passed),
        *_flipped(args[num_carry : num_carry + num_xs]),
        *args[num_carry + num_xs :],
        body=back,
        num_carry=len(carried) + len(fixed),
        num_xs=len(given) + num_carry + num_xs,
        length=length,
    )
    items = iter(results_of(node))
    found: dict[int, Expr] = {i: next(items) for i in carried}
    found |= {num_carry + num_xs + i: next(items) for i in fixed}
    found |= dict(zip([num_carry + i for i in read], _flipped(list(items)), strict=True))
    return tuple(found.get(i) for i in range(len(args)))


def _with_passed_states(out: Expr, args: Sequence[Expr]) -> list[Expr]:
    """The states before each step: the same scan, which puts them out too."""
    body, states = out.attrs["body"], out.attrs["num_carry"]
    longer = body.replaced((*body.outputs, *body.inputs[:states]))
    node = _SCAN(*args, **{**out.attrs, "body": longer})
    return results_of(node)[len(body.outputs) :]


def _fresh(body: Body) -> Iterator[str]:
    """Names of variables that the body has not: numbered on from its inputs."""
    return (f"_back{body.depth}_{number}" for number in itertools.count(len(body.inputs)))


def _zeros(type_: TensorType) -> Expr:
    return full(0.0, type_.dtype, type_.shape)


def _along(
    node: Expr, batch_dims: Sequence[BatchDim | None], batch: str
) -> tuple[BatchDim | None, ...]:
    """The batch_dims of the results: a body takes samples as they come in, at every step."""
    body, states, read = (node.attrs[key] for key in ("body", "num_carry", "num_xs"))
    sequences = [not_over((0,), batch_dim) for batch_dim in batch_dims[states : states + read]]
    elements = [
        batch_dim and BatchDim(batch_dim.axis - 1, batch_dim.blocks) for batch_dim in sequences
    ]
    inside = (*batch_dims[:states], *elements, *batch_dims[states + read :])
    after = batch_dims_of(body.outputs, dict(zip(body.inputs, inside, strict=True)), batch)
    if tuple(after[:states]) != tuple(batch_dims[:states]):
        raise NotBatchableError
    stacked = [
        batch_dim and BatchDim(batch_dim.axis + 1, batch_dim.blocks) for batch_dim in after[states:]
    ]
    return (*batch_dims[:states], *stacked)


_SCAN = register(
    Op(
        "Scan",
        _infer,
        _ref,
        _vjp,
        lambda b, node, *names: b.scan(node, names),
        batching=_along,
        kernel=Recurrence(),
    )
)


def merge_scans(roots: Sequence[Expr]) -> list[Expr]:
    """Scans over the same arguments with the same steps become one that has all the outputs."""
    groups: dict[tuple[Any, ...], list[Expr]] = {}
    for node in toposort(roots):
        if node.op is _SCAN:
            groups.setdefault(_signature(node), []).append(node)
    replaced: dict[Expr, Expr] = {}
    for nodes in groups.values():
        if len(nodes) > 1:
            replaced |= _merged(nodes)
    if not replaced:
        return list(roots)
    items = {n: replaced[n] for n in toposort(roots) if n in replaced}
    return merge_scans(substitute(roots, items))


def _signature(node: Expr) -> tuple[Any, ...]:
    attrs, body = node.attrs, node.attrs["body"]
    shared = (attrs["num_carry"], attrs["num_xs"], attrs["length"])
    return (node.args, body.inputs, body.outputs[: attrs["num_carry"]], *shared)


def _merged(nodes: Sequence[Expr]) -> dict[Expr, Expr]:
    """Each item of the scans by the item of the one that serves them all."""
    first, states = nodes[0], nodes[0].attrs["num_carry"]
    outputs = list(first.attrs["body"].outputs[:states])
    places: dict[tuple[Expr, int], int] = {}
    for node in nodes:
        for i, output in enumerate(node.attrs["body"].outputs):
            if i >= states and output not in outputs[states:]:
                outputs.append(output)
            place = i if i < states else states + outputs[states:].index(output)
            places[(node, i)] = place
    body = first.attrs["body"].replaced(outputs)
    one = _SCAN(*first.args, **{**first.attrs, "body": body})
    return {item(node, index=i): item(one, index=place) for (node, i), place in places.items()}


def prune_scans(roots: Sequence[Expr]) -> list[Expr]:
    """Scans without the results that nobody reads, and the states that only those need."""
    read: dict[Expr, set[int]] = {}
    for node in toposort(roots):
        if _is_result(node):
            read.setdefault(node.args[0], set()).add(node.attrs["index"])
    kept = {node: _kept(node, found) for node, found in read.items()}

    def shorten(node: Expr, args: tuple[Expr, ...]) -> Expr:
        if _is_result(node):
            return item(args[0], index=kept[node.args[0]].index(node.attrs["index"]))
        return _shortened(node, args, kept[node]) if node.op is _SCAN else rebuild(node, args)

    pruned = transform(roots, shorten)
    # what one scan no longer needs another may have put out for it alone
    return pruned if pruned == list(roots) else prune_scans(pruned)


def _is_result(node: Expr) -> bool:
    """Whether a node is a result of a scan."""
    return node.op.is_item and node.args[0].op is _SCAN


def _kept(node: Expr, read: set[int]) -> list[int]:
    """Which results a scan has to have: those that are read, and states that they depend on."""
    body, states = node.attrs["body"], node.attrs["num_carry"]
    kept: set[int] = set()
    found = read
    while found - kept:
        kept |= found
        needed = set(inputs_of([body.outputs[i] for i in kept]))
        found = {i for i, state in enumerate(body.inputs[:states]) if state in needed}
    return sorted(kept)


def _shortened(node: Expr, args: Sequence[Expr], kept: Sequence[int]) -> Expr:
    """A scan that has those results alone, and reads no more than they need."""
    attrs, body = node.attrs, node.attrs["body"]
    states, read = attrs["num_carry"], attrs["num_xs"]
    outputs = prune_scans([body.outputs[i] for i in kept])
    needed = set(inputs_of(outputs))
    sequences = [i for i in range(states, states + read) if body.inputs[i] in needed] or [states]
    outer = [i for i in range(states + read, len(args)) if body.inputs[i] in needed]
    carried = [i for i in kept if i < states]
    places = [*carried, *sequences, *outer]
    return _SCAN(
        *(args[i] for i in places),
        body=Body(tuple(body.inputs[i] for i in places), tuple(outputs), body.depth),
        num_carry=len(carried),
        num_xs=len(sequences),
        length=attrs["length"],
    )
