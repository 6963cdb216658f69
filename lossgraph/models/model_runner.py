"""A model in ONNX Runtime, its inputs checked."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from ..errors import InputError
from ..ir.dims import Dim
from ..ir.types import TensorType
from ..runtime.input_checks import check_arrays, check_labels
from ..runtime.sessions import engine_errors, make_session, run_session
from .declared_types import input_types, output_dtypes

Array = np.ndarray[Any, Any]


class ModelRunner:
    """A model in an ONNX Runtime session: checks its inputs, runs, returns outputs by name.

    Args:
        model: the model.
        providers: as ``make_session`` takes them.
        libraries: files with custom operators of the model.
    """

    def __init__(
        self, model: onnx.ModelProto, providers: Any = None, libraries: Sequence[Path] = ()
    ) -> None:
        self.types = input_types(model)
        self._dtypes = output_dtypes(model)
        self._labels = _labels_of(model, self.types)
        try:
            self._session = make_session(model, providers, libraries=libraries)
        except engine_errors() as error:
            raise InputError(f"ONNX Runtime cannot load the model: {_short(error)}") from error

    def run(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        """The outputs for arrays by input name.

        Raises:
            InputError: for arrays that the declared inputs do not allow, or that the engine
                refuses.
        """
        sizes = check_arrays(self.types, arrays)
        for name, classes in self._labels.items():
            check_labels(name, arrays[name], classes, sizes)
        feeds = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
        try:
            return run_session(self._session, _same_rank(feeds, arrays), self._dtypes)
        except engine_errors() as error:
            raise InputError(f"ONNX Runtime cannot run the model: {_short(error)}") from error


def _same_rank(feeds: Mapping[str, Array], arrays: Mapping[str, Array]) -> dict[str, Array]:
    """``ascontiguousarray`` makes a scalar a vector."""
    return {name: array.reshape(arrays[name].shape) for name, array in feeds.items()}


def _labels_of(model: onnx.ModelProto, types: Mapping[str, TensorType]) -> dict[str, Dim]:
    """Inputs of class labels with the number of classes, where our metadata say them."""
    said = {prop.key: prop.value for prop in model.metadata_props}
    try:
        labels = dict(json.loads(said.get("labels", "{}")))
    except (TypeError, ValueError):
        return {}  # another tool's metadata of the same name
    known = {str(dim): dim for type_ in types.values() for dim in type_.shape}
    return {k: known[v] for k, v in labels.items() if k in types and v in known}


def _short(error: Exception) -> str:
    """The engine's message without its prefix, ``[ONNXRuntimeError] : 2 : INVALID_ARGUMENT``."""
    return str(error).split(" : ", 3)[-1]
