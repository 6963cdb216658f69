"""The inputs and outputs of a model, as far as they can be known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import onnx
from onnx import shape_inference

from .light_copy import without_weights

Dimension = onnx.TensorShapeProto.Dimension


@dataclass(frozen=True)
class ModelSignature:
    """The inputs and outputs of a model.

    Attributes:
        inputs: those that must be given, by name.
        outputs: the outputs, their types inferred where they are not declared.
        names: the names of all, of inputs with a default too.
        inner: values inside that were asked for.
    """

    inputs: dict[str, onnx.ValueInfoProto]
    outputs: dict[str, onnx.ValueInfoProto]
    names: frozenset[str]
    inner: dict[str, onnx.ValueInfoProto] = field(default_factory=dict)

    def __contains__(self, name: object) -> bool:
        return name in self.inputs or name in self.outputs or name in self.inner

    def __getitem__(self, name: str) -> onnx.ValueInfoProto:
        return self.outputs.get(name) or self.inputs.get(name) or self.inner[name]

    @property
    def dims(self) -> set[str]:
        """The names of dims."""
        infos = (*self.inputs.values(), *self.outputs.values(), *self.inner.values())
        return {dim.dim_param for info in infos for dim in dims_of(info)} - {""}


def signature_of(model: onnx.ModelProto, asked: Iterable[str] = ()) -> ModelSignature:
    """The inputs and outputs of a model, with types as far as these can be known.

    Args:
        model: the model.
        asked: names that may be those of values inside.
    """
    graph = model.graph
    outputs = list(graph.output)
    if not all(map(_is_complete, outputs)):
        inferred = shape_inference.infer_shapes(without_weights(model), data_prop=True)
        outputs = list(inferred.graph.output)
    optional = {tensor.name for tensor in graph.initializer}
    public = frozenset(info.name for info in (*graph.input, *graph.output))
    return ModelSignature(
        {info.name: info for info in graph.input if info.name not in optional},
        {info.name: info for info in outputs},
        public,
        _inner(model, set(asked) - public),
    )


def _inner(model: onnx.ModelProto, names: set[str]) -> dict[str, onnx.ValueInfoProto]:
    """Those of the names that nodes of the graph compute, with their types."""
    computed = {name for node in model.graph.node for name in node.output} & names
    if not computed:
        return {}
    inferred = shape_inference.infer_shapes(without_weights(model), data_prop=True)
    known = {info.name: info for info in inferred.graph.value_info}
    return {name: known.get(name) or onnx.ValueInfoProto(name=name) for name in sorted(computed)}


def dims_of(info: onnx.ValueInfoProto) -> Sequence[Dimension]:
    """The declared dims of a tensor; none for what is none."""
    return list(info.type.tensor_type.shape.dim)


def has_no_rank(info: onnx.ValueInfoProto) -> bool:
    """Whether it may be a tensor of any rank."""
    kind = info.type.WhichOneof("value")
    return kind in (None, "tensor_type") and not info.type.tensor_type.HasField("shape")


def _is_complete(info: onnx.ValueInfoProto) -> bool:
    """Whether inference can tell nothing new."""
    if info.type.WhichOneof("value") not in (None, "tensor_type"):
        return True
    has_type = info.type.tensor_type.elem_type != 0 and not has_no_rank(info)
    return has_type and all(dim.dim_param or dim.HasField("dim_value") for dim in dims_of(info))
