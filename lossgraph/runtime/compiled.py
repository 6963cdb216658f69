"""Compiled losses: a program of definite input types, callable on arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..compiler.program import Program
from ..errors import InputError
from ..ir.types import numpy_dtype
from .arrays import device_of, kind_of, to_numpy
from .runner import Runner
from .sessions import engine_errors

Array = np.ndarray[Any, Any]
# Signatures of calls that are known to need no check.
_MOST_FAST_PATHS = 64
# Calls with arrays of one shape after which a graph for that shape alone has paid for itself.
_SPECIALIZE_AFTER = 4000


class Compiled:
    """A loss for inputs of definite types, in an ONNX Runtime session.

    Called with arrays by position or by name it returns the value, or ``(value, grads)`` if
    gradients were asked for, with ``grads`` a dict by input name.
    """

    def __init__(
        self,
        program: Program,
        providers: Any = None,
        opset: int | None = None,
        threads: int | None = None,
        tiles: int | None = None,
    ) -> None:
        self.program = program
        self._runner = Runner(program, providers, opset, threads, tiles)
        self._fast_paths: dict[Any, Any] = {}
        self._names = [node.attrs["name"] for node in program.inputs]
        self._known = dict.fromkeys(self._names).keys()
        inputs = zip(self._names, program.inputs, strict=True)
        self._scalars = {name: node.type for name, node in inputs if not node.type.rank}

    def __repr__(self) -> str:
        inputs = ", ".join(f"{node.attrs['name']}: {node.type}" for node in self.program.inputs)
        return f"<Compiled {self.program.name}({inputs}) -> {', '.join(self.program.outputs)}>"

    def _given(self, args: Sequence[Any], named: Mapping[str, Any]) -> dict[str, Any]:
        """Arrays by name."""
        if len(args) > len(self._names):
            raise InputError(f"{len(args)} arrays for the inputs {self._names}")
        given = dict(zip(self._names, args, strict=False))
        twice = set(given) & set(named)
        if twice:
            raise InputError(f"input {sorted(twice)[0]!r} is given by position and by name")
        return {**given, **named}

    def bind(
        self, *args: Any, out: Mapping[str, Any] | None = None, **named: Any
    ) -> Callable[[], Any]:
        """A function without arguments, for loops: it computes the outputs of these arrays.

        It reads numpy arrays in place, with what they hold when it is called, and writes into the
        same arrays each time: those of ``out``, and others of its own.

        Raises:
            InputError: as a call does, and for what is not in one piece of the CPU's memory.
        """
        arrays = self._given(args, named)
        for name, array in arrays.items():
            if not isinstance(array, np.ndarray):
                raise InputError(f"{name}: bind takes numpy arrays, got {type(array).__name__}")
        compute, results = self._runner.bind(arrays, _out_arrays(out) or {})
        answer = self._answer(results)

        def run() -> Any:
            compute()
            return answer

        return run

    def __call__(self, *args: Any, out: Mapping[str, Any] | None = None, **named: Any) -> Any:
        if out is None and not named and len(args) == len(self._names):
            fast = self._fast_paths.get(_signature(args))
            if fast is not None:
                return fast(args)
        return self.run(self._given(args, named), out)

    def call(self, arrays: Mapping[str, Any]) -> Any:
        """The same for arrays by name."""
        if arrays.keys() == self._known:
            return self(*[arrays[name] for name in self._names])
        return self.run(arrays)

    def _remember(self, arrays: Mapping[str, Any]) -> None:
        """Let calls with arrays of the same types, which ``run`` has taken, check nothing twice."""
        given = [arrays[name] for name in self._names if name in arrays]
        native = all(type(a) is np.ndarray and np.dtype(a.dtype.type) is a.dtype for a in given)
        if not native or _signature(given) in self._fast_paths:
            return
        if len(self._fast_paths) >= _MOST_FAST_PATHS:
            self._fast_paths.clear()
        sizes = self._runner.check(arrays)
        run = self._runner.fast_path(sizes)
        self._fast_paths[_signature(given)] = run and self._fast_path(run, sizes)

    def _fast_path(
        self, run: Callable[[Sequence[Array]], list[Array]], sizes: Mapping[str, int]
    ) -> Callable[..., Any]:
        """A fast run with its answer put together, or a careful one where that is refused."""
        several, wrt = self.program.several, self.program.wrt
        values, outputs = len(self.program.values), len(self.program.outputs)
        refused = engine_errors()
        calls = 0

        def fast(args: tuple[Array, ...]) -> Any:
            nonlocal run, calls
            calls += 1
            if calls == _SPECIALIZE_AFTER:
                run = self._runner.fast_path(sizes, specialized=True) or run
            try:
                found = run(args)
            except refused:  # a label that is no class
                return self.run(self._given(args, {}))
            for check in found[outputs:]:
                if check > 0:
                    return self.run(self._given(args, {}))
            value = tuple(found[:values]) if several else found[0]
            if not wrt:
                return value
            return value, dict(zip(wrt, found[values:]))  # noqa: B905, which costs time

        return fast

    def run(self, arrays: Mapping[str, Any], out: Mapping[str, Any] | None = None) -> Any:
        """The same for arrays by name, which are checked."""
        arrays = {name: self._as_array(name, value) for name, value in arrays.items()}
        first = next(iter(arrays.values()), np.empty(0))
        restore = kind_of(first)
        device = common_device(arrays)
        results: Mapping[str, Any]
        if device is not None:
            if out:
                raise InputError("out= takes arrays in the CPU's memory, the inputs are not there")
            results = self._runner.run_on_device(arrays, device)
        else:
            feeds = {name: to_numpy(name, value) for name, value in arrays.items()}
            results = self._runner.run(feeds, _out_arrays(out))
            if out is None:
                self._remember(arrays)
        answers = {
            name: out[name] if out and name in out else restore(value)
            for name, value in results.items()
        }
        return self._answer(answers)

    def _as_array(self, name: str, value: Any) -> Any:
        """A number is an array where the input is a scalar."""
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            return value
        type_ = self._scalars.get(name)
        if type_ is None or (isinstance(value, float) and not type_.is_float):
            return value  # refused with the other arrays that are not of their types
        return np.asarray(value, numpy_dtype(type_.dtype))

    def _answer(self, answers: Mapping[str, Any]) -> Any:
        """The value, or the value and gradients, of outputs by name."""
        values = [answers[name] for name in self.program.values]
        value = tuple(values) if self.program.several else values[0]
        if not self.program.wrt:
            return value
        return value, {name: answers[f"grad_{name}"] for name in self.program.wrt}


def _signature(args: Sequence[Any]) -> tuple[Any, ...]:
    """What a call is known by: numpy's dtypes are single objects, but for foreign byte orders."""
    return tuple([(a.shape, id(a.dtype)) for a in args if type(a) is np.ndarray])


def common_device(arrays: Mapping[str, Any]) -> tuple[str, int] | None:
    """The device that arrays are on, None for the CPU; arrays of the CPU may go along.

    Raises:
        InputError: for arrays on several devices.
    """
    found = {device_of(value) for value in arrays.values()} - {None}
    if len(found) > 1:
        raise InputError(f"the arrays are on several devices: {sorted(map(str, found))}")
    return next(iter(found), None)


def _out_arrays(out: Mapping[str, Any] | None) -> dict[str, np.ndarray[Any, Any]] | None:
    if out is None:
        return None
    if not isinstance(out, Mapping):
        raise InputError(f"out: expected arrays by output name, got {type(out).__name__}")
    return {name: to_numpy(f"out[{name!r}]", array) for name, array in out.items()}
