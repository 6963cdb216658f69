"""Models of other versions of the operators, and what ONNX's checker says of a model."""

from __future__ import annotations

import onnx
from onnx import checker, shape_inference, version_converter

from ..errors import InputError
from .light_copy import copy_of, restore_weights, without_weights
from .walk import opset_of

_DEFAULTS_SINCE = 4  # the IR in which an input may have a default; before, weights were listed


def check(model: onnx.ModelProto) -> str:
    """What ONNX's checker and strict shape inference have against a model; empty for nothing.

    Large weights are left out: what is checked of them is that they are there.
    """
    try:
        checker.check_model(without_weights(model), full_check=True)
    except (checker.ValidationError, shape_inference.InferenceError) as error:
        return str(error).strip() or type(error).__name__
    return ""


def convert(model: onnx.ModelProto, low: int, high: int, usual: int) -> onnx.ModelProto:
    """A copy whose standard operators are of a version from ``low`` to ``high``.

    A model that has none of them imports the ``usual`` version.

    Raises:
        InputError: if ONNX's version converter cannot bring it there.
    """
    copied = copy_of(model)
    if copied.ir_version < _DEFAULTS_SINCE:
        _drop_defaults(copied)
    found = opset_of(model)
    if found is None:
        copied.opset_import.add(version=usual)
        return copied
    if low <= found <= high:
        return copied
    wanted = min(max(found, low), high)
    failed = f"onnx.version_converter cannot bring the model from opset {found} to {wanted}"
    if model.functions:
        raise InputError(f"{failed}: it drops functions; inline them with onnx.inliner first")
    try:
        converted = version_converter.convert_version(without_weights(copied), wanted)
    except Exception as error:  # it raises whatever it runs into
        raise InputError(f"{failed}: {error}") from error
    restore_weights(converted, copied)
    converted.ClearField("metadata_props")  # which not every release of the converter keeps
    converted.metadata_props.extend(model.metadata_props)
    problem = check(converted)
    if problem:
        raise InputError(f"{failed}: {problem}")
    return converted


def _drop_defaults(model: onnx.ModelProto) -> None:
    """Bring a model to an IR in which a weight that is listed as an input could be replaced.

    Engines take weights that cannot for constants, and so do other arithmetic with them.
    """
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [info for info in model.graph.input if info.name not in weights]
    model.graph.ClearField("input")
    model.graph.input.extend(inputs)
    model.ir_version = _DEFAULTS_SINCE
