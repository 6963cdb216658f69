"""ONNX Runtime's sessions: on the providers asked for, run on arrays and into arrays."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from os import PathLike
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ProviderError
from ..ir.types import dtype_name, numpy_dtype
from ..lowering.onnx_api import dtype_code

if TYPE_CHECKING:
    import onnx

Array = np.ndarray[Any, Any]
Step = Callable[[], None]

_PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "rocm": "ROCMExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "dml": "DmlExecutionProvider",
}


def onnxruntime() -> Any:
    """The module, or an error that says which extra brings it."""
    try:
        import onnxruntime as module
    except ImportError as error:
        raise ProviderError(
            "running needs ONNX Runtime: pip install 'lossgraph[cpu]' or 'lossgraph[gpu]'"
        ) from error
    return module


def engine_errors() -> tuple[type[Exception], ...]:
    """What ONNX Runtime raises: classes without a common base, and its binding's own."""
    state = vars(onnxruntime().capi.onnxruntime_pybind11_state).values()
    own = (value for value in state if isinstance(value, type) and issubclass(value, Exception))
    return (RuntimeError, *own)


def resolve_providers(providers: str | Sequence[Any] | None) -> list[Any]:
    """ONNX Runtime's names of execution providers, each known to be there.

    Args:
        providers: ``cpu``, ``cuda``, a name of ONNX Runtime's or ``(name, options)``, or
            several of these; None is the CPU.

    Raises:
        ProviderError: for one that this build of ONNX Runtime has not.
    """
    if providers is None:
        providers = ["cpu"]
    if isinstance(providers, str):
        providers = [providers]
    if not (isinstance(providers, (list, tuple)) and all(map(_is_provider, providers))):
        raise ProviderError(
            f"providers: expected 'cpu', 'cuda' or names of ONNX Runtime's, got {providers!r}"
        )
    available = onnxruntime().get_available_providers()
    resolved: list[Any] = []
    for item in providers:
        name, options = item if isinstance(item, tuple) else (item, None)
        full = _PROVIDERS.get(str(name).lower(), name)
        if full not in available:
            raise ProviderError(
                f"execution provider {name!r} is not available here: this ONNX Runtime has "
                f"{available}; the CUDA provider comes with lossgraph[gpu]"
            )
        resolved.append(full if options is None else (full, options))
    if not resolved:
        raise ProviderError("the list of execution providers is empty")
    return resolved


def _is_provider(item: Any) -> bool:
    """Whether it is a name, or a name with options."""
    if isinstance(item, tuple):
        return len(item) == 2 and isinstance(item[0], str)
    return isinstance(item, str)


def first_provider(providers: Any) -> str:
    """The short name of the provider that is tried first: ``cpu``, ``cuda``, .."""
    first = resolve_providers(providers)[0]
    full = first[0] if isinstance(first, tuple) else first
    return next((short for short, name in _PROVIDERS.items() if name == full), str(full))


def make_session(
    model: onnx.ModelProto | bytes | str,
    providers: Any = None,
    threads: int | None = None,
    libraries: Sequence[str | PathLike[str]] = (),
    weights: Mapping[str, Any] = MappingProxyType({}),
) -> Any:
    """An inference session on exactly the providers that were asked for.

    Args:
        model: a model, its bytes or its path.
        providers: as ``resolve_providers`` takes them.
        threads: how many threads an operator may use on the CPU; None for all.
        libraries: files with custom operators of the model, one for each domain.
        weights: values of the engine for initializers whose elements are not in the model. They
            are read where they lie, and have to live as long as the session.

    Raises:
        ProviderError: if ONNX Runtime would silently have used another one.
    """
    ort = onnxruntime()
    wanted = resolve_providers(providers)
    options = ort.SessionOptions()
    options.log_severity_level = 4  # errors are raised, which is enough said
    options.intra_op_num_threads = threads or 0
    for library in libraries:
        options.register_custom_ops_library(str(library))
    if weights:
        options.add_external_initializers(list(weights), list(weights.values()))
    source = model if isinstance(model, (bytes, str)) else model.SerializeToString()
    session = ort.InferenceSession(source, options, providers=wanted)
    first = wanted[0][0] if isinstance(wanted[0], tuple) else wanted[0]
    if session.get_providers()[0] != first:
        raise ProviderError(
            f"{first} could not be loaded (is the driver, CUDA or cuDNN missing?): ONNX Runtime "
            f"would run on {session.get_providers()[0]} instead"
        )
    return session


def run_session(
    session: Any, feeds: Mapping[str, Array], dtypes: Mapping[str, str]
) -> dict[str, Array]:
    """Run a session on numpy arrays; the outputs by name, for the names that have a dtype."""
    if "bfloat16" in dtypes.values():  # which ``run`` cannot return
        values = session.run_with_ort_values(list(dtypes), _ort_values(feeds))
        return {
            name: numpy_of(value, dtype)
            for (name, dtype), value in zip(dtypes.items(), values, strict=True)
        }
    return dict(zip(dtypes, session.run(list(dtypes), _as_ort(feeds)), strict=True))


def engine_call(session: Any) -> Callable[[Sequence[str], Mapping[str, Any], Any], list[Any]]:
    """What runs a session: output names, arrays by input name, options.

    The method of the engine's own class, which Python's wrapper takes a microsecond to reach: what
    it makes sure of, that all inputs are there, plans do themselves.
    """
    call: Callable[..., list[Any]] = getattr(session, "_sess", session).run
    return call


def bind_session(
    session: Any,
    feeds: Mapping[str, Array],
    results: Mapping[str, Array],
    checks: Sequence[str] = (),
    shape: tuple[int, ...] = (),
) -> Callable[[], list[str]]:
    """What runs a session on numpy arrays, as they are then, into C-contiguous ones.

    It returns the checks, int64 outputs of ``shape``, of which an element is positive.
    """
    counts = {name: np.zeros(shape, np.int64) for name in checks}
    into = {**results, **counts}
    read = {name: np.asarray(array, order="C") for name, array in feeds.items()}  # () stays ()
    run = _bound(session, read, into)
    if not counts:
        return partial(_run_bound, run, (read, into))
    checked = _run_checked if shape else _run_with_scalar_checks
    return partial(checked, run, list(counts.items()), (read, into))


def _bound(session: Any, read: Mapping[str, Array], into: Mapping[str, Array]) -> Step:
    """What runs a session, by the objects of the engine that Python's wrappers hold.

    The wrappers look for devices and for graphs of GPUs again and again, which takes longer than a
    small loss.
    """
    engine, device, value_of = _engine()
    binding = engine.SessionIOBinding(session._sess)
    for name, array in read.items():
        if array.dtype.isbuiltin == 1:  # 2: another package's
            binding.bind_input(name, array)
        else:
            binding.bind_input(name, device, *_memory(array))
    for name, array in into.items():
        if array.dtype.isbuiltin == 1:
            binding.bind_ortvalue_output(name, value_of(array, device))
        else:
            binding.bind_output(name, device, *_memory(array))
    return partial(session._sess.run_with_iobinding, binding, None)


@cache
def _engine() -> tuple[Any, Any, Any]:
    """The engine's own module, the CPU as a device, and what makes a value in an array's memory."""
    engine = onnxruntime().capi.onnxruntime_pybind11_state
    device = engine.OrtDevice(engine.OrtDevice.cpu(), engine.OrtDevice.default_memory(), 0)
    return engine, device, engine.OrtValue.ortvalue_from_numpy


def _memory(array: Array) -> tuple[Any, ...]:
    """What binds an array whose dtype NumPy does not know: ONNX's number, shape, address."""
    return dtype_code(dtype_name(array.dtype)), array.shape, int(array.ctypes.data)


def _run_bound(run: Step, arrays: Any) -> list[str]:
    """The binding keeps addresses, not arrays: ``arrays`` keeps those alive."""
    run()
    return []


def _run_checked(run: Step, counts: Sequence[tuple[str, Array]], arrays: Any) -> list[str]:
    run()
    return [name for name, count in counts if (count > 0).any()]


def _run_with_scalar_checks(
    run: Step, counts: Sequence[tuple[str, Array]], arrays: Any
) -> list[str]:
    run()
    return [name for name, count in counts if count.item() > 0]


def _as_ort(feeds: Mapping[str, Array]) -> dict[str, Any]:
    """bfloat16 needs its ONNX type said; everything else goes as it is."""
    return {name: _ort_value(a) if a.dtype.name == "bfloat16" else a for name, a in feeds.items()}


def _ort_values(feeds: Mapping[str, Array]) -> dict[str, Any]:
    make = onnxruntime().OrtValue.ortvalue_from_numpy
    return {
        name: _ort_value(a) if a.dtype.name == "bfloat16" else make(a) for name, a in feeds.items()
    }


def shared_value(array: Array) -> Any:
    """A C-contiguous array as a value of the engine, in the same memory."""
    if array.dtype.name == "bfloat16":
        return _ort_value(array)
    return onnxruntime().OrtValue.ortvalue_from_numpy(array)


def device_value(array: Array, device: str) -> Any:
    """A copy of an array on a device."""
    return onnxruntime().OrtValue.ortvalue_from_numpy(np.asarray(array, order="C"), device, 0)


def empty_device_value(shape: tuple[int, ...], dtype: str, device: str) -> Any:
    """Memory for an array on a device."""
    make = onnxruntime().OrtValue.ortvalue_from_shape_and_type
    return make(shape, numpy_dtype(dtype), device, 0)


def _ort_value(array: Array) -> Any:
    return onnxruntime().OrtValue.ortvalue_from_numpy_with_onnx_type(
        np.asarray(array, order="C").view(np.uint16), dtype_code("bfloat16")
    )


def numpy_of(value: Any, dtype: str) -> Array:
    """A copy of an engine's value as numpy, bfloat16 read from its memory."""
    if dtype != "bfloat16":
        array: Array = value.numpy()
        return array
    shape = value.shape()
    size = 2 * math.prod(shape)
    memory = ctypes.string_at(value.data_ptr(), size) if size else b""
    return np.frombuffer(bytearray(memory), numpy_dtype(dtype)).reshape(shape)
