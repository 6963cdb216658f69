"""Types of ONNX as types of the language, and back."""

from __future__ import annotations

import itertools
from collections.abc import Iterable

import onnx

from ..errors import SpecializationError, UnequalDimsError
from ..ir.dims import Dim, as_dim, named, names
from ..ir.types import DTYPES, OpaqueType, TensorType
from ..lowering.onnx_api import dtype_code, value_info
from ..models.declared_types import dim_name, identifier

DTYPE_NAMES = {dtype_code(name): name for name in DTYPES}

AnyType = TensorType | OpaqueType


class Dims:
    """The dims of a model: what its names are called here, and names for what has none."""

    def __init__(self, sizes: dict[str, Dim] | None = None) -> None:
        self.spelled: dict[str, str] = {}  # the model's own names, by ours
        self._sizes = sizes or {}  # what a dim is taken for, by our name
        self._derived: dict[str, Dim] = {}
        self._fresh: dict[str, int] = {}  # with their numbers

    def named(self, name: str) -> Dim:
        """The dim that a model calls so."""
        if name in self._derived:
            return self._derived[name]
        plain = identifier(name)
        self.spelled.setdefault(plain, name)
        found = self._sizes.get(plain)
        return named(plain) if found is None else found

    def knows(self, name: str) -> bool:
        """Whether something that was read before has a dim of this name."""
        return name in self._derived or identifier(name) in self.spelled

    def fresh(self, value: str, axis: int) -> str:
        """A name for a dim of a value that is known when the model runs.

        It is the same when the model is read again.
        """
        stem = identifier(f"{value}_dim_{axis}")
        numbered = (stem if number < 2 else f"{stem}_{number}" for number in itertools.count(1))
        name = next(name for name in numbered if not self.knows(name))
        self._fresh[name] = len(self._fresh) + 1
        return name

    def older_first(self, one: object, other: object) -> tuple[str, object]:
        """Of two dims that are equal the name that goes, and the dim that stays.

        An input's stays, else the one that is known first when the model runs.
        """
        if self._fresh.get(str(one), 0) < self._fresh.get(str(other), 0):
            one, other = other, one
        return str(one), other

    def at_run_time(self, error: UnequalDimsError | SpecializationError) -> bool:
        """Whether a dim that should be another is known when the model runs, where it may be 1."""
        if not error.broadcasts:  # they have to be equal, whatever they are
            return False
        if isinstance(error, UnequalDimsError):
            found = frozenset[str]().union(*(names(as_dim(dim)) for dim in error.dims))
        else:
            found = frozenset(error.names)
        return not self._fresh.keys().isdisjoint(found)

    def are_late(self, dims: Iterable[Dim]) -> bool:
        """Whether any of some dims is known when the model runs, and not by its inputs."""
        return any(not self._fresh.keys().isdisjoint(names(dim)) for dim in dims)

    def text(self, dim: Dim) -> str | int:
        """What ONNX's inference is told of a dim; ``named`` finds it again."""
        if isinstance(dim, int):
            return dim
        self._derived[str(dim)] = dim
        return str(dim)


def type_of(
    proto: onnx.TypeProto, dims: Dims, name: str, is_input: bool = False
) -> tuple[AnyType, list[tuple[str, int]]]:
    """A declared type, and the dims in it that nothing before has, with their axes.

    Args:
        proto: the declaration.
        dims: the dims of the model.
        name: the value's name.
        is_input: whether it is an input of the model, whose dims are its own.
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
        elif is_input or dims.knows(dim.dim_param):
            shape.append(dims.named(dim_name(dim) or f"{name}_{axis}"))
        else:  # inference numbers what it does not know, anew for each node
            new.append((dims.fresh(name, axis), axis))
            shape.append(dims.named(new[-1][0]))
    return TensorType(DTYPE_NAMES[tensor.elem_type], tuple(shape)), new


def proto_of(type_: AnyType, dims: Dims) -> onnx.TypeProto:
    """The declaration of a type, for ONNX's inference."""
    info = value_info("", type_)
    for axis, dim in enumerate(type_.shape):
        text = dims.text(dim)
        if isinstance(text, str):
            info.type.tensor_type.shape.dim[axis].dim_param = text
    return info.type
