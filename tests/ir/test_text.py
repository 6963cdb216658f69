"""The text of expressions."""

from __future__ import annotations

import numpy as np
import pytest

from lossgraph.ir import ops
from lossgraph.ir.expr import Expr, const, variable
from lossgraph.ir.text import text
from lossgraph.ir.types import tensor_type


def x(dtype: str = "float32", name: str = "x") -> Expr:
    return variable(name, tensor_type(dtype, ("N", "C")))


def test_one_line_a_node_and_shared_nodes_once() -> None:
    shared = ops.exp(x() * 0.5)
    total = ops.reduce_sum(shared + shared, axes=(1,))
    assert text({"loss": total, "grad_x": shared}).splitlines() == [
        "x : float32[N,C]",
        "%0 = Mul(x, 0.5) : float32[N,C]",
        "%1 = Exp(%0) : float32[N,C]",
        "%2 = Add(%1, %1) : float32[N,C]",
        f"%3 = {total.op.name}(%2, axes=(1,)) : {total.type}",
        "loss = %3",
        "grad_x = %1",
    ]


def test_inputs_that_nothing_reads_are_listed_on_request() -> None:
    assert text({"loss": x()}, [x(), x(name="y")]) == "x : float32[N,C]\ny : float32[N,C]\nloss = x"


@pytest.mark.parametrize(
    ("value", "dtype", "shown"),
    [
        (0.1, "float32", "0.1"),
        (0.1, "float16", "0.1"),
        (1 / 3, "float64", "0.3333333333333333"),
        (-0.0, "float32", "-0.0"),
        (np.inf, "float32", "inf"),
        (np.nan, "float32", "nan"),
        (7, "int64", "7"),
    ],
)
def test_a_scalar_beside_its_dtype_is_a_number(value: float, dtype: str, shown: str) -> None:
    assert f"(x, {shown})" in text({"y": ops.add(x(dtype), const(value, dtype))})


def test_other_constants_say_their_type() -> None:
    assert text({"y": const([1, 2], "int64")}) == "y = [1, 2]:int64[2]"
    assert text({"y": const(2.5, "float64")}) == "y = 2.5:float64[]"


def test_large_constants_are_told_apart_but_not_spelled_out() -> None:
    shown = {text({"y": const(np.full(100, fill), "float32")}) for fill in (0, 1)}
    assert len(shown) == 2
    assert all(len(line) < 40 for line in shown)


def test_the_same_expression_has_the_same_text() -> None:
    def build() -> str:
        return text({"loss": ops.log(ops.exp(x()) + 1.0)})

    assert build() == build()
