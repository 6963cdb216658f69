"""Running: ONNX Runtime sessions, and the checks that it does not make.

The engine reads big-endian arrays as garbage, lets dims that share a name differ, wraps the
label -1 to the last class and falls back to the CPU where a provider is missing. All of that
is refused here, before it sees the arrays.
"""

from __future__ import annotations

import ctypes
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .arrays import shareable, stand_in
from .dims import Dim, evaluate
from .errors import DtypeError, InputError, ProviderError
from .evaluate import evaluate as evaluate_exprs
from .expr import inputs_of
from .ops.index import first_outside
from .types import TensorType, dtype_name, numpy_dtype

if TYPE_CHECKING:
    import onnx

    from .program import Program

Array = np.ndarray[Any, Any]

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


def make_session(model: onnx.ModelProto | bytes | str, providers: Any = None) -> Any:
    """An inference session on exactly the providers that were asked for.

    Raises:
        ProviderError: if ONNX Runtime would silently have used another one.
    """
    ort = onnxruntime()
    wanted = resolve_providers(providers)
    options = ort.SessionOptions()
    options.log_severity_level = 3
    source = model if isinstance(model, (bytes, str)) else model.SerializeToString()
    session = ort.InferenceSession(source, options, providers=wanted)
    first = wanted[0][0] if isinstance(wanted[0], tuple) else wanted[0]
    if session.get_providers()[0] != first:
        raise ProviderError(
            f"{first} could not be loaded (is the driver, CUDA or cuDNN missing?): ONNX Runtime "
            f"would run on {session.get_providers()[0]} instead"
        )
    return session


class Runner:
    """A program in a session: checks its inputs, runs, returns outputs by name."""

    def __init__(self, program: Program, providers: Any = None, opset: int | None = None) -> None:
        self.program = program
        self.session = make_session(program.to_onnx(opset), providers)
        self._types = {node.attrs["name"]: node.type for node in program.inputs}
        self._fed = {value.name for value in self.session.get_inputs()}
        self._outputs = list(program.outputs)

    def run(
        self, arrays: Mapping[str, Array], out: Mapping[str, Array] | None = None
    ) -> dict[str, Array]:
        """The outputs for arrays by input name; into ``out`` where it has one.

        Raises:
            InputError: for arrays that the program's types, sizes or classes do not allow.
        """
        sizes = self.check(arrays)
        feeds = {name: array for name, array in arrays.items() if name in self._fed}
        if out:
            return self._run_into(feeds, sizes, out)
        dtypes = {name: self.program.outputs[name].dtype for name in self._outputs}
        return run_session(self.session, feeds, dtypes)

    def run_on_device(self, arrays: Mapping[str, Any], device: tuple[str, int]) -> dict[str, Any]:
        """The outputs as values of ONNX Runtime on a device, for arrays that speak DLPack.

        No array is copied that is on the device already; class labels are read back to be
        checked.

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
        held = {name: stand_in(name, value) for name, value in arrays.items()}
        self.check(held | {n: values[n].numpy() for n, _ in self.program.labels if n in values})
        binding = self.session.io_binding()
        for name in self._fed:
            binding.bind_ortvalue_input(name, values[name])
        for name in self._outputs:
            binding.bind_output(name, *device)
        self.session.run_with_iobinding(binding)
        return dict(zip(self._outputs, binding.get_outputs(), strict=True))

    def check(self, arrays: Mapping[str, Array]) -> dict[str, int]:
        """Compare arrays with the program's inputs; the value of each named dim."""
        sizes = check_arrays(self._types, arrays)
        self._check_constraints(sizes)
        for name, classes in self.program.labels:
            check_labels(name, arrays[name], classes, sizes)
        for label, classes in self.program.derived:
            source = max(inputs_of([label]), key=lambda node: node.rank)
            (values,) = evaluate_exprs([label], arrays, sizes)
            check_labels(source.attrs["name"], values, classes, sizes)
        return sizes

    def _check_constraints(self, sizes: Mapping[str, int]) -> None:
        for left, right in self.program.constraints:
            a, b = evaluate(left, sizes), evaluate(right, sizes)
            if a != b:
                raise InputError(
                    f"sizes {left} and {right} must be equal, here they are {a} and {b}"
                    f" ({', '.join(f'{k}={v}' for k, v in sizes.items())})"
                )

    def _run_into(
        self, feeds: Mapping[str, Array], sizes: Mapping[str, int], out: Mapping[str, Array]
    ) -> dict[str, Array]:
        unknown = [name for name in out if name not in self._outputs]
        if unknown:
            raise InputError(f"out: the outputs are {self._outputs}, not {unknown}")
        results = {}
        for name in self._outputs:
            type_ = self.program.outputs[name].type
            shape = tuple(evaluate(dim, sizes) for dim in type_.shape)
            if name in out:
                _check_out(name, out[name], type_, shape)
            results[name] = out[name] if name in out else np.empty(shape, numpy_dtype(type_.dtype))
        binding = self.session.io_binding()
        # The binding keeps addresses, not arrays: these names keep the arrays alive.
        kept = {name: np.ascontiguousarray(array) for name, array in feeds.items()}
        for name, array in kept.items():
            binding.bind_input(name, "cpu", 0, _element(array.dtype), array.shape, _address(array))
        for name, array in results.items():
            binding.bind_output(name, "cpu", 0, _element(array.dtype), array.shape, _address(array))
        self.session.run_with_iobinding(binding)
        del kept
        return results


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


def run_session(
    session: Any, feeds: Mapping[str, Array], dtypes: Mapping[str, str]
) -> dict[str, Array]:
    """Run a session on numpy arrays; the outputs by name, for the names that have a dtype."""
    if "bfloat16" in dtypes.values():  # which ``run`` cannot return
        values = session.run_with_ort_values(list(dtypes), _ort_values(feeds))
        return {
            name: _from_ort(value, dtype)
            for (name, dtype), value in zip(dtypes.items(), values, strict=True)
        }
    return dict(zip(dtypes, session.run(list(dtypes), _as_ort(feeds)), strict=True))


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
    count = evaluate(classes, sizes)
    if count == 0:
        raise InputError(f"{name}: there are no classes to choose from: the class axis is empty")
    outside = first_outside(array, count)
    if outside is not None:
        raise InputError(
            f"{name}[{', '.join(map(str, outside))}] is {array[outside]}, which is not one of the "
            f"{count} classes 0 to {count - 1}"
        )


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


def _address(array: Array) -> int:
    return int(array.ctypes.data)


def _element(dtype: np.dtype[Any]) -> Any:
    """What ``bind_input`` takes for an element type: bfloat16 only by ONNX's number."""
    from .lower import Builder

    return Builder.dtype_code("bfloat16") if dtype_name(dtype) == "bfloat16" else dtype


def _as_ort(feeds: Mapping[str, Array]) -> dict[str, Any]:
    """bfloat16 needs its ONNX type said; everything else goes as it is."""
    return {name: _ort_value(a) if a.dtype.name == "bfloat16" else a for name, a in feeds.items()}


def _ort_values(feeds: Mapping[str, Array]) -> dict[str, Any]:
    make = onnxruntime().OrtValue.ortvalue_from_numpy
    return {
        name: _ort_value(a) if a.dtype.name == "bfloat16" else make(a) for name, a in feeds.items()
    }


def _ort_value(array: Array) -> Any:
    from .lower import Builder

    return onnxruntime().OrtValue.ortvalue_from_numpy_with_onnx_type(
        np.ascontiguousarray(array).view(np.uint16), Builder.dtype_code("bfloat16")
    )


def _from_ort(value: Any, dtype: str) -> Array:
    """A copy of an engine's value as numpy, bfloat16 read from its memory."""
    if dtype != "bfloat16":
        array: Array = value.numpy()
        return array
    shape = value.shape()
    size = 2 * math.prod(shape)
    memory = ctypes.string_at(value.data_ptr(), size) if size else b""
    return np.frombuffer(bytearray(memory), numpy_dtype(dtype)).reshape(shape)
