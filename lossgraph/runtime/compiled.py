"""Compiled losses: a program of definite input types, callable on arrays.

A call is taken here (by position or by name, arrays of any kind), computed by the ``Runner``, and
answered here (the value, the gradients by name, in arrays of the kind that came in).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..bridges import bridge_for
from ..compiler.derivatives import pullback, with_gradients
from ..compiler.program import Program
from ..errors import InputError
from ..ir.dims import evaluate
from ..ir.types import numpy_dtype
from ..symbolic.arguments import checked
from .arrays import device_of, kind_of, to_numpy
from .kernel_request import Kernels, kernels_setting
from .plans import Plan
from .runner import Runner
from .sessions import engine_errors

Array = np.ndarray[Any, Any]
_NUMPY = np.ndarray
# Signatures whose calls go the fast path. What is not among them is checked, for some 20 us.
_MOST_FAST_PATHS = 64


class Compiled:
    """A loss for inputs of definite types, in an ONNX Runtime session.

    Called with arrays by position or by name it returns the value, or ``(value, grads)`` if
    gradients were asked for, with ``grads`` a dict by input name. Where the loss has auxiliary
    outputs the value is ``(value, {name: output})``.
    """

    def __init__(
        self,
        program: Program,
        providers: Any = None,
        opset: int | None = None,
        threads: int | None = None,
        tiles: int | None = None,
        kernels: Kernels | None = None,
    ) -> None:
        self.program = program
        self._settings = (providers, opset, threads, tiles, kernels_setting(kernels))
        self._fast_paths: dict[tuple[Any, ...] | None, Plan] = {}
        self._runner = Runner(program, *self._settings, self._forget)
        self.answer = _answer_of(program)
        self._engine_errors = engine_errors()
        self._derived: dict[Any, Compiled] = {}
        self._names = [node.attrs["name"] for node in program.inputs]
        self._known = dict.fromkeys(self._names).keys()
        inputs = zip(self._names, program.inputs, strict=True)
        self._scalars = {name: node.type for name, node in inputs if not node.type.rank}

    def __repr__(self) -> str:
        inputs = ", ".join(f"{node.attrs['name']}: {node.type}" for node in self.program.inputs)
        return f"<Compiled {self.program.name}({inputs}) -> {', '.join(self.program.outputs)}>"

    def _repr_html_(self) -> str:
        """A card of the program for notebooks."""
        return self.program._repr_html_()

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy has sessions of its own, made from the same program."""
        return type(self), (self.program, *self._settings)

    def __call__(self, *args: Any, out: Mapping[str, Any] | None = None, **named: Any) -> Any:
        if out is None and not named:
            plan = self._fast_paths.get(signature_of(args))
            if plan is not None:
                try:
                    outputs, failed = plan.run(args)
                    if not failed:
                        return self.answer(outputs)
                except self._engine_errors:
                    pass  # as where it failed: ``run`` says why, or makes another plan
        elif out is None and len(args) + len(named) == len(self._names):
            return self.call(self._given(args, named))
        return self.run(self._given(args, named), out)

    def call(self, arrays: Mapping[str, Any]) -> Any:
        """The same for arrays by name."""
        if arrays.keys() == self._known:
            return self(*[arrays[name] for name in self._names])
        return self.run(arrays)  # which says what is missing

    @checked
    def run(self, arrays: Mapping[str, Any], out: Mapping[str, Any] | None = None) -> Any:
        """The same for arrays by name, which are checked."""
        arrays = {name: self._as_array(name, value) for name, value in arrays.items()}
        bridge = bridge_for(arrays.values())
        if bridge is None:
            return self.answer(self.outputs(arrays, out))
        if out:
            raise InputError("out= takes numpy arrays, and no inputs that are differentiated")
        return bridge(self, arrays)

    def outputs(
        self,
        arrays: Mapping[str, Any],
        out: Mapping[str, Any] | None = None,
        like: Any = None,
    ) -> list[Any]:
        """The outputs in order, in arrays of the kind of ``like``, by default the first input."""
        device = common_device(arrays)
        if device is not None and out:
            raise InputError("out= takes arrays in the CPU's memory, the inputs are not there")
        if device is None:
            feeds = {name: to_numpy(name, value) for name, value in arrays.items()}
            outputs = self._runner.run(feeds, _out_arrays(out))
            if out is None:
                self._remember(arrays)
        else:
            outputs = self._runner.run(arrays, device=device)
        restore = kind_of(next(iter(arrays.values()), np.empty(0)) if like is None else like)
        given = out or {}
        named = zip(self.program.outputs, outputs, strict=False)  # checks may follow
        return [given[n] if n in given else restore(value) for n, value in named]

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
            _check_bindable(name, array)
        compute, answer = self._runner.bind(arrays, _out_arrays(out)), self.answer
        self._runner.kernel.start()  # what is bound is called often
        return lambda: answer(compute())

    @property
    def kernel_status(self) -> str:
        """How it stands with the fused kernel, as a sentence; why there is none."""
        return self._runner.kernel.status

    def output_types(self, arrays: Mapping[str, Any]) -> list[tuple[Any, tuple[int, ...]]]:
        """numpy's dtype and the shape of each output for arrays of these types."""
        sizes = self._runner.check(arrays)
        types = [node.type for node in self.program.outputs.values()]
        return [
            (numpy_dtype(type_.dtype), tuple(evaluate(dim, sizes) for dim in type_.shape))
            for type_ in types
        ]

    # --- derivatives, for frameworks that differentiate through a call ---

    def with_gradients(self, wrt: tuple[str, ...]) -> Compiled:
        """Its outputs, and then the gradients of the value's sum by inputs."""
        return self._derive(with_gradients, wrt)

    def pullback(self, wrt: tuple[str, ...]) -> Compiled:
        """The cotangents of inputs, a tuple, from its inputs and the cotangents of its outputs."""
        return self._derive(pullback, wrt)

    def _derive(
        self, derive: Callable[[Program, Sequence[str]], Program], wrt: tuple[str, ...]
    ) -> Compiled:
        found = self._derived.get((derive, wrt))
        if found is None:
            found = Compiled(derive(self.program, wrt), *self._settings)
            self._derived[derive, wrt] = found
        return found

    # --- the fast path: arrays of the types and shapes of a call that was checked ---

    def _remember(self, arrays: Mapping[str, Any]) -> None:
        """Let calls with arrays of the same types, which ``run`` has taken, check nothing twice."""
        if self._runner.kernel.is_awaited:  # which the next call asks for, on the same way
            return
        given = [arrays[name] for name in self._names]
        paths = self._fast_paths  # before the plan: another one may be better when it is made
        signature = signature_of(given)
        if signature is None or signature in paths:
            return
        if len(paths) >= _MOST_FAST_PATHS:
            paths.clear()
        paths[signature] = self._runner.plan(self._runner.check(arrays))

    def _forget(self) -> None:
        """Make plans anew: there are better ones now."""
        self._fast_paths = {}

    # --- arguments and answers ---

    def _given(self, args: Sequence[Any], named: Mapping[str, Any]) -> dict[str, Any]:
        """Arrays by name."""
        if len(args) > len(self._names):
            raise InputError(f"{len(args)} arrays for the inputs {self._names}")
        given = dict(zip(self._names, args, strict=False))
        twice = set(given) & set(named)
        if twice:
            raise InputError(f"input {sorted(twice)[0]!r} is given by position and by name")
        return {**given, **named}

    def _as_array(self, name: str, value: Any) -> Any:
        """A number is an array where the input is a scalar."""
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            return value
        type_ = self._scalars.get(name)
        if type_ is None or (isinstance(value, float) and not type_.is_float):
            return value  # rejected with the other arrays that are not of their types
        return np.asarray(value, numpy_dtype(type_.dtype))


def _answer_of(program: Program) -> Callable[[Sequence[Any]], Any]:
    """What makes the answer of a call from outputs in order: values, auxiliary ones, gradients."""
    several, aux, wrt = program.several, program.aux, program.wrt
    values = len(program.values)
    gradients = values + len(aux)

    def value_and_gradient(outputs: Sequence[Any]) -> Any:
        return outputs[0], {wrt[0]: outputs[1]}

    def answer(outputs: Sequence[Any]) -> Any:
        value = tuple(outputs[:values]) if several else outputs[0]
        if aux:
            value = value, dict(zip(aux, outputs[values:gradients], strict=True))
        if not wrt:
            return value
        return value, dict(zip(wrt, outputs[gradients:]))  # noqa: B905, as checks may follow

    only_one = not several and not aux and len(wrt) == 1  # what most losses have, in half the time
    return value_and_gradient if only_one else answer


def signature_of(args: Sequence[Any]) -> tuple[Any, ...] | None:
    """What a call is known by, shapes and dtypes one after the other; None for other arrays."""
    signature: tuple[Any, ...] = ()
    for array in args:
        if type(array) is not _NUMPY:
            return None
        signature += array.shape
        signature += (array.dtype,)
    return signature


def common_device(arrays: Mapping[str, Any]) -> tuple[str, int] | None:
    """The device that arrays are on, None for the CPU; arrays of the CPU may go along.

    Raises:
        InputError: for arrays on several devices.
    """
    devices = {device_of(value) for value in arrays.values()} - {None}
    if len(devices) > 1:
        raise InputError(f"the arrays are on several devices: {sorted(map(str, devices))}")
    return next(iter(devices), None)


def _out_arrays(out: Mapping[str, Any] | None) -> dict[str, np.ndarray[Any, Any]] | None:
    if out is None:
        return None
    if not isinstance(out, Mapping):
        raise InputError(f"out: expected arrays by output name, got {type(out).__name__}")
    return {name: to_numpy(f"out[{name!r}]", array) for name, array in out.items()}


def _check_bindable(name: str, array: Any) -> None:
    if not isinstance(array, np.ndarray):
        raise InputError(f"{name}: bind takes numpy arrays, got {type(array).__name__}")
    if not array.flags.c_contiguous:
        raise InputError(f"{name}: bind takes C-contiguous arrays, which it can read in place")
