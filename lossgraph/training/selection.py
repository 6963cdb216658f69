"""Which initializers of a model are trained.

Names and patterns say it, or what the model tells: which layer an initializer is a weight of, what
the exporter noted, what it is called, and whether its elements are a table that somebody computed.
Exporters write scalar constants, masks and running statistics as floating initializers too.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import onnx
from onnx import numpy_helper

from ..errors import InputError
from .generated import generated, is_uniform
from .uses import Role, Use, uses_of

_FLOATS = (
    onnx.TensorProto.FLOAT,
    onnx.TensorProto.DOUBLE,
    onnx.TensorProto.FLOAT16,
    onnx.TensorProto.BFLOAT16,
)
_KIND = "pkg.torch.export.graph_signature.InputSpec.kind"  # PyTorch's note at an initializer
_INVENTED = re.compile(  # names that exporters give to what has none
    r"(val|v|_v|t|c|x)?_?\d+|.*::\w+_\d+|.*lift(ed)?_\w+|(.*[/_.])?const(ant)?\w*([_:.]\d+)?|"
    r"(new_)?(zeros|ones|full|empty|arange|expand|scalar_tensor|eye|tri[lu])(_\w+)?|"
    r".*_output_\d+|/.*",
    re.IGNORECASE,
)
_BUFFERS = frozenset(
    {"anchors", "buffer", "cos", "eps", "epsilon", "freq", "freqs", "grid", "mask", "masks",
     "maximum", "mean", "means", "minimum", "moving", "running", "sin", "std", "stddev", "tril",
     "triu", "var", "variance", "window"}
)  # fmt: skip
_PARAMETERS = frozenset(
    {"a", "alpha", "b", "beta", "bias", "biases", "coef", "coefficient", "coefficients", "embed",
     "embedding", "embeddings", "g", "gain", "gamma", "intercept", "intercepts", "kernel",
     "lambda", "offset", "parameter", "pos", "query", "queries", "scale", "shift", "slope",
     "table", "temperature", "token", "tokens", "v", "variable", "w", "weight", "weights"}
)  # fmt: skip


@dataclass(frozen=True)
class Selection:
    """What is trained, and why the other floating initializers are not.

    Attributes:
        trainable: names, in the order of the model.
        left_out: the reasons, by name.
        asked: whether the user named them.
    """

    trainable: tuple[str, ...]
    left_out: Mapping[str, str]
    asked: bool = True


def select(model: onnx.ModelProto, trainable: str | Sequence[str] | None) -> Selection:
    """The initializers that ``trainable`` names.

    Args:
        model: the model.
        trainable: names or patterns like ``"layer4.*"``; None for all that a person would train.

    Raises:
        InputError: for a name or pattern that no floating initializer has, and if nothing is left.
    """
    floats = {t.name: t for t in model.graph.initializer if t.data_type in _FLOATS}
    if trainable is None:
        return _by_evidence(model, floats)
    patterns = [trainable] if isinstance(trainable, str) else list(trainable)
    chosen: dict[str, None] = {}
    for pattern in patterns:
        found = [pattern] if pattern in floats else fnmatch.filter(floats, pattern)
        if not found:
            raise InputError(
                f"trainable: no floating initializer of the model is called {pattern!r}; they are "
                f"{', '.join(floats)}"
            )
        chosen.update(dict.fromkeys(found))
    names = tuple(name for name in floats if name in chosen)
    return Selection(names, {name: "not asked for" for name in floats if name not in chosen})


def _by_evidence(model: onnx.ModelProto, floats: Mapping[str, onnx.TensorProto]) -> Selection:
    uses, kinds = uses_of(model), _noted_kinds(model)
    reasons = {
        name: _reason_against(tensor, uses.get(name, []), kinds.get(name, ""))
        for name, tensor in floats.items()
    }
    left_out = {name: reason for name, reason in reasons.items() if reason}
    if len(left_out) == len(floats):
        listed = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        raise InputError(
            "no floating initializer of the model looks like a parameter: name what is trained by "
            f"`trainable` ({listed or 'it has none'})"
        )
    return Selection(tuple(n for n in floats if n not in left_out), left_out, asked=False)


def _noted_kinds(model: onnx.ModelProto) -> dict[str, str]:
    """What PyTorch's exporter says of initializers: PARAMETER, BUFFER .."""
    infos = (*model.graph.value_info, *model.graph.input)
    noted = ((info.name, prop) for info in infos for prop in info.metadata_props)
    return {name: prop.value for name, prop in noted if prop.key == _KIND}


def _reason_against(tensor: onnx.TensorProto, uses: Sequence[Use], kind: str) -> str:
    """Why an initializer is not trained; empty if it is."""
    if not uses:
        return "nothing reads it"
    refusals = [_reason_at(tensor, use, kind) for use in uses]
    return "" if "" in refusals else refusals[0]


def _reason_at(tensor: onnx.TensorProto, use: Use, kind: str) -> str:
    """Why an initializer is no parameter as far as one use tells; empty if it is one."""
    if use.role is Role.STATISTIC:
        return f"a running statistic of {use.node.label}"
    if use.role is Role.OPTION:
        return f"an option of {use.node.label}"
    if use.role is Role.FOREIGN:
        return f"an input of {use.node.label} of the domain {use.node.domain!r}"
    if kind:
        return "" if kind == "PARAMETER" else f"the exporter calls it a {kind.lower()}"
    return _as_weight(tensor) if use.role is Role.LAYER else _as_operand(tensor, use)


def _as_weight(tensor: onnx.TensorProto) -> str:
    """Why what stands in a layer's place for weights is none."""
    words, invented = _words(tensor.name), bool(_INVENTED.fullmatch(tensor.name))
    if words & _PARAMETERS and not invented:
        return ""
    array = numpy_helper.to_array(tensor)
    if is_uniform(array):
        return (
            f"all its elements are {array.flat[0]:g}, and no layer gave it a name"
            if invented
            else ""
        )
    return generated(array)


def _as_operand(tensor: onnx.TensorProto, use: Use) -> str:
    """Why what stands beside values of the model is no parameter."""
    words, invented = _words(tensor.name), bool(_INVENTED.fullmatch(tensor.name))
    is_number = all(n == 1 for n in tensor.dims)
    if words & _BUFFERS:
        return "called like a buffer"
    if is_number and invented:
        return f"a constant of {use.node.label}"
    if is_number:
        named = bool(words & _PARAMETERS) or "." in tensor.name
        return "" if named else f"a constant of {use.node.label}"
    if use.beside_input and use.node.operator in ("Sub", "Div") and use.place == 1:
        return f"{use.node.label} prepares an input of the model with it"
    if use.node.operator == "Gather" and len(tensor.dims) < 2:
        return f"{use.node.label} reads constants from it"
    array = numpy_helper.to_array(tensor)
    named = bool(words & _PARAMETERS) and not invented
    return "" if named and is_uniform(array) else generated(array)


def _words(name: str) -> set[str]:
    """The words of the last part of a name, ``running_mean`` of ``norm.running_mean``."""
    parts: Iterable[str] = re.split(r"[./]", re.sub(r":\d+$", "", name))
    last = [part for part in parts if part][-1:]
    return {word for part in last for word in re.split(r"[^a-z]+", _spaced(part).lower()) if word}


def _spaced(name: str) -> str:
    """``ReadVariableOp`` as ``Read_Variable_Op``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)
