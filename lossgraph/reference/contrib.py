"""``F.contrib``: control flow, for which a Python loop is all that it takes, and resizing."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from ..errors import InputError
from .array import OPERATORS, Array, checked, describe, kept, raw
from .dtypes import Raw
from .outputs import CTCLoss
from .scatter import boolean_mask
from .spectral import fft, ifft

Nested = Any  # an array, or a list or tuple of nested ones
Body = Callable[[Nested, Nested], tuple[Nested, Nested]]


def foreach(
    body: Body, data: Nested, init_states: Nested, name: str | None = None
) -> tuple[Nested, Nested]:
    """Run a body over the slices along the first axis, its states passed from one to the next.

    Args:
        body: ``body(slices, states)`` gives ``(outputs, new states)``; new states have the
            shapes of the old ones.
        data: an array or a list of arrays of one length, which may be 0; or a number of steps,
            whose numbers are then the elements.
        init_states: an array or a list of arrays.
        name: MXNet's name of the operator, without meaning here.

    Returns:
        ``(outputs, states)``: each output of the steps stacked along a new first axis, and the
        last states, in lists as those of the body and of ``init_states``.
    """
    _require_functions("foreach", body=body)
    if isinstance(data, (int, np.integer)):
        data = Array(np.arange(data, dtype=np.float32))
    arrays, starts = _flat("data", data), _flat("init_states", init_states)
    steps = _steps(arrays)
    if steps == 0:
        empty = [Array(np.zeros((1, *array.shape[1:]), array.dtype)) for array in arrays]
        outputs, _ = _step(body, data, empty, 0, init_states, starts)
        stacked = [Array(np.zeros((0, *out.shape), out.dtype)) for out in _flat("outputs", outputs)]
        return _like(outputs, stacked), init_states
    states, done = init_states, []
    for step in range(steps):
        outputs, states = _step(body, data, arrays, step, states, starts)
        done.append(_flat("outputs", outputs))
    stack = OPERATORS["stack"]
    return _like(outputs, [stack(*each) for each in zip(*done, strict=True)]), states


def _require_functions(owner: str, **functions: Any) -> None:
    for name, function in functions.items():
        if not callable(function):
            raise InputError(f"F.contrib.{owner}: {name}: expected a function, got {function!r}")


def _step(
    body: Body,
    data: Nested,
    arrays: list[Array],
    step: int,
    states: Nested,
    starts: list[Array],
) -> tuple[Nested, Nested]:
    result = body(_like(data, [kept(array.value[step]) for array in arrays]), states)
    if not isinstance(result, (tuple, list)) or len(result) != 2:
        raise InputError("F.contrib.foreach: the body returns (outputs, new states)")
    outputs, new = result
    found = _flat("new states", new)
    old, now = ([array.shape for array in each] for each in (starts, found))
    if old != now:
        shapes = ", ".join(map(describe, starts)), ", ".join(map(describe, found))
        raise InputError(
            f"F.contrib.foreach: the body turns states ({shapes[0]}) into ({shapes[1]}): "
            "it has to keep their number and shapes"
        )
    return outputs, _like(states, found)


def _steps(arrays: list[Array]) -> int:
    """How often the body runs.

    Raises:
        InputError: for no data, or for data of several lengths.
    """
    lengths = {len(array) for array in arrays}
    if len(lengths) != 1:
        raise InputError(
            "F.contrib.foreach: expected data of one length along axis 0, "
            f"got ({', '.join(map(describe, arrays))})"
        )
    return lengths.pop()


def _flat(what: str, nested: Nested) -> list[Array]:
    if isinstance(nested, (list, tuple)):
        return [array for each in nested for array in _flat(what, each)]
    if not isinstance(nested, Array):
        kind = type(nested).__name__
        raise InputError(f"F.contrib.foreach: {what}: expected arrays, got {kind}")
    return [nested]


def _like(nested: Nested, arrays: list[Array]) -> Nested:
    """The arrays in the lists of a nested value."""
    left = iter(arrays)

    def build(part: Nested) -> Nested:
        return [build(each) for each in part] if isinstance(part, (list, tuple)) else next(left)

    return build(nested)


def while_loop(
    cond: Callable[..., Any],
    func: Callable[..., tuple[Nested, Nested]],
    loop_vars: Nested,
    max_iterations: int | None = None,
    name: str | None = None,
) -> tuple[Nested, Nested]:
    """Run a body while a condition of its variables holds.

    Args:
        cond: ``cond(*loop_vars)``, one number.
        func: ``func(*loop_vars)`` gives ``(outputs, new loop_vars)``.
        loop_vars: an array or a list of arrays.
        max_iterations: the most steps that are taken.
        name: MXNet's name of the operator, without meaning here.

    Returns:
        The outputs of the steps stacked along a new first axis of length ``max_iterations``,
        zeros after the last step, and the last variables.
    """
    _require_functions("while_loop", cond=cond, func=func)
    if max_iterations is None:
        raise InputError("F.contrib.while_loop: max_iterations has to be given")

    def call(function: Callable[..., Any], given: Nested) -> Any:
        return function(*given) if isinstance(given, (list, tuple)) else function(given)

    states, done = loop_vars, []
    outputs, _ = call(func, loop_vars)  # for the shapes
    for _ in range(max_iterations):
        if not bool(call(cond, states)):
            break
        outputs, found = call(func, states)
        states = _like(loop_vars, _flat("loop_vars", found))
        done.append([raw(each) for each in _flat("outputs", outputs)])
    stacked = []
    for i, each in enumerate(_flat("outputs", outputs)):
        whole = np.zeros((max_iterations, *each.shape), each.dtype)
        for step, row in enumerate(done):
            whole[step] = row[i]
        stacked.append(Array(whole))
    return _like(outputs, stacked), states


def cond(
    pred: Any,
    then_func: Callable[[], Nested],
    else_func: Callable[[], Nested],
    name: str | None = None,
) -> Nested:
    """The result of one of two functions: of the first one if ``pred`` is not zero."""
    _require_functions("cond", then_func=then_func, else_func=else_func)
    return then_func() if bool(pred) else else_func()


def BilinearResize2D(
    data: Any,
    like: Any = None,
    height: int | None = None,
    width: int | None = None,
    scale_height: float | None = None,
    scale_width: float | None = None,
    align_corners: bool = True,
    name: str | None = None,
) -> Array:
    """Images (N, C, H, W) in another size: the four neighbours of each place, weighed."""
    value = raw(data)
    if value.ndim != 4:
        raise InputError(f"BilinearResize2D: expected images (N, C, H, W), got {describe(data)}")
    sizes = list(value.shape[2:] if like is None else raw(like).shape[-2:])
    for axis, (size, scale) in enumerate(((height, scale_height), (width, scale_width))):
        if size is not None:
            sizes[axis] = size
        elif scale is not None:
            sizes[axis] = int(value.shape[2 + axis] * scale)
    for axis, size in enumerate(sizes, start=2):
        value = _resized(value, axis, size, align_corners)
    return Array(value)


def _resized(value: Raw, axis: int, size: int, align_corners: bool) -> Raw:
    """Between the two neighbours along an axis."""
    old = value.shape[axis]
    if align_corners:
        at = np.arange(size) * ((old - 1) / max(size - 1, 1))
    else:
        at = np.maximum((np.arange(size) + 0.5) * (old / size) - 0.5, 0)
    at = np.minimum(at, old - 1)
    first = np.floor(at)
    share = (at - first).reshape(-1, *(1,) * (value.ndim - axis - 1)).astype(value.dtype)
    low, high = (np.take(value, place.astype(np.int64), axis) for place in (first, np.ceil(at)))
    # the second neighbour of a place that is one itself has no weight, not zero times infinity
    return np.where(share == 0, low, low * (1 - share) + high * share)


def _called_as_declared(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of F.contrib whose body is the user's: what that raises stays what it is."""
    signature = inspect.signature(function)

    @functools.wraps(function)
    def call(*args: Any, **options: Any) -> Any:
        try:
            signature.bind(*args, **options)
        except TypeError as error:
            raise InputError(f"F.contrib.{function.__name__}: {error}") from None
        return function(*args, **options)

    return call


contrib = SimpleNamespace(
    BilinearResize2D=checked("contrib.BilinearResize2D", BilinearResize2D),
    CTCLoss=CTCLoss,
    boolean_mask=boolean_mask,
    cond=_called_as_declared(cond),
    ctc_loss=CTCLoss,
    fft=checked("contrib.fft", fft),
    foreach=_called_as_declared(foreach),
    ifft=checked("contrib.ifft", ifft),
    while_loop=_called_as_declared(while_loop),
)
