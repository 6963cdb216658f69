"""The sessions of a program, each made when it is first needed.

One model serves all sizes, but not all equally well: a variant with more operators pays where
arrays are large, and where no array is empty there is less to take care of. So there are sessions
for any shape (a few, by kinds of sizes), for one shape alone, and for shards of a batch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from ..compiler.outputs import by_name, with_expressions
from ..compiler.program import INVALID_LABEL
from ..compiler.tiles import shard_model
from ..ir.dims import evaluate, product
from ..ir.expr import rename_sizes, toposort
from ..ir.ops.sums import LongSums, long_sums
from ..lowering.lower import lower
from ..passes.assumptions import ASSUMPTION_FAILED
from ..passes.batch_partition import BatchPartition, partition_batch
from ..passes.costs import Target
from .sessions import first_provider, make_session

if TYPE_CHECKING:
    from ..compiler.program import Program

# Elements of the largest input from which on operators are chosen for large arrays. Sigmoid
# cross-entropy with its gradient takes 32 us with those for small arrays and 37 with those for
# large ones at 4,000 elements, 82 and 67 at 16,000, 243 and 167 at 50,000 (ONNX Runtime 1.32). It
# may go with the last variant of an operation.
_LARGE = 50_000
_SMALL_ARRAYS, _LARGE_ARRAYS = 4_000, 250_000  # elements that operators are chosen for
# A shard of a batch is not empty, and is computed on the CPU.
SHARD_TARGET = Target("cpu", nonempty=True)


class LoadedModel(NamedTuple):
    """A session, the inputs that it reads, and those of its outputs that are checks."""

    session: Any
    inputs: list[str]
    checks: list[str]


def loaded(session: Any) -> LoadedModel:
    """A session with the names of its inputs and checks."""
    made = [node.name for node in session.get_outputs()]
    return LoadedModel(
        session,
        [node.name for node in session.get_inputs()],
        [name for name in (INVALID_LABEL, ASSUMPTION_FAILED) if name in made],
    )


class SessionCache:
    """The sessions of a program on one provider.

    Attributes:
        batch: the dim that a batch can be sharded along, and what its shards compute; None where
            samples depend on each other, and on other providers than the CPU.
        finite: whether numbers are taken for finite; false once they were not.
        kernel: what computes any sizes on the CPU better than graphs do, once it is there.
    """

    def __init__(
        self, program: Program, providers: Any, opset: int | None, threads: int | None
    ) -> None:
        self._program, self._providers = program, providers
        self._opset = opset
        self._provider = first_provider(providers)
        self.batch = self._find_batch()
        nodes = toposort(program.outputs.values())
        self._has_variants = any(node.op.variants for node in nodes)
        # An operator inside a scan is too small for a second thread; shards of the batch are not.
        loops = any(node.op.has_body for node in nodes)
        self._threads = 1 if loops and self.batch else threads
        self.finite = self._provider == "cpu"
        self.kernel: LoadedModel | None = None
        self._for_any_shape: dict[Target, LoadedModel] = {}
        self._shard_models: dict[tuple[bool, Target], bytes] = {}
        self._for_shard: dict[tuple[int, bool, Target], LoadedModel] = {}
        if self._provider != "cpu":  # its driver may be missing, which users should hear now
            self.for_any_shape({})

    def for_any_shape(self, sizes: Mapping[str, int]) -> LoadedModel:
        """The session for whole batches: sizes are dynamic, and such sizes choose its operators."""
        target = self._target(sizes)
        if target not in self._for_any_shape:
            model = self._program.to_onnx(self._opset, target)
            self._for_any_shape[target] = loaded(
                make_session(model, self._providers, self._threads)
            )
        return self._for_any_shape[target]

    def for_shape(self, sizes: Mapping[str, int]) -> LoadedModel:
        """The session for exactly these sizes, which are constants there, if arrays are small.

        On small arrays an operator costs what calling it does; the engine computes beforehand what
        follows from constants, and so calls fewer.
        """
        if self._is_large(sizes):
            return self.for_any_shape(sizes)
        target = self._target(sizes)
        outputs = self._program.graph_outputs(target)
        renamed = rename_sizes([*self._program.inputs, *(output.expr for output in outputs)], sizes)
        count = len(self._program.inputs)
        model = lower(
            renamed[:count],
            by_name(with_expressions(outputs, renamed[count:])),
            opset=self._opset,
            target=target,
        )
        return loaded(make_session(model, self._providers, self._threads))

    def shard_target(self, sizes: Mapping[str, int]) -> Target:
        """What the graph of shards is made for; asked once a plan, since it walks the graph."""
        assert self.batch is not None
        sums = long_sums(self.batch.per_shard.values(), sizes)
        return replace(SHARD_TARGET, finite=self.finite, long_sums=sums)

    def for_shard(self, target: Target, thread: int, tiled: bool) -> LoadedModel:
        """The session of a thread for its shards: in one they would wait for its memory."""
        key = thread, tiled, target
        if key not in self._for_shard:
            self._for_shard[key] = loaded(make_session(self._shard_model(tiled, target), None, 1))
        return self._for_shard[key]

    def _shard_model(self, tiled: bool, target: Target) -> bytes:
        """The model that every thread has a session of."""
        key = tiled, target
        if key not in self._shard_models:
            assert self.batch is not None
            program, check = self._program, self._program.label_check(target)
            model = shard_model(program.inputs, self.batch, check, target, self._opset, tiled=tiled)
            self._shard_models[key] = model.SerializeToString()
        return self._shard_models[key]

    def _find_batch(self) -> BatchPartition | None:
        if self._provider != "cpu":
            return None
        valid = self._program.assuming_valid_labels(SHARD_TARGET)
        return partition_batch(
            self._program.inputs, dict(zip(self._program.outputs, valid, strict=True))
        )

    def _target(self, sizes: Mapping[str, int]) -> Target:
        if self._provider != "cpu":
            return Target(self._provider, _LARGE_ARRAYS, long_sums=LongSums.NONE)  # adds in pairs
        large = self._has_variants and self._is_large(sizes)
        elements = _LARGE_ARRAYS if large else _SMALL_ARRAYS
        # On small arrays the check costs more than what assuming finite numbers saves.
        finite = large and self.finite
        nonempty = all(self._counts(sizes))
        sums = long_sums(self._program.outputs.values(), sizes)
        return Target("cpu", elements, nonempty, finite, sums)

    def _is_large(self, sizes: Mapping[str, int]) -> bool:
        return max(self._counts(sizes), default=0) >= _LARGE

    def _counts(self, sizes: Mapping[str, int]) -> list[int]:
        """The elements of each input."""
        return [evaluate(product(node.shape), sizes) for node in self._program.inputs]
