"""The Open Inference Protocol (version 2): requests and answers as bytes, tensors as arrays.

A body is JSON; with the extension of binary tensor data the tensors follow it, little-endian, one
after the other, and a header of HTTP says where the JSON ends. JSON has no NaN and no infinities:
they are the texts that protobuf's JSON has for them, which numpy reads as numbers.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from ..errors import InputError
from ..ir.types import DTYPES, FLOATS, numpy_dtype

Array = np.ndarray[Any, Any]

DATATYPES = {
    dtype: {"bfloat16": "BF16"}.get(dtype) or dtype.upper().replace("FLOAT", "FP")
    for dtype in DTYPES
}
JSON_SIZE = "Inference-Header-Content-Length"

_MOST = 2**55  # elements of an array in memory: NumPy refuses more, of an empty array too

_DTYPES = {datatype: dtype for dtype, datatype in DATATYPES.items()}
_NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


class Tensor(NamedTuple):
    """A tensor as a request has it: data are bytes, or numbers, flat or nested."""

    name: str
    datatype: str
    shape: Sequence[int]
    data: Any

    def to_array(self) -> Array:
        """The array.

        Raises:
            InputError: naming the tensor, for data that are not of the datatype and the shape.
        """
        if self.datatype not in _DTYPES:
            raise InputError(
                f"{self.name}: datatype {self.datatype!r} is none of {', '.join(_DTYPES)}"
            )
        if not all(type(length) is int and length >= 0 for length in self.shape):
            raise InputError(f"{self.name}: {str(self.shape)[:60]} is no shape")
        if math.prod(max(length, 1) for length in self.shape) >= _MOST:
            raise InputError(f"{self.name}: shape {list(self.shape)} has too many elements")
        dtype = _DTYPES[self.datatype]
        if isinstance(self.data, bytes):
            return self._from_bytes(numpy_dtype(dtype))
        values = _floats(self) if dtype in FLOATS else _integers(self, dtype)
        if values.ndim > 1 and values.shape != tuple(self.shape):
            raise InputError(
                f"{self.name}: the data are of shape {list(values.shape)}, not {list(self.shape)}"
            )
        self._check_size(values.size, math.prod(self.shape), "numbers")
        return values.reshape(self.shape)

    def _from_bytes(self, dtype: np.dtype[Any]) -> Array:
        self._check_size(len(self.data), math.prod(self.shape) * dtype.itemsize, "bytes")
        return np.frombuffer(self.data, dtype).reshape(self.shape)

    def _check_size(self, given: int, expected: int, what: str) -> None:
        if given != expected:
            raise InputError(
                f"{self.name}: {self.datatype} of shape {list(self.shape)} has {expected} {what}, "
                f"the data are {given}"
            )


@dataclass(frozen=True)
class Request:
    """What is asked for.

    Attributes:
        tensors: the inputs.
        outputs: whether the data of an output are wanted as bytes, by its name; all if empty.
        binary: the same for outputs that say nothing.
        id: what the answer is to be known by.
    """

    tensors: list[Tensor]
    outputs: Mapping[str, bool] = field(default_factory=dict)
    binary: bool = False
    id: str | None = None


def read_request(body: bytes, json_size: str | None = None) -> Request:
    """A request from the body of an HTTP request.

    Args:
        body: JSON, and binary data after it.
        json_size: what the header ``JSON_SIZE`` says, if there is one.

    Raises:
        InputError: for a body that is none.
    """
    end = len(body) if json_size is None else _json_end(json_size, len(body))
    try:
        said = json.loads(body[:end])
    except (ValueError, RecursionError) as error:
        raise InputError(f"the request is not JSON: {error}") from error
    said = _typed(said, dict, "the request")
    tensors, position = [], end
    for item in _typed(said.get("inputs"), list, "inputs"):
        tensor, size = _tensor(_typed(item, dict, "an element of inputs"), body[position:])
        tensors.append(tensor)
        position += size
    if position != len(body):
        raise InputError(f"{len(body) - position} bytes follow the data of the last input")
    parameters = _typed(said.get("parameters", {}), dict, "parameters")
    binary = _typed(parameters.get("binary_data_output", False), bool, "binary_data_output")
    wanted = _typed(said.get("outputs", []), list, "outputs")
    outputs = dict(_output(_typed(o, dict, "an element of outputs"), binary) for o in wanted)
    request_id = said.get("id")
    return Request(tensors, outputs, binary, None if request_id is None else str(request_id))


def write_answer(
    model: str, request: Request, results: Mapping[str, Array]
) -> tuple[bytes, int | None]:
    """The body of the answer, and the value of its header ``JSON_SIZE`` if it needs one."""
    outputs, raw = [], []
    for name, array in results.items():
        said: dict[str, Any] = {
            "name": name, "datatype": DATATYPES[array.dtype.name], "shape": list(array.shape)
        }  # fmt: skip
        if request.outputs.get(name, request.binary):
            raw.append(array.tobytes())
            said["parameters"] = {"binary_data_size": len(raw[-1])}
        else:
            said["data"] = _jsonable(array)
        outputs.append(said)
    answer = {"model_name": model, "outputs": outputs}
    if request.id is not None:
        answer["id"] = request.id
    text = json.dumps(answer, allow_nan=False).encode()
    return b"".join([text, *raw]), len(text) if raw else None


# --- reading ---


def _json_end(text: str, length: int) -> int:
    if not (text.isdecimal() and len(text) < 20 and int(text) <= length):
        raise InputError(f"{JSON_SIZE} is {text!r}: expected a number of bytes, at most {length}")
    return int(text)


def _typed(value: Any, type_: type, what: str) -> Any:
    if not isinstance(value, type_):
        names = {dict: "an object", list: "an array", str: "a string", bool: "true or false"}
        raise InputError(f"{what}: expected {names[type_]}, got {json.dumps(value)[:60]}")
    return value


def _tensor(said: Mapping[str, Any], rest: bytes) -> tuple[Tensor, int]:
    """A tensor, and how much of the binary data are its own."""
    name = _typed(said.get("name"), str, "the name of an input")
    datatype = _typed(said.get("datatype"), str, f"{name}: datatype")
    shape = _typed(said.get("shape"), list, f"{name}: shape")
    size = _typed(said.get("parameters", {}), dict, f"{name}: parameters").get("binary_data_size")
    if size is None:
        return Tensor(name, datatype, shape, _typed(said.get("data"), list, f"{name}: data")), 0
    if type(size) is not int or not 0 <= size <= len(rest):
        raise InputError(f"{name}: binary_data_size is {size!r}, but {len(rest)} bytes follow")
    return Tensor(name, datatype, shape, rest[:size]), size


def _output(said: Mapping[str, Any], binary: bool) -> tuple[str, bool]:
    name = _typed(said.get("name"), str, "the name of an output")
    parameters = _typed(said.get("parameters", {}), dict, f"{name}: parameters")
    return name, _typed(parameters.get("binary_data", binary), bool, f"{name}: binary_data")


def _integers(tensor: Tensor, dtype: str) -> Array:
    values = _as_array(tensor)
    kinds, limits = ("b", (0, 1)) if dtype == "bool" else ("iu", _limits(dtype))
    if values.size and values.dtype.kind not in kinds:
        raise InputError(f"{tensor.name}: the data are no {tensor.datatype}")
    if values.size and not (limits[0] <= int(values.min()) and int(values.max()) <= limits[1]):
        raise InputError(f"{tensor.name}: the data are beyond {tensor.datatype}, {limits}")
    return values.astype(numpy_dtype(dtype))


def _limits(dtype: str) -> tuple[int, int]:
    info = np.iinfo(dtype)
    return int(info.min), int(info.max)


def _floats(tensor: Tensor) -> Array:
    values = _as_array(tensor)
    if values.dtype.kind in "OU":  # texts among the numbers
        values = _as_array(tensor._replace(data=_replaced(tensor.data)))
    if values.size and values.dtype.kind not in "iuf":
        raise InputError(
            f"{tensor.name}: the data are no {tensor.datatype}: expected numbers, or one of "
            f"{', '.join(map(json.dumps, _NOT_FINITE))}"
        )
    with np.errstate(over="ignore"):
        narrow = values.astype(numpy_dtype(_DTYPES[tensor.datatype]))
    if np.isinf(narrow).sum() > np.isinf(values).sum():
        raise InputError(f"{tensor.name}: the data are beyond {tensor.datatype}")
    return narrow


def _replaced(data: Any) -> Any:
    if isinstance(data, list):
        return [_replaced(item) for item in data]
    return _NOT_FINITE.get(data, data) if isinstance(data, str) else data


def _as_array(tensor: Tensor) -> Array:
    try:
        return np.asarray(tensor.data)
    except (ValueError, OverflowError) as error:
        raise InputError(f"{tensor.name}: the rows of the data differ in length") from error


# --- writing ---


def _jsonable(array: Array) -> list[Any]:
    if array.dtype.kind in "iub":
        return array.ravel().tolist()
    wide = array.astype(np.float64).ravel()
    values: list[Any] = wide.tolist()
    for i in np.flatnonzero(~np.isfinite(wide)):
        values[i] = "NaN" if np.isnan(wide[i]) else "Infinity" if wide[i] > 0 else "-Infinity"
    return values
