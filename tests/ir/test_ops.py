"""Laws of every operation: reference = engine, types, derivatives, special values."""

from __future__ import annotations

import numpy as np
import pytest

from lossgraph.compare.finite_differences import along
from lossgraph.errors import GradientError
from lossgraph.ir import ops
from lossgraph.ir.evaluate import evaluate
from lossgraph.ir.expr import inputs_of
from lossgraph.lowering.lower import lower
from lossgraph.lowering.validate import check
from lossgraph.passes import autodiff, costs
from lossgraph.passes.costs import PLAIN, Target
from operator_examples import (
    BINARY_FLOAT,
    EXAMPLES,
    OPS,
    UNARY_FLOAT,
    concrete,
    in_float64,
    instantiate,
)
from support import (
    OLD_ENGINE,
    SPECIAL,
    assert_close,
    newest_opset,
    run_model,
    run_ort,
    run_reference,
    symbol,
    to_model,
)
from tolerances import DIFFERENCE

CASES = [
    pytest.param(name, types, build, id=f"{name}-{i}")
    for name, examples in EXAMPLES.items()
    for i, (types, build) in enumerate(examples)
]
NOT_AT_INTEGERS = {"Cast", "Floor", "Ceil", "Round", "Mod"}  # their results jump there


def test_every_operation_has_an_example():
    tested_elsewhere = {
        "Const",
        "Input",
        "Scan",
        "Recurrent",
        "While",
        "Cond",
        "Opaque",
        "Item",
        "OwnGradient",
        "DerivedAs",
    }
    assert set(EXAMPLES) == set(OPS) - tested_elsewhere


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize(("name", "types", "build"), CASES)
def test_engine_agrees_with_reference(name, types, build, dtype):
    _, node, arrays = instantiate(name, types, build, dtype)
    (expected,) = evaluate([node], arrays)
    assert expected.dtype.name == node.dtype
    (actual,) = run_ort([node], arrays)
    assert actual.dtype.name == node.dtype
    exact = in_float64(node, arrays) if node.type.is_float else expected
    assert_close(actual, exact, node.dtype)


@pytest.mark.parametrize(("name", "types", "build"), CASES)
def test_types_agree_with_onnx(name, types, build):
    _, node, arrays = instantiate(name, types, build, "float32")
    check(to_model([node]))
    (value,) = evaluate([node], arrays)
    static = [dim for dim in node.shape if isinstance(dim, int)]
    assert len(static) < node.rank or value.shape == node.shape


@pytest.mark.parametrize("opset", [13, 15, 17, 21, 26])
@pytest.mark.parametrize(("name", "types", "build"), CASES)
def test_every_opset(name, types, build, opset):
    if opset == 13 and any(0 in t.shape for t in types) and name == "Reshape":
        pytest.skip("opset 13 cannot reshape to a length of zero")
    if opset > newest_opset():
        pytest.skip(f"this ONNX Runtime loads up to opset {newest_opset()}")
    _, node, arrays = instantiate(name, types, build, "float32")
    (actual,) = run_ort([node], arrays, opset)
    exact = in_float64(node, arrays) if node.type.is_float else evaluate([node], arrays)[0]
    assert_close(actual, exact, node.dtype)


@pytest.mark.parametrize(("name", "types", "build"), CASES)
def test_onnx_reference_evaluator_agrees(name, types, build):
    _, node, arrays = instantiate(name, types, build, "float64")
    if any(0 in array.shape for array in arrays.values()):
        pytest.skip("onnx's evaluator has numpy's errors for reductions of nothing")
    (actual,) = run_reference([node], arrays)
    assert_close(actual, evaluate([node], arrays)[0], node.dtype)


def float_inputs(inputs):
    return [node for node in inputs if node.type.is_float]


def has_numbers(name, types, build):
    """Whether an example computes floats of floats, in float64, so that a difference has digits."""
    inputs, node, _ = instantiate(name, types, build)
    return node.dtype == "float64" and bool(float_inputs(inputs))


def only_selects(name, types):
    return all(not t.is_float or i in OPS[name].index_args for i, t in enumerate(types))


WITH_NUMBERS = [case for case in CASES if has_numbers(*case.values)]
# Indices and class labels, which no derivative is defined by, and what takes one away on purpose.
DERIVATIVES = [
    case
    for case in WITH_NUMBERS
    if not only_selects(*case.values[:2]) and case.values[0] != "StopGradient"
]


def test_every_operation_has_a_tested_derivative_or_declares_that_it_has_none():
    """One whose rule were lost would be in neither list."""
    tested = {case.values[0] for case in DERIVATIVES}
    elsewhere = {
        "Cast",
        "Const",
        "Input",
        "Scan",
        "Recurrent",
        "While",
        "Cond",
        "Opaque",
        "Item",
        "StopGradient",
        "SizeOf",
        "Iota",
    }
    elsewhere |= {"OwnGradient", "DerivedAs", "Opaque"}  # which are no derivatives of their values
    for name in set(OPS) - tested - elsewhere:
        assert not OPS[name].differentiable, name
    for name in tested:  # of those that declare none the difference below is zero
        assert OPS[name].vjp is not None, name


@pytest.mark.parametrize(
    ("name", "types", "build"),
    [case for case in WITH_NUMBERS if only_selects(*case.values[:2])],
)
def test_there_is_no_derivative_by_what_selects(name, types, build):
    inputs, node, _ = instantiate(name, types, build)
    with pytest.raises(GradientError, match="class label or an index"):
        autodiff.grad(node, float_inputs(inputs))


def test_a_stopped_gradient_is_zero():
    x = symbol("x", "float64", (3,))
    (gradient,) = autodiff.grad(ops.stop_gradient(x) * x, [x])
    arrays = {"x": np.array([1.0, -2.0, 3.0])}
    assert_close(evaluate([gradient], arrays)[0], arrays["x"])


def test_the_gradient_of_a_cast_is_cast_back():
    x = symbol("x", "float64", (2,))
    (gradient,) = autodiff.grad(ops.cast(x, "float32") * 3.0, [x])
    assert gradient.dtype == "float64"
    assert evaluate([gradient], {"x": np.ones(2)})[0].tolist() == [3.0, 3.0]
    (gradient,) = autodiff.grad(ops.cast(ops.cast(x, "int64"), "float64"), [x])
    assert evaluate([gradient], {"x": np.ones(2)})[0].tolist() == [0.0, 0.0]


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize(("name", "types", "build"), DERIVATIVES)
def test_derivatives(name, types, build, order):
    """<u, J v> three ways: reverse, forward, central difference; also of the gradient."""
    inputs, node, arrays = instantiate(name, types, build)
    wrt = float_inputs(inputs)
    rng = np.random.default_rng(7)
    if order == 2:  # differentiate <w, gradient> instead, w random
        weights = [symbol(f"w{i}", x.dtype, x.shape) for i, x in enumerate(wrt)]
        gradients = autodiff.grad(ops.mul(node, node), wrt)
        products = [
            ops.reduce_sum(g * w, range(g.rank)) for g, w in zip(gradients, weights, strict=True)
        ]
        node = sum((ops.reshape(p, ()) for p in products[1:]), ops.reshape(products[0], ()))
        arrays |= {w.attrs["name"]: rng.uniform(-1, 1, concrete(w.type)) for w in weights}
    u = symbol("u", "float64", node.shape)
    tangents = {x: symbol(f"v{i}", "float64", x.shape) for i, x in enumerate(wrt)}
    arrays["u"] = rng.uniform(-1, 1, concrete(node.type))
    arrays |= {v.attrs["name"]: rng.uniform(-1, 1, concrete(v.type)) for v in tangents.values()}
    pulled = autodiff.vjp([node], [u], wrt)
    pushed = autodiff.jvp([node], tangents)
    for g, x in zip(pulled, wrt, strict=True):
        assert g.type == x.type
    *back, forth = evaluate([*pulled, *pushed], arrays)
    reverse = sum(
        np.sum(g * arrays[tangents[x].attrs["name"]]) for g, x in zip(back, wrt, strict=True)
    )
    forward = np.sum(arrays["u"] * forth)
    directions = {x.attrs["name"]: arrays[tangents[x].attrs["name"]] for x in wrt}
    moved = along(lambda at: evaluate([node], at)[0], arrays, directions)
    difference = np.sum(arrays["u"] * moved)
    rtol, atol = DIFFERENCE
    assert_close(reverse, forward, tolerance=(1e-10, 1e-12))
    assert_close(reverse, difference, tolerance=(rtol * 10**order, atol * 10**order))


SPECIAL_UNARY = sorted(set(UNARY_FLOAT) - {"Sin", "Cos"})


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", SPECIAL_UNARY)
def test_special_values_of_one_argument(name, dtype):
    values = SPECIAL
    if newest_opset() < 26:  # all but those where its kernel is wrong
        wrong = OLD_ENGINE.get(name)
        values = [x for x in SPECIAL if wrong is None or not np.array_equal(x, wrong, True)]
    arrays = {"x": np.array(values, dtype)}
    node = OPS[name](symbol("x", dtype, (len(values),)))
    (actual,), (expected,) = run_ort([node], arrays), evaluate([node], arrays)
    assert_close(actual, expected, dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", sorted(set(BINARY_FLOAT) - {"LogAdd", "Mod", "Pow"}))
def test_special_values_of_two_arguments(name, dtype):
    values = np.array(SPECIAL, dtype)
    arrays = {"x": values[:, None], "y": values[None, :]}
    n = len(SPECIAL)
    node = OPS[name](symbol("x", dtype, (n, 1)), symbol("y", dtype, (1, n)))
    (actual,), (expected,) = run_ort([node], arrays), evaluate([node], arrays)
    assert_close(actual, expected, dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "name",
    [
        "ReduceSum",
        "ReduceMax",
        "ReduceMin",
        "ReduceProd",
        "L2Norm",
        "LogSumExp",
        "SumLog1pExpNegAbs",
    ],
)
@pytest.mark.parametrize(
    "row",
    [
        (1.0, np.nan, 2.0), (1.0, 2.0, np.nan), (np.inf, 1.0, 2.0), (-np.inf, 1.0, 2.0),
        (-np.inf,) * 3, (np.inf, -np.inf, 1.0), (0.0, 0.0, 0.0), (1e4, -1e4, 1e4),
        (1e-30, 1e-30, 1e-30), (1e30, 1e30, 1.0),
    ],
)  # fmt: skip
def test_special_values_of_reductions(name, dtype, row):
    arrays = {"x": np.array([row, row[::-1]], dtype)}
    node = EXAMPLES[name][0][1](symbol("x", dtype, (2, 3)))
    (actual,), (expected,) = run_ort([node], arrays), evaluate([node], arrays)
    assert_close(actual, expected, dtype)


# --- variants --------------------------------------------------------------------------------

VARIANTS = [(name, variant) for name, op in OPS.items() for variant in op.variants]


@pytest.fixture(params=VARIANTS, ids="-".join)
def variant(request, monkeypatch):
    """An operation's name, where one of its variants is the cheapest."""
    name, variant = request.param
    cheapest = {dtype: {name: {PLAIN: [1, 1], variant: [0, 0]}} for dtype in ("float32", "float64")}
    monkeypatch.setattr(costs, "table", lambda _: cheapest)
    return name


def run_variant(node, arrays):
    model = lower(inputs_of([node]), {"out": node}, target=Target("cpu"))
    plain = lower(inputs_of([node]), {"out": node})
    assert list(flat(model.graph)) != list(flat(plain.graph))  # the variant is taken
    return run_model(model, arrays)[0]


def flat(graph):
    """The operators of a graph and of those inside it."""
    for node in graph.node:
        yield node.op_type
        for attribute in node.attribute:
            yield from flat(attribute.g)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("length", [0, 3, 8, 37])
def test_every_variant_computes_the_same(variant, dtype, length):
    if variant == "L2Norm" and length == 0 and newest_opset() < 26:
        pytest.skip("this old ONNX Runtime has no maximum of nothing, which the norm is scaled by")
    rng = np.random.default_rng(length)
    arity = len(EXAMPLES[variant][0][0])
    shapes = [(5, length)] * arity
    arrays = {f"x{i}": rng.normal(size=shape).astype(dtype) for i, shape in enumerate(shapes)}
    arrays["x0"][:, ::3] = 0
    node = EXAMPLES[variant][0][1](*(symbol(f"x{i}", dtype, ("N", "C")) for i in range(arity)))
    assert_close(run_variant(node, arrays), in_float64(node, arrays), dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e-12, 1.0, 30.0, 1e30, 1e300])
def test_every_variant_is_as_right_at_the_extremes(variant, dtype, scale):
    if not float(np.finfo(dtype).tiny) < scale < float(np.finfo(dtype).max):
        pytest.skip("beyond the dtype")
    values = np.array(SPECIAL, dtype)
    if newest_opset() < 26:
        if variant == "SumLog1pExpNegAbs" and dtype == "float64" and scale >= 1e30:
            pytest.skip("in this old ONNX Runtime exp(-1e30) is not 0 in float64")
        if variant == "L2Norm" and dtype == "float32":  # where its sqrt(inf) is NaN
            values = values[np.isfinite(values)]
    count, arity = len(values), len(EXAMPLES[variant][0][0])
    rng = np.random.default_rng(3)
    rows = np.concatenate([rng.uniform(0.5, 1, (count, 16)).astype(dtype) * dtype_of(dtype, scale),
                           values[:, None]], axis=1)  # fmt: skip
    arrays = {"x0": rows, "x1": np.roll(rows, 1, axis=0)}
    node = EXAMPLES[variant][0][1](*(symbol(f"x{i}", dtype, ("N", "C")) for i in range(arity)))
    arrays = {f"x{i}": arrays[f"x{i}"] for i in range(arity)}
    assert_close(run_variant(node, arrays), evaluate([node], arrays)[0], tolerance=RELATIVE[dtype])


def dtype_of(dtype, number):
    return np.dtype(dtype).type(number)


# Without an absolute part: small results keep their digits.
RELATIVE = {"float32": (1e-5, 0.0), "float64": (1e-11, 0.0)}


def test_the_cheapest_variant_depends_on_the_size():
    tail_sum = OPS["SumLog1pExpNegAbs"]
    small, large = (
        Target("cpu", elements).variant(tail_sum, "float32") for elements in (10, 10**6)
    )
    assert small is tail_sum.lower
    assert large is tail_sum.variants["products"]
    assert Target("elsewhere", 10**6).variant(tail_sum, "float32") is tail_sum.lower


def test_the_measured_tables_name_what_exists():
    for dtype, table in costs.table("cpu").items():
        assert dtype in ("float32", "float64")
        for name, variants in table.items():
            assert set(variants) == {PLAIN, *OPS[name].variants}, name
    assert {name for name, op in OPS.items() if op.variants} <= set(costs.table("cpu")["float32"])


def test_products_times_numbers_keep_the_digits_of_float64():
    """ONNX Runtime would fuse the two, with the number rounded to float32."""
    rng = np.random.default_rng(0)
    arrays = {"x": rng.normal(size=(4, 3)), "y": rng.normal(size=(3, 2))}
    x, y = (symbol(name, "float64", array.shape) for name, array in arrays.items())
    roots = [ops.matmul(x, y) / 0.7, ops.matmul(x, y) * 0.3, ops.matmul(x * 0.7, y / 0.3)]
    for actual, expected in zip(run_ort(roots, arrays), evaluate(roots, arrays), strict=True):
        assert_close(actual, expected)
