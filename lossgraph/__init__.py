"""lossgraph: losses as mathematics, compiled to ONNX graphs of value and gradient."""

from __future__ import annotations

__version__ = "0.1.0"

from importlib import import_module
from typing import Any

from . import gluon, losses, nn, optax, reference, symbolic
from .authoring.expressions import grad, jvp, symbol, vjp
from .authoring.functions import compile_loss as compile
from .authoring.functions import value_and_grad
from .authoring.inputs import Input
from .compose import masked, mixup, padded, renamed, uncertainty_weighted, weighted_sum
from .errors import (
    DtypeError,
    GradientError,
    InputError,
    LossgraphError,
    LossgraphWarning,
    LoweringError,
    ProviderError,
    ValidationError,
)
from .models.attach import attach
from .symbolic.symbol import Symbol

__all__ = [
    "DtypeError", "GradientError", "Input", "InputError", "LossgraphError", "LossgraphWarning",
    "LoweringError", "ProviderError", "Symbol", "ValidationError", "attach", "compile",
    "from_onnx", "gluon", "grad", "jvp", "losses", "masked", "mixup", "nn", "optax", "padded",
    "plot", "reference", "renamed", "symbol", "symbolic", "tables", "testing", "training",
    "uncertainty_weighted", "value_and_grad", "vjp", "weighted_sum",
]  # fmt: skip

_OF_MXNET = ("autograd", "init", "nd", "np", "npx")  # ``from lossgraph import nd, autograd``


def __getattr__(name: str) -> Any:
    """What is imported when it is first used, and MXNet's modules for the imports of losses."""
    if name in ("tables", "testing", "training"):
        return import_module(f".{name}", __name__)
    if name == "from_onnx":
        return import_module(".importer.reader", __name__).from_onnx
    if name == "plot":
        return import_module(".view.plots", __name__).plot
    if name in _OF_MXNET:
        return import_module(f".gluon.mxnet.{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
