"""Sequences of tensors, where it is known how they were made: what is taken of them again.

A sequence is no value of the language. One that was put together of tensors, or that a tensor was
split into, or that a loop has appended to step after step, is read off these tensors.
"""

from __future__ import annotations

from dataclasses import dataclass

import onnx

from ...ir import ops
from ...ir.dims import Dim
from ...ir.expr import Expr
from ...ir.ops.opaque import is_opaque
from ...ir.types import canonical_axis
from ...lowering.onnx_api import helper
from ..node import Node
from ..translations import NotTranslatedError, translates, translation_of

_NEWEST = 26  # the version that other operators are meant in here


@dataclass(frozen=True)
class Parts:
    """What is in a sequence: tensors, or one whose first axis is that of the elements."""

    tensors: tuple[Expr, ...] = ()
    stacked: Expr | None = None

    @property
    def count(self) -> Dim:
        return len(self.tensors) if self.stacked is None else self.stacked.shape[0]

    @property
    def rank(self) -> int:
        """The rank of an element."""
        return self.tensors[0].rank if self.stacked is None else self.stacked.rank - 1


def made_by(sequence: Expr) -> tuple[onnx.NodeProto, tuple[Expr, ...]] | None:
    """The node that has made a value, if it was kept as it is, and what that reads."""
    if not sequence.op.is_item or not is_opaque(sequence.args[0]):
        return None
    node = sequence.args[0]
    proto = onnx.NodeProto.FromString(node.attrs["proto"])
    if not all(proto.input):
        return None
    return proto, tuple(node.args[int(place)] for place in proto.input)


def parts_of(sequence: Expr) -> Parts:
    """What is in a sequence.

    Raises:
        NotTranslatedError: if that is not known.
    """
    found = made_by(sequence)
    operator = found[0].op_type if found is not None else ""
    if found is not None and operator == "SequenceConstruct":
        return Parts(found[1])
    if found is not None and operator == "SplitToSequence" and len(found[1]) == 1:
        given = {a.name: helper.get_attribute_value(a) for a in found[0].attribute}
        (x,) = found[1]
        axis = canonical_axis(given.get("axis", 0), x.rank)
        kept = ops.expand_dims(x, (axis + 1,)) if given.get("keepdims", 1) else x
        return Parts(stacked=_moved(kept, axis, 0))
    raise NotTranslatedError("what is in its sequence is known when the model runs")


def is_empty(sequence: Expr) -> bool:
    """Whether a value is a sequence that has nothing in it yet."""
    found = made_by(sequence)
    return found is not None and found[0].op_type == "SequenceEmpty"


def split(node: Node, stacked: Expr) -> Expr:
    """The sequence of what lies along the first axis of a tensor."""
    return node.native("SplitToSequence", stacked, axis=0, keepdims=0)[0]


def _moved(x: Expr, source: int, target: int) -> Expr:
    """One axis at another place, the others in their order."""
    axes = [axis for axis in range(x.rank) if axis != source]
    return ops.transpose(x, [*axes[:target], source, *axes[target:]])


@translates("ConcatFromSequence", since=11, any_values=True)
def _concat_from_sequence(node: Node) -> Expr:
    parts = parts_of(node[0])
    is_new = bool(node.attribute("new_axis", 0))
    axis = canonical_axis(node.attribute("axis"), parts.rank + is_new)
    if parts.stacked is None:
        tensors = [ops.expand_dims(x, (axis,)) if is_new else x for x in parts.tensors]
        return ops.concat(tensors, axis)
    moved = _moved(parts.stacked, 0, axis)
    if is_new:
        return moved
    shape = moved.shape
    return ops.reshape(moved, (*shape[:axis], shape[axis] * shape[axis + 1], *shape[axis + 2 :]))


@translates("SequenceAt", since=11, any_values=True)
def _sequence_at(node: Node) -> Expr:
    parts, place = parts_of(node[0]), node[1]
    if parts.stacked is None:
        at = node.number(1)
        if not isinstance(at, int) or not -len(parts.tensors) <= at < len(parts.tensors):
            raise NotTranslatedError("which of its tensors it takes is known when the model runs")
        return parts.tensors[at]
    gather = translation_of("", "Gather", _NEWEST)
    assert gather is not None
    found = gather(node.other("Gather", _NEWEST, (parts.stacked, place), axis=0))
    assert isinstance(found, Expr)
    return found


@translates("SequenceLength", since=11, any_values=True)
def _sequence_length(node: Node) -> Expr:
    return ops.size_of(parts_of(node[0]).count)


@translates("SequenceInsert", since=11, any_values=True)
def _sequence_insert(node: Node) -> Expr:
    """What is appended to tensors, as a sequence of all of them."""
    if node.optional(2) is not None:
        raise NotTranslatedError("it puts a tensor between others")
    before = () if is_empty(node[0]) else parts_of(node[0]).tensors
    if not before and not is_empty(node[0]):
        raise NotTranslatedError("how many tensors its sequence has is known when the model runs")
    return node.native("SequenceConstruct", *before, node[1])[0]


# --- loops that append ---------------------------------------------------------------------------


def appending(body: onnx.GraphProto, places: list[int]) -> onnx.GraphProto:
    """A loop's body that puts out what it appends to sequences, instead of these.

    Args:
        body: the body.
        places: which of its states are sequences.

    Raises:
        NotTranslatedError: if it does anything else with them.
    """
    made = onnx.GraphProto()
    made.CopyFrom(body)
    appended = [_appended(made, body.input[2 + k].name, body.output[1 + k].name) for k in places]
    for k in reversed(places):
        del made.input[2 + k]
        del made.output[1 + k]
    made.output.extend(onnx.ValueInfoProto(name=name) for name in appended)
    return made


def _appended(body: onnx.GraphProto, before: str, after: str) -> str:
    """The name of what is appended; the node that does it is dropped."""
    inserts = [node for node in body.node if after in node.output]
    readers = [node for node in body.node if before in _reads(node)]
    if len(inserts) != 1 or inserts != readers:
        raise NotTranslatedError("it reads a sequence that it makes step after step")
    (insert,) = inserts
    if insert.op_type != "SequenceInsert" or len(insert.input) != 2 or insert.input[0] != before:
        raise NotTranslatedError("it makes a sequence otherwise than by appending")
    if sum(info.name == after for info in body.output) != 1:
        raise NotTranslatedError("it gives a sequence twice")
    name = insert.input[1]
    body.node.remove(insert)
    return name


def _reads(node: onnx.NodeProto) -> set[str]:
    found = set(node.input)
    for attribute in node.attribute:
        for graph in (*([attribute.g] if attribute.HasField("g") else []), *attribute.graphs):
            found |= {info.name for info in graph.output}
            found = found.union(*(_reads(inner) for inner in graph.node))
    return found
