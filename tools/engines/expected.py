"""What a loss ought to give, by numpy alone: values by the body of the loss, gradients by slopes.

No ONNX model and no engine has a part in it, nor have the rules that differentiate and simplify:
``lossgraph.reference`` runs the body on arrays, in float64, and a gradient is how the sum of its
values changes with one entry of an input.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from lossgraph import reference
from lossgraph.compare.finite_differences import gradient
from lossgraph.compiler.outputs import gradient_name
from lossgraph.deploy.export import expected

Array = np.ndarray[Any, Any]

# A central difference is off by the square of its step times a third derivative, of size 1 to 1e5
# here, and by the rounding of the values, 1e-16 of them, over the step: for logits of 1e4 about as
# much.
STEP = 1e-5


def expected_outputs(
    block: Any,
    arrays: Mapping[str, Array],
    grad: Sequence[str] = (),
    axes: Mapping[str, int] | None = None,
) -> dict[str, Array]:
    """The value, and the gradients by some inputs, each in the dtype that the graph has.

    Args:
        block: the loss.
        arrays: its inputs.
        grad: names of inputs.
        axes: for a loss whose samples stay apart and of which each has a value, the axis along
            which an input has them: then the slopes of all samples are taken at once.
    """
    wide = {name: _wide(array) for name, array in arrays.items()}

    def values(feeds: Mapping[str, Array]) -> dict[str, Array]:
        if axes and _count(feeds, axes) == 0:
            return {"loss": np.zeros(0)}
        wrapped = {name: reference.Array(array) for name, array in feeds.items()}
        found = block(**wrapped)
        if isinstance(found, tuple):
            return {f"loss_{k}": np.asarray(each.asnumpy()) for k, each in enumerate(found)}
        return {"loss": np.asarray(found.asnumpy())}

    def value(feeds: Mapping[str, Array]) -> Array:
        first, *others = values(feeds).values()
        return np.concatenate([each.ravel() for each in (first, *others)]) if others else first

    dtype = next(array.dtype for array in arrays.values() if array.dtype.kind == "f")
    outputs = {name: each.astype(dtype) for name, each in values(wide).items()}
    for name in grad:
        slopes = gradient(value, wide, name, STEP, axes)
        outputs[gradient_name(name)] = slopes.astype(arrays[name].dtype)
    return outputs


def outputs_by_rules(
    block: Any, types: Any, arrays: Mapping[str, Array], grad: Sequence[str]
) -> dict[str, Array]:
    """Value and gradients as our graph has them, by the interpreter in float64, rounded once.

    For where slopes are no gradients: at kinks, at a step that is lost in a large number or that
    crosses all there is to see, and at a gradient that a loss stops.
    """
    return expected(block, block.program(types, grad=grad), arrays)


def _count(arrays: Mapping[str, Array], axes: Mapping[str, int]) -> int:
    """How many samples there are."""
    return min(arrays[name].shape[axis] for name, axis in axes.items())


def _wide(array: Array) -> Array:
    return array.astype(np.float64) if array.dtype.kind == "f" else array
