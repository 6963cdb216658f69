"""``mxnet.gluon.parameter``: what a loss asks of its parameters, which are inputs of its graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from ..errors import InputError

__all__ = ["Constant", "Parameter", "ParameterDict"]


@dataclass(frozen=True)
class Parameter:
    """A parameter of a loss: an input of that name, which a call gives.

    Args:
        name: its name.
        shape: its shape; None if that is not known yet.
        dtype: its dtype.
        init: how training begins with it, for whoever trains.
        grad_req: whether training has its gradient.
    """

    name: str
    shape: tuple[int, ...] | int | None = None
    dtype: Any = "float32"
    init: Any = None
    grad_req: str = "write"

    def data(self, ctx: Any = None) -> NoReturn:
        """Refuse to give numbers: a loss keeps none.

        Raises:
            InputError: saying what to do.
        """
        raise InputError(
            f"parameter {self.name!r}: a loss keeps no numbers of its own: take it as an argument "
            f"of hybrid_forward, and give the array in a call"
        )

    list_data = grad = list_grad = set_data = data


class Constant(np.ndarray[Any, Any]):
    """An array that belongs to a loss: a call without an argument of its name takes it."""

    def data(self, ctx: Any = None) -> Constant:  # type: ignore[override]
        """The array itself."""
        return self


class ParameterDict(dict[str, Any]):
    """Gluon's parameters by name.

    Args:
        prefix: the prefix of their names, which has no effect.
    """

    def __init__(self, prefix: str = "") -> None:
        super().__init__()
        self.prefix = prefix

    def get(self, name: str, default: Any = None, **described: Any) -> Any:
        """A parameter, made when it is first asked for.

        Args:
            name: its name.
            default: without meaning here, as a dict's ``get`` has it.
            **described: ``shape``, ``dtype``, ``init``, ``grad_req``; others are Gluon's for
                training and have no effect.
        """
        if name not in self:
            known = {k: v for k, v in described.items() if k in Parameter.__dataclass_fields__}
            shape = known.get("shape")
            known["shape"] = tuple(shape) if isinstance(shape, list) else shape
            self[name] = Parameter(name, **known)
        return self[name]

    def get_constant(self, name: str, value: Any = None) -> Constant:
        """An array that belongs to the loss.

        Raises:
            InputError: for what is no array of numbers.
        """
        array = np.asarray(value)
        if value is not None and array.dtype.kind in "iufb":
            self[name] = array.astype(np.float32).view(Constant)
        elif name not in self:
            raise InputError(f"constant {name!r}: expected an array of numbers, got {value!r}")
        return self[name]

    def initialize(self, *args: Any, **kwargs: Any) -> None:
        """Initialize all parameters: a call gives them."""

    def reset_ctx(self, ctx: Any) -> None:
        """Move all parameters to another device."""

    def setattr(self, name: str, value: Any) -> None:
        """Set an attribute of all parameters."""

    def zero_grad(self) -> None:
        """Set the gradients of all parameters to zero."""
