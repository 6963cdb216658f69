"""Plans: how a program computes arrays of certain sizes. A plan is made once, and kept.

There are four, each best at something:

- ``EnginePlan``: one call of the engine, which allocates the outputs. The least to do for each
  call, and so what small arrays get.
- ``BufferPlan``: the engine writes into arrays that are given. For ``out=``, for bound calls, for
  large results of kernels, and for bfloat16, which the engine's plain call cannot return.
- ``ShardedPlan``: shards of the batch on several threads, or in tiles; for large arrays and loops
  as long as there is no kernel, which the other plans run as they do a graph.
- ``DevicePlan``: arrays that lie on a device, where the outputs stay.

Arrays stand in the order of the program's inputs, results in that of its outputs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import InputError, ProviderError
from ..ir.dims import evaluate
from ..ir.types import numpy_dtype
from .arrays import shareable
from .buffer_pool import BufferPool
from .input_checks import check_out
from .session_cache import LoadedModel, SessionCache
from .sessions import bind_session, engine_call, onnxruntime
from .shards import ShardedRun

if TYPE_CHECKING:
    from ..compiler.program import Program

Array = np.ndarray[Any, Any]
Outcome = tuple[Sequence[Any], Collection[str]]  # the outputs, and the checks that failed
Step = Callable[[], Outcome]

# Calls after which a graph for one shape alone has paid for itself. Making it takes 10 to 100 ms;
# at 64 samples it takes 2 of HuberLoss's 9 us, which is twice that over these calls. In the
# catalogue it saves 3 % at the median, a quarter of a mean over features, and two thirds where many
# sizes are computed (Lovasz softmax); ONNX Runtime 1.32. No graph is made for large arrays.
# It may go when the engine prepares a shape's sizes itself: ``EnginePlan`` with and without
# ``_use(sessions.for_shape(sizes))`` then take the same time.
_SPECIALIZE_AFTER = 4000

NOTHING_FAILED: Collection[str] = ()


class Plan(ABC):
    """One way to compute a program's outputs from arrays of certain sizes."""

    @abstractmethod
    def bind(self, arrays: Sequence[Any], results: Sequence[Array]) -> Step:
        """What computes the outputs of arrays, as they are when it is called."""

    def results(self, out: Mapping[str, Array]) -> list[Array]:
        """The arrays to write into: those given, and others; none where the engine has its own."""
        return []

    def run(self, arrays: Sequence[Any]) -> Outcome:
        """Compute the outputs of arrays, into new ones."""
        return self.bind(arrays, self.results({}))()


class EnginePlan(Plan):
    """One call of the engine, which allocates the outputs."""

    def __init__(
        self,
        program: Program,
        model: LoadedModel,
        specialized: Callable[[], LoadedModel] | None = None,
    ) -> None:
        self._places = {node.attrs["name"]: i for i, node in enumerate(program.inputs)}
        self._outputs = list(program.outputs)
        self._specialized = specialized
        self._calls = 0
        self._use(model)

    def _use(self, model: LoadedModel) -> None:
        checks = [(len(self._outputs) + i, name) for i, name in enumerate(model.checks)]
        names = [*self._outputs, *model.checks]
        reads = [(name, self._places[name]) for name in model.inputs]
        run = engine_call(model.session)

        def call(arrays: Sequence[Array]) -> Outcome:
            outputs = run(names, {name: arrays[place] for name, place in reads}, None)
            for place, _ in checks:  # the last of them
                if outputs[place].item() > 0:  # to compare an array takes ten times as long
                    return outputs, [name for place, name in checks if outputs[place].item() > 0]
            return outputs, NOTHING_FAILED

        self._call = call
        if self._specialized is None:  # nothing is to be counted
            self.run = call  # type: ignore[method-assign]

    def bind(self, arrays: Sequence[Array], results: Sequence[Array]) -> Step:
        return partial(self.run, arrays)

    def run(self, arrays: Sequence[Array]) -> Outcome:
        calls = self._calls = self._calls + 1
        if calls == _SPECIALIZE_AFTER and self._specialized:
            self._use(self._specialized())
        return self._call(arrays)


class _WritingPlan(Plan):
    """A plan that writes into arrays, which come from a pool where a call brings none."""

    def __init__(self, program: Program, pool: BufferPool, sizes: Mapping[str, int]) -> None:
        self._pool = pool
        self._types = {name: node.type for name, node in program.outputs.items()}
        self._shapes = {
            name: tuple(evaluate(dim, sizes) for dim in type_.shape)
            for name, type_ in self._types.items()
        }
        self._inputs = [node.attrs["name"] for node in program.inputs]

    def results(self, out: Mapping[str, Array]) -> list[Array]:
        unknown = [name for name in out if name not in self._types]
        if unknown:
            raise InputError(f"out: the outputs are {list(self._types)}, not {unknown}")
        for name, array in out.items():
            check_out(name, array, self._types[name], self._shapes[name])
        return [out[name] if name in out else self._acquired(name) for name in self._types]

    def _acquired(self, name: str) -> Array:
        dtype = numpy_dtype(self._types[name].dtype)
        return self._pool.acquire(name, self._shapes[name], dtype)


class BufferPlan(_WritingPlan):
    """One call of the engine, which reads and writes arrays in place."""

    def __init__(
        self, program: Program, model: LoadedModel, pool: BufferPool, sizes: Mapping[str, int]
    ) -> None:
        super().__init__(program, pool, sizes)
        self._model = model

    def bind(self, arrays: Sequence[Array], results: Sequence[Array]) -> Step:
        session, reads, checks = self._model
        given = dict(zip(self._inputs, arrays, strict=True))
        into = dict(zip(self._types, results, strict=True))
        run = bind_session(session, {name: given[name] for name in reads}, into, checks)
        return lambda: (results, run())


class ShardedPlan(_WritingPlan):
    """Shards of the batch, each on a thread."""

    def __init__(
        self,
        program: Program,
        sessions: SessionCache,
        pool: BufferPool,
        sizes: Mapping[str, int],
        sharded: ShardedRun,
    ) -> None:
        super().__init__(program, pool, sizes)
        self._run_shards = partial(
            sharded.run,
            partial(sessions.for_shard, sessions.shard_target(sizes)),
            shards=sharded.shards(sizes),
            sizes=sizes,
        )

    def bind(self, arrays: Sequence[Array], results: Sequence[Array]) -> Step:
        given = dict(zip(self._inputs, arrays, strict=True))
        into = dict(zip(self._types, results, strict=True))
        return lambda: (results, self._run_shards(given, into))


class DevicePlan(Plan):
    """Arrays on a device, in and out: values of the engine, none copied that is there already."""

    def __init__(
        self,
        program: Program,
        sessions: SessionCache,
        sizes: Mapping[str, int],
        device: tuple[str, int],
    ) -> None:
        self._device = device
        self._inputs = [node.attrs["name"] for node in program.inputs]
        self._outputs = list(program.outputs)
        self._model = sessions.for_any_shape(sizes)

    def bind(self, arrays: Sequence[Any], results: Sequence[Array]) -> Step:
        session, reads, checks = self._model
        given = dict(zip(self._inputs, arrays, strict=True))
        binding = session.io_binding()
        for name in reads:
            binding.bind_ortvalue_input(name, engine_value(given[name]))
        for name in self._outputs:
            binding.bind_output(name, *self._device)
        for name in checks:
            binding.bind_output(name, "cpu")

        def step() -> Outcome:
            session.run_with_iobinding(binding)
            outputs = binding.get_outputs()
            counts = zip(checks, outputs[len(self._outputs) :], strict=True)
            failed = [name for name, count in counts if count.numpy() > 0]
            return outputs[: len(self._outputs)], failed

        return step


def engine_value(array: Any) -> Any:
    """An array that speaks DLPack as a value of the engine, in the same memory.

    Raises:
        ProviderError: if this ONNX Runtime cannot read DLPack.
    """
    ort_value = onnxruntime().OrtValue
    if not hasattr(ort_value, "from_dlpack"):
        raise ProviderError(
            f"ONNX Runtime {onnxruntime().__version__} does not read DLPack: "
            "move the arrays to the CPU, or install a newer release"
        )
    return ort_value.from_dlpack(shareable(array))
