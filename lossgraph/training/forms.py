"""The two forms of a model: that of training, and that of inference.

In training BatchNormalization takes the statistics of the batch and moves the running ones, and
Dropout drops; in inference neither does. What moves besides the parameters, running statistics and
the seed of random numbers, are initializers here, each with the value of the model that it has
after a batch.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import onnx

from ..importer.graph import Graph
from ..importer.operators.random import OPERATORS, SEEDED
from ..importer.reader import from_onnx
from ..lowering.onnx_api import helper, numpy_helper
from ..models.light_copy import copy_of
from ..models.walk import STANDARD, fresh_name, graphs, opset_of, value_names
from .selection import Selection
from .statistics import own_statistic
from .tying import Tie, tied

SEED = "random_seed"
_STATISTICS = (3, 4)  # the inputs of BatchNormalization that are running mean and variance
_BY_ATTRIBUTE = 14  # the opset since which an attribute puts BatchNormalization in training
_MODE = 2  # the input of Dropout that puts it in training


@dataclass(frozen=True)
class Forms:
    """A model in training and in inference.

    Attributes:
        training: what is trained.
        inference: what is evaluated and exported; the same model where nothing differs.
        moves: initializers that move with each batch, with the values that they have after it.
    """

    training: onnx.ModelProto
    inference: onnx.ModelProto
    moves: Mapping[str, str] = field(default_factory=dict)


def forms_of(model: onnx.ModelProto, training_mode: bool, seed: int) -> Forms:
    """Both forms of a model.

    Args:
        model: the model; it is not changed.
        training_mode: whether all normalizations of batches and dropouts are put in training; else
            those alone that the model has in training.
        seed: what random numbers begin with.
    """
    nodes = [node for node in _all_nodes(model) if _is_either(node)]
    random = any(_is_random(node) for node in model.graph.node)
    if not random and not any(training_mode or _trains(node, model) for node in nodes):
        return Forms(model, model)
    made = _Maker(copy_of(model), training_mode)
    made.normalizations()
    inference = copy_of(made.model)
    _put_in_inference(inference)
    made.seeded(seed)
    return Forms(made.model, inference, made.moves)


def read(forms: Forms, selection: Selection, copies: Mapping[str, Tie]) -> tuple[Graph, Graph]:
    """Both forms as expressions, of the parameters and of what moves."""
    variables = {*selection.trainable, *copies, *forms.moves}
    graph = tied(from_onnx(forms.training, variables), copies)
    if forms.inference is forms.training:
        return graph, graph
    moves = {name: graph.values[value] for name, value in forms.moves.items()}
    return replace(graph, moves=moves), tied(from_onnx(forms.inference, variables), copies)


@dataclass
class _Maker:
    model: onnx.ModelProto
    training_mode: bool
    moves: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.taken = value_names(self.model.graph)

    def normalizations(self) -> None:
        """Put normalizations in training, each with running statistics of its own."""
        same = {n.output[0]: n.input[0] for n in self.model.graph.node if n.op_type == "Identity"}
        for node in self.model.graph.node:
            if not _is(node, "BatchNormalization"):
                continue
            if not (self.training_mode or _trains(node, self.model)):
                continue
            if _by_attribute(self.model):
                _set(node, "training_mode", 1)
            for place in _STATISTICS:
                self._statistic(node, place, same)

    def _statistic(self, node: onnx.NodeProto, place: int, same: Mapping[str, str]) -> None:
        held = {tensor.name: tensor for tensor in self.model.graph.initializer}
        name = node.input[place]
        while name in same and name not in held:
            name = same[name]
        output = place - _STATISTICS[0] + 1
        while len(node.output) <= output:
            node.output.append("")
        if not node.output[output]:
            node.output[output] = self._fresh(f"{name}_after")
        if name not in held:
            return
        if self._uses(name) > 1:  # joined with others by an exporter
            name = own_statistic(self.model, name, self.taken)
        node.input[place] = name
        self.moves[name] = node.output[output]

    def _uses(self, name: str) -> int:
        counts = Counter(name for node in _all_nodes(self.model) for name in node.input)
        return counts[name]

    def seeded(self, seed: int) -> None:
        """Give what takes random numbers a seed, which moves on.

        That is the graph's own nodes, each of which runs once in a batch.
        """
        nodes = [node for node in self.model.graph.node if self._takes_seed(node)]
        if not nodes:
            return
        name, one = self._fresh(SEED), self._fresh("one")
        for stream, node in enumerate(nodes):
            node.domain = SEEDED
            node.input.append(name)
            _set(node, "stream", stream)
        self.moves[name] = self._fresh(f"{name}_after")
        numbers = [(name, seed), (one, 1)]
        self.model.graph.initializer.extend(
            numpy_helper.from_array(np.asarray(number, np.int64), n) for n, number in numbers
        )
        self.model.graph.node.append(helper.make_node("Add", [name, one], [self.moves[name]]))
        self.model.opset_import.append(helper.make_opsetid(SEEDED, 1))

    def _takes_seed(self, node: onnx.NodeProto) -> bool:
        if _is(node, "Dropout"):
            return self.training_mode or _trains(node, self.model)
        return _is_random(node)

    def _fresh(self, name: str) -> str:
        return fresh_name(name, self.taken)


def _put_in_inference(model: onnx.ModelProto) -> None:
    """Let normalizations take running statistics, and dropouts drop nothing."""
    by_attribute = _by_attribute(model)
    read = {name for node in _all_nodes(model) for name in node.input}
    read |= {info.name for graph in graphs(model.graph) for info in graph.output}
    for nodes in _node_lists(model):
        same = []
        for node in nodes:
            if _is(node, "Dropout") and len(node.input) > _MODE:
                del node.input[_MODE:]
            if _is(node, "BatchNormalization"):
                if by_attribute:
                    _set(node, "training_mode", None)
                pairs = zip((3, 4, 3, 4), node.output[1:], strict=False)
                same += [(node.input[place], name) for place, name in pairs if name in read]
                del node.output[1:]
        nodes.extend(helper.make_node("Identity", [before], [name]) for before, name in same)


def _trains(node: onnx.NodeProto, model: onnx.ModelProto) -> bool:
    """Whether a model has a normalization or a dropout in training."""
    if node.op_type == "Dropout":
        return len(node.input) > _MODE and bool(node.input[_MODE]) and _may_be_true(node, model)
    if _by_attribute(model):
        return any(a.name == "training_mode" and a.i for a in node.attribute)
    return any(node.output[1:])


def _may_be_true(node: onnx.NodeProto, model: onnx.ModelProto) -> bool:
    name = node.input[_MODE]
    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    for other in _all_nodes(model):
        if other.op_type == "Constant" and other.output[0] == name:
            tensors.update((name, a.t) for a in other.attribute if a.name == "value")
    return name not in tensors or bool(numpy_helper.to_array(tensors[name]).any())


def _by_attribute(model: onnx.ModelProto) -> bool:
    """Whether an attribute puts BatchNormalization in training; before, its further outputs do."""
    return (opset_of(model) or 0) >= _BY_ATTRIBUTE


def _is(node: onnx.NodeProto, operator: str) -> bool:
    return node.op_type == operator and node.domain in STANDARD


def _is_either(node: onnx.NodeProto) -> bool:
    return _is(node, "BatchNormalization") or _is(node, "Dropout")


def _is_random(node: onnx.NodeProto) -> bool:
    return node.op_type in OPERATORS and node.domain in STANDARD


def _node_lists(model: onnx.ModelProto) -> Iterator[Any]:
    yield from (graph.node for graph in graphs(model.graph))
    yield from (function.node for function in model.functions)


def _all_nodes(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    for nodes in _node_lists(model):
        yield from nodes


def _set(node: onnx.NodeProto, name: str, value: int | None) -> None:
    """Give a node an attribute, or take it away."""
    kept = [attribute for attribute in node.attribute if attribute.name != name]
    del node.attribute[:]
    given = [] if value is None else [helper.make_attribute(name, value)]
    node.attribute.extend([*kept, *given])
