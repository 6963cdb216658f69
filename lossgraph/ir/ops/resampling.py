"""Resampling of signals and images to other sizes, which is linear in what is resampled.

Along each axis the result is a matrix times the signal: row o has the weights of the elements
that place o lies between. The engine has an operator for the value; the gradient is a product with
these matrices, or a sum where each element is only repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import InputError, LoweringError
from ..dims import Dim
from ..evaluate import evaluate
from ..expr import Array, Expr, Op, builds, const, register
from ..types import TensorType, require_equal
from .convolution import convolve
from .elementwise import (
    absolute,
    add,
    cast,
    ceil,
    div,
    equal,
    floor,
    less,
    less_equal,
    logical_and,
    maximum,
    minimum,
    mul,
    sub,
    where,
)
from .linalg import matmul, matrix_transpose
from .reduce import reduce_sum
from .shape import Shape, expand_dims, full, iota, reshape, size_of, transpose
from .windows import Window

MODES = ("nearest", "linear", "cubic")
COORDINATES = (
    "half_pixel",
    "half_pixel_symmetric",
    "pytorch_half_pixel",
    "align_corners",
    "asymmetric",
    "tf_half_pixel_for_nn",
    "tf_crop_and_resize",
)
NEAREST = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")


@dataclass(frozen=True)
class Resampling:
    """How places of the result lie in a signal, and what is between its elements.

    Attributes:
        axes: the axes that are resampled.
        scales: how much longer each of them becomes; None if that follows from their lengths.
        mode: ``nearest``, ``linear`` or ``cubic``.
        coordinates: where a place of the result lies, by ONNX's names.
        nearest: which element is the nearest, by ONNX's names.
        cubic: the coefficient of cubic interpolation.
        inside_only: whether elements outside the signal have no weight; else they are those at its
            ends.
        antialias: whether the weights reach further where the result is shorter.
        window: the part of each axis that is resampled, as fractions, for ``tf_crop_and_resize``.
        outside: what lies outside the signal there.
        policy: how lengths were made of those asked for, which keep their proportions; by ONNX's
            names.
        asked: the lengths asked for.
    """

    axes: tuple[int, ...]
    scales: tuple[float, ...] | None
    mode: str = "nearest"
    coordinates: str = "half_pixel"
    nearest: str = "round_prefer_floor"
    cubic: float = -0.75
    inside_only: bool = False
    antialias: bool = False
    window: tuple[tuple[float, float], ...] | None = None
    outside: float = 0.0
    policy: str = "stretch"
    asked: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        for value, among in (
            (self.mode, MODES),
            (self.coordinates, COORDINATES),
            (self.nearest, NEAREST),
        ):
            if value not in among:
                raise InputError(f"expected one of {among}, got {value!r}")


@dataclass(frozen=True)
class _Line:
    """One axis that is resampled: its length before and after, and where its places lie."""

    how: Resampling
    place: int
    before: Dim
    after: Dim

    @property
    def dtype(self) -> str:
        """The nearest element is chosen in the digits in which the engine does it."""
        return "float32" if self.how.mode == "nearest" else "float64"

    def number(self, value: float) -> Expr:
        return const(value, self.dtype)

    def size(self, dim: Dim) -> Expr:
        return cast(size_of(dim), self.dtype)

    @property
    def scale(self) -> Expr:
        if self.how.scales is not None:
            return self.number(self.how.scales[self.place])
        return div(self.size(self.after), self.size(self.before))

    @property
    def repeats(self) -> int | None:
        """How often each element stands in the result, if only that is done."""
        how, scales = self.how, self.how.scales
        if how.mode != "nearest":
            return None
        if scales is not None:
            times = int(scales[self.place])
            exact = times == scales[self.place] and times > 0
        elif isinstance(self.before, int) and isinstance(self.after, int) and self.before:
            times, exact = self.after // self.before, self.after % self.before == 0
        else:
            return None
        floors = how.coordinates == "asymmetric" and how.nearest == "floor"
        rounds = how.coordinates in ("half_pixel", "half_pixel_symmetric") and how.nearest in (
            "round_prefer_floor",
            "round_prefer_ceil",
        )
        return times if exact and (floors or rounds) and self.after == self.before * times else None

    def positions(self) -> Expr:
        """Where the places of the result lie in the signal."""
        return _POSITIONS[self.how.coordinates](self, cast(iota(self.after), self.dtype))

    def matrix(self, dtype: str) -> Expr:
        """The weights, (after, before)."""
        positions = expand_dims(self.positions(), (1,))
        elements = expand_dims(cast(iota(self.before), self.dtype), (0,))
        weights = _WEIGHTS[self.how.mode](self, positions, elements)
        if self.how.coordinates == "tf_crop_and_resize":
            weights = where(self.is_inside(), weights, self.number(0.0))
        return cast(weights, dtype)

    def is_inside(self) -> Expr:
        """Which places of the result lie in the signal, (after, 1)."""
        positions = expand_dims(self.positions(), (1,))
        last = sub(self.size(self.before), self.number(1.0))
        return logical_and(less_equal(self.number(0.0), positions), less_equal(positions, last))


# --- where places lie -----------------------------------------------------------------------------


def _half_pixel(line: _Line, place: Expr) -> Expr:
    half = line.number(0.5)
    return sub(div(add(place, half), line.scale), half)


def _half_pixel_symmetric(line: _Line, place: Expr) -> Expr:
    """Around the middle, though the length was rounded."""
    length, one = line.size(line.before), line.number(1.0)
    adjusted = div(line.size(line.after), mul(line.scale, length))
    offset = mul(mul(length, line.number(0.5)), sub(one, adjusted))
    return add(offset, _half_pixel(line, place))


def _pytorch_half_pixel(line: _Line, place: Expr) -> Expr:
    single = less_equal(line.size(line.after), line.number(1.0))
    return where(single, line.number(0.0), _half_pixel(line, place))


def _align_corners(line: _Line, place: Expr) -> Expr:
    one = line.number(1.0)
    spaces = maximum(sub(line.size(line.after), one), one)  # the only place of one is the first
    return div(mul(place, sub(line.size(line.before), one)), spaces)


def _asymmetric(line: _Line, place: Expr) -> Expr:
    return div(place, line.scale)


def _tf_half_pixel(line: _Line, place: Expr) -> Expr:
    return div(add(place, line.number(0.5)), line.scale)


def _crop(line: _Line, place: Expr) -> Expr:
    assert line.how.window is not None
    start, end = line.how.window[line.place]
    one = line.number(1.0)
    last = sub(line.size(line.before), one)
    spaces = sub(line.size(line.after), one)
    step = div(mul(line.number(end - start), last), maximum(spaces, one))
    several = add(mul(line.number(start), last), mul(place, step))
    middle = mul(line.number(0.5 * (start + end)), last)
    return where(less_equal(spaces, line.number(0.0)), middle, several)


_POSITIONS: dict[str, Callable[[_Line, Expr], Expr]] = {
    "half_pixel": _half_pixel,
    "half_pixel_symmetric": _half_pixel_symmetric,
    "pytorch_half_pixel": _pytorch_half_pixel,
    "align_corners": _align_corners,
    "asymmetric": _asymmetric,
    "tf_half_pixel_for_nn": _tf_half_pixel,
    "tf_crop_and_resize": _crop,
}


# --- weights ------------------------------------------------------------------------------------


def _clamped(line: _Line, x: Expr) -> Expr:
    last = sub(line.size(line.before), line.number(1.0))
    return minimum(maximum(x, line.number(0.0)), last)


def _nearest(line: _Line, positions: Expr, elements: Expr) -> Expr:
    half = line.number(0.5)
    chosen: dict[str, Callable[[Expr], Expr]] = {
        "round_prefer_floor": lambda x: ceil(sub(x, half)),
        "round_prefer_ceil": lambda x: floor(add(x, half)),
        "floor": floor,
        "ceil": ceil,
    }
    place = chosen[line.how.nearest](positions)
    return cast(equal(_clamped(line, place), elements), line.dtype)


def _linear(line: _Line, positions: Expr, elements: Expr) -> Expr:
    if line.how.antialias:
        return _stretched(line, _tent, 1.0, positions, elements)
    return _tent(line, sub(_clamped(line, positions), elements))


def _tent(line: _Line, x: Expr) -> Expr:
    return maximum(sub(line.number(1.0), absolute(x)), line.number(0.0))


def _cubic(line: _Line, positions: Expr, elements: Expr) -> Expr:
    """Of four elements; what lies outside is that at the end, or is left out."""
    if line.how.antialias:
        return _stretched(line, _keys, 2.0, positions, elements)
    total = None
    for shift in (-1.0, 0.0, 1.0, 2.0):
        tap = add(floor(positions), line.number(shift))
        weight = _keys(line, sub(positions, tap))
        at = tap if line.how.inside_only else _clamped(line, tap)
        part = mul(weight, cast(equal(at, elements), line.dtype))
        total = part if total is None else add(total, part)
    assert total is not None
    return _normalized(total) if line.how.inside_only else total


def _keys(line: _Line, x: Expr) -> Expr:
    """Keys' kernel: cubic from 0 to 1 and from 1 to 2."""
    a, size = line.how.cubic, absolute(x)
    near = _polynomial(line, size, (a + 2, -(a + 3), 0.0, 1.0))
    far = _polynomial(line, size, (a, -5 * a, 8 * a, -4 * a))
    one, two = line.number(1.0), line.number(2.0)
    return where(less_equal(size, one), near, where(less(size, two), far, line.number(0.0)))


def _polynomial(line: _Line, x: Expr, coefficients: Sequence[float]) -> Expr:
    total = line.number(coefficients[0])
    for coefficient in coefficients[1:]:
        total = add(mul(total, x), line.number(coefficient))
    return total


def _stretched(
    line: _Line,
    kernel: Callable[[_Line, Expr], Expr],
    reach: float,
    positions: Expr,
    elements: Expr,
) -> Expr:
    """A kernel as wide as the distance of places, over the elements that it reaches.

    Of those that lie outside there are as many as the kernel reaches with one place alone.
    """
    narrow = minimum(line.scale, line.number(1.0))
    if line.how.inside_only:
        return _normalized(_reached(line, kernel, reach, positions, elements, narrow))
    around = line.before * 2
    wide = sub(cast(iota(line.before + around * 2), line.dtype), line.size(around))
    weights = _reached(line, kernel, reach, positions, expand_dims(wide, (0,)), narrow)
    at_ends = expand_dims(_clamped(line, wide), (1,))
    return matmul(_normalized(weights), cast(equal(at_ends, elements), line.dtype))


def _reached(
    line: _Line,
    kernel: Callable[[_Line, Expr], Expr],
    reach: float,
    positions: Expr,
    elements: Expr,
    narrow: Expr,
) -> Expr:
    """The kernel at elements whose middle lies in it."""
    half = line.number(0.5)
    center, width = add(positions, half), div(line.number(reach), narrow)
    first, end = floor(add(sub(center, width), half)), floor(add(add(center, width), half))
    inside = logical_and(less_equal(first, elements), less(elements, end))
    distance = mul(add(sub(elements, center), half), narrow)
    return where(inside, kernel(line, distance), line.number(0.0))


def _normalized(weights: Expr) -> Expr:
    return div(weights, reduce_sum(weights, (1,)))


_WEIGHTS: dict[str, Callable[[_Line, Expr, Expr], Expr]] = {
    "nearest": _nearest,
    "linear": _linear,
    "cubic": _cubic,
}


# --- the operation ------------------------------------------------------------------------------


def _lines(x: TensorType, sizes: Shape, how: Resampling) -> list[_Line]:
    return [_Line(how, place, x.shape[axis], sizes[axis]) for place, axis in enumerate(how.axes)]


def _along(x: Expr, matrix: Expr, axis: int) -> Expr:
    """The product of a matrix with the array along one axis."""
    if x.rank == 1:
        return reshape(_along(reshape(x, (1, *x.shape)), matrix, 1), (matrix.shape[0],))
    if axis == x.rank - 1:
        return matmul(x, matrix_transpose(matrix))
    if axis == x.rank - 2:
        return matmul(matrix, x)
    order = [*(i for i in range(x.rank) if i != axis), axis]
    product = matmul(transpose(x, order), matrix_transpose(matrix))
    return transpose(product, [order.index(i) for i in range(x.rank)])


def by_matrices(x: Expr, sizes: Shape, how: Resampling) -> Expr:
    """The value as products."""
    inside: Expr | None = None
    for line, axis in zip(_lines(x.type, sizes, how), how.axes, strict=True):
        x = _along(x, line.matrix(x.dtype), axis)
        if how.coordinates == "tf_crop_and_resize":
            here = reshape(
                line.is_inside(), [line.after if i == axis else 1 for i in range(x.rank)]
            )
            inside = here if inside is None else logical_and(inside, here)
    return x if inside is None else where(inside, x, const(how.outside, x.dtype))


def _transposed(ct: Expr, x: TensorType, sizes: Shape, how: Resampling) -> Expr:
    """What every element has given to the result."""
    lines = dict(zip(how.axes, _lines(x, sizes, how), strict=True))
    times = {axis: line.repeats for axis, line in lines.items()}
    ct = _summed(ct, {axis: count for axis, count in times.items() if count is not None})
    for axis, line in lines.items():
        if times[axis] is None:
            ct = _along(ct, matrix_transpose(line.matrix(ct.dtype)), axis)
    return ct


def _summed(ct: Expr, times: dict[int, int]) -> Expr:
    """Sums of as many neighbours along axes: of images by a convolution, which is fastest."""
    counts = tuple(times.get(axis, 1) for axis in range(ct.rank))
    channels = ct.shape[1] if ct.rank > 2 else None
    if isinstance(channels, int) and channels and counts[:2] == (1, 1) and max(counts) > 1:
        none = (0,) * (ct.rank - 2)
        window = Window(counts[2:], counts[2:], (1,) * (ct.rank - 2), none, none, channels)
        return convolve(ct, full(1.0, ct.dtype, (channels, 1, *counts[2:])), window)
    split: list[Dim] = []
    result: list[Dim] = []
    summed = []
    for axis, dim in enumerate(ct.shape):
        count = times.get(axis, 1)
        result.append(dim if count == 1 else dim // count)
        split.append(result[-1])
        if count != 1:
            summed.append(len(split))
            split.append(count)
    if not summed:
        return ct
    return reshape(reduce_sum(reshape(ct, split), tuple(summed)), result)


def _infer(x: TensorType, *, sizes: Shape, how: Resampling) -> TensorType:
    if not x.is_float:
        raise InputError(f"floats are resampled, got {x.dtype}")
    for axis, (dim, size) in enumerate(zip(x.shape, sizes, strict=True)):
        if axis not in how.axes:
            require_equal(dim, size)
    return x.with_shape(sizes)


def _ref(x: Array, sizes: Sequence[int], how: Resampling) -> Array:

    given = const(x, x.dtype)
    return evaluate([by_matrices(given, tuple(int(n) for n in sizes), how)], {})[0]


def _lower(b: Any, node: Expr, x: str) -> str:
    sizes, how = node.attrs["sizes"], node.attrs["how"]
    if node.dtype == "float64":  # for which ONNX Runtime has no kernel
        return str(b.lower(by_matrices(node.args[0], sizes, how)))
    return str(b.add("Resize", x, *_arguments(b, node, how), **_attributes(b, how)))


def _arguments(b: Any, node: Expr, how: Resampling) -> list[str]:
    """Window, scales and sizes: of all axes, or in new opsets of those that are resampled."""
    axes = how.axes if b.opset >= 18 else tuple(range(node.rank))
    window = ""
    if how.window is not None:
        parts = dict(zip(how.axes, how.window, strict=True))
        ends = [parts.get(axis, (0.0, 1.0)) for axis in axes]
        window = b.const([start for start, _ in ends] + [end for _, end in ends], "float32")
    if how.asked:
        return [window, "", b.const(how.asked, "int64")]
    if how.scales is None:
        return [window, "", b.sizes([node.attrs["sizes"][axis] for axis in axes])]
    factors = dict(zip(how.axes, how.scales, strict=True))
    return [window, b.const([factors.get(axis, 1.0) for axis in axes], "float32")]


def _attributes(b: Any, how: Resampling) -> dict[str, Any]:
    found: dict[str, Any] = {
        "mode": how.mode,
        "coordinate_transformation_mode": how.coordinates,
    }
    if how.mode == "nearest":
        found["nearest_mode"] = how.nearest
    if how.mode == "cubic":
        found["cubic_coeff_a"] = how.cubic
    if how.inside_only:
        found["exclude_outside"] = 1
    if how.coordinates == "tf_crop_and_resize":
        found["extrapolation_value"] = how.outside
    if b.opset >= 18:
        found["axes"] = how.axes
        if how.antialias:
            found["antialias"] = 1
        if how.asked:
            found["keep_aspect_ratio_policy"] = how.policy
    elif how.antialias or how.asked:
        raise LoweringError(f"Resize as it is asked for needs opset 18, got {b.opset}")
    return found


def _vjp(ct: Expr, out: Expr, x: Expr, *, sizes: Shape, how: Resampling) -> tuple[Expr]:
    return (_transposed(ct, x.type, sizes, how),)


_resize: Op = register(Op("Resize", _infer, _ref, _vjp, _lower))


@builds(_resize)
def resize(x: Expr, sizes: Sequence[Dim], how: Resampling) -> Expr:
    """``x`` resampled to other lengths along the axes that ``how`` names."""
    return _resize(x, sizes=tuple(sizes), how=how)
