"""Losses made of functions, and compiling whatever is a loss for definite types."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

from ..errors import InputError
from ..runtime.compiled import Compiled
from ..runtime.kernel_request import Kernels
from ..symbolic.arguments import checked
from ..symbolic.symbol import Symbol
from .annotations import signature_of
from .block import Block
from .cautions import warn_if_both_stretch
from .constructors import refuse_option
from .expressions import program_of
from .input_types import InputTypes, as_types
from .inputs import require_numbers, require_option
from .signature import Kind, Signature


class FunctionLoss(Block):
    """A loss from a plain function ``body(F, pred, label, ..., option=value)``.

    Its arrays are what is annotated as ``Any`` or as an array, its options the parameters of
    another type, like ``delta: float = 1.0``: they may be given at each call, or once by
    ``with_options``.

    Args:
        body: the function.
        **options: options other than the function's defaults.

    Raises:
        InputError: for an option that the function does not have.
    """

    def __init__(self, body: Callable[..., Any], **options: Any) -> None:
        self.body = body
        self._given: dict[str, Any] = {}
        for name in options:
            if name not in self.options:
                refuse_option(self.name, name, self.options)
        declared = self._declared()
        require_numbers(self.name, declared, options)
        for name, value in options.items():
            require_option(self.name, declared.by_name[name], value)
        self._given = options
        self.__doc__ = body.__doc__

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.Signature([p.as_inspect() for p in self.signature.parameters])

    @property
    def name(self) -> str:
        return getattr(self.body, "__name__", "loss")

    @property
    def options(self) -> dict[str, Any]:
        declared = self._declared().parameters
        own = {p.name: p.default for p in declared if p.kind is Kind.OPTION and not p.required}
        return {**own, **self._given}

    def with_options(self, **options: Any) -> FunctionLoss:
        """The same loss with other defaults."""
        return type(self)(self.body, **{**self._given, **options})

    def hybrid_forward(self, F: Any, *args: Any, **kwargs: Any) -> Any:
        value = self.body(F, *args, **{**self._given, **kwargs})
        if self._is_built_in and hasattr(value, "shape"):
            given = self.signature.by_name
            arrays = {n: x for n, x in kwargs.items() if given[n].kind is Kind.ARRAY}
            shapes = {n: x.shape for n, x in arrays.items() if hasattr(x, "shape")}
            warn_if_both_stretch(shapes, value.shape)
        return value

    @property
    def _is_built_in(self) -> bool:
        module = getattr(self.body, "__module__", None) or ""  # None where exec made it
        return str(module).partition(".")[0] == "lossgraph"

    def _declared(self) -> Signature:
        body: Callable[..., Any] | None = self.__dict__.get("body")
        return Signature(()) if body is None else signature_of(body, 1)


def as_loss(loss: Any) -> Block:
    """A loss from a loss, or from a function of F."""
    if isinstance(loss, Block):
        return loss
    if callable(loss) and not inspect.isclass(loss):
        return FunctionLoss(loss)
    raise InputError(f"expected a loss or a function of F, got {loss!r}")


@checked
def value_and_grad(loss: Any, wrt: str | Sequence[str] | None = None) -> Callable[..., Any]:
    """A function of arrays that returns the value of a loss and its gradients.

    Types are those of the arrays; the first call for types that are new compiles.

    >>> import numpy as np
    >>> def squared(F, pred, label):
    ...     return F.sum(F.square(pred - label))
    >>> value_and_grad(squared)(np.array([1.0, 3.0]), np.array([0.0, 1.0]))
    (array([5.]), {'pred': array([2., 4.])})

    Args:
        loss: a loss, or a function ``body(F, pred, label, ..)``.
        wrt: the input to differentiate by, or several; the first one by default.

    Returns:
        A function of the loss's arguments that returns ``(value, {name: gradient})``, the gradient
        of the value's sum, or with ``ct=`` of what that weighs.

    Raises:
        InputError: for what is no loss.
    """
    block = as_loss(loss)

    def call(*args: Any, **kwargs: Any) -> Any:
        return block.value_and_grad(*args, wrt=wrt, **kwargs)

    call.__name__ = f"value_and_grad of {block.name}"
    return call


@checked
def compile_loss(
    loss: Any,
    inputs: InputTypes | None = None,
    grad: Sequence[str] = (),
    providers: Any = None,
    opset: int | None = None,
    threads: int | None = None,
    tiles: int | None = None,
    kernels: Kernels | None = None,
    **constants: Any,
) -> Compiled:
    """A callable that runs a loss for inputs of given types.

    Args:
        loss: a loss, a function ``body(F, pred, label, ..)``, or symbols, whose inputs are
            those that they are made of where no types are given.
        inputs: type of each input, ``{"pred": ("float32", ("N", 10)), ..}``.
        grad: names of the inputs whose gradients are wanted too.
        providers: ``cpu``, ``cuda`` or names of ONNX Runtime's; the CPU by default.
        opset: version of the standard operators.
        threads: how many threads a call may use on the CPU; all by default.
        tiles: how many samples at a time go through all operators, on the CPU and for a loss whose
            samples stay apart; 0 for all at once. By default what is best for the size.
        kernels: whether it runs as a fused kernel: ``auto`` builds one in the background while the
            graph answers, if it can; True builds it now, and raises if it cannot; False never. By
            default what ``LOSSGRAPH_KERNELS`` (1, 0 or auto) says, else ``auto``.
        **constants: options of the call that are no arrays.
    """
    if _is_symbols(loss):
        types = None if inputs is None else as_types(inputs)
        return Compiled(program_of(loss, types), providers, opset, threads, tiles, kernels)
    if inputs is None:
        raise InputError("compile needs the types of the inputs: {'pred': ('float32', ('N', 10))}")
    program = as_loss(loss).program(inputs, grad=grad, **constants)
    return Compiled(program, providers, opset, threads, tiles, kernels)


def _is_symbols(value: Any) -> bool:
    several = isinstance(value, (list, tuple)) and bool(value)
    return all(isinstance(item, Symbol) for item in (value if several else [value]))
