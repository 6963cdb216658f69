"""Which kernels of the installed ONNX Runtime lose NaN, infinities or the last digits of integers.

Every operator that lossgraph writes is asked by itself, in each of its dtypes, with a special
value at every position of rows of many lengths (vector kernels treat the rest of a row by itself),
reduced over a last, a middle and several axes; numpy in float64 has the answer. The result is
compared with the table that lowering reads, lossgraph/lowering/kernels.py; the exit status is 1
where a fault is not in it.
"""

from __future__ import annotations

import argparse
import math
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
from onnx import helper, numpy_helper

from lossgraph.ir.types import numpy_dtype
from lossgraph.lowering.kernels import INTEGERS, NONFINITE
from lossgraph.lowering.onnx_api import dtype_code

Array = np.ndarray[Any, Any]
Answer = Callable[..., Array]

FLOATS = ("float16", "float32", "float64")
LENGTHS = (*range(1, 18), 24, 31, 32, 33, 40)
QUICK = (1, 2, 3, 8, 17, 33)
SPECIAL = (np.nan, np.inf, -np.inf)
# Only whether a number is special, and about right, is asked: float16 keeps three digits.
RTOL, ATOL = 2e-2, 1e-2
BIG = 2**53  # from here on float64 does not hold every integer


class Kernel(NamedTuple):
    """An operator as one node: its answer in numpy, inputs beside the first, attributes."""

    operator: str
    answer: Answer
    others: tuple[Any, ...] = ()
    attributes: Mapping[str, Any] = MappingProxyType({})
    result: str = ""  # dtype; that of the first input by default


def session(kernel: Kernel, dtype: str, rank: int) -> Any:
    """A session of one node; numbers beside it are constants, names are dynamic inputs."""
    inputs, constants = ["x"], []
    for i, other in enumerate(kernel.others):
        name = f"c{i}"
        inputs.append(name)
        if other is not None:
            is_number = isinstance(other, float)
            array = np.array(other, numpy_dtype(dtype) if is_number else np.int64)
            constants.append(numpy_helper.from_array(array, name))
    given = ["x", *(f"c{i}" for i, other in enumerate(kernel.others) if other is None)]
    code = dtype_code(dtype)
    result = dtype_code(kernel.result) if kernel.result else code
    node = helper.make_node(kernel.operator, inputs, ["y"], **kernel.attributes)
    graph = helper.make_graph(
        [node],
        "kernel",
        [helper.make_tensor_value_info(name, code, [None] * rank) for name in given],
        [helper.make_tensor_value_info("y", result, None)],
        constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    options = onnxruntime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = 4, 1
    return onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )


# --- floats -------------------------------------------------------------------------------


def _over(function: Answer, axes: tuple[int, ...]) -> Answer:
    return lambda x: function(x, axis=axes, keepdims=True)


def _softmax(x: Array, axis: int) -> Array:
    e = np.exp(x - x.max(axis=axis, keepdims=True))
    return e / e.sum(axis=axis, keepdims=True)


def _log_softmax(x: Array, axis: int) -> Array:
    shifted = x - x.max(axis=axis, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))


UNARY: dict[str, Answer] = {
    "Abs": np.abs, "Atan": np.arctan, "Ceil": np.ceil, "Cos": np.cos, "Exp": np.exp,
    "Erf": np.vectorize(math.erf),
    "Floor": np.floor, "IsNaN": np.isnan, "Log": np.log, "Neg": np.negative,
    "Reciprocal": lambda x: 1 / x, "Relu": lambda x: np.maximum(x, 0), "Round": np.rint,
    "Sigmoid": lambda x: 1 / (1 + np.exp(-x)), "Sign": np.sign, "Sin": np.sin, "Sqrt": np.sqrt,
    "Tanh": np.tanh,
}  # fmt: skip
BINARY: dict[str, Answer] = {
    "Add": np.add, "Div": np.divide, "Equal": np.equal, "Greater": np.greater,
    "GreaterOrEqual": np.greater_equal, "Less": np.less, "LessOrEqual": np.less_equal,
    "Max": np.maximum, "Min": np.minimum, "Mul": np.multiply, "Pow": np.power, "Sub": np.subtract,
}  # fmt: skip
REDUCTIONS: dict[str, Answer] = {
    "ReduceMax": np.max, "ReduceMean": np.mean, "ReduceMin": np.min, "ReduceProd": np.prod,
    "ReduceSum": np.sum,
}  # fmt: skip
AXES = ((2,), (1,), (0,), (0, 1), (1, 2), (0, 2))
BOOLEAN = {"IsNaN", "Equal", "Greater", "GreaterOrEqual", "Less", "LessOrEqual"}


def of_floats() -> Iterator[tuple[Kernel, tuple[int, ...]]]:
    """Kernels, and the axes that they work along."""
    for name, answer in UNARY.items():
        yield Kernel(name, answer, result="bool" * (name in BOOLEAN)), (2,)
    for name, answer in BINARY.items():
        yield Kernel(name, answer, (None,), result="bool" * (name in BOOLEAN)), (2,)
    yield Kernel("Clip", lambda x: np.clip(x, -1, 1), (-1.0, 1.0)), (2,)
    yield Kernel("MatMul", np.matmul, (None,)), (2,)
    for axes in AXES:
        for name, answer in REDUCTIONS.items():
            yield Kernel(name, _over(answer, axes), (list(axes),)), axes
    for (axis,) in AXES[:3]:
        attributes, along = {"axis": axis}, (axis,)
        yield Kernel("Softmax", partial(_softmax, axis=axis), (), attributes), along
        yield Kernel("LogSoftmax", partial(_log_softmax, axis=axis), (), attributes), along
        yield Kernel("CumSum", partial(np.cumsum, axis=axis), (axis,)), along
        for name, find in (("ArgMax", np.argmax), ("ArgMin", np.argmin)):
            answer = partial(find, axis=axis, keepdims=True)
            yield Kernel(name, answer, (), attributes, result="int64"), along


def samples(kernel: Kernel, axes: Sequence[int], dtype: str, length: int) -> Iterator[list[Array]]:
    """Arrays with one special value, at each position along the axis."""
    rng = np.random.default_rng(length)
    shape = [2, 3, 2]
    shape[axes[0]] = length
    for value in SPECIAL:
        for position in range(length):
            x = rng.uniform(0.2, 2, shape).astype(dtype)
            x[tuple(position if i == axes[0] else shape[i] - 1 for i in range(3))] = value
            if not kernel.others or kernel.others[0] is not None:
                yield [x]
            elif kernel.operator == "MatMul":
                yield [x, rng.uniform(0.2, 2, (2, length, 3)).astype(dtype)]
            else:
                for other in (shape, (1, 1, length), (2, 3, 1)):
                    y = rng.uniform(0.2, 2, other).astype(dtype)
                    yield [x, y]
                    yield [y, x]


def agrees(actual: Array, expected: Array, dtype: str) -> bool:
    """Special values are where they belong, and the others are about right."""
    with np.errstate(over="ignore"):
        expected = expected.astype(dtype)
    return np.allclose(
        actual.astype(np.float64), expected.astype(np.float64), RTOL, ATOL, equal_nan=True
    )


def loses(kernel: Kernel, axes: Sequence[int], dtype: str, lengths: Sequence[int]) -> str:
    """The first sample that a kernel gets wrong, in words; empty if there is none."""
    try:
        asked = session(kernel, dtype, 3)
    except Exception as error:  # ONNX Runtime has no common base of what it raises
        if "NOT_IMPLEMENTED" in str(error) or "INVALID_GRAPH" in str(error):
            return ""
        raise
    names = [node.name for node in asked.get_inputs()]
    for length in lengths:
        for arrays in samples(kernel, axes, dtype, length):
            (actual,) = asked.run(None, dict(zip(names, arrays, strict=True)))
            expected = kernel.answer(*(array.astype(np.float64) for array in arrays))
            if not agrees(actual, expected, kernel.result or dtype):
                value = next(a for a in arrays if not np.isfinite(a).all())
                place = np.argwhere(~np.isfinite(value))[0]
                return f"{value[tuple(place)]} at {place.tolist()} of {value.shape}, axes {axes}"
    return ""


def nonfinite(lengths: Sequence[int] = LENGTHS) -> dict[tuple[str, str], str]:
    """Kernels of floats that lose special values: an example of each."""
    found: dict[tuple[str, str], str] = {}
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        for kernel, axes in of_floats():
            for dtype in FLOATS:
                key = kernel.operator, dtype
                example = "" if key in found else loses(kernel, axes, dtype, lengths)
                if example:
                    found[key] = example
    return found


# --- integers -----------------------------------------------------------------------------


def of_integers() -> Iterator[tuple[Kernel, list[list[int]]]]:
    """Kernels with the rows that float64 would get wrong."""
    rows = [[BIG + 1, 0, 0], [BIG, 1, 2], [-BIG, -1, 0]]
    reductions = {"ReduceMax": np.max, "ReduceMin": np.min, "ReduceSum": np.sum}
    for axes in ((1,), (0,), (0, 1)):
        for name, answer in reductions.items():
            yield Kernel(name, _over(answer, axes), (list(axes),)), rows
        factors = [[BIG // 4 + 1, 5, 1], [3, 1, 1], [1, 1, 1]]
        yield Kernel("ReduceProd", _over(np.prod, axes), (list(axes),)), factors
    yield Kernel("CumSum", partial(np.cumsum, axis=1), (1,)), rows
    yield Kernel("Abs", np.abs), rows
    yield Kernel("Neg", np.negative), rows
    for name, find in (("ArgMax", np.argmax), ("ArgMin", np.argmin)):
        near = [[BIG, BIG + 1, BIG], [BIG + 2, BIG + 1, BIG + 2]]
        yield Kernel(name, partial(find, axis=1, keepdims=True), (), {"axis": 1}), near
    others = {
        "Add": np.add, "Equal": np.equal, "Less": np.less, "Max": np.maximum, "Min": np.minimum,
        "Mod": np.mod, "Mul": np.multiply, "Sub": np.subtract,
    }  # fmt: skip
    for name, answer in others.items():
        result = "bool" * (name in BOOLEAN)
        three = partial(_with, answer, 3)
        yield Kernel(name, three, (3,), result=result), rows
    yield Kernel("Div", lambda x: np.sign(x) * (np.abs(x) // 3), (3,)), rows
    yield Kernel("Pow", lambda x: x**1, (1,)), rows


def _with(function: Answer, number: int, x: Array) -> Array:
    return function(x, number)


def integers() -> dict[tuple[str, str], str]:
    """Kernels of int64 that do not compute in int64: an example of each."""
    found = {}
    for kernel, rows in of_integers():
        x = np.array(rows, np.int64)
        (actual,) = session(kernel, "int64", 2).run(None, {"x": x})
        expected = kernel.answer(x).astype(actual.dtype)
        if not np.array_equal(actual, expected):
            found[kernel.operator, "int64"] = f"{expected.flat[0]} of {rows[0]}, .."
    return found


# --- the report ---------------------------------------------------------------------------


def listed() -> set[tuple[str, str]]:
    """What the table has, by operator and dtype."""
    faults = (*NONFINITE.items(), *INTEGERS.items())
    return {(name, dtype) for name, fault in faults for dtype in fault.dtypes}


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a few lengths of rows only")
    options = parser.parse_args()
    found = {**nonfinite(QUICK if options.quick else LENGTHS), **integers()}
    known = listed()
    print(f"ONNX Runtime {onnxruntime.__version__}, kernels of the CPU that are not faithful:")
    for (operator, dtype), example in sorted(found.items()):
        mark = "" if (operator, dtype) in known else "  NOT IN THE TABLE"
        print(f"  {operator:<11} {dtype:<8} {example}{mark}")
    for operator, dtype in sorted(known - set(found)):
        print(f"  {operator:<11} {dtype:<8} in the table, right in this release")
    return int(bool(set(found) - known))


if __name__ == "__main__":
    sys.exit(main())
