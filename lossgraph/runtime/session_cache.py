"""The graphs that a program runs as, in ONNX Runtime's sessions, each made when it is needed.

One model serves all sizes, but not all equally well: a form with more operators pays where arrays
are large, and where none is empty there is less to fear.
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
from ..passes.assumptions import ASSUMPTION_FAILED
from ..passes.batch_partition import BatchPartition, partition_batch
from ..passes.costs import Target
from .sessions import first_provider, make_session

if TYPE_CHECKING:
    import onnx

    from ..compiler.program import Program

# Elements of the largest input from which on a graph that is run whole is one for large arrays.
_LARGE = 50_000
_SMALL_ARRAYS, _LARGE_ARRAYS = 4_000, 250_000
# What a part of a batch is run with: it has elements, and on the CPU.
TRUSTED = Target("cpu", nonempty=True)


class LoadedModel(NamedTuple):
    """A session, the inputs that it reads, and its outputs that refuse or doubt the others."""

    session: Any
    inputs: list[str]
    checks: list[str]


class SessionCache:
    """The graphs of a program on a provider, by what they are for.

    Attributes:
        batch: what the program can be cut along, and what its parts compute; on the CPU only.
        finite: whether numbers are taken for finite; false once they were not.
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
        # No operator of a scan is worth a second thread, and parts of the batch are.
        loops = any(node.op.name == "Scan" for node in nodes)
        self._threads = 1 if loops and self.batch else threads
        self.finite = self._provider == "cpu"
        self._for_any_shape: dict[Target, LoadedModel] = {}
        self._shard_models: dict[tuple[bool, bool], bytes] = {}
        self._for_shard: dict[tuple[int, bool, bool], LoadedModel] = {}
        if self._provider != "cpu":  # whose driver may be missing, which is better known now
            self.for_any_shape({})

    def for_any_shape(self, sizes: Mapping[str, int]) -> LoadedModel:
        """The graph for arrays of these sizes at once."""
        target = self._target(sizes)
        if target not in self._for_any_shape:
            model = self._program.to_onnx(self._opset, target)
            self._for_any_shape[target] = self._load(model, self._providers, self._threads)
        return self._for_any_shape[target]

    def for_shape(self, sizes: Mapping[str, int]) -> LoadedModel:
        """The graph for arrays of exactly these sizes, if they are small: sizes are constants.

        An operator of a small graph costs what its call does, and the engine computes beforehand
        what follows from constants.
        """
        from ..lowering.lower import lower  # which loads onnx

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
        return self._load(model, self._providers, self._threads)

    def for_shard(self, thread: int, tiled: bool) -> LoadedModel:
        """A graph for each thread: one would make them wait for its memory at every step."""
        key = thread, tiled, self.finite
        if key not in self._for_shard:
            self._for_shard[key] = self._load(self._shard_model(tiled), None, 1)
        return self._for_shard[key]

    def _shard_model(self, tiled: bool) -> bytes:
        """The model that every thread has a session of."""
        key = tiled, self.finite
        if key not in self._shard_models:
            assert self.batch is not None
            target = replace(TRUSTED, finite=self.finite)
            program, check = self._program, self._program.label_check(target)
            model = shard_model(program.inputs, self.batch, check, target, self._opset, tiled=tiled)
            self._shard_models[key] = model.SerializeToString()
        return self._shard_models[key]

    def _load(
        self, model: onnx.ModelProto | bytes, providers: Any, threads: int | None
    ) -> LoadedModel:
        session = make_session(model, providers, threads)
        made = [node.name for node in session.get_outputs()]
        return LoadedModel(
            session,
            [node.name for node in session.get_inputs()],
            [name for name in (INVALID_LABEL, ASSUMPTION_FAILED) if name in made],
        )

    def _find_batch(self) -> BatchPartition | None:
        if self._provider != "cpu":
            return None
        valid = self._program.assuming_valid_labels(TRUSTED)
        return partition_batch(
            self._program.inputs, dict(zip(self._program.outputs, valid, strict=True))
        )

    def _target(self, sizes: Mapping[str, int]) -> Target:
        if self._provider != "cpu":
            return Target(self._provider, _LARGE_ARRAYS)
        large = self._has_variants and self._is_large(sizes)
        elements = _LARGE_ARRAYS if large else _SMALL_ARRAYS
        # Small arrays are looked at for less than asking whether they were finite costs.
        finite = large and self.finite
        return Target("cpu", elements, nonempty=all(self._counts(sizes)), finite=finite)

    def _is_large(self, sizes: Mapping[str, int]) -> bool:
        return max(self._counts(sizes)) >= _LARGE

    def _counts(self, sizes: Mapping[str, int]) -> list[int]:
        """The elements of each input."""
        return [evaluate(product(node.shape), sizes) for node in self._program.inputs]
