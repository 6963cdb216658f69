"""Models found in a folder, served by name: what they take and give, and their answers.

A folder that holds ``value.onnx`` or ``model.onnx`` is a model of the folder's name; one that holds
``training.onnx`` is ``NAME_training`` too. Of ``NAME/1/model.onnx``, as in a model repository of
Triton, the highest version is NAME. A model that was exported with kernels for this machine runs as
one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from ..errors import InputError, LossgraphError
from ..ir.dims import Dim
from ..ir.types import TensorType
from ..models.declared_types import output_types
from ..models.model_runner import ModelRunner
from ..runtime.kernel_build import require_trusted_engine
from ..runtime.sessions import first_provider
from .fused import fused_beside
from .manifest import load_exported
from .page import DATA, TRAINING, VALUE
from .protocol import DATATYPES, Tensor, read_request, write_answer
from .triton import TRAINING_SUFFIX

Array = np.ndarray[Any, Any]

_SUFFIXES = {VALUE: "", "model.onnx": "", TRAINING: TRAINING_SUFFIX}


class ServedModel:
    """A model with a name, its metadata in the protocol's words, and its answers.

    Attributes:
        name: the name that requests call it by.
        inputs: name, datatype and shape of each input, -1 for a length that may vary.
        outputs: the same of each output.
        remark: what is to be said of how it runs; empty if nothing is.
    """

    def __init__(
        self,
        name: str,
        model: onnx.ModelProto,
        providers: Any = None,
        libraries: Sequence[Path] = (),
        remark: str = "",
    ) -> None:
        self.name, self.remark = name, remark
        self._runner = ModelRunner(model, providers, libraries)
        self._outputs = output_types(model)
        self.inputs = _metadata(self._runner.types)
        self.outputs = _metadata(self._outputs)

    def infer(self, tensors: Iterable[Tensor], outputs: Iterable[str] = ()) -> dict[str, Array]:
        """The outputs by name, those asked for or all.

        Raises:
            InputError: for tensors that the model does not take, and outputs that it has not.
        """
        wanted = list(outputs) or list(self._outputs)
        unknown = [name for name in wanted if name not in self._outputs]
        if unknown:
            raise InputError(f"the outputs are {list(self._outputs)}: unknown {unknown}")
        results = self._runner.run(self._arrays(tensors))
        return {name: results[name] for name in wanted}

    def answer(self, body: bytes, json_size: str | None = None) -> tuple[bytes, int | None]:
        """The answer to the body of an HTTP request; ``protocol`` says what both are.

        Raises:
            InputError: for a request that is none, or not one of this model.
        """
        request = read_request(body, json_size)
        results = self.infer(request.tensors, request.outputs)
        return write_answer(self.name, request, results)

    def _arrays(self, tensors: Iterable[Tensor]) -> dict[str, Array]:
        arrays: dict[str, Array] = {}
        for tensor in tensors:
            if tensor.name in arrays:
                raise InputError(f"{tensor.name} is given twice")
            type_ = self._runner.types.get(tensor.name)
            if type_ is not None and tensor.datatype != DATATYPES[type_.dtype]:
                raise InputError(
                    f"{tensor.name}: expected datatype {DATATYPES[type_.dtype]}, "
                    f"got {tensor.datatype}"
                )
            arrays[tensor.name] = tensor.to_array()
        return arrays


def load_models(path: Path, providers: Any = None, kernels: bool = True) -> list[ServedModel]:
    """The models of a file or of a folder and those below it, by name.

    Args:
        path: the file or folder.
        providers: as ``make_session`` takes them.
        kernels: whether a model that was exported with fused kernels runs as one, on the CPU.

    Raises:
        InputError: if there are none, two have one name, or one cannot be loaded.
    """
    found: dict[str, Path] = {}
    for name, file in [(path.stem, path)] if path.is_file() else _find(path):
        if name in found:
            raise InputError(f"{found[name]} and {file} would both be called {name!r}: rename one")
        found[name] = file
    if not found:
        raise InputError(f"{path} holds no model: expected {', '.join(_SUFFIXES)} in it or below")
    use_kernels = kernels and first_provider(providers) == "cpu"
    return [_load(name, file, providers, use_kernels) for name, file in sorted(found.items())]


def _load(name: str, file: Path, providers: Any, kernels: bool) -> ServedModel:
    try:
        if not kernels:
            return ServedModel(name, load_exported(file), providers)
        return _load_fused(name, file, providers)
    except InputError as error:
        raise error.reworded(f"{file}: {error}") from error


def _load_fused(name: str, file: Path, providers: Any) -> ServedModel:
    """A model as a kernel, if there is one that can be loaded; else as the standard graph."""
    model, remark = load_exported(file), ""
    try:
        found = fused_beside(file)
        if found is not None:
            require_trusted_engine()
    except InputError:
        raise
    except LossgraphError as error:
        found, remark = None, f"no kernel: {error}"
    if found is None:
        return ServedModel(name, model, providers, remark=remark)
    fused, library = found
    return ServedModel(name, load_exported(fused), providers, [library], f"kernel of {fused.name}")


def _find(folder: Path) -> Iterator[tuple[str, Path]]:
    """Names and files of models in a folder and below it."""
    if not folder.is_dir():
        raise InputError(f"{folder}: no such file or folder")
    versions = [path for path in _folders(folder) if path.name.isdecimal()]
    if versions:
        yield from _models_of(max(versions, key=lambda path: int(path.name)), folder)
    yield from _models_of(folder, folder)
    for below in _folders(folder):
        if below not in versions:
            yield from _find(below)


def _models_of(folder: Path, named: Path) -> Iterator[tuple[str, Path]]:
    """The models right in a folder, by the name of another."""
    for file, suffix in _SUFFIXES.items():
        if (folder / file).is_file():
            yield named.resolve().name + suffix, folder / file


def _folders(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_dir() and not path.name.startswith(".") and path.name != DATA
    )


def _metadata(types: Mapping[str, TensorType]) -> list[dict[str, Any]]:
    return [
        {"name": name, "datatype": DATATYPES[type_.dtype], "shape": [*map(_length, type_.shape)]}
        for name, type_ in types.items()
    ]


def _length(dim: Dim) -> int:
    return dim if isinstance(dim, int) else -1
