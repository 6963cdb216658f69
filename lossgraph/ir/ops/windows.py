"""Windows that move over signals: those of convolutions, and those of pools."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from ...errors import InputError
from ..dims import Dim, floordiv, maximum, minimum

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

    @property
    def is_plain(self) -> bool:
        """Whether it sees each element of the signal alone, and once."""
        once = {*self.kernel, *self.stride} == {1}
        return once and not any((*self.before, *self.after))

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


@dataclass(frozen=True)
class Pool:
    """How a window moves over a signal, along each axis.

    Attributes:
        kernel: how many places it has.
        stride: how far it moves.
        dilation: how far its places are apart.
        before: the places before the signal that it may start at, which count as nothing.
        after: those after it.
        beyond: whether a last window may reach beyond these, as with ONNX's ``ceil_mode``; one that
            would see nothing is left out.
    """

    kernel: Ints
    stride: Ints
    dilation: Ints
    before: Ints
    after: Ints
    beyond: bool = False

    def span(self, axis: int) -> int:
        """From the first place to the last one."""
        return (self.kernel[axis] - 1) * self.dilation[axis] + 1

    def counts(self, lengths: Sequence[Dim]) -> list[Dim]:
        """How many places the window has in a signal."""
        return [self._count(axis, length) for axis, length in enumerate(lengths)]

    def _count(self, axis: int, length: Dim) -> Dim:
        stride, span, after = self.stride[axis], self.span(axis), self.after[axis]
        room = length + (self.before[axis] + after - span)
        if isinstance(room, int) and room < (1 - stride if self.beyond else 0):
            raise InputError(f"a window of {span} places does not fit {length}")
        if not self.beyond:
            return floordiv(room, stride) + 1
        count = floordiv(room + (stride - 1), stride) + 1
        if after + stride <= span:  # the last one begins in the signal
            return count
        return minimum(count, floordiv(length + (self.before[axis] - 1), stride) + 1)

    def reach(self, lengths: Sequence[Dim]) -> list[Dim]:
        """How far windows reach beyond the end of the signal."""
        return [
            maximum((count - 1) * self.stride[i] + (self.span(i) - self.before[i]) - length, 0)
            for i, (count, length) in enumerate(zip(self.counts(lengths), lengths, strict=True))
        ]

    def places(self) -> Iterator[Ints]:
        """The places of the window."""
        return itertools.product(*map(range, self.kernel))

    @property
    def overlaps(self) -> bool:
        """Whether two windows may see one element."""
        return any(self.span(axis) > stride for axis, stride in enumerate(self.stride))

    @property
    def attributes(self) -> dict[str, Any]:
        """Those of ONNX's operators, dilations apart."""
        return {
            "kernel_shape": self.kernel,
            "strides": self.stride,
            "pads": (*self.before, *self.after),
            "ceil_mode": int(self.beyond),
        }
