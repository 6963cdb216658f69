"""Which initializers of a model are trained."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import onnx

from ..errors import InputError

_FLOATS = (
    onnx.TensorProto.FLOAT,
    onnx.TensorProto.DOUBLE,
    onnx.TensorProto.FLOAT16,
    onnx.TensorProto.BFLOAT16,
)


@dataclass(frozen=True)
class Selection:
    """What is trained, and why the other floating initializers are not.

    Attributes:
        trainable: names, in the order of the model.
        left_out: the reasons, by name.
    """

    trainable: tuple[str, ...]
    left_out: Mapping[str, str]


def select(model: onnx.ModelProto, trainable: str | Sequence[str] | None) -> Selection:
    """The initializers that ``trainable`` names.

    Args:
        model: the model.
        trainable: names or patterns like ``"layer4.*"``; None for all that a person would train.

    Raises:
        InputError: for a name or pattern that no floating initializer has.
    """
    floats = {t.name: t for t in model.graph.initializer if t.data_type in _FLOATS}
    if trainable is None:
        return Selection(tuple(n for n, t in floats.items() if len(t.dims) > 0), {})
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
