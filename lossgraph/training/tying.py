"""Tied parameters: copies in a model that are one parameter, as they are or transposed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import onnx
from onnx import numpy_helper

from ..errors import InputError
from ..importer.graph import Graph
from ..ir import ops
from ..ir.expr import Array, Expr, substitute
from .selection import Selection

Names = Sequence[Sequence[str]]


@dataclass(frozen=True)
class Tie:
    """What a copy is.

    Attributes:
        parameter: the name of the parameter that it is a copy of.
        transposed: whether it is its transpose.
    """

    parameter: str
    transposed: bool

    def of(self, parameter: Array) -> Array:
        """The copy, of the parameter as it is."""
        return parameter.T if self.transposed else parameter

    def expression(self, parameter: Expr) -> Expr:
        """The copy as an expression."""
        return ops.matrix_transpose(parameter) if self.transposed else parameter


def ties(model: onnx.ModelProto, tie: Names | bool, selection: Selection) -> dict[str, Tie]:
    """What is a copy of what.

    Args:
        model: the model.
        tie: the names of copies that belong together, that of the parameter first; True for all
            trained matrices that have the same elements.
        selection: what is trained.

    Raises:
        InputError: for names that the model does not have, and for what is no copy.
    """
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    found = {}
    for names in _equal(tensors, selection.trainable) if tie is True else tie or ():
        first, *others = [names] if isinstance(names, str) else names
        if not others:
            raise InputError(f"tie: {first!r} has to stand with the names of its copies")
        if first not in selection.trainable:
            raise InputError(f"tie: {first!r} is not trained: {', '.join(selection.trainable)} are")
        for name in others:
            found[name] = _tie(tensors, first, name)
    return found


def without_copies(selection: Selection, copies: Mapping[str, Tie]) -> Selection:
    """A selection in which parameters stand for their copies."""
    reasons = {name: f"tied to {tie.parameter!r}" for name, tie in copies.items()}
    kept = tuple(name for name in selection.trainable if name not in copies)
    return replace(selection, trainable=kept, left_out={**selection.left_out, **reasons})


def tied(graph: Graph, copies: Mapping[str, Tie]) -> Graph:
    """A graph that reads parameters where it read their copies."""
    if not copies:
        return graph
    replaced = {
        graph.weights[name]: tie.expression(graph.weights[tie.parameter])
        for name, tie in copies.items()
    }
    roots = [node for node in (*graph.values.values(), *graph.labels) if node is not None]
    roots += graph.outputs.values()
    new = dict(zip(roots, substitute(roots, replaced), strict=True))
    return replace(
        graph,
        weights={name: node for name, node in graph.weights.items() if name not in copies},
        outputs={name: new[node] for name, node in graph.outputs.items()},
        values={name: new.get(node, node) for name, node in graph.values.items()},
        labels={new[node]: label for node, label in graph.labels.items()},
    )


def _tie(tensors: Mapping[str, onnx.TensorProto], first: str, name: str) -> Tie:
    if name not in tensors or name == first:
        raise InputError(f"tie: the model has no other initializer {name!r}")
    parameter, copy = (numpy_helper.to_array(tensors[n]) for n in (first, name))
    if np.array_equal(parameter, copy):
        return Tie(first, False)
    if parameter.ndim == 2 and np.array_equal(parameter.T, copy):
        return Tie(first, True)
    raise InputError(
        f"tie: {name!r} {list(copy.shape)} is no copy of {first!r} {list(parameter.shape)}, as it "
        "is or transposed"
    )


def _equal(tensors: Mapping[str, onnx.TensorProto], names: Sequence[str]) -> list[list[str]]:
    """The names of matrices with the same elements."""
    groups: dict[tuple[str, int, bytes], list[str]] = {}
    for name in names:
        array = numpy_helper.to_array(tensors[name])
        if array.ndim == 2 and array.size > 1 and (array != array.flat[0]).any():
            ordered = min(array.tobytes(), array.T.tobytes())
            groups.setdefault((array.dtype.name, array.size, ordered), []).append(name)
    return [group for group in groups.values() if len(group) > 1]
