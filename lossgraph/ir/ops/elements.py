"""Elements of operations that are not one function of their arguments' elements, for kernels.

``k`` makes values of elements (``kernels.elements.Elements``), ``i`` are the indices of the result.
"""

from __future__ import annotations

from typing import Any

from ..expr import Expr, scalar_value


def power_element(k: Any, node: Expr, i: Any) -> Any:
    """Squares and cubes are products."""
    base, exponent = (k.at(arg, k.aligned(i, node, arg)) for arg in node.args)
    whole = scalar_value(node.args[1])
    if whole == 2:
        return k.call("*", base, base)
    if whole == 3:
        return k.call("*", k.call("*", base, base), base)
    return k.call("pow", base, exponent)


def isnan_element(k: Any, node: Expr, i: Any) -> Any:
    """Whether it is not equal to itself."""
    x = k.at(node.args[0], i)
    return k.call("!=", x, x)


def where_element(k: Any, node: Expr, i: Any) -> Any:
    """Of one of two arrays."""
    return k.where(*(k.at(arg, k.aligned(i, node, arg)) for arg in node.args))


def cast_element(k: Any, node: Expr, i: Any) -> Any:
    """Of another kind."""
    return k.cast(k.at(node.args[0], i), node.args[0].dtype, node.dtype)


def same_element(k: Any, node: Expr, i: Any) -> Any:
    """Of the argument."""
    return k.at(node.args[0], i)


def clip_element(k: Any, node: Expr, i: Any) -> Any:
    """Limited to the attributes' interval."""
    return k.clip(k.at(node.args[0], i), node.attrs["low"], node.attrs["high"])
