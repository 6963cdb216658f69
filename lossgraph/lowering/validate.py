"""Validation: what ONNX's own tools say of a lowered model, against what we know of it.

Trusted are the checker and the inference of types and shapes, operator by operator. The
propagation of data (``data_prop=True``), which follows the values of small integer tensors so that
a computed shape is known, is not: it takes every tensor for the value of a shape and refuses valid
graphs. In onnx 1.23 the smallest is ``y = Mul(Unsqueeze(a, axes=[1]), w)`` with a float32[2] and w
float32[3], which it calls an "Invalid rank for Mul broadcasting: (2) vs (3)". Without it the
sizes that a graph computes itself are unknown to ONNX, and are not compared with ours.
"""

from __future__ import annotations

from collections.abc import Mapping

from ..errors import ValidationError
from ..ir.dims import Dim
from ..ir.types import OpaqueType, TensorType, dtype_name
from .onnx_api import checker, helper, onnx, shape_inference


def check(model: onnx.ModelProto, outputs: Mapping[str, TensorType] | None = None) -> None:
    """Run ONNX's checker and strict shape inference; compare types where ours are known.

    Args:
        model: the model.
        outputs: our types of its outputs, by name.

    Raises:
        ValidationError: if a tool refuses the model, or infers another type than ours.
    """
    try:
        checker.check_model(model)  # with full_check it would infer what is inferred here
        inferred = shape_inference.infer_shapes(
            model, check_type=True, strict_mode=True, data_prop=False
        )
    except (checker.ValidationError, shape_inference.InferenceError) as error:
        raise ValidationError(f"{model.graph.name}: the ONNX checker says: {error}") from error
    if outputs is not None:
        for info in inferred.graph.output:
            _compare(info, outputs[info.name])


def _compare(info: onnx.ValueInfoProto, ours: TensorType | OpaqueType) -> None:
    if isinstance(ours, OpaqueType):  # of which nothing is known here
        return
    tensor = info.type.tensor_type
    dtype = dtype_name(helper.tensor_dtype_to_np_dtype(tensor.elem_type))
    dims = [
        d.dim_param or (d.dim_value if d.HasField("dim_value") else "") for d in tensor.shape.dim
    ]
    same = len(dims) == ours.rank and all(map(_compatible, dims, ours.shape))
    if dtype != ours.dtype or not same:
        raise ValidationError(f"{info.name}: ONNX infers {dtype}{dims}, lossgraph says {ours}")


def _compatible(theirs: str | int, ours: Dim) -> bool:
    """ONNX invents names for dims it cannot follow; only two ints can contradict."""
    return not (isinstance(theirs, int) and isinstance(ours, int)) or theirs == ours
