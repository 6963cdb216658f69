"""Types of ONNX as types of the language, and back."""

from __future__ import annotations

import onnx

from ..ir.dims import Dim, named
from ..ir.types import DTYPES, OpaqueType, TensorType
from ..lowering.onnx_api import dtype_code, value_info
from ..models.declared_types import identifier

DTYPE_NAMES = {dtype_code(name): name for name in DTYPES}

AnyType = TensorType | OpaqueType


class Dims:
    """The dims of a model: what its names are called here, and names for what has none."""

    def __init__(self, sizes: dict[str, Dim] | None = None) -> None:
        self.spelled: dict[str, str] = {}  # the model's own names, by ours
        self._sizes = sizes or {}  # what a dim is taken for, by our name
        self._derived: dict[str, Dim] = {}
        self._fresh = 0

    def named(self, name: str) -> Dim:
        """The dim that a model calls so."""
        if name in self._derived:
            return self._derived[name]
        plain = identifier(name)
        self.spelled.setdefault(plain, name)
        found = self._sizes.get(plain)
        return named(plain) if found is None else found

    def fresh(self) -> str:
        """A name for a dim that is known when the model runs."""
        self._fresh += 1
        return f"dim_{self._fresh}"

    def text(self, dim: Dim) -> str | int:
        """What ONNX's inference is told of a dim; ``named`` finds it again."""
        if isinstance(dim, int):
            return dim
        self._derived[str(dim)] = dim
        return str(dim)


def type_of(
    proto: onnx.TypeProto, dims: Dims, unnamed: str = ""
) -> tuple[AnyType, list[tuple[str, int]]]:
    """A declared type, and the new dims in it, with their axes, where one has no name.

    Args:
        proto: the declaration.
        dims: the dims of the model.
        unnamed: what a dim without a name is called, with its axis; a new name by default.
    """
    tensor = proto.tensor_type
    kind = proto.WhichOneof("value")
    if kind != "tensor_type" or tensor.elem_type not in DTYPE_NAMES or not tensor.HasField("shape"):
        return OpaqueType(proto.SerializeToString(deterministic=True)), []
    shape: list[Dim] = []
    new = []
    for axis, dim in enumerate(tensor.shape.dim):
        if dim.HasField("dim_value") and dim.dim_value >= 0:
            shape.append(dim.dim_value)
        elif dim.dim_param:
            shape.append(dims.named(dim.dim_param))
        elif unnamed:
            shape.append(dims.named(f"{unnamed}_{axis}"))
        else:
            name = dims.fresh()
            new.append((name, axis))
            shape.append(dims.named(name))
    return TensorType(DTYPE_NAMES[tensor.elem_type], tuple(shape)), new


def proto_of(type_: AnyType, dims: Dims) -> onnx.TypeProto:
    """The declaration of a type, for ONNX's inference."""
    info = value_info("", type_)
    for axis, dim in enumerate(type_.shape):
        text = dims.text(dim)
        if isinstance(text, str):
            info.type.tensor_type.shape.dim[axis].dim_param = text
    return info.type
