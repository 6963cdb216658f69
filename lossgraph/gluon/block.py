"""``mxnet.gluon.block``: the bases of what can be compiled."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from ..authoring.block import Block as _Block
from ..authoring.constructors import constructor_of, refuse_option
from ..authoring.signature import Parameter, Signature
from ..ir.types import dtype_name
from .parameter import Constant, ParameterDict

__all__ = ["Block", "HybridBlock", "ParameterDict"]


class Block(_Block):
    """Gluon's base of what computes: in ``hybrid_forward(self, F, ..)`` or ``forward(self, ..)``.

    Args:
        prefix: Gluon's prefix of parameters' names, which has no effect.
        params: Gluon's parameters to share, which have no effect.
        **unknown: refused, with a list of the options that there are.
    """

    def __init__(self, prefix: str | None = None, params: Any = None, **unknown: Any) -> None:
        if unknown:
            refuse_option(self.name, sorted(unknown)[0], constructor_of(type(self)).by_name)
        self._prefix = prefix or ""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        """A class that writes ``forward`` alone, as a ``Block`` of Gluon, is traced by that."""
        super().__init_subclass__(**kwargs)
        own = vars(cls)
        if "forward" in own and "hybrid_forward" not in own:
            cls.hybrid_forward = _by_forward(own["forward"])  # type: ignore[method-assign]

    @property
    def prefix(self) -> str:
        """Gluon's prefix of the names of parameters."""
        return self._prefix or f"{self.name.lower()}0_"

    @property
    def params(self) -> ParameterDict:
        """Gluon's parameters of the block itself: inputs of the loss, and its constants."""
        found: ParameterDict = self.__dict__.setdefault("_params", ParameterDict(self.prefix))
        return found

    def collect_params(self, select: str | None = None) -> ParameterDict:
        """Gluon's parameters of the block, which has no children."""
        return self.params

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
    def name_scope(self) -> Iterator[Block]:
        """Gluon's scope for the names of children, which have no names here."""
        yield self

    def hybridize(self, active: bool = True, **kwargs: Any) -> None:
        """Gluon's request to compile: here every loss is."""

    def initialize(self, *args: Any, **kwargs: Any) -> None:
        """Gluon's initialization of parameters, of which a loss has none."""

    def _declared(self) -> Signature:
        """The arguments of ``hybrid_forward``, of which constants of the block may be left out."""
        declared = super()._declared()
        if not self.__dict__.get("_params"):
            return declared
        held = {name for name, value in vars(self).items() if isinstance(value, Constant)}
        return Signature(tuple(_held(p) if p.name in held else p for p in declared.parameters))


class HybridBlock(Block):
    """Gluon's base of what can be compiled: here every block is.

    Args:
        prefix: Gluon's prefix of parameters' names, which has no effect.
        params: Gluon's parameters to share, which have no effect.
        **unknown: refused, with a list of the options that there are.
    """


def _held(parameter: Parameter) -> Parameter:
    return replace(parameter, role=replace(parameter.role, held=True), default=None)


def _by_forward(forward: Callable[..., Any]) -> Callable[..., Any]:
    """``hybrid_forward`` of a class that computes in ``forward(self, pred, label, ..)``."""

    def hybrid_forward(self: Any, F: Any, *args: Any, **kwargs: Any) -> Any:
        return forward(self, *args, **kwargs)

    self_, *others = inspect.signature(forward).parameters.values()
    space = inspect.Parameter("F", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    hybrid_forward.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
        [self_, space, *others]
    )
    return hybrid_forward
