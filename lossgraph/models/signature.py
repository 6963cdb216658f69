"""The inputs and outputs of a model, as far as they can be known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

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
    """

    inputs: dict[str, onnx.ValueInfoProto]
    outputs: dict[str, onnx.ValueInfoProto]
    names: frozenset[str]

    def __contains__(self, name: str) -> bool:
        return name in self.inputs or name in self.outputs

    def __getitem__(self, name: str) -> onnx.ValueInfoProto:
        return self.outputs.get(name) or self.inputs[name]

    @property
    def dims(self) -> set[str]:
        """The names of dims."""
        infos = (*self.inputs.values(), *self.outputs.values())
        return {dim.dim_param for info in infos for dim in dims_of(info)} - {""}


def signature_of(model: onnx.ModelProto) -> ModelSignature:
    """The inputs and outputs of a model, with types as far as these can be known."""
    graph = model.graph
    outputs = list(graph.output)
    if not all(map(_is_complete, outputs)):
        inferred = shape_inference.infer_shapes(without_weights(model), data_prop=True)
        outputs = list(inferred.graph.output)
    optional = {tensor.name for tensor in graph.initializer}
    return ModelSignature(
        {info.name: info for info in graph.input if info.name not in optional},
        {info.name: info for info in outputs},
        frozenset(info.name for info in (*graph.input, *graph.output)),
    )


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
