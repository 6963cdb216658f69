"""The call of a kernel as a node of an expression, among operations of other sorts.

Its body says what the kernel computes, so that the interpreter runs it like anything else; in a
model it is one node of the library's domain.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..errors import InputError
from ..ir.evaluate import evaluate
from ..ir.expr import Array, Body, Expr, Op
from ..ir.ops.item import results_of
from ..ir.types import TensorType, TupleType


def call_kernel(args: Sequence[Expr], body: Body, operator: str, domain: str) -> list[Expr]:
    """The results of a kernel.

    Args:
        args: a value for each input of the body, of its type.
        body: what the kernel computes.
        operator: the kernel's name.
        domain: that of the library which has it.
    """
    return results_of(_CALL(*args, body=body, operator=operator, domain=domain))


def _infer(*types: TensorType, body: Body, operator: str, domain: str) -> TupleType:
    wanted = tuple(node.type for node in body.inputs)
    if types != wanted:
        raise InputError(f"{operator} takes ({', '.join(map(str, wanted))})")
    return TupleType(tuple(node.type for node in body.outputs))


def _ref(*arrays: Array, body: Body, operator: str, domain: str) -> tuple[Array, ...]:
    given = {v.attrs["name"]: array for v, array in zip(body.inputs, arrays, strict=True)}
    return tuple(evaluate(body.outputs, given))


def _lower(builder: Any, node: Expr, *names: str) -> str:
    attrs = node.attrs
    return str(builder.results(node, attrs["operator"], *names, domain=attrs["domain"]))


# In no register: programs are cut after all passes, so that no rule or test of operations meets it.
_CALL = Op("CallKernel", _infer, _ref, None, _lower, (), stem="fused")
