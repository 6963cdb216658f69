"""The text of expressions: one line a node, the same for the same expression always.

::

    pred : float32[N,C]
    %0 = LogSoftmax(pred, axes=(1,)) : float32[N,C]
    loss = %0
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from .expr import Expr, is_input, is_literal, toposort

_INLINE = 8  # elements of a constant that are worth reading


def text(outputs: Mapping[str, Expr], inputs: Sequence[Expr] = ()) -> str:
    """Expressions as text; a node that several share stands once.

    Args:
        outputs: expressions by name, each shown as soon as its nodes are there.
        inputs: inputs to list first, also where nothing reads them; by default those read.
    """
    return "\n".join(lines(outputs, inputs))


def lines(outputs: Mapping[str, Expr], inputs: Sequence[Expr] = ()) -> Iterator[str]:
    """The lines of ``text``."""
    order = toposort(outputs.values())
    for node in inputs or [node for node in order if is_input(node)]:
        yield f"{node.attrs['name']} : {node.type}"
    names: dict[Expr, str] = {}
    for output, root in outputs.items():
        for node in toposort([root]):
            if node not in names and not is_input(node) and not is_literal(node):
                names[node] = f"%{len(names)}"
                yield f"{names[node]} = {_call(node, names)} : {node.type}"
        yield f"{output} = {_operand(root, names, None)}"


def _call(node: Expr, names: Mapping[Expr, str]) -> str:
    dtype = _common_dtype(node)
    operands = [_operand(arg, names, dtype) for arg in node.args]
    attrs = [f"{key}={_plain(value)}" for key, value in sorted(node.attrs.items())]
    return f"{node.op.name}({', '.join(operands + attrs)})"


def _common_dtype(node: Expr) -> str | None:
    """The dtype that a constant beside typed operands has without saying so."""
    typed = {arg.dtype for arg in node.args if not is_literal(arg)}
    return typed.pop() if len(typed) == 1 else None


def _operand(node: Expr, names: Mapping[Expr, str], dtype: str | None) -> str:
    if is_input(node):
        return str(node.attrs["name"])
    if is_literal(node):
        return _constant(node, dtype)
    return names[node]


def _constant(node: Expr, dtype: str | None) -> str:
    value = node.attrs["value"]
    if value.ndim == 0 and node.dtype == dtype:
        return _number(value[()])
    if value.size <= _INLINE:
        return f"{_elements(value)}:{node.type}"
    return f"<{zlib.crc32(value.tobytes()):08x}>:{node.type}"  # told apart, not spelled out


def _elements(value: np.ndarray[Any, Any]) -> str:
    if value.ndim == 0:
        return _number(value[()])
    return f"[{', '.join(_elements(np.asarray(item)) for item in value)}]"


def _number(value: Any) -> str:
    """The shortest text that reads back as this number in its dtype."""
    return str(value)


def _plain(value: object) -> str:
    """An attribute: names as they are, sizes by their names."""
    return value if isinstance(value, str) else repr(value)
