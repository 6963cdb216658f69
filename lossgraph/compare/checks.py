"""Checks of ONNX models in files: that tools accept them, engines load them, numbers agree."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from google.protobuf.message import DecodeError
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

from ..deploy.example_inputs import choose_sizes, draw
from ..deploy.manifest import require_whole
from ..deploy.page import TRAINING, VALUE, fused_name
from ..errors import InputError, LossgraphError, ValidationError
from ..lowering import validate
from ..models.attach import without_loss
from ..models.declared_types import input_types
from ..models.loading import load_model
from ..models.model_runner import ModelRunner
from ..runtime.input_checks import check_arrays
from ..runtime.sessions import engine_errors, make_session, onnxruntime
from .differences import deviation, tolerance_of, ulp_text

Array = np.ndarray[Any, Any]

MODELS = (VALUE, TRAINING, "model.onnx")
# With kernels; they are checked without their libraries: a check loads no code that it finds.
FUSED = (fused_name(VALUE), fused_name(TRAINING))


@dataclass(frozen=True)
class Check:
    """What one check found.

    Attributes:
        name: what was checked.
        ok: whether it holds.
        detail: what was seen.
    """

    name: str
    ok: bool
    detail: str


@dataclass
class DataSet:
    """Inputs by name, and stored outputs by name where there are any."""

    label: str
    inputs: dict[str, Array]
    outputs: dict[str, Array] = field(default_factory=dict)


@dataclass
class _Subject:
    """A model under examination; each check leaves here what later ones need."""

    path: Path
    rtol: float | None
    atol: float | None
    given: Mapping[str, Array] = field(default_factory=dict)
    model: onnx.ModelProto = field(default_factory=onnx.ModelProto)
    data: list[DataSet] = field(default_factory=list)
    results: list[dict[str, Array]] = field(default_factory=list)


def find_models(path: Path, fused: bool = True) -> list[Path]:
    """The model of a file, or the models of a folder.

    Args:
        path: the file or folder.
        fused: of a folder also those with kernels, which need an engine with functions.

    Raises:
        InputError: if there are none.
    """
    if path.is_dir():
        names = (*MODELS, *FUSED) if fused else MODELS
        found = [path / name for name in names if (path / name).is_file()]
        if not found:
            raise InputError(f"{path} holds no model: expected one of {', '.join(MODELS)}")
        return found
    if not path.is_file():
        raise InputError(f"{path}: no such file or folder")
    return [path]


def check_file(
    path: Path,
    rtol: float | None = None,
    atol: float | None = None,
    data: Mapping[str, Array] | None = None,
) -> list[Check]:
    """Examine one model; data sets that lie beside it are used, else data are made up.

    Of a model with an attached loss a check does not fail for what the model fails for without it.

    Args:
        path: the model's file.
        rtol: relative tolerance, instead of the dtype's own.
        atol: absolute tolerance, instead of the dtype's own.
        data: arrays by input, instead of those; inputs that have none get data of fitting sizes.

    Returns:
        The checks made; after one that fails to prepare the ground the rest is not made.

    Raises:
        ProviderError: without ONNX Runtime.
    """
    onnxruntime()
    subject = _Subject(path, rtol, atol, data or {})
    checks = []
    for name, step in _GROUND.items():
        checks.append(_attempt(name, step, subject))
        if not checks[-1].ok or (step is _runs and not subject.results):
            return checks
    checks.append(_attempt("agrees with onnx.reference", _reference, subject))
    if any(data.outputs for data in subject.data):
        checks.append(_attempt("agrees with stored outputs", _stored, subject))
    return checks


def read_data(folder: Path, model: onnx.ModelProto) -> DataSet:
    """A data set in the form of ONNX's backend tests, matched to a model by names or order.

    Raises:
        InputError: for files that hold no tensors, or not those of the model.
    """
    inputs = _match(folder, "input", list(input_types(model)), complete=True)
    outputs = _match(folder, "output", [info.name for info in model.graph.output])
    return DataSet(folder.name, inputs, outputs)


def _attempt(name: str, step: Callable[[_Subject], str], subject: _Subject) -> Check:
    try:
        return Check(name, True, step(subject))
    except LossgraphError as error:
        if _fails_without_the_loss(step, subject):
            return Check(name, True, f"as the model without the loss, which fails: {error}")
        return Check(name, False, str(error))


def _fails_without_the_loss(step: Callable[[_Subject], str], subject: _Subject) -> bool:
    """Whether a check fails for the model that a loss was attached to, too."""
    original = without_loss(subject.model)
    if original is None:
        return False
    names = {info.name for info in original.graph.input}
    own = replace(
        subject,
        model=original,
        given={name: array for name, array in subject.given.items() if name in names},
        data=[replace(d, inputs=_some(d.inputs, names), outputs={}) for d in subject.data],
        results=[_some(r, {info.name for info in original.graph.output}) for r in subject.results],
    )
    try:
        step(own)
    except LossgraphError:
        return True
    return False


def _some(arrays: Mapping[str, Array], names: Collection[str]) -> dict[str, Array]:
    return {name: array for name, array in arrays.items() if name in names}


# --- the checks, each a text of what was seen, or an error ---


def _readable(subject: _Subject) -> str:
    if subject.path.name in MODELS:
        require_whole(subject.path.parent)
    subject.model = load_model(subject.path)
    graph = subject.model.graph
    return f"{len(graph.node)} nodes, {len(graph.input)} inputs, {len(graph.output)} outputs"


def _checker(subject: _Subject) -> str:
    validate.check(subject.model)
    return f"onnx {onnx.__version__}: full check, strict shape inference"


def _versions(subject: _Subject) -> str:
    """Ask the engine with the smallest model of these versions: no table can go stale."""
    model = subject.model
    opsets = ", ".join(f"{o.domain or 'opset'} {o.version}" for o in model.opset_import)
    versions = f"{opsets}, IR {model.ir_version}"
    try:
        make_session(_smallest(model))
    except engine_errors() as error:
        raise ValidationError(f"ONNX Runtime does not load {versions}: {error}") from error
    return f"{versions}: loaded by ONNX Runtime {onnxruntime().__version__}"


def _runs(subject: _Subject) -> str:
    runner = ModelRunner(subject.model)
    subject.data = _data_of(subject)
    subject.results = [runner.run(data.inputs) for data in subject.data]
    outputs = ", ".join(
        f"{name}: {value.dtype}{list(value.shape)}" for name, value in subject.results[0].items()
    )
    return f"on {', '.join(data.label for data in subject.data)}: {outputs}"


def _reference(subject: _Subject) -> str:
    details = []
    for data, result in zip(subject.data, subject.results, strict=True):
        details.append(_agreement(result, evaluate_model(subject.model, data.inputs), subject))
    return details[-1] if len(details) == 1 else "; ".join(details)


def _stored(subject: _Subject) -> str:
    details = []
    for data, result in zip(subject.data, subject.results, strict=True):
        if data.outputs:
            details.append(_agreement(result, data.outputs, subject))
    return "; ".join(details)


_GROUND: dict[str, Callable[[_Subject], str]] = {
    "is an ONNX model": _readable,
    "passes the ONNX checker": _checker,
    "has versions the engine knows": _versions,
    "runs in ONNX Runtime": _runs,
}


# --- what they are made of ---


def _smallest(model: onnx.ModelProto) -> onnx.ModelProto:
    smallest = onnx.ModelProto(ir_version=model.ir_version, opset_import=model.opset_import)
    smallest.graph.name = "smallest"
    smallest.graph.node.add(op_type="Identity", input=["x"], output=["y"])
    for info in (smallest.graph.input.add(name="x"), smallest.graph.output.add(name="y")):
        info.type.tensor_type.elem_type = onnx.TensorProto.FLOAT
        info.type.tensor_type.shape.dim.add(dim_value=1)
    return smallest


def _data_of(subject: _Subject) -> list[DataSet]:
    if subject.given:
        return [_given(subject)]
    folders = sorted(p for p in subject.path.parent.glob("test_data_set_*") if p.is_dir())
    if subject.path.name in (*MODELS, *FUSED) and folders:
        return [read_data(folder, subject.model) for folder in folders]
    types = input_types(subject.model)
    return [DataSet("generated data", draw(types, choose_sizes(types)))]


def _given(subject: _Subject) -> DataSet:
    """The arrays that were given, and drawn ones of fitting sizes for the other inputs."""
    types = input_types(subject.model)
    check_arrays({name: types[name] for name in subject.given if name in types}, subject.given)
    pairs = [(types[n].shape, array.shape) for n, array in subject.given.items()]
    sizes = {
        dim.name: length
        for dims, lengths in pairs
        for dim, length in zip(dims, lengths, strict=True)
        if not isinstance(dim, int) and dim.name
    }
    drawn = draw(types, choose_sizes(types, given=sizes))
    return DataSet("given data", {**drawn, **subject.given})


def _match(folder: Path, kind: str, names: list[str], complete: bool = False) -> dict[str, Array]:
    """Tensors of a folder by the names of a model; without names, by their order."""
    files = sorted(folder.glob(f"{kind}_*.pb"), key=lambda p: (len(p.name), p.name))
    tensors = [_tensor(file) for file in files]
    by_name = {tensor.name: tensor for tensor in tensors}
    if all(name in by_name for name in names):
        return {name: numpy_helper.to_array(by_name[name]) for name in names}
    if len(tensors) == len(names):
        return {n: numpy_helper.to_array(t) for n, t in zip(names, tensors, strict=True)}
    if complete or tensors:
        raise InputError(f"{folder}: holds {sorted(by_name)}, the model's {kind}s are {names}")
    return {}


def _tensor(path: Path) -> onnx.TensorProto:
    tensor = onnx.TensorProto()
    try:
        tensor.ParseFromString(path.read_bytes())
    except DecodeError as error:
        raise InputError(f"{path} holds no ONNX tensor: {error}") from error
    return tensor


def evaluate_model(model: onnx.ModelProto, feeds: Mapping[str, Array]) -> dict[str, Array]:
    """The outputs of a model by ONNX's reference evaluator.

    Raises:
        ValidationError: if it fails.
    """
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            values = ReferenceEvaluator(model).run(None, dict(feeds))
        except Exception as error:  # its numpy code raises whatever it runs into
            raise ValidationError(f"onnx.reference fails: {error!r}") from error
    names = [info.name for info in model.graph.output]
    return {name: np.asarray(value) for name, value in zip(names, values, strict=True)}


def _agreement(actual: Mapping[str, Array], desired: Mapping[str, Array], subject: _Subject) -> str:
    """The largest difference in each output.

    Raises:
        ValidationError: naming the first element that differs by more than is tolerated.
    """
    found = []
    for name, value in desired.items():
        tolerance = tolerance_of(value.dtype.name, subject.rtol, subject.atol)
        apart = deviation(name, actual.get(name), value, tolerance)
        if apart.wrong:
            raise ValidationError(
                f"ONNX Runtime differs: {apart} "
                f"(rtol={tolerance.relative:g}, atol={tolerance.absolute:g})"
            )
        found.append(f"{name} within {apart.absolute:.2g}, {ulp_text(apart.ulp)} ULP")
    return ", ".join(found)
