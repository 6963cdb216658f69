"""Running: programs in ONNX Runtime's sessions, and the checks that it does not make.

The engine reads big-endian arrays as garbage, lets dims that share a name differ, wraps the
label -1 to the last class and falls back to the CPU where a provider is missing. All of that
is rejected here, before it sees the arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ..compiler.program import INVALID_LABEL
from ..errors import InputError, ProviderError
from ..ir.dims import evaluate
from ..ir.evaluate import evaluate as evaluate_exprs
from ..ir.expr import Expr, inputs_of
from ..ir.types import numpy_dtype
from ..passes.assumptions import ASSUMPTION_FAILED
from .arrays import shareable, stand_in
from .buffer_pool import BufferPool
from .input_checks import check_arrays, check_labels, check_out, class_count
from .session_cache import SessionCache
from .sessions import bind, engine_errors, onnxruntime, run_session
from .shards import ShardedRun, Shards

if TYPE_CHECKING:
    from ..compiler.program import Program

Array = np.ndarray[Any, Any]


class Runner:
    """A program in a session: checks its inputs, runs, returns outputs by name."""

    def __init__(
        self,
        program: Program,
        providers: Any = None,
        opset: int | None = None,
        threads: int | None = None,
        tiles: int | None = None,
    ) -> None:
        self.program = program
        self._sessions = SessionCache(program, providers, opset, threads)
        batch = self._sessions.batch
        self._sharded = ShardedRun(program, batch, threads, tiles) if batch else None
        self._types = {node.attrs["name"]: node.type for node in program.inputs}
        self._outputs = list(program.outputs)
        self._buffers = BufferPool()
        self._dtypes = {name: node.dtype for name, node in program.outputs.items()}
        derived = ((_source(label), classes) for label, classes in program.derived)
        self._classes = (*program.labels, *derived)

    def run(
        self, arrays: Mapping[str, Array], out: Mapping[str, Array] | None = None
    ) -> dict[str, Array]:
        """The outputs for arrays by input name; into ``out`` where it has one.

        Raises:
            InputError: for arrays that the program's types, sizes or classes do not allow.
        """
        sizes = self.check(arrays)
        with self._translate_engine_errors(lambda: arrays, sizes) as should_retry:
            while True:
                results, failed = self._run_once(arrays, out or {}, sizes)
                if not should_retry(failed):
                    return results

    def _run_once(
        self, arrays: Mapping[str, Array], out: Mapping[str, Array], sizes: Mapping[str, int]
    ) -> tuple[dict[str, Array], set[str]]:
        """The outputs, and the checks that failed."""
        if out or self._shards(sizes):
            results = self._results(sizes, out)
            return results, self._bound(arrays, results, sizes)()
        session, inputs, checks = self._sessions.for_any_shape(sizes)
        dtypes = {**self._dtypes, **dict.fromkeys(checks, "int64")}
        results = run_session(session, {name: arrays[name] for name in inputs}, dtypes)
        return results, {name for name in checks if (results.pop(name) > 0).any()}

    def bind(
        self, arrays: Mapping[str, Array], out: Mapping[str, Array]
    ) -> tuple[Callable[[], None], dict[str, Array]]:
        """What computes the outputs of arrays, as they are when it is called; and the outputs.

        Raises:
            InputError: as ``run`` does, and for arrays that are not C-contiguous. Calling the
                result raises InputError for labels that are not valid class indices.
        """
        sizes = self.check(arrays)
        for name, array in arrays.items():
            if not array.flags.c_contiguous:
                raise InputError(
                    f"{name}: bind takes C-contiguous arrays, which it can read in place"
                )
        results = self._results(sizes, out)
        run = self._bound(arrays, results, sizes)

        def compute() -> None:
            nonlocal run
            with self._translate_engine_errors(lambda: arrays, sizes) as should_retry:
                while should_retry(run()):
                    run = self._bound(arrays, results, sizes)

        return compute, results

    def run_on_device(self, arrays: Mapping[str, Any], device: tuple[str, int]) -> dict[str, Any]:
        """The outputs as values of ONNX Runtime on a device, for arrays that speak DLPack.

        No array is copied that is on the device already.

        Raises:
            InputError: for arrays that the program does not allow.
            ProviderError: if this ONNX Runtime cannot read DLPack.
        """
        ort_value = onnxruntime().OrtValue
        if not hasattr(ort_value, "from_dlpack"):
            raise ProviderError(
                f"ONNX Runtime {onnxruntime().__version__} does not read DLPack: "
                "move the arrays to the CPU, or install a newer release"
            )
        values = {name: ort_value.from_dlpack(shareable(v)) for name, v in arrays.items()}
        sizes = self.check({name: stand_in(name, value) for name, value in arrays.items()})
        session, inputs, checks = self._sessions.for_any_shape(sizes)
        binding = session.io_binding()
        for name in inputs:
            binding.bind_ortvalue_input(name, values[name])
        for name in self._outputs:
            binding.bind_output(name, *device)
        for name in checks:
            binding.bind_output(name, "cpu")
        with self._translate_engine_errors(
            lambda: {k: v.numpy() for k, v in values.items()}, sizes
        ) as should_retry:
            session.run_with_iobinding(binding)
            found = binding.get_outputs()
            results = dict(zip([*self._outputs, *checks], found, strict=True))
            should_retry({name for name in checks if (results.pop(name).numpy() > 0).any()})
        return results

    def fast_path(
        self, sizes: Mapping[str, int], specialized: bool = False
    ) -> Callable[[Sequence[Array]], list[Array]] | None:
        """What runs arrays of these sizes, in order: the outputs, and those that guard them.

        Nothing is checked, as ``run`` has taken such arrays. None where a call is not one call of
        the engine.

        Args:
            sizes: of named dims.
            specialized: whether to use a graph for these sizes alone.
        """
        if self._shards(sizes) or "bfloat16" in self._dtypes.values():
            return None
        graph = (
            self._sessions.for_shape(sizes) if specialized else self._sessions.for_any_shape(sizes)
        )
        names, run, reads = [*self._dtypes, *graph.checks], graph.session.run, graph.inputs
        if reads == list(self._types):
            return lambda given: run(names, dict(zip(reads, given)))  # noqa: B905, for time
        places = [(name, list(self._types).index(name)) for name in reads]
        return lambda given: run(names, {name: given[place] for name, place in places})

    def check(self, arrays: Mapping[str, Array]) -> dict[str, int]:
        """Compare arrays with the program's inputs; the value of each named dim."""
        sizes = check_arrays(self._types, arrays)
        self._check_constraints(sizes)
        for label, classes in self._classes:
            class_count(label, classes, sizes)
        return sizes

    def _check_labels(self, arrays: Mapping[str, Array], sizes: Mapping[str, int]) -> None:
        """Name the first label that is no class, now that the graph has counted one."""
        for name, classes in self.program.labels:
            check_labels(name, arrays[name], classes, sizes)
        for label, classes in self.program.derived:
            (values,) = evaluate_exprs([label], arrays, sizes)
            check_labels(_source(label), values, classes, sizes)

    def _check_constraints(self, sizes: Mapping[str, int]) -> None:
        for left, right in self.program.constraints:
            a, b = evaluate(left, sizes), evaluate(right, sizes)
            if a != b:
                raise InputError(
                    f"sizes {left} and {right} must be equal, here they are {a} and {b}"
                    f" ({', '.join(f'{k}={v}' for k, v in sizes.items())})"
                )

    def _shards(self, sizes: Mapping[str, int]) -> Shards:
        return self._sharded.shards(sizes) if self._sharded else []

    def _bound(
        self,
        arrays: Mapping[str, Array],
        results: Mapping[str, Array],
        sizes: Mapping[str, int],
    ) -> Callable[[], set[str]]:
        """What runs into arrays, in parts if that is better; it gives the guards failed then."""
        shards = self._shards(sizes)
        if self._sharded and shards:
            run, session_for = self._sharded.run, self._sessions.for_shard
            return partial(run, session_for, arrays, results, shards, sizes)
        session, inputs, checks = self._sessions.for_any_shape(sizes)
        return bind(session, {name: arrays[name] for name in inputs}, results, checks)

    @contextmanager
    def _translate_engine_errors(
        self, arrays: Callable[[], Mapping[str, Array]], sizes: Mapping[str, int]
    ) -> Iterator[Callable[[set[str]], bool]]:
        """Runs inside: what label is rejected, by the engine or a guard, is found out.

        It gives what takes the checks that failed: whether to run again, more carefully.
        """

        def should_retry(failed: set[str]) -> bool:
            if INVALID_LABEL in failed:
                self._check_labels(arrays(), sizes)
            self._sessions.finite &= ASSUMPTION_FAILED not in failed
            return ASSUMPTION_FAILED in failed

        try:
            yield should_retry
        except engine_errors():
            self._check_labels(arrays(), sizes)
            raise

    def _results(self, sizes: Mapping[str, int], out: Mapping[str, Array]) -> dict[str, Array]:
        """Arrays for the outputs: those given, and new ones."""
        unknown = [name for name in out if name not in self._outputs]
        if unknown:
            raise InputError(f"out: the outputs are {self._outputs}, not {unknown}")
        results = {}
        for name in self._outputs:
            type_ = self.program.outputs[name].type
            shape = tuple(evaluate(dim, sizes) for dim in type_.shape)
            if name in out:
                check_out(name, out[name], type_, shape)
            dtype = numpy_dtype(type_.dtype)
            results[name] = out[name] if name in out else self._buffers.acquire(name, shape, dtype)
        return results


def _source(label: Expr) -> str:
    """The input that a computed label comes from, by what is known: the one of highest rank."""
    name: str = max(inputs_of([label]), key=lambda node: node.rank).attrs["name"]
    return name
