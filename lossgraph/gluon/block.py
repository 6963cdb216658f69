"""``mxnet.gluon.block``: the bases of what can be compiled."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from ..authoring.block import Block
from ..authoring.constructors import constructor_of, refuse_option
from ..ir.types import dtype_name

__all__ = ["Block", "HybridBlock", "ParameterDict"]


class ParameterDict(dict[str, Any]):
    """Gluon's parameters by name, as a block without parameters has them.

    Args:
        prefix: the prefix of their names.
    """

    def __init__(self, prefix: str = "") -> None:
        super().__init__()
        self.prefix = prefix

    def initialize(self, *args: Any, **kwargs: Any) -> None:
        """Initialize all parameters."""

    def reset_ctx(self, ctx: Any) -> None:
        """Move all parameters to another device."""

    def setattr(self, name: str, value: Any) -> None:
        """Set an attribute of all parameters."""

    def zero_grad(self) -> None:
        """Set the gradients of all parameters to zero."""


class HybridBlock(Block):
    """Gluon's base of what can be compiled.

    Args:
        prefix: Gluon's prefix of parameters' names, which has no effect.
        params: Gluon's parameters to share, which have no effect.
        **unknown: refused, with a list of the options that there are.
    """

    def __init__(self, prefix: str | None = None, params: Any = None, **unknown: Any) -> None:
        if unknown:
            refuse_option(self.name, sorted(unknown)[0], constructor_of(type(self)).by_name)
        self._prefix = prefix or ""

    @property
    def prefix(self) -> str:
        """Gluon's prefix of the names of parameters."""
        return self._prefix or f"{self.name.lower()}0_"

    @property
    def params(self) -> ParameterDict:
        """Gluon's parameters of the block itself: none."""
        return ParameterDict(self.prefix)

    def collect_params(self, select: str | None = None) -> ParameterDict:
        """Gluon's parameters of the block and its children: none."""
        return ParameterDict(self.prefix)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """The value, as a call has it."""
        return self(*args, **kwargs)

    def apply(self, fn: Callable[[Any], Any]) -> Any:
        """Call a function with the block, which has no children, and return the block."""
        fn(self)
        return self

    def cast(self, dtype: Any) -> None:
        """Gluon's cast of parameters, of which a loss has none: it computes in its inputs' dtype.

        Raises:
            DtypeError: for what is no dtype.
        """
        dtype_name(dtype)

    def infer_shape(self, *args: Any) -> None:
        """Gluon's inference of the parameters' shapes, of which there are none."""

    def infer_type(self, *args: Any) -> None:
        """Gluon's inference of the parameters' dtypes, of which there are none."""

    @contextmanager
    def name_scope(self) -> Iterator[HybridBlock]:
        """Gluon's scope for the names of children, which have no names here."""
        yield self

    def hybridize(self, active: bool = True, **kwargs: Any) -> None:
        """Gluon's request to compile: here every loss is."""

    def initialize(self, *args: Any, **kwargs: Any) -> None:
        """Gluon's initialization of parameters, of which a loss has none."""
