"""The inference model again, with other weights."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from ..ir.types import numpy_dtype
from ..models.declared_types import dtype_text
from ..models.files import write_file
from ..models.light_copy import copy_of, with_data

Array = np.ndarray[Any, Any]


def exported(
    model: onnx.ModelProto, weights: Mapping[str, Array], path: str | Path | None
) -> onnx.ModelProto:
    """A model with other values of initializers, and all the rest as it is.

    Args:
        model: the model.
        weights: values by name; those that the model has not are left alone.
        path: a file to write the result to as well.
    """

    def changed(tensor: onnx.TensorProto) -> onnx.TensorProto:
        if tensor.name not in weights:
            return tensor
        dtype = numpy_dtype(dtype_text(tensor.data_type))
        return with_data(tensor, _bytes(weights[tensor.name].astype(dtype, copy=False)))

    made = copy_of(model, changed)
    if path is not None:
        write_file(Path(path), made.SerializeToString(deterministic=True))
    return made


def _bytes(array: Array) -> bytes:
    """The elements as ONNX stores them: in order, little-endian."""
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
