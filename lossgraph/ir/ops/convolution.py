"""Convolution in one or more dimensions, and its two transposes.

``convolve(x, w) = y`` is linear in both, so the derivative of each of the three operations is
made of the other two, to any order:

    x (N, C, L..)    w (O, C/groups, K..)    y (N, O, M..)

The lengths of the kernel are known, those of signals need not be. ONNX Runtime has its Conv and
ConvTranspose in float32 and narrower; in float64 they are sums over the places of the kernel of
products of matrices.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...errors import InputError
from ..batching import BatchDim, NotBatchableError
from ..dims import Dim, floordiv, maximum
from ..expr import Array, Expr, Op, register
from ..types import TensorType, require_equal
from .elementwise import add
from .linalg import matmul, matrix_transpose
from .reduce import reduce_sum
from .shape import concat, expand_dims, pad, reshape, slice_, squeeze, transpose
from .type_rules import float_only

Ints = tuple[int, ...]


@dataclass(frozen=True)
class Window:
    """How a kernel moves over a signal: along each axis, zeros outside.

    Attributes:
        kernel: how many places it has.
        stride: how far it moves.
        dilation: how far its places are apart.
        before: the zeros before the signal.
        after: the zeros after it.
        groups: into how many parts the channels are split, each with kernels of its own.
    """

    kernel: Ints
    stride: Ints
    dilation: Ints
    before: Ints
    after: Ints
    groups: int = 1

    def __str__(self) -> str:
        return f"kernel {self.kernel}"

    def count(self, axis: int, length: Dim) -> Dim:
        """How many places along an axis the kernel has in a signal of a length."""
        room = length + (self.before[axis] + self.after[axis] - self.span(axis))
        if isinstance(room, int) and room < 0:
            raise InputError(f"a kernel of {self.span(axis)} places does not fit {length}")
        return floordiv(room, self.stride[axis]) + 1

    def span(self, axis: int) -> int:
        """From the first place to the last one."""
        return (self.kernel[axis] - 1) * self.dilation[axis] + 1

    def places(self) -> Iterator[Ints]:
        """The places of the kernel."""
        return itertools.product(*map(range, self.kernel))


# --- types --------------------------------------------------------------------------------------


def _convolve_infer(x: TensorType, w: TensorType, *bias: TensorType, window: Window) -> TensorType:
    _check(float_only(x), w, window)
    for b in bias:
        if b.rank != 1 or b.dtype != x.dtype:
            raise InputError(f"expected a bias for each kernel, got {b}")
        require_equal(b.shape[0], w.shape[0])
    if w.shape[2:] != window.kernel:
        raise InputError(f"a kernel {window.kernel} for weights {w}")
    require_equal(x.shape[1], w.shape[1] * window.groups)
    require_equal(w.shape[0], floordiv(w.shape[0], window.groups) * window.groups)
    counts = [window.count(axis, length) for axis, length in enumerate(x.shape[2:])]
    return x.with_shape((x.shape[0], w.shape[0], *counts))


def _check(a: TensorType, b: TensorType, window: Window) -> None:
    rank = len(window.kernel) + 2
    if a.rank != rank or b.rank != rank or a.dtype != b.dtype:
        raise InputError(f"expected arrays of rank {rank} and one dtype, got {a} and {b}")


def _unconvolve_infer(
    w: TensorType, y: TensorType, *, window: Window, lengths: tuple[Dim, ...]
) -> TensorType:
    _check(w, y, window)
    require_equal(y.shape[1], w.shape[0])
    return y.with_shape((y.shape[0], w.shape[1] * window.groups, *lengths))


def _correlate_infer(x: TensorType, y: TensorType, *, window: Window) -> TensorType:
    _check(x, y, window)
    return x.with_shape((y.shape[1], floordiv(x.shape[1], window.groups), *window.kernel))


# --- by sums over the places of the kernel ------------------------------------------------------


def _padded(x: Expr, window: Window) -> Expr:
    return pad(x, (0, 0, *window.before), (0, 0, *window.after))


def _seen(x: Expr, window: Window, place: Ints, counts: Sequence[Dim]) -> Expr:
    """What one place of the kernel meets: (N, groups, C/groups, all counts)."""
    starts = [k * d for k, d in zip(place, window.dilation, strict=True)]
    cut = slice_(x, (0, 0, *starts), (1, 1, *window.stride), (*x.shape[:2], *counts))
    return _grouped(cut, window.groups)


def _grouped(x: Expr, groups: int) -> Expr:
    """(N, C, L..) as (N, groups, C/groups, all of L)."""
    length: Dim = 1
    for dim in x.shape[2:]:
        length = dim * length
    return reshape(x, (x.shape[0], groups, floordiv(x.shape[1], groups), length))


def _at(w: Expr, window: Window, place: Ints) -> Expr:
    """The weights of one place: (groups, O/groups, C/groups)."""
    ones = [1] * len(place)
    cut = slice_(w, (0, 0, *place), (1, 1, *ones), (*w.shape[:2], *ones))
    return reshape(cut, (window.groups, floordiv(w.shape[0], window.groups), w.shape[1]))


def _sum(terms: Sequence[Expr]) -> Expr:
    """In pairs, so that roundings do not add up."""
    while len(terms) > 1:
        pairs = [add(a, b) for a, b in zip(terms[::2], terms[1::2], strict=False)]
        terms = [*pairs, *terms[len(pairs) * 2 :]]
    return terms[0]


def _convolve_by_places(x: Expr, w: Expr, *bias: Expr, window: Window) -> Expr:
    counts = [window.count(axis, length) for axis, length in enumerate(x.shape[2:])]
    wide = _padded(x, window)
    terms = [
        matmul(_at(w, window, place), _seen(wide, window, place, counts))
        for place in window.places()
    ]
    made = reshape(_sum(terms), (x.shape[0], w.shape[0], *counts))
    return _sum([made, *(expand_dims(b, range(1, made.rank - 1)) for b in bias)])


def _unconvolve_by_places(w: Expr, y: Expr, window: Window, lengths: tuple[Dim, ...]) -> Expr:
    """Each place of the kernel spreads what it gave, with zeros where it did not look."""
    given = _grouped(y, window.groups)
    channels = w.shape[1] * window.groups
    terms = []
    for place in window.places():
        part = matmul(matrix_transpose(_at(w, window, place)), given)
        part = reshape(part, (y.shape[0], channels, *y.shape[2:]))
        terms.append(_spread(part, window, place, lengths))
    return _sum(terms)


def _spread(part: Expr, window: Window, place: Ints, lengths: Sequence[Dim]) -> Expr:
    """What the slice of a place in ``_seen`` is the transpose of, without the padding."""
    for axis, (k, length) in enumerate(zip(place, lengths, strict=True), start=2):
        stride, before = window.stride[axis - 2], window.before[axis - 2]
        if stride > 1:
            part = _with_gaps(part, axis, stride)
        start, count = k * window.dilation[axis - 2], part.shape[axis]
        after = maximum(length + (before + window.after[axis - 2] - start) - count, 0)
        sides = [[side if i == axis else 0 for i in range(part.rank)] for side in (start, after)]
        part = pad(part, *sides)
        starts = [before if i == axis else 0 for i in range(part.rank)]
        sizes = [length if i == axis else dim for i, dim in enumerate(part.shape)]
        part = slice_(part, starts, [1] * part.rank, sizes)
    return part


def _with_gaps(x: Expr, axis: int, stride: int) -> Expr:
    """Zeros after each element."""
    split = reshape(x, (*x.shape[: axis + 1], 1, *x.shape[axis + 1 :]))
    none = [0] * split.rank
    wide = pad(split, none, [stride - 1 if i == axis + 1 else 0 for i in range(split.rank)])
    return reshape(wide, (*x.shape[:axis], x.shape[axis] * stride, *x.shape[axis + 1 :]))


def _correlate_by_places(x: Expr, y: Expr, window: Window) -> Expr:
    """For each place the product of what it met and what was made of it, summed over samples."""
    wide, rows = _padded(x, window), _samples_last(_grouped(y, window.groups))
    found = []
    for place in window.places():
        seen = _samples_last(_seen(wide, window, place, y.shape[2:]))
        product = matmul(rows, matrix_transpose(seen))  # (groups, O/groups, C/groups)
        found.append(reshape(product, (y.shape[1], floordiv(x.shape[1], window.groups), 1)))
    return reshape(concat(found, 2), (y.shape[1], found[0].shape[1], *window.kernel))


def _samples_last(x: Expr) -> Expr:
    """(N, groups, C, L) as (groups, C, N*L)."""
    turned = transpose(x, (1, 2, 0, 3))
    return reshape(turned, (*turned.shape[:2], x.shape[0] * x.shape[3]))


# --- by ONNX's operators ------------------------------------------------------------------------


def _attributes(window: Window) -> dict[str, Any]:
    return {
        "kernel_shape": window.kernel,
        "strides": window.stride,
        "dilations": window.dilation,
        "pads": (*window.before, *window.after),
        "group": window.groups,
    }


def _lower_convolve(b: Any, node: Expr, *names: str) -> str:
    window = node.attrs["window"]
    if node.dtype == "float64":
        return str(b.lower(_convolve_by_places(*node.args, window=window)))
    return str(b.add("Conv", *names, **_attributes(window)))


def _lower_unconvolve(b: Any, node: Expr, w: str, y: str) -> str:
    """ONNX's ConvTranspose, to lengths that its stride leaves open."""
    window, lengths = node.attrs["window"], node.attrs["lengths"]
    if node.dtype == "float64":
        return str(b.lower(_unconvolve_by_places(node.args[0], node.args[1], window, lengths)))
    made = [
        (count - 1) * stride + (window.span(axis) - window.before[axis] - window.after[axis])
        for axis, (count, stride) in enumerate(
            zip(node.args[1].shape[2:], window.stride, strict=True)
        )
    ]
    missing = [length - size for length, size in zip(lengths, made, strict=True)]
    if all(size == 0 for size in missing):
        return str(b.add("ConvTranspose", y, w, **_attributes(window)))
    if all(isinstance(n, int) and 0 <= n < s for n, s in zip(missing, window.stride, strict=True)):
        return str(b.add("ConvTranspose", y, w, **_attributes(window), output_padding=missing))
    return _lower_unconvolve_exactly(b, node, w, y, missing)


def _lower_unconvolve_exactly(b: Any, node: Expr, w: str, y: str, missing: Sequence[Dim]) -> str:
    """Without padding, filled with zeros and cut to lengths that are found out at run time."""
    window, lengths = node.attrs["window"], node.attrs["lengths"]
    attributes = {**_attributes(window), "pads": (0,) * (2 * len(lengths))}
    full = b.add("ConvTranspose", y, w, **attributes)
    fill = [maximum(m - after, 0) for m, after in zip(missing, window.after, strict=True)]
    if any(size != 0 for size in fill):
        sides = b.sizes((*(0,) * (len(lengths) + 4), *fill))
        full = b.add("Pad", full, sides, b.const(0, node.dtype))
    starts = b.const(list(window.before), "int64")
    ends = b.sizes([p + length for p, length in zip(window.before, lengths, strict=True)])
    axes = b.const(list(range(2, 2 + len(lengths))), "int64")
    return str(b.add("Slice", full, starts, ends, axes))


def _lower_correlate(b: Any, node: Expr, x: str, y: str) -> str:
    """A Conv whose samples are the channels, and whose kernel is what came out."""
    window = node.attrs["window"]
    if node.dtype == "float64" or window.groups > 1:
        return str(b.lower(_correlate_by_places(node.args[0], node.args[1], window)))
    order = (1, 0, *range(2, node.rank))
    x, y = (b.add("Transpose", name, perm=order) for name in (x, y))
    full = b.add(
        "Conv",
        x,
        y,
        strides=window.dilation,
        dilations=window.stride,
        pads=(*window.before, *window.after),
    )
    zeros, axes = [0] * len(window.kernel), list(range(2, node.rank))
    ends = b.const(list(window.kernel), "int64")
    cut = b.add("Slice", full, b.const(zeros, "int64"), ends, b.const(axes, "int64"))
    return str(b.add("Transpose", cut, perm=order))


# --- by numpy -----------------------------------------------------------------------------------


def _windows(x: Array, window: Window, counts: Sequence[int]) -> Iterator[tuple[Ints, Any]]:
    """The places of the kernel, and an index of what each one meets in a padded signal."""
    for place in window.places():
        yield (
            place,
            tuple(
                slice(k * d, k * d + (count - 1) * s + 1, s)
                for k, d, s, count in zip(
                    place, window.dilation, window.stride, counts, strict=True
                )
            ),
        )


def _index(last: Sequence[Any]) -> Any:
    """An index of the last axes."""
    return (..., *last)


def _wide(x: Array, window: Window) -> Array:
    return np.pad(x, [(0, 0), (0, 0), *zip(window.before, window.after, strict=True)])


def _split(x: Array, groups: int) -> Array:
    return x.reshape(x.shape[0], groups, -1, *x.shape[2:])


def _convolve_ref(x: Array, w: Array, *bias: Array, window: Window) -> Array:
    counts = [int(window.count(axis, n)) for axis, n in enumerate(x.shape[2:])]  # type: ignore[arg-type]
    wide = _split(_wide(x, window), window.groups)
    weights = w.reshape(window.groups, -1, *w.shape[1:])
    out = np.zeros((x.shape[0], window.groups, weights.shape[1], *counts), x.dtype)
    for place, index in _windows(x, window, counts):
        seen = wide[_index(index)]
        out += np.einsum("goc,ngc...->ngo...", weights[_index(place)], seen)
    made = out.reshape(x.shape[0], -1, *counts)
    return made + sum(b.reshape(-1, *(1,) * len(counts)) for b in bias)


def _unconvolve_ref(w: Array, y: Array, window: Window, lengths: Sequence[int]) -> Array:
    around = [sum(n) for n in zip(lengths, window.before, window.after, strict=True)]
    weights, given = w.reshape(window.groups, -1, *w.shape[1:]), _split(y, window.groups)
    out = np.zeros((y.shape[0], window.groups, w.shape[1], *around), y.dtype)
    for place, index in _windows(y, window, y.shape[2:]):
        out[_index(index)] += np.einsum("goc,ngo...->ngc...", weights[_index(place)], given)
    inside = [slice(p, p + n) for p, n in zip(window.before, lengths, strict=True)]
    return out.reshape(y.shape[0], -1, *around)[_index(inside)]


def _correlate_ref(x: Array, y: Array, window: Window) -> Array:
    wide, given = _split(_wide(x, window), window.groups), _split(y, window.groups)
    out = np.zeros((window.groups, given.shape[2], wide.shape[2], *window.kernel), x.dtype)
    for place, index in _windows(x, window, y.shape[2:]):
        seen = wide[_index(index)].reshape(*wide.shape[:3], -1)
        rows = given.reshape(*given.shape[:3], -1)
        out[_index(place)] = np.einsum("ngol,ngcl->goc", rows, seen)
    return out.reshape(y.shape[1], wide.shape[2], *window.kernel)


# --- the operations -----------------------------------------------------------------------------


def _samples_of(position: int) -> Any:
    """The samples are those of one argument, along its first axis; all share the others."""

    def batching(node: Expr, batch_dims: Sequence[BatchDim | None], batch: str) -> BatchDim | None:
        if any(dim is not None for i, dim in enumerate(batch_dims) if i != position):
            raise NotBatchableError
        found = batch_dims[position]
        if found is not None and found.axis != 0:
            raise NotBatchableError
        return found

    return batching


def _convolve_vjp(
    ct: Expr, out: Expr, x: Expr, w: Expr, *bias: Expr, window: Window
) -> tuple[Expr, ...]:
    over = (0, *range(2, ct.rank))
    by_bias = (squeeze(reduce_sum(ct, over), over) for _ in bias)
    return (unconvolve(w, ct, window, x.shape[2:]), correlate(x, ct, window), *by_bias)


BOTH = ((-3.0, 3.0), (-3.0, 3.0), (-3.0, 3.0))
_convolve: Op = register(
    Op(
        "Convolution",
        _convolve_infer,
        _convolve_ref,
        _convolve_vjp,
        _lower_convolve,
        BOTH,
        heavy=True,
        batching=_samples_of(0),
        linear_in=(0, 1),
    )
)
_unconvolve: Op = register(
    Op(
        "ConvolutionTransposed",
        _unconvolve_infer,
        _unconvolve_ref,
        lambda ct, out, w, y, window, lengths: (correlate(ct, y, window), convolve(ct, w, window)),
        _lower_unconvolve,
        BOTH[:2],
        heavy=True,
        batching=_samples_of(1),
        linear_in=(0, 1),
    )
)
_correlate: Op = register(
    Op(
        "ConvolutionByWeights",
        _correlate_infer,
        _correlate_ref,
        lambda ct, out, x, y, window: (
            unconvolve(ct, y, window, x.shape[2:]),
            convolve(x, ct, window),
        ),
        _lower_correlate,
        BOTH[:2],
        heavy=True,
        linear_in=(0, 1),
    )
)


def convolve(x: Expr, w: Expr, window: Window, bias: Expr | None = None) -> Expr:
    """Cross-correlation, as networks have it: at each place the sum of products with a kernel.

    ``bias``, (O,), is added to each kernel's results.
    """
    return _convolve(x, w, *(() if bias is None else (bias,)), window=window)


def unconvolve(w: Expr, y: Expr, window: Window, lengths: Sequence[Dim]) -> Expr:
    """What ``convolve`` by weights is the transpose of, for signals of those lengths."""
    return _unconvolve(w, y, window=window, lengths=tuple(lengths))


def correlate(x: Expr, y: Expr, window: Window) -> Expr:
    """What ``convolve`` of a signal is the transpose of, for its weights."""
    return _correlate(x, y, window=window)
