"""What initializers are for: the operators that their values reach, and which inputs they are."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

import onnx

from .flat_nodes import FlatNode, flat_nodes


class Role(Enum):
    """What an operator does with an input."""

    LAYER = "a weight of a layer"
    STATISTIC = "a running statistic"
    OPTION = "an option"
    OPERAND = "an operand"
    FOREIGN = "an input of an operator of another domain"


@dataclass(frozen=True)
class Use:
    """One place where the values of an initializer end up.

    Attributes:
        role: what the operator does with it.
        node: the operator.
        place: which of its inputs it is.
        beside_input: whether the other operand is an input of the model, at most scaled and moved.
    """

    role: Role
    node: FlatNode
    place: int
    beside_input: bool = False


_EVERY = frozenset(range(64))
_LAYERS: Mapping[str, Collection[int]] = {
    "Attention": {0, 1, 2, 4, 5},
    "BatchNormalization": {1, 2},
    "Conv": {0, 1, 2},
    "ConvTranspose": {0, 1, 2},
    "DeformConv": {1, 3},
    "Einsum": _EVERY,
    "GRU": {1, 2, 3},
    "Gemm": _EVERY,
    "GroupNormalization": {1, 2},
    "InstanceNormalization": {1, 2},
    "LSTM": {1, 2, 3, 7},
    "LayerNormalization": {1, 2},
    "MatMul": _EVERY,
    "PRelu": {1},
    "RMSNormalization": {1},
    "RNN": {1, 2, 3},
}
_OPERANDS: Mapping[str, Collection[int]] = {
    "Add": _EVERY,
    "Clip": {0, 1, 2},
    "Concat": _EVERY,
    "Div": _EVERY,
    "GRU": {5},
    "Gather": {0},
    "GatherElements": {0},
    "GatherND": {0},
    "GridSample": {0},
    "LSTM": {5, 6},
    "Max": _EVERY,
    "Mean": _EVERY,
    "Min": _EVERY,
    "Mul": _EVERY,
    "OneHot": {2},
    "Pow": {0, 1},
    "RNN": {5},
    "ScatterElements": {0, 2},
    "ScatterND": {0, 2},
    "Sub": _EVERY,
    "Sum": _EVERY,
    "Where": {1, 2},
}
_STATISTICS: Mapping[str, Collection[int]] = {"BatchNormalization": {3, 4}}
_CARRIED: Mapping[str, Collection[int]] = {  # what hands its input on as it is, or parts of it
    name: {0}
    for name in (
        "Cast", "CastLike", "DequantizeLinear", "Dropout", "Expand", "Flatten", "Identity", "Pad",
        "QuantizeLinear", "Reshape", "Slice", "Split", "Squeeze", "Tile", "Transpose", "Unsqueeze",
    )
}  # fmt: skip
_NOT_COMPUTED = frozenset(
    {"Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform",
     "RandomUniformLike"}
)  # fmt: skip
_CONTROL = frozenset({"If", "Loop", "Scan"})  # what is inside uses their inputs
_NOT_READ = frozenset({"Shape", "Size"}) | _CONTROL
_SCALING = frozenset({"Add", "Div", "Mul", "Sub"})
_MICROSOFT = "com.microsoft"


def uses_of(model: onnx.ModelProto) -> dict[str, list[Use]]:
    """Where the values of each initializer end up, by name.

    Values that are computed of initializers alone, as in a weight that is normalized, and values
    that are only moved or joined are followed.
    """
    return _Uses(model).all()


class _Uses:
    def __init__(self, model: onnx.ModelProto) -> None:
        nodes = flat_nodes(model)
        self._sizes = {t.name: tuple(t.dims) for t in model.graph.initializer}
        self._readers: dict[str, list[tuple[FlatNode, int]]] = {}
        self._fixed = set(self._sizes) | {s.values.name for s in model.graph.sparse_initializer}
        self._raw = {info.name for info in model.graph.input} - self._fixed
        for node in nodes:
            for place, name in enumerate(node.inputs):
                if name:
                    self._readers.setdefault(name, []).append((node, place))
            given = [name for name in node.inputs if name]
            if node.operator not in _NOT_COMPUTED | _CONTROL and all(
                name in self._fixed for name in given
            ):
                self._fixed.update(node.outputs)
            moved = place_of(_CARRIED, node, 0) and node.inputs[0] in self._raw
            if moved or self._prepares(node):
                self._raw.update(node.outputs)

    def _prepares(self, node: FlatNode) -> bool:
        """Whether a node scales or moves an input of the model by what is fixed."""
        kinds = {name in self._raw for name in node.inputs}
        known = all(name in self._raw or name in self._fixed for name in node.inputs)
        return node.operator in _SCALING and known and True in kinds

    def all(self) -> dict[str, list[Use]]:
        return {name: list(self._uses(name)) for name in self._sizes}

    def _uses(self, name: str) -> Iterator[Use]:
        is_number = all(n == 1 for n in self._sizes[name])
        waiting, seen = [name], {name}
        while waiting:
            value = waiting.pop()
            for node, place in self._readers.get(value, ()):
                if self._carries(node, place, is_number):
                    new = [out for out in node.outputs if out and out not in seen]
                    seen.update(new)
                    waiting.extend(new)
                elif node.operator not in _NOT_READ:
                    others = {x for at, x in enumerate(node.inputs) if at != place}
                    yield Use(_role(node, place), node, place, bool(others & self._raw))

    def _carries(self, node: FlatNode, place: int, is_number: bool) -> bool:
        if place_of(_CARRIED, node, place):
            return True
        if node.operator in _NOT_READ or _role(node, place) is Role.LAYER:
            return False
        if is_number and len(node.inputs) > 1:  # an epsilon in the norm of a weight
            return False
        return all(name in self._fixed for name in node.inputs if name)


def place_of(table: Mapping[str, Collection[int]], node: FlatNode, place: int) -> bool:
    """Whether a table has an input of a standard operator."""
    return not node.domain and place in table.get(node.operator, ())


def _role(node: FlatNode, place: int) -> Role:
    if node.domain:
        return Role.LAYER if node.domain == _MICROSOFT else Role.FOREIGN
    for table, role in (
        (_STATISTICS, Role.STATISTIC),
        (_LAYERS, Role.LAYER),
        (_OPERANDS, Role.OPERAND),
    ):
        if place_of(table, node, place):
            return role
    return Role.OPTION
