"""Loops with fewer results: those of the same steps become one, what nobody reads is dropped."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..ir.expr import Body, Expr, inputs_of, rebuild, substitute, toposort, transform
from ..ir.ops.item import item


def _is_loop(node: Expr) -> bool:
    """Whether a node applies its body step after step."""
    return "num_carry" in node.op.attributes


def merge_scans(roots: Sequence[Expr]) -> list[Expr]:
    """Scans over the same arguments with the same steps become one that has all the outputs."""
    groups: dict[tuple[Any, ...], list[Expr]] = {}
    for node in toposort(roots):
        if _is_loop(node):
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
    return (node.op, node.args, body.inputs, body.outputs[: attrs["num_carry"]], *shared)


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
    one = first.op(*first.args, **{**first.attrs, "body": body})
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
        return _shortened(node, args, kept[node]) if node in kept else rebuild(node, args)

    pruned = transform(roots, shorten)
    # what one scan no longer needs another may have put out for it alone
    return pruned if pruned == list(roots) else prune_scans(pruned)


def _is_result(node: Expr) -> bool:
    """Whether a node is a result of a loop."""
    return node.op.is_item and _is_loop(node.args[0])


def _kept(node: Expr, read: set[int]) -> list[int]:
    """Which results a loop has to have: those that are read, and states that they depend on.

    One that ends by a condition keeps that, its first state, and something that says its length.
    """
    body, states = node.attrs["body"], node.attrs["num_carry"]
    kept: set[int] = set()
    found = set(read)
    if node.op.defines is not None:
        found |= {0}
        if len(body.outputs) > states and not any(i >= states for i in read):
            found |= {states}
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
    sequences = [i for i in range(states, states + read) if body.inputs[i] in needed] or [states][
        :read
    ]
    outer = [i for i in range(states + read, len(args)) if body.inputs[i] in needed]
    carried = [i for i in kept if i < states]
    places = [*carried, *sequences, *outer]
    return node.op(
        *(args[i] for i in places),
        body=Body(tuple(body.inputs[i] for i in places), tuple(outputs), body.depth),
        num_carry=len(carried),
        num_xs=len(sequences),
        length=attrs["length"],
    )
