"""What the equivalents share: reductions of any framework's arrays, and names."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    Function = Callable[..., Any]  # (*arrays) -> the value, or a tuple of values
    Call = Callable[[], Any]  # -> the value and the gradients, computed when it returns
else:  # Python 3.8 cannot subscript these
    Function = Call = Any


def sample_mean(each: Any) -> Any:
    """The mean over all axes but that of the samples."""
    return each.mean(tuple(range(1, each.ndim))) if each.ndim > 1 else each


def reduced(each: Any, reduction: str) -> Any:
    """What torch's losses make of the losses of elements or samples."""
    return each if reduction == "none" else getattr(each, reduction)()


def values_of(value: Any) -> Sequence[Any]:
    """The values of a loss that may have several."""
    return value if isinstance(value, tuple) else (value,)


def total(value: Any) -> Any:
    """The sum of all values, which is what is differentiated."""
    first, *others = [each.sum() for each in values_of(value)]
    return sum(others, first)


def keyword_only(function: Function) -> Sequence[str]:
    """The options of a function of these tables: what it takes by name only."""
    parameters = inspect.signature(function).parameters.values()
    return [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]


def changed(options: Mapping[str, Any], defaults: Mapping[str, Any]) -> Mapping[str, Any]:
    """The options that are not the defaults; for one of that name without a default, all."""
    return {k: v for k, v in options.items() if k not in defaults or v != defaults[k]}
