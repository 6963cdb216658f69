"""F in numpy: the eager reference of the language that losses are written in.

Operators with MXNet's names, arguments and results on an :class:`Array` that wraps numpy. It
shares nothing with the compiler (only its errors), so that it can judge it. A loss body runs
unchanged with ``F = lossgraph.reference``:

>>> from lossgraph import reference as F
>>> pred, label = F.array([[1.0, 3.0]]), F.array([[0.0, 1.0]])
>>> F.mean(F.square(pred - label), axis=0, exclude=True).asnumpy()
array([2.5], dtype=float32)
"""

from __future__ import annotations

from typing import Any

from . import activations as _activations
from . import array as _array
from . import elementwise as _elementwise
from . import index as _index
from . import layers as _layers
from . import linear_algebra as _linear_algebra
from . import matrices as _matrices
from . import outputs as _outputs
from . import reduce as _reduce
from . import scatter as _scatter
from . import shape as _shape
from . import spectral as _spectral
from .array import OPERATORS, Array
from .contrib import contrib as contrib
from .linear_algebra import linalg as linalg
from .missing import missing

_MODULES = (
    _activations,
    _array,
    _elementwise,
    _index,
    _layers,
    _linear_algebra,
    _matrices,
    _outputs,
    _reduce,
    _scatter,
    _shape,
    _spectral,
)
_OPERATORS = set(OPERATORS.values())
# An alias is a second name of an operator in its module.
_FUNCTIONS = {
    name: value
    for module in _MODULES
    for name, value in vars(module).items()
    if not name.startswith("_") and callable(value) and value in _OPERATORS
}
array = _array.array
globals().update(_FUNCTIONS)

__all__ = ["Array", "array", *sorted(_FUNCTIONS)]


def __getattr__(name: str) -> Any:
    """Names that modules of Python are asked for are none; others are operators that are not."""
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    raise missing("F", name, __all__)
