"""Types of tensors, and the shape rules that every operation shares."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np

from ..errors import DtypeError, InputError, SpecializationError, UnequalDimsError
from .dims import Dim, Size, as_dim, at_most_one, names

FLOATS = ("float16", "bfloat16", "float32", "float64")
INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")
DTYPES = (*FLOATS, *INTEGERS, "bool")

_NUMPY = {name: np.dtype(name) for name in DTYPES if name != "bfloat16"}
_NUMPY["bfloat16"] = np.dtype(ml_dtypes.bfloat16)

Constraint = tuple[Dim, Dim]
_CONSTRAINTS: ContextVar[list[Constraint] | None] = ContextVar("constraints", default=None)


@dataclass(frozen=True)
class TensorType:
    """A dtype and a shape of static rank."""

    dtype: str
    shape: tuple[Dim, ...]

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def is_float(self) -> bool:
        return self.dtype in FLOATS

    def with_shape(self, shape: Sequence[Dim]) -> TensorType:
        return TensorType(self.dtype, tuple(shape))

    def with_dtype(self, dtype: str) -> TensorType:
        return TensorType(dtype, self.shape)

    def __str__(self) -> str:
        return f"{self.dtype}[{','.join(map(str, self.shape))}]"


@dataclass(frozen=True)
class TupleType:
    """The type of an operation with several results; only ``Item`` takes it apart."""

    items: tuple[TensorType, ...]
    dtype: str = "tuple"
    shape: tuple[Dim, ...] = ()
    is_float: bool = False

    @property
    def rank(self) -> int:
        return 0

    def __str__(self) -> str:
        return f"({', '.join(map(str, self.items))})"


@dataclass(frozen=True)
class OpaqueType:
    """The type of a value that no operation of the language takes, only nodes as they are in ONNX.

    Sequences, maps and optionals are such, tensors of text, and tensors whose rank is not known.

    Attributes:
        proto: ONNX's own description, an ``onnx.TypeProto``, serialized.
    """

    proto: bytes
    dtype: str = "opaque"
    shape: tuple[Dim, ...] = ()
    is_float: bool = False

    @property
    def rank(self) -> int:
        return 0

    def __str__(self) -> str:
        return "opaque"


def tensor_type(dtype: object, shape: Sequence[object]) -> TensorType:
    """A type from what users write: any spelling of a dtype, dims as ints or names."""
    if isinstance(shape, (str, bytes)) or not isinstance(shape, Sequence):
        raise InputError(f"a shape is a tuple of ints and names, got {shape!r}")
    return TensorType(dtype_name(dtype), tuple(as_dim(dim) for dim in shape))


def dtype_name(dtype: object) -> str:
    """The name of a dtype, from a name, a numpy dtype or a scalar type."""
    if isinstance(dtype, str) and dtype in _NUMPY:
        return dtype
    try:
        name = str(np.dtype(dtype).name)  # type: ignore[call-overload]
    except TypeError:
        name = str(dtype)
    if name not in _NUMPY:
        raise DtypeError(f"dtype {name!r} is not supported: expected one of {DTYPES}")
    return name


def numpy_dtype(dtype: str) -> np.dtype[Any]:
    """The numpy dtype of a dtype's name."""
    return _NUMPY[dtype]


@contextmanager
def collect_constraints() -> Iterator[list[Constraint]]:
    """Collect the pairs of sizes that shape rules must leave to be compared at run time."""
    found: list[Constraint] = []
    token = _CONSTRAINTS.set(found)
    try:
        yield found
    finally:
        _CONSTRAINTS.reset(token)


def require_equal(left: Dim, right: Dim) -> None:
    """Note that two sizes must agree when the graph runs; refuse those that cannot."""
    unify(left, right)


def unify(left: Dim, right: Dim) -> Dim:
    """The one dim that two dims stand for, when both must be equal.

    Raises:
        InputError: for two ints that differ.
        UnequalDimsError: for two names.
        SpecializationError: for a name that meets an int.
    """
    if left == right:
        return left
    if isinstance(left, int) and isinstance(right, int):
        raise InputError(f"sizes {left} and {right} differ")
    plain = [d.name for d in (left, right) if isinstance(d, Size) and d.name]
    if len(plain) == 2:
        raise UnequalDimsError(
            f"dims {plain[0]!r} and {plain[1]!r} are not known to be equal", (left, right)
        )
    if plain and (isinstance(left, int) or isinstance(right, int)):
        number = next(dim for dim in (left, right) if isinstance(dim, int))
        raise SpecializationError((plain[0],), f"dim {plain[0]!r} must be {number}", number)
    constraints = _CONSTRAINTS.get()
    if constraints is not None:
        constraints.append((left, right))
    return min(left, right, key=_complexity)


def stretches(dim: Dim, target: Dim) -> bool:
    """Whether an axis is stretched to a length that is not its own.

    A static 1 is. So is what can be 0 or 1 alone, like the length of ``x[:1]``: 0 only where the
    target is 0 too, which is left to be compared at run time.
    """
    if dim == target:
        return False
    if isinstance(dim, int):
        return dim == 1
    if target == 1 or not at_most_one(dim) or (isinstance(target, Size) and at_most_one(target)):
        return False
    require_equal(dim * target, target)
    return True


def broadcast_shapes(*shapes: tuple[Dim, ...]) -> tuple[Dim, ...]:
    """NumPy's broadcasting, where a named length is never taken for 1."""
    rank = max(len(shape) for shape in shapes)
    result: list[Dim] = [1] * rank
    for shape in shapes:
        for i, dim in enumerate(shape, start=rank - len(shape)):
            if stretches(result[i], dim):
                result[i] = dim
            elif not stretches(dim, result[i]):
                result[i] = _unify_or_repeat(result[i], dim)
    return tuple(result)


def _unify_or_repeat(left: Dim, right: Dim) -> Dim:
    """The one dim that two dims stand for, unless one of them is 1 when it is known."""
    try:
        return unify(left, right)
    except (SpecializationError, UnequalDimsError) as error:
        error.broadcasts = True
        raise


def require_broadcast(shape: Sequence[Dim], target: Sequence[Dim]) -> None:
    """Note that a shape must broadcast to another as it is; refuse one that cannot."""
    if len(shape) > len(target):
        raise InputError(f"rank {len(shape)} does not broadcast to rank {len(target)}")
    for dim, size in zip(shape, target[len(target) - len(shape) :], strict=True):
        if not stretches(dim, size):
            require_equal(dim, size)


def canonical_axis(axis: int, rank: int) -> int:
    """An axis counted from the front."""
    if not -rank <= axis < rank:
        error = InputError(f"axis {axis} is out of range for an array of rank {rank}")
        error.reason = str(error)
        raise error
    return axis % rank


def canonical_axes(axes: Sequence[int], rank: int) -> tuple[int, ...]:
    """Axes counted from the front, in order, without repetition."""
    return tuple(sorted({canonical_axis(axis, rank) for axis in axes}))


def shape_names(shape: Sequence[Dim]) -> frozenset[str]:
    """Every name in a shape."""
    return frozenset().union(*(names(dim) for dim in shape))


def _complexity(dim: Dim) -> tuple[int, int]:
    return (0, 0) if isinstance(dim, int) else (1 if dim.name else 2, len(str(dim)))


def wider(left: str, right: str) -> str:
    """The dtype that holds what two do: a float wins over integers."""
    if left == right:
        return left
    if (left in FLOATS) != (right in FLOATS):
        return left if left in FLOATS else right
    if "bfloat16" in (left, right):
        other = right if left == "bfloat16" else left
        return "float32" if other == "float16" else other
    try:
        return dtype_name(np.promote_types(numpy_dtype(left), numpy_dtype(right)))
    except DtypeError:
        return "int64"  # int64 with uint64: numpy would say float64
