"""How an operation is written in a fused kernel: one element of its result, or other operations.

An operation declares one of these beside its lowering to ONNX (``Op.kernel``); one that declares
none keeps its program from becoming a kernel, and the refusal names it. They say what is computed
and nothing of loops, vectors or C, which the kernels wing is for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias


@dataclass(frozen=True)
class Elementwise:
    """A function of the elements of the arguments, which broadcast.

    Attributes:
        function: its name in the header of vector mathematics, without the prefix ``lg_``, or an
            operator of C.
        cost: about how many additions it costs; what costs more than moving a number to memory and
            back is kept where it is needed twice.
    """

    function: str
    cost: float = 1.0


@dataclass(frozen=True)
class Reduction:
    """The elements along the attribute ``axes`` combined: ``sum``, ``max``, ``min`` or ``prod``."""

    how: str


@dataclass(frozen=True)
class Element:
    """An element by its index, ``(elements, node, index) -> value``.

    ``elements.at(argument, index)`` is an element of an argument; see ``kernels.elements``.

    Attributes:
        at: that function.
        cost: as of ``Elementwise``.
    """

    at: Callable[[Any, Any, Any], Any]
    cost: float = 1.0


@dataclass(frozen=True)
class Scatter(Element):
    """Elements of the first argument added up where the second says, along the attribute ``axis``.

    Where rows have few of them, an element looks at each by its index, as ``at`` says.
    """


@dataclass(frozen=True)
class Running:
    """The elements along the attribute ``axis`` combined up to each: ``sum``."""

    how: str


@dataclass(frozen=True)
class Recurrence:
    """The attribute ``body`` applied step after step: see ``passes.scan``."""


@dataclass(frozen=True)
class Result:
    """One of several results of the argument, by the attribute ``index``."""


@dataclass(frozen=True)
class Formula:
    """The result in other operations, ``(*arguments, **attributes) -> expression``."""

    of: Callable[..., Any]


KernelForm: TypeAlias = Elementwise | Reduction | Element | Running | Recurrence | Result | Formula
