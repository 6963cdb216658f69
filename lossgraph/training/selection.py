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

FLOATS = (
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

_NO_WEIGHTS = {
    Role.STATISTIC: "a running statistic",
    Role.OPTION: "an option",
    Role.FOREIGN: "of another domain: an input",
}


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
    floats = {t.name: t for t in model.graph.initializer if t.data_type in FLOATS}
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
    uses, evidence = uses_of(model), _Evidence.of(model)
    reasons = {
        name: evidence.reason_against(tensor, uses.get(name, [])) for name, tensor in floats.items()
    }
    left_out = {name: reason for name, reason in reasons.items() if reason}
    if len(left_out) == len(floats):
        listed = "; ".join(f"{name}: {reason}" for name, reason in left_out.items())
        raise InputError(
            "no floating initializer of the model looks like a parameter: name what is trained by "
            f"`trainable` ({listed or 'it has none'})"
        )
    return Selection(tuple(n for n in floats if n not in left_out), left_out, asked=False)


@dataclass(frozen=True)
class _Evidence:
    """What tells parameters from constants in a model.

    Attributes:
        kinds: what PyTorch's exporter notes of initializers that it knows: PARAMETER, BUFFER ..
        keeps_names: whether what is no constant has the name of a parameter or buffer, as in files
            of PyTorch without such notes, whose constants are nodes.
    """

    kinds: Mapping[str, str]
    keeps_names: bool

    @classmethod
    def of(cls, model: onnx.ModelProto) -> _Evidence:
        """The evidence in a model."""
        infos = (*model.graph.value_info, *model.graph.input)
        noted = ((info.name, prop) for info in infos for prop in info.metadata_props)
        kinds = {name: prop.value for name, prop in noted if prop.key == _KIND}
        return cls(kinds, model.producer_name == "pytorch" and not kinds)

    def reason_against(self, tensor: onnx.TensorProto, uses: Sequence[Use]) -> str:
        """Why an initializer is not trained; empty if it is."""
        if not uses:
            return "nothing reads it"
        refusals = [self._reason_at(tensor, use) for use in uses]
        return "" if "" in refusals else refusals[0]

    def _reason_at(self, tensor: onnx.TensorProto, use: Use) -> str:
        """Why an initializer is no parameter as far as one use tells; empty if it is one."""
        label, kind = use.node.label, self.kinds.get(tensor.name)
        if use.role in _NO_WEIGHTS:
            return f"{_NO_WEIGHTS[use.role]} of {label}"
        if kind is not None:
            return "" if kind == "PARAMETER" else f"the exporter calls it a {kind.lower()}"
        return self._as_weight(tensor) if use.role is Role.LAYER else self._as_operand(tensor, use)

    def _as_weight(self, tensor: onnx.TensorProto) -> str:
        """Why what stands in a layer's place for weights is none."""
        if self._is_named(tensor):
            return ""
        array = numpy_helper.to_array(tensor)
        if not is_uniform(array):
            return generated(array)
        invented = bool(_INVENTED.fullmatch(tensor.name))
        unknown = f"all its elements are {array.flat[0]:g}, and no layer gave it a name"
        return unknown if invented or self.kinds else ""

    def _as_operand(self, tensor: onnx.TensorProto, use: Use) -> str:
        """Why what stands beside values of the model is no parameter."""
        label, named, words = use.node.label, self._is_named(tensor), _words(tensor.name)
        if words & _BUFFERS and not words & _PARAMETERS:  # a mask, and no mask_token
            return "called like a buffer"
        if all(n == 1 for n in tensor.dims):
            return "" if named else f"a constant of {label}"
        if use.beside_input and use.node.operator in ("Sub", "Div") and use.place == 1:
            return f"{label} prepares an input of the model with it"
        if use.node.operator == "Gather" and len(tensor.dims) < 2:
            return f"{label} reads constants from it"
        array = numpy_helper.to_array(tensor)
        return "" if named and is_uniform(array) else generated(array)

    def _is_named(self, tensor: onnx.TensorProto) -> bool:
        """Whether an initializer has a name that parameters have."""
        if self.kinds or _INVENTED.fullmatch(tensor.name):
            return False
        tells = "." in tensor.name or bool(_words(tensor.name) & _PARAMETERS)
        return self.keeps_names or tells


def _words(name: str) -> set[str]:
    """The words of the last part of a name, ``running_mean`` of ``norm.running_mean``."""
    parts: Iterable[str] = re.split(r"[./]", re.sub(r":\d+$", "", name))
    last = [part for part in parts if part][-1:]
    return {word for part in last for word in re.split(r"[^a-z]+", _spaced(part).lower()) if word}


def _spaced(name: str) -> str:
    """``ReadVariableOp`` as ``Read_Variable_Op``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name)
