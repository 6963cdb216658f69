"""What losses demand of shapes, whose sizes may be known by name only."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import InputError
from ..symbolic.symbol import same_size

Shape = Sequence[Any]


def same(shape: Shape, other: Shape) -> bool:
    """Whether two shapes are equal."""
    return len(shape) == len(other) and all(
        same_size(a, b) for a, b in zip(shape, other, strict=True)
    )


def shown(shape: Shape) -> str:
    """A shape as users write it: ``(N, 3)``."""
    return f"({', '.join(map(str, shape))}{',' if len(shape) == 1 else ''})"


def broadcasts(shape: Shape, target: Shape, surely: bool = False) -> bool:
    """Whether NumPy broadcasting stretches ``shape`` to ``target`` and leaves that alone.

    Lengths of which one is derived (N*M) may be equal, unless they have to be ``surely``.
    """
    if len(shape) > len(target):
        return False
    aligned = target[len(target) - len(shape) :]
    return all(
        same_size(a, 1) or same_size(a, b, surely) for a, b in zip(shape, aligned, strict=True)
    )


def require_same(name: str, shape: Shape, like: str, target: Shape) -> None:
    """Refuse an array that has not the shape of another.

    Raises:
        InputError: naming both.
    """
    if not same(shape, target):
        raise InputError(
            f"{name}: expected the shape of {like}, {tuple(target)}, got {tuple(shape)}"
        )


def require_size(name: str, shape: Shape, like: str, target: Shape, hint: str = "") -> None:
    """Refuse an array that has not as many elements as another, whose shape it is to take.

    Raises:
        InputError: naming both, with the hint.
    """
    if not same_size(math.prod(shape), math.prod(target)):
        raise InputError(
            f"{name}: expected as many elements as {like}, of shape {shown(target)}, has; "
            f"got shape {shown(shape)}{hint}"
        )


def require_rank(name: str, shape: Shape, rank: int) -> None:
    """Refuse an array of another rank.

    Raises:
        InputError: naming it.
    """
    if len(shape) != rank:
        raise InputError(f"{name}: expected {rank} axes, got shape {tuple(shape)}")


def require_rank_from(name: str, shape: Shape, least: int) -> None:
    """Refuse an array of a lower rank.

    Raises:
        InputError: naming it.
    """
    if len(shape) < least:
        axes = "1 axis" if least == 1 else f"{least} axes"
        raise InputError(f"{name}: expected at least {axes}, got shape {tuple(shape)}")


def require_shape(name: str, shape: Shape, wanted: Shape) -> None:
    """Refuse an array of another shape; None in ``wanted`` stands for any length.

    Raises:
        InputError: naming it.
    """
    if len(shape) != len(wanted) or not same(
        shape, [a if b is None else b for a, b in zip(shape, wanted, strict=True)]
    ):
        sizes = ", ".join("*" if size is None else str(size) for size in wanted)
        raise InputError(f"{name}: expected shape ({sizes}), got {tuple(shape)}")


def require_broadcast(name: str, shape: Shape, target: Shape) -> None:
    """Refuse an array that does not broadcast to a shape, or would enlarge it.

    Raises:
        InputError: naming it.
    """
    if not broadcasts(shape, target):
        raise InputError(f"{name} of shape {tuple(shape)} does not broadcast to {tuple(target)}")


def require_classes(shape: Shape, axis: int) -> None:
    """Refuse predictions without an axis of classes, or without any class along it.

    Raises:
        InputError: saying which.
    """
    if not -len(shape) <= axis < len(shape):
        raise InputError(f"axis {axis} is out of range for pred of shape {shown(shape)}")
    if same_size(shape[axis], 0):
        raise InputError("there are no classes to choose from: the class axis has length 0")


def require_samples(samples: tuple[int, ...], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Refuse inputs that are not there once for each sample.

    Raises:
        InputError: naming the first.
    """
    for name, shape in shapes.items():
        if shape != samples:
            raise InputError(f"{name}: expected one for each sample, {samples}, got {shape}")
