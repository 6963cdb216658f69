"""Running: arrays are checked, a plan computes their outputs, and its own checks are heeded.

A call goes through ``bind`` from top to bottom: the sizes of the arrays, the plan for these
sizes, the plan's step, and once more with less assumed if a check says so.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ..compiler.program import INVALID_LABEL
from ..errors import InputError
from ..ir.dims import Dim, evaluate, product
from ..ir.evaluate import evaluate as evaluate_exprs
from ..ir.expr import Expr, inputs_of, rename_sizes
from ..ir.ops.labels import first_outside
from ..ir.types import numpy_dtype
from ..passes.assumptions import ASSUMPTION_FAILED
from .arrays import stand_in
from .buffer_pool import BufferPool
from .input_checks import check_arrays, check_labels, class_count
from .kernel_request import KernelRequest, Kernels
from .plans import BufferPlan, DevicePlan, EnginePlan, Plan, ShardedPlan, engine_value
from .session_cache import SessionCache, loaded
from .sessions import engine_errors
from .shards import ShardedRun, Shards

if TYPE_CHECKING:
    from ..compiler.program import Program
    from .kernel_build import BuiltKernel

Array = np.ndarray[Any, Any]
Device = tuple[str, int]

# Plans that are kept. Making one costs about what checking a call does (20 us; 0.2 ms where shards
# are to be found), so a data set of more shapes than that loses little.
_MOST_PLANS = 64
# Bytes of results from which on a kernel writes them where they are to be. The engine's plain call
# copies them once more, but takes 3 us less for the call.
_LARGE_RESULTS = 1 << 16


class Runner:
    """A program in ONNX Runtime: arrays by input name in, outputs in the program's order out."""

    def __init__(
        self,
        program: Program,
        providers: Any = None,
        opset: int | None = None,
        threads: int | None = None,
        tiles: int | None = None,
        kernels: Kernels = False,
        forget: Callable[[], None] = lambda: None,
    ) -> None:
        self.program, self._forget = program, forget
        self._sessions = SessionCache(program, providers, opset, threads)
        batch = self._sessions.batch
        self._sharded = ShardedRun(program, batch, threads, tiles) if batch else None
        self._pool = BufferPool()
        self._engine_errors = engine_errors()
        self._plans: dict[Any, Plan] = {}
        self._types = {node.attrs["name"]: node.type for node in program.inputs}
        types = (*self._types.values(), *(node.type for node in program.outputs.values()))
        self._has_bfloat16 = any(type_.dtype == "bfloat16" for type_ in types)
        derived = ((_source(label), classes) for label, classes in program.derived)
        self._classes = (*program.labels, *derived)
        self.kernel = KernelRequest(program, kernels, providers, threads, self._use_kernel)

    def run(
        self,
        arrays: Mapping[str, Any],
        out: Mapping[str, Array] | None = None,
        device: Device | None = None,
    ) -> Sequence[Any]:
        """The outputs for arrays by input name; into ``out`` where it has one.

        Raises:
            InputError: for arrays that the program's types, sizes or classes do not allow.
        """
        outputs = self.bind(arrays, out, device, in_place=bool(out))()
        self.kernel.called()  # from now on, so that the first call waits for nothing
        return outputs

    def bind(
        self,
        arrays: Mapping[str, Any],
        out: Mapping[str, Array] | None = None,
        device: Device | None = None,
        in_place: bool = True,
    ) -> Callable[[], Sequence[Any]]:
        """What computes the outputs of arrays, as they are when it is called.

        Args:
            arrays: arrays by input name.
            out: arrays by output name to write into.
            device: where the arrays are, and the outputs are to be; None for the CPU's memory.
            in_place: write into the same arrays each time.

        Raises:
            InputError: as ``run`` does. Calling the result raises InputError for labels that are
                not valid class indices.
        """
        sizes = self.check(arrays)
        ordered = [arrays[name] for name in self._types]
        plan = self.plan(sizes, device, in_place)
        results = plan.results(out or {})
        step, plans = plan.bind(ordered, results), self._plans

        def run() -> Sequence[Any]:
            nonlocal step, plans
            while True:
                if plans is not self._plans:
                    plans = self._plans
                    step = self.plan(sizes, device, in_place).bind(ordered, results)
                try:
                    outputs, failed = step()
                except self._engine_errors as error:
                    # ONNX Runtime rejects most labels that are no index
                    self._check_labels(arrays, sizes)
                    if not self._go_on_without_kernel(error):
                        raise
                else:
                    if not failed or not self._should_retry(failed, arrays, sizes):
                        return outputs

        return run

    def check(self, arrays: Mapping[str, Any]) -> dict[str, int]:
        """Compare arrays with the program's inputs; the value of each named dim."""
        sizes = check_arrays(self._types, {n: stand_in(n, array) for n, array in arrays.items()})
        for left, right in self.program.constraints:
            a, b = evaluate(left, sizes), evaluate(right, sizes)
            if a != b:
                raise InputError(
                    f"sizes {left} and {right} must be equal, here they are {a} and {b}"
                    f" ({', '.join(f'{k}={v}' for k, v in sizes.items())})"
                )
        for label, classes in self._classes:
            class_count(label, classes, sizes)
        return sizes

    def plan(
        self, sizes: Mapping[str, int], device: Device | None = None, in_place: bool = False
    ) -> Plan:
        """The plan for arrays of these sizes, made when they are first seen."""
        key = tuple(sizes.values()), device, in_place
        plans = self._plans  # what is made while another thread has new ones is not kept
        plan = plans.get(key)
        if plan is None:
            if len(plans) >= _MOST_PLANS:
                plans.clear()
            plan = plans[key] = self._make_plan(sizes, device, in_place)
        return plan

    def _make_plan(self, sizes: Mapping[str, int], device: Device | None, in_place: bool) -> Plan:
        if 0 in sizes.values():
            self._check_empty(sizes)
        if device is not None:
            return DevicePlan(self.program, self._sessions, sizes, device)
        in_place = in_place or self._has_bfloat16
        kernel = self._sessions.kernel
        if kernel is not None:
            if in_place or self._result_bytes(sizes) >= _LARGE_RESULTS:
                return BufferPlan(self.program, kernel, self._pool, sizes)
            return EnginePlan(self.program, kernel)
        if self._sharded is not None and self.shards(sizes):
            return ShardedPlan(self.program, self._sessions, self._pool, sizes, self._sharded)
        model = self._sessions.for_any_shape(sizes)
        if in_place:
            return BufferPlan(self.program, model, self._pool, sizes)
        return EnginePlan(self.program, model, partial(self._sessions.for_shape, sizes))

    def _result_bytes(self, sizes: Mapping[str, int]) -> int:
        types = (node.type for node in self.program.outputs.values())
        return sum(
            evaluate(product(type_.shape), sizes) * numpy_dtype(type_.dtype).itemsize
            for type_ in types
        )

    def _use_kernel(self, kernel: BuiltKernel | None) -> None:
        """Compute with a kernel from now on, or with graphs again."""
        self._sessions.kernel = loaded(kernel.session) if kernel else None
        self._start_anew()

    def _start_anew(self) -> None:
        """Make all plans anew: other ones are better now."""
        self._plans = {}
        self._forget()

    def _go_on_without_kernel(self, error: Exception) -> bool:
        """Whether it was a kernel that failed, and there need not be one."""
        if self._sessions.kernel is None or self.kernel.required:
            return False
        self.kernel.refuse(error)
        return True

    def _check_empty(self, sizes: Mapping[str, int]) -> None:
        """Ask the types' rules, which know what an axis of length zero has not."""
        try:
            rename_sizes(list(self.program.outputs.values()), sizes)
        except InputError as error:
            listed = ", ".join(f"{name}={size}" for name, size in sizes.items())
            raise InputError(f"{error} (for sizes {listed})") from None

    def shards(self, sizes: Mapping[str, int]) -> Shards:
        """The shards that a batch of these sizes is computed in; empty for all at once."""
        return self._sharded.shards(sizes) if self._sharded else []

    def _should_retry(
        self, failed: Collection[str], arrays: Mapping[str, Any], sizes: Mapping[str, int]
    ) -> bool:
        """Whether an assumption failed, which is not made again; an InputError for a label."""
        if INVALID_LABEL in failed:
            self._check_labels(arrays, sizes)
        if ASSUMPTION_FAILED not in failed:
            return False
        self._sessions.finite = False
        self._start_anew()
        return True

    def _check_labels(self, arrays: Mapping[str, Any], sizes: Mapping[str, int]) -> None:
        """Raise an InputError that names the first invalid label, if there is one."""
        on_cpu = {name: _on_cpu(array) for name, array in arrays.items()}
        check_class_labels((*self.program.labels, *self.program.derived), on_cpu, sizes)


def check_class_labels(
    labels: Iterable[tuple[str | Expr, Dim]], arrays: Mapping[str, Array], sizes: Mapping[str, int]
) -> None:
    """Refuse labels, inputs or expressions of inputs, that are none of the classes.

    Raises:
        InputError: naming the first.
    """
    for label, classes in labels:
        if isinstance(label, str):
            check_labels(label, arrays[label], classes, sizes)
            continue
        (values,) = evaluate_exprs([label], arrays, sizes)
        outside = first_outside(values, evaluate(classes, sizes))
        if outside is not None:
            check_labels(_holder(label, arrays, values, outside), values, classes, sizes)


def _on_cpu(array: Any) -> Array:
    copied: Array = array if isinstance(array, np.ndarray) else engine_value(array).numpy()
    return copied


def _holder(label: Expr, arrays: Mapping[str, Array], values: Array, place: tuple[int, ...]) -> str:
    """The input that a computed label was found in: that has the same value in the same place."""
    for node in inputs_of([label]):
        name: str = node.attrs["name"]
        array = arrays[name]
        if array.shape == values.shape and array[place].astype(values.dtype) == values[place]:
            return name
    return _source(label)


def _source(label: Expr) -> str:
    """The input that a computed label comes from, by what is known: the one of highest rank."""
    name: str = max(inputs_of([label]), key=lambda node: node.rank).attrs["name"]
    return name
