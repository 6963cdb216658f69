"""Scan: a body applied step after step to a carry and the elements of ``xs``, as JAX's ``scan``.

``scan`` is an operation like the others, with several results: the last state, and what each step
puts out, stacked. Its gradient is a scan in the other direction over the states that the first
one went through, so gradients nest. What a body does not change from step to step is computed
once, outside.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

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
    register,
    substitute,
    variable,
)
from ..ir.kernel_forms import Recurrence
from ..ir.ops import flip, full, iota
from ..ir.ops.item import results_of
from ..ir.types import OpaqueType, TensorType, TupleType, numpy_dtype, require_equal, unify
from .all_steps import at_once
from .autodiff import pull_back
from .batch_partition import batch_dims_of
from .bodies import deeper, fresh_names, hoisted

Step = Callable[[list[Expr], list[Expr]], tuple[Sequence[Expr], Sequence[Expr]]]


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
    with deeper() as depth:
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
    items = applied(results, carry, elements, (*init, *xs), depth, length)
    stacked = items[len(carry) :]
    return items[: len(carry)], _flipped(stacked) if reverse else stacked


def applied(
    results: Sequence[Expr],
    carry: Sequence[Expr],
    elements: Sequence[Expr],
    args: Sequence[Expr],
    depth: int,
    length: Dim,
) -> list[Expr]:
    """The results of a scan whose step has been computed.

    Args:
        results: the states after a step, and what it puts out.
        carry: the variables of the states before it.
        elements: those of what it reads of sequences.
        args: the states to begin with, and the sequences.
        depth: that of the variables.
        length: the number of steps.

    Raises:
        InputError: if the step reads what is no tensor.
    """
    inside = [*carry, *elements]
    results, consts = hoisted(results, inside, depth)
    if any(isinstance(x.type, OpaqueType) for x in consts):
        raise InputError("a step reads what is no tensor of a known rank")
    node = _SCAN(
        *args,
        *consts.values(),
        body=Body((*inside, *consts), tuple(results), depth),
        num_carry=len(carry),
        num_xs=len(elements),
        length=length,
    )
    return results_of(node)


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


# --- the operation --------------------------------------------------------------------------


def loop_infer(
    *types: TensorType, body: Body, num_carry: int, num_xs: int, length: Dim
) -> TupleType:
    """States keep their types; what a step puts out is stacked."""
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
    current = list(arrays[:num_carry])
    read = arrays[num_carry : num_carry + num_xs]
    fixed = arrays[num_carry + num_xs :]
    stacks: list[list[Array]] = [[] for _ in body.outputs[num_carry:]]
    for t in range(length):
        current = stepped(body, [*current, *(x[t] for x in read), *fixed], stacks)
    return (*current, *joined(stacks, body.outputs[num_carry:]))


def stepped(body: Body, given: Sequence[Array], stacks: list[list[Array]]) -> list[Array]:
    """The states after a step, whose other results are added to stacks."""
    names = [node.attrs["name"] for node in body.inputs]
    values = evaluate(body.outputs, dict(zip(names, given, strict=True)))
    count = len(values) - len(stacks)
    for stack, value in zip(stacks, values[count:], strict=True):
        stack.append(value)
    return values[:count]


def _nothing(node: Expr) -> Array:
    """No elements like a node; a length that is only known inside a step is taken for 0."""
    shape = (size if isinstance(size, int) else 0 for size in node.shape)
    return np.empty((0, *shape), numpy_dtype(node.dtype))


def joined(stacks: Sequence[Sequence[Array]], nodes: Sequence[Expr]) -> list[Array]:
    """What steps put out, along a new first axis; ``nodes`` say what each is."""
    pairs = zip(stacks, nodes, strict=True)
    return [np.stack(stack) if stack else _nothing(node) for stack, node in pairs]


def loop_vjp(
    cts: dict[int, Expr],
    out: Expr,
    *args: Expr,
    body: Body,
    num_carry: int,
    num_xs: int,
    length: Dim,
    needed: frozenset[int],
) -> tuple[Expr | None, ...]:
    """The scan in the other direction, over the states that each step began with.

    Also of a loop that ends by a condition: backwards its length is known.
    """
    passed = _with_passed_states(out, args)
    s_vars, x_vars = body.inputs[:num_carry], body.inputs[num_carry : num_carry + num_xs]
    k_vars = body.inputs[num_carry + num_xs :]
    carried = [i for i, v in enumerate(s_vars) if v.type.is_float]
    fixed = [
        i for i, v in enumerate(k_vars) if v.type.is_float and num_carry + num_xs + i in needed
    ]
    read = [i for i, v in enumerate(x_vars) if v.type.is_float and num_carry + i in needed]
    given = [i for i in range(num_carry, len(body.outputs)) if i in cts]
    fresh = fresh_names(body)
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
    node = out.op(*args, **{**out.attrs, "body": longer})
    return results_of(node)[len(body.outputs) :]


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
        loop_infer,
        _ref,
        loop_vjp,
        lambda b, node, *names: b.scan(node, names),
        batching=_along,
        kernel=Recurrence(),
    )
)
