"""``mxnet.gluon.block``: the bases of what can be compiled."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from ..authoring.block import Block
from ..authoring.constructors import constructor_of, refuse_option

__all__ = ["Block", "HybridBlock"]


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

    @contextmanager
    def name_scope(self) -> Iterator[HybridBlock]:
        """Gluon's scope for the names of children, which have no names here."""
        yield self

    def hybridize(self, active: bool = True, **kwargs: Any) -> None:
        """Gluon's request to compile: here every loss is."""

    def initialize(self, *args: Any, **kwargs: Any) -> None:
        """Gluon's initialization of parameters, of which a loss has none."""
