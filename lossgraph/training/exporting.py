"""The inference model again, with other weights."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from ..ir.types import DTYPES, numpy_dtype
from ..models.declared_types import dtype_text
from ..models.files import write_file, write_files
from ..models.light_copy import copy_of, with_data, without_elements

Array = np.ndarray[Any, Any]


# A message of Protocol Buffers has at most 2 GiB; the graph itself takes some of it.
_MOST = (1 << 31) - (1 << 27)
_ALIGNED = 64  # bytes
_LARGE = 1 << 10  # bytes from which on a weight is in the other file


def exported(
    model: onnx.ModelProto,
    weights: Mapping[str, Array],
    path: str | Path | None,
    external_data: bool | None = None,
) -> onnx.ModelProto:
    """A model with other values of initializers, and all the rest as it is.

    Args:
        model: the model.
        weights: values by name; those that the model has not are left alone.
        path: a file to write the result to as well.
        external_data: whether weights are in another file beside it; None for where one file cannot
            hold them.
    """

    def changed(tensor: onnx.TensorProto) -> onnx.TensorProto:
        if tensor.name not in weights:
            return tensor
        dtype = numpy_dtype(dtype_text(tensor.data_type))
        return with_data(tensor, _bytes(weights[tensor.name].astype(dtype, copy=False)))

    made = copy_of(model, changed)
    if path is not None:
        sizes = {t.name: _size(t) for t in made.graph.initializer}
        if external_data or (external_data is None and sum(sizes.values()) > _MOST):
            _write_apart(made, Path(path), {n: s for n, s in sizes.items() if s >= _LARGE})
        else:
            write_file(Path(path), made.SerializeToString(deterministic=True))
    return made


def _write_apart(model: onnx.ModelProto, path: Path, sizes: Mapping[str, int]) -> None:
    """Write a model, and the weights of these sizes in bytes to a file beside it."""
    name = f"{path.name}.data"
    offsets, end = {}, 0
    for weight, size in sizes.items():
        offsets[weight] = end = -(-end // _ALIGNED) * _ALIGNED
        end += size

    def elsewhere(tensor: onnx.TensorProto) -> onnx.TensorProto:
        if tensor.name not in sizes:
            return tensor
        return without_elements(tensor, sizes[tensor.name], name, offsets[tensor.name])

    def write(place: Path) -> None:
        with place.open("wb") as file:
            for tensor in model.graph.initializer:
                if tensor.name in sizes:
                    file.seek(offsets[tensor.name])
                    file.write(_bytes(numpy_helper.to_array(tensor)))

    light = copy_of(model, elsewhere).SerializeToString(deterministic=True)
    write_files(path.parent, {name: write, path.name: light})


def _size(tensor: onnx.TensorProto) -> int:
    """The bytes of a tensor's elements; 0 of a kind that stays in the model."""
    name = dtype_text(tensor.data_type)
    return math.prod(tensor.dims) * numpy_dtype(name).itemsize if name in DTYPES else 0


def _bytes(array: Array) -> bytes:
    """The elements as ONNX stores them: in order, little-endian."""
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
