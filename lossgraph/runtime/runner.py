"""Running: programs in ONNX Runtime's sessions, and the checks that it does not make.

The engine reads big-endian arrays as garbage, lets dims that share a name differ, wraps the
label -1 to the last class and falls back to the CPU where a provider is missing. All of that
is refused here, before it sees the arrays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from ..compiler.program import OUTSIDE
from ..errors import DtypeError, InputError, ProviderError
from ..ir.dims import Dim, evaluate
from ..ir.evaluate import evaluate as evaluate_exprs
from ..ir.expr import Expr, inputs_of
from ..ir.ops.index import first_outside
from ..ir.types import TensorType, numpy_dtype
from ..passes.assumptions import ASSUMPTION_FAILED
from .arrays import shareable, stand_in
from .buffer_pool import Spare
from .session_cache import Graphs
from .sessions import bind, engine_errors, onnxruntime, run_session
from .shards import Parts, Schedule

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
        self._graphs = Graphs(program, providers, opset, threads)
        batch = self._graphs.batch
        self._parts = Parts(program, batch, threads, tiles) if batch else None
        self._types = {node.attrs["name"]: node.type for node in program.inputs}
        self._outputs = list(program.outputs)
        self._spare = Spare()
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
        with self._explained(lambda: arrays, sizes) as refuse:
            while True:
                results, positive = self._run_once(arrays, out or {}, sizes)
                if not refuse(positive):
                    return results

    def _run_once(
        self, arrays: Mapping[str, Array], out: Mapping[str, Array], sizes: Mapping[str, int]
    ) -> tuple[dict[str, Array], set[str]]:
        """The outputs, and the guards that are positive."""
        if out or self._schedule(sizes):
            results = self._results(sizes, out)
            return results, self._bound(arrays, results, sizes)()
        session, reads, guards = self._graphs.whole(sizes)
        dtypes = {**self._dtypes, **dict.fromkeys(guards, "int64")}
        results = run_session(session, {name: arrays[name] for name in reads}, dtypes)
        return results, {name for name in guards if (results.pop(name) > 0).any()}

    def bind(
        self, arrays: Mapping[str, Array], out: Mapping[str, Array]
    ) -> tuple[Callable[[], None], dict[str, Array]]:
        """What computes the outputs of arrays, as they are when it is called; and the outputs.

        Raises:
            InputError: as ``run`` does, and for arrays that are not C-contiguous. What is called
                raises it for class labels that are none.
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
            with self._explained(lambda: arrays, sizes) as refuse:
                while refuse(run()):
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
        session, reads, guards = self._graphs.whole(sizes)
        binding = session.io_binding()
        for name in reads:
            binding.bind_ortvalue_input(name, values[name])
        for name in self._outputs:
            binding.bind_output(name, *device)
        for name in guards:
            binding.bind_output(name, "cpu")
        with self._explained(lambda: {k: v.numpy() for k, v in values.items()}, sizes) as refuse:
            session.run_with_iobinding(binding)
            found = binding.get_outputs()
            results = dict(zip([*self._outputs, *guards], found, strict=True))
            refuse({name for name in guards if (results.pop(name).numpy() > 0).any()})
        return results

    def quick(
        self, sizes: Mapping[str, int], hot: bool = False
    ) -> Callable[[Sequence[Array]], list[Array]] | None:
        """What runs arrays of these sizes, in order: the outputs, and those that guard them.

        Nothing is checked, as ``run`` has taken such arrays. None where a call is not one call of
        the engine.

        Args:
            sizes: of named dims.
            hot: whether there will be many such calls, for which a graph of their own may pay.
        """
        if self._schedule(sizes) or "bfloat16" in self._dtypes.values():
            return None
        graph = self._graphs.fixed(sizes) if hot else self._graphs.whole(sizes)
        names, run, reads = [*self._dtypes, *graph.guards], graph.session.run, graph.reads
        if reads == list(self._types):
            return lambda given: run(names, dict(zip(reads, given)))  # noqa: B905, for time
        places = [(name, list(self._types).index(name)) for name in reads]
        return lambda given: run(names, {name: given[place] for name, place in places})

    def check(self, arrays: Mapping[str, Array]) -> dict[str, int]:
        """Compare arrays with the program's inputs; the value of each named dim."""
        sizes = check_arrays(self._types, arrays)
        self._check_constraints(sizes)
        for label, classes in self._classes:
            _class_count(label, classes, sizes)
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

    def _schedule(self, sizes: Mapping[str, int]) -> Schedule:
        return self._parts.schedule(sizes) if self._parts else []

    def _bound(
        self,
        arrays: Mapping[str, Array],
        results: Mapping[str, Array],
        sizes: Mapping[str, int],
    ) -> Callable[[], set[str]]:
        """What runs into arrays, in parts if that is better; it gives the guards positive then."""
        schedule = self._schedule(sizes)
        if self._parts and schedule:
            run, graph_of = self._parts.run, self._graphs.part
            return partial(run, graph_of, arrays, results, schedule, sizes)
        session, reads, guards = self._graphs.whole(sizes)
        return bind(session, {name: arrays[name] for name in reads}, results, guards)

    @contextmanager
    def _explained(
        self, arrays: Callable[[], Mapping[str, Array]], sizes: Mapping[str, int]
    ) -> Iterator[Callable[[set[str]], bool]]:
        """Runs inside: what label is refused, by the engine or a guard, is found out.

        It gives what takes the guards that were positive: whether to run again, more carefully.
        """

        def refuse(positive: set[str]) -> bool:
            if OUTSIDE in positive:
                self._check_labels(arrays(), sizes)
            self._graphs.finite &= ASSUMPTION_FAILED not in positive
            return ASSUMPTION_FAILED in positive

        try:
            yield refuse
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
                _check_out(name, out[name], type_, shape)
            dtype = numpy_dtype(type_.dtype)
            results[name] = out[name] if name in out else self._spare.empty(name, shape, dtype)
        return results


def _source(label: Expr) -> str:
    """The input that a computed label comes from, by what is known: the one of highest rank."""
    name: str = max(inputs_of([label]), key=lambda node: node.rank).attrs["name"]
    return name


def check_arrays(types: Mapping[str, TensorType], arrays: Mapping[str, Array]) -> dict[str, int]:
    """Compare arrays with the types of the inputs; the value of each named dim.

    Raises:
        InputError: for an array that is missing, unknown or not of its type, and for dims of
            one name that differ.
    """
    missing = [name for name in types if name not in arrays]
    unknown = [name for name in arrays if name not in types]
    if missing or unknown:
        raise InputError(
            f"the inputs are {list(types)}: "
            + (f"missing {missing}" if missing else f"unknown {unknown}")
        )
    sizes: dict[str, int] = {}
    bound: dict[str, str] = {}
    for name, type_ in types.items():
        _check_array(name, arrays[name], type_)
        _bind(name, arrays[name].shape, type_, sizes, bound)
    return sizes


def _check_array(name: str, array: Array, type_: TensorType) -> None:
    if not isinstance(array, np.ndarray):
        raise InputError(f"{name}: expected a numpy array, got {type(array).__name__}")
    if not array.dtype.isnative:
        raise InputError(
            f"{name}: byte order {array.dtype.byteorder!r} is not this machine's; convert with "
            "array.astype(array.dtype.newbyteorder('='))"
        )
    if array.dtype != numpy_dtype(type_.dtype):
        raise DtypeError(
            f"{name}: expected {type_}, got dtype {array.dtype}; convert with "
            f"array.astype({type_.dtype!r})"
        )
    if array.ndim != type_.rank:
        raise InputError(f"{name}: expected {type_}, of rank {type_.rank}, got {array.shape}")


def _bind(
    name: str,
    shape: Sequence[int],
    type_: TensorType,
    sizes: dict[str, int],
    bound: dict[str, str],
) -> None:
    """Read named dims off a shape, and compare what is known already."""
    for axis, (length, dim) in enumerate(zip(shape, type_.shape, strict=True)):
        if isinstance(dim, int):
            if length != dim:
                raise InputError(f"{name}: axis {axis} of {type_} is {dim}, got {tuple(shape)}")
        elif dim.name is None:
            if evaluate(dim, sizes) != length:
                raise InputError(
                    f"{name}: axis {axis} must be {dim} = {evaluate(dim, sizes)}, "
                    f"got {tuple(shape)}"
                )
        elif sizes.setdefault(dim.name, length) != length:
            raise InputError(
                f"{name}: axis {axis} has length {length}, but dim {dim.name!r} is "
                f"{sizes[dim.name]} in {bound[dim.name]}"
            )
        else:
            bound.setdefault(dim.name, f"axis {axis} of {name}")


def check_labels(name: str, array: Array, classes: Dim, sizes: Mapping[str, int]) -> None:
    """Refuse class labels that are none of the classes, naming the first."""
    count = _class_count(name, classes, sizes)
    outside = first_outside(array, count)
    if outside is not None:
        raise InputError(
            f"{name}[{', '.join(map(str, outside))}] is {array[outside]}, which is not one of the "
            f"{count} allowed, 0 to {count - 1}"
        )


def _class_count(label: str, classes: Dim, sizes: Mapping[str, int]) -> int:
    count = evaluate(classes, sizes)
    if count == 0:
        raise InputError(f"{label}: there are no classes to choose from: the class axis is empty")
    return count


def _check_out(name: str, array: Any, type_: TensorType, shape: tuple[int, ...]) -> None:
    if not isinstance(array, np.ndarray):
        raise InputError(f"out[{name!r}]: expected a numpy array, got {type(array).__name__}")
    if array.dtype != numpy_dtype(type_.dtype) or array.shape != shape:
        raise InputError(
            f"out[{name!r}]: expected {type_.dtype}{list(shape)}, "
            f"got {array.dtype}{list(array.shape)}"
        )
    if not array.flags.c_contiguous or not array.flags.writeable:
        raise InputError(f"out[{name!r}]: needs to be C-contiguous and writeable")
