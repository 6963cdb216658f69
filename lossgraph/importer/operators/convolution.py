"""Convolutions, and their transposes."""

from __future__ import annotations

from collections.abc import Sequence

from ...ir import ops
from ...ir.dims import Dim, floordiv, maximum, minimum
from ...ir.expr import Expr
from ..node import Node
from ..translations import NotTranslatedError, translates

Ints = tuple[int, ...]


def kernel_of(node: Node, w: Expr) -> Ints:
    """The lengths of a kernel, which its weights have."""
    kernel = w.shape[2:]
    if not all(isinstance(length, int) for length in kernel):
        raise NotTranslatedError("the lengths of its kernel are known at run time")
    return tuple(length for length in kernel if isinstance(length, int))


def along_axes(node: Node, name: str, count: int) -> Ints:
    """An attribute that has a number for each axis, 1 by default."""
    found = tuple(node.attribute(name, ()) or (1,) * count)
    if len(found) != count:
        raise NotTranslatedError(f"its {name} are {found}, but there are {count} axes")
    return found


def padding_of(
    node: Node, lengths: Sequence[Dim], spans: Sequence[int], strides: Ints
) -> tuple[Sequence[Dim], Sequence[Dim]]:
    """The places before and after each axis, as ``pads`` or ``auto_pad`` says."""
    count, mode = len(lengths), node.attribute("auto_pad", "NOTSET")
    if mode == "VALID":
        return (0,) * count, (0,) * count
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        total = [
            maximum(floordiv(length + (stride - 1), stride) * stride + (span - stride) - length, 0)
            for length, span, stride in zip(lengths, spans, strides, strict=True)
        ]
        less = [floordiv(size, 2) for size in total]
        more = [size - half for size, half in zip(total, less, strict=True)]
        return (less, more) if mode == "SAME_UPPER" else (more, less)
    if mode != "NOTSET":
        raise NotTranslatedError(f"its auto_pad is {mode!r}")
    pads = node.attribute("pads") or (0,) * (2 * count)
    return pads[:count], pads[count:]


def fixed(sizes: Sequence[Dim]) -> Ints | None:
    """Sizes that do not depend on those of the model's inputs; else None."""
    found = tuple(size for size in sizes if isinstance(size, int))
    return found if len(found) == len(sizes) else None


@translates("Conv")
def _conv(node: Node) -> Expr:
    x, w = node[0], node[1]
    kernel = kernel_of(node, w)
    count = len(kernel)
    stride, dilation = along_axes(node, "strides", count), along_axes(node, "dilations", count)
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    before, after = padding_of(node, x.shape[2:], spans, stride)
    starts, ends = fixed(before), fixed(after)
    if starts is None or ends is None or min((*starts, *ends), default=0) < 0:
        x = _padded(x, before, after)
        starts = ends = (0,) * count
    window = ops.Window(kernel, stride, dilation, starts, ends, node.attribute("group", 1))
    return ops.convolve(x, w, window, node.optional(2))


def _padded(x: Expr, before: Sequence[Dim], after: Sequence[Dim]) -> Expr:
    """Zeros around a signal; less than none cuts it."""
    sides = [[maximum(size, 0) for size in (0, 0, *side)] for side in (before, after)]
    wide = ops.pad(x, *sides)
    starts = [maximum(0 - size, 0) for size in (0, 0, *before)]
    sizes = [
        length + p + q
        for length, p, q in zip(x.shape, (0, 0, *before), (0, 0, *after), strict=True)
    ]
    return ops.slice_(wide, starts, [1] * x.rank, sizes)


@translates("ConvTranspose")
def _conv_transpose(node: Node) -> Expr:
    """The transpose of a convolution, of which ``output_padding`` says what its stride leaves."""
    y, w = node[0], node[1]
    kernel = kernel_of(node, w)
    count = len(kernel)
    stride, dilation = along_axes(node, "strides", count), along_axes(node, "dilations", count)
    more = tuple(node.attribute("output_padding", ()) or (0,) * count)
    spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
    full = [(n - 1) * s + span for n, s, span in zip(y.shape[2:], stride, spans, strict=True)]
    whole = [size + extra for size, extra in zip(full, more, strict=True)]
    before, lengths = _cut(node, y.shape[2:], stride, whole)
    # What is longer than all that kernels reach ends in zeros.
    reached = [
        minimum(length, size - p + min(extra, s - 1))
        for length, size, p, extra, s in zip(lengths, full, before, more, stride, strict=True)
    ]
    after = [
        size - p - length + min(extra, s - 1)
        for size, p, length, extra, s in zip(full, before, reached, more, stride, strict=True)
    ]
    ends = fixed(after)
    if ends is None or min((*before, *ends)) < 0:
        raise NotTranslatedError("its padding is negative, or known at run time")
    window = ops.Window(kernel, stride, dilation, before, ends, node.attribute("group", 1))
    made = ops.unconvolve(w, y, window, reached)
    beyond = [length - size for length, size in zip(lengths, reached, strict=True)]
    made = ops.pad(made, (0,) * made.rank, (0, 0, *beyond))
    b = node.optional(2)
    return made if b is None else ops.add(made, ops.expand_dims(b, range(1, count + 1)))


def _cut(
    node: Node, given: Sequence[Dim], stride: Ints, whole: Sequence[Dim]
) -> tuple[Ints, Sequence[Dim]]:
    """Where results begin in all that kernels reach, and how long they are."""
    mode, shape = node.attribute("auto_pad", "NOTSET"), node.attribute("output_shape")
    if shape:
        lengths: Sequence[Dim] = shape[-len(whole) :]
    elif mode in ("SAME_UPPER", "SAME_LOWER"):
        lengths = [n * s for n, s in zip(given, stride, strict=True)]
    else:
        before, after = padding_of(node, whole, (), stride)
        lengths = [n - p - q for n, p, q in zip(whole, before, after, strict=True)]
    if shape or mode.startswith("SAME"):
        total = [maximum(size - n, 0) for size, n in zip(whole, lengths, strict=True)]
        before = [floordiv(size + (mode != "SAME_UPPER"), 2) for size in total]
    begins = fixed(before)
    if begins is None:
        raise NotTranslatedError("where its result begins is known at run time")
    return begins, lengths
