"""Laws of every operation: reference = engine, types, derivatives, special values."""

from __future__ import annotations

import zlib

import numpy as np
import pytest

from lossgraph.compare.finite_differences import along
from lossgraph.errors import DtypeError, GradientError
from lossgraph.ir import dims, ops
from lossgraph.ir.batching import pointwise
from lossgraph.ir.dims import named
from lossgraph.ir.evaluate import evaluate
from lossgraph.ir.expr import inputs_of, registered, substitute
from lossgraph.ir.ops import convolution
from lossgraph.ir.types import TensorType
from lossgraph.lowering.lower import lower
from lossgraph.lowering.validate import check
from lossgraph.passes import autodiff, costs, factorizations
from lossgraph.passes.costs import PLAIN, Target
from support import (
    OLD_ENGINE,
    SPECIAL,
    assert_close,
    newest_opset,
    run_model,
    run_ort,
    run_reference,
    sample,
    symbol,
    to_model,
)
from tolerances import DIFFERENCE

OPS = registered()


def takes_floats(op):
    try:
        op.infer(*(TensorType("float64", ()) for _ in range(op.arity)))
    except DtypeError:
        return False
    return True


def elementwise(arity):
    """The names of operations on floats, element by element, without attributes."""
    return [
        name
        for name, op in sorted(OPS.items())
        if op.batching is pointwise and op.arity == arity and not op.attributes and takes_floats(op)
    ]


UNARY_FLOAT, BINARY_FLOAT = elementwise(1), elementwise(2)
SHAPES = [((3, 4), (3, 4)), ((3, 4), (1, 4)), ((3, 1), (4,)), ((), (2,)), ((0, 4), (1, 4))]


def floats(*shapes, dtype="float64"):
    return [TensorType(dtype, shape) for shape in shapes]


def definite(x):
    """A positive definite matrix, exactly that of any dtype."""
    places = ops.iota(x.shape[-1])
    diagonal = ops.equal(ops.expand_dims(places, (1,)), ops.expand_dims(places, (0,)))
    return ops.where(diagonal, 4.0, x * 0.25)


ALONG = convolution.Window((3,), (2,), (1,), (1,), 2)
OVER = convolution.Window((2, 3), (1, 2), (1, 2), (1, 2), 1)


def ints(*shape):
    return TensorType("int64", shape)


def bools(*shape):
    return TensorType("bool", shape)


X, Y = floats((3, 4), (3, 4))
NAMED = [TensorType("float64", (named("N"), 3))]
EXAMPLES = {
    **{name: [([t], OPS[name]) for t in floats((3, 4), (), (0, 4))] for name in UNARY_FLOAT},
    **{name: [(floats(*pair), OPS[name]) for pair in SHAPES] for name in BINARY_FLOAT},
    **{n: [([bools(3, 4), bools(1, 4)], OPS[n])] for n in ("And", "Or", "Xor")},
    "Not": [([bools(3, 4)], ops.logical_not)],
    "Where": [
        ([bools(3, 4), X, Y], ops.where),
        ([bools(3, 1), *floats((1, 4), ())], ops.where),
    ],
    "Polygamma": [([X], lambda x, n=n: ops.polygamma(x, n)) for n in range(3)],
    "Clip": [([X], lambda x: ops.clip(x, -1.0, 0.7))],
    "Cast": [
        ([X], lambda x: ops.cast(x, "float32")),
        ([ints(3)], lambda i: ops.cast(i, "float64")),
        ([bools(3)], lambda b: ops.cast(b, "float64")),
        ([X], lambda x: ops.cast(x, "int64")),
    ],
    "Reshape": [
        ([X], lambda x: ops.reshape(x, (2, 6))),
        ([X], lambda x: ops.reshape(x, (3, 1, 4))),
        (floats((3, 1, 4)), lambda x: ops.reshape(x, (3, 4))),
        (floats((0, 4)), lambda x: ops.reshape(x, (2, 0, 2))),
    ],
    "BroadcastTo": [(floats((3, 1)), lambda x: ops.broadcast_to(x, (2, 3, 4)))],
    "Transpose": [(floats((2, 3, 4)), lambda x: ops.transpose(x, (2, 0, 1)))],
    "Slice": [
        (floats((6, 5)), lambda x: ops.slice_(x, (1, 0), (2, 1), (3, 5))),
        (floats((6, 5)), lambda x: ops.slice_(x, (5, 3), (-2, -1), (3, 4))),
        (floats((7,)), lambda x: ops.slice_(x, (1,), (3,), (2,))),
        (floats((4,)), lambda x: ops.slice_(x, (2,), (1,), (0,))),
        (floats((3, 2)), lambda x: ops.flip(x, (0, 1))),
    ],
    "Pad": [([X], lambda x: ops.pad(x, (1, 0), (2, 3)))],
    "Concat": [(floats((3, 4), (3, 2), (3, 0)), lambda *xs: ops.concat(xs, 1))],
    "SizeOf": [(NAMED, lambda x: ops.cast(ops.size_of(x.shape[0] * 2 + 1), x.dtype) + x)],
    "Iota": [(NAMED, lambda x: ops.expand_dims(ops.cast(ops.iota(x.shape[0]), x.dtype), (1,)) + x)],
    "MatMul": [
        (floats((3, 4), (4, 2)), ops.matmul),
        (floats((5, 3, 4), (4, 2)), ops.matmul),
        (floats((1, 3, 4), (5, 4, 2)), ops.matmul),
        (floats((0, 4), (4, 2)), ops.matmul),
        (floats((3, 4), (4, 2)), lambda x, y: ops.matmul(x / 0.07, y)),
        (floats((3, 4), (4, 2)), lambda x, y: ops.matmul(x, y) * 0.7),
        (floats((4, 3), (4, 2)), lambda x, y: ops.matmul(ops.transpose(x, (1, 0)), y)),
        (
            floats((5, 3, 4), (2, 4)),
            lambda x, y: ops.matmul(x, ops.transpose(y, (1, 0))),
        ),
    ],
    "Gemm": [
        (floats((3, 4), (4, 2)), ops.gemm),
        (floats((3, 4), (4, 2), (3, 2)), ops.gemm),
        (floats((4, 3), (4, 2), (2,)), lambda x, y, z: ops.gemm(x, y, z, transpose_a=True)),
        (floats((3, 4), (2, 4), (3, 1)), lambda x, y, z: ops.gemm(x, y, z, transpose_b=True)),
        (floats((4, 3), (2, 4), ()), lambda x, y, z: ops.gemm(x, y, z, True, True)),
        (floats((0, 4), (4, 2), (1, 2)), ops.gemm),
    ],
    "Pick": [
        ([X, ints(3, 1)], lambda x, i: ops.pick(x, i, 1)),
        (
            [floats((2, 4, 3))[0], ints(2, 6, 3)],
            lambda x, i: ops.pick(x, i, 1, unique_indices=False),
        ),
    ],
    "Scatter": [
        ([X, ints(3, 1), *floats((3, 1))], lambda x, i, v: ops.scatter(x, i, v, 1)),
        ([*floats((4, 2, 3)), ints(1, 2, 3), *floats((1, 2, 3))], lambda *a: ops.scatter(*a, 0)),
    ],
    "ScatterAdd": [
        ([floats((3, 1))[0], ints(3, 1)], lambda x, i: ops.scatter_add(x, i, 1, 4)),
        (
            [floats((2, 6, 3))[0], ints(2, 6, 3)],
            lambda x, i: ops.scatter_add(x, i, 1, 4, unique_indices=False),
        ),
    ],
    "AddAt": [
        (
            [*floats((3, 4), (3, 1)), ints(3, 1)],
            lambda x, v, i: ops.add_at(x, v, ops.class_index(i, 4), 1),
        )
    ],
    "CustomVjp": [
        ([X], lambda x: ops.custom_vjp(ops.reduce_sum(x * x, (1,)), [x], [x + x])),
        ([X], lambda x: ops.custom_vjp(ops.tanh(x), [x], [1 - ops.tanh(x) * ops.tanh(x)], x)),
    ],
    "Take": [
        ([floats((4, 3))[0], ints(5)], lambda x, i: ops.take(x, i, 0)),
        ([floats((2, 4, 3))[0], ints(2, 3)], lambda x, i: ops.take(x, i, 1)),
    ],
    "ScatterRows": [
        ([floats((5, 2))[0], ints(5)], lambda x, i: ops.scatter_rows(x, i, 4)),
        ([floats((2, 3))[0], ints(2, 3)], lambda x, i: ops.scatter_rows(x, i, 4)),
    ],
    "OneHot": [([ints(3, 2)], lambda i: ops.one_hot(i, 5, "float64"))],
    "ClassIndex": [
        ([ints(5)], lambda i: ops.class_index(i, 3)),
        (floats((6,)), lambda x: ops.class_index(x, 3)),
    ],
    "ClassMask": [
        ([ints(5)], lambda i: ops.class_mask(i, 3, "float64")),
        (floats((6,)), lambda x: ops.class_mask(x, 3, "float64")),
    ],
    "NanMask": [(floats((5,)), lambda x: ops.nan_mask(x, "float64"))],
    **{
        name: [
            ([X], lambda x, f=function: f(x, (1,))),
            (floats((2, 3, 4)), lambda x, f=function: f(x, (0, 2))),
            (floats((0, 4)), lambda x, f=function: f(x, (1,))),
        ]
        for name, function in (
            ("MeanOfSome", ops.mean_of_some),
            ("ReduceSum", ops.reduce_sum),
            ("ReduceProd", ops.reduce_prod),
            ("ReduceMax", ops.reduce_max),
            ("ReduceMaxFinite", ops.reduce_max_finite),
            ("ReduceMin", ops.reduce_min),
            ("L2Norm", ops.norm),
            ("LogSumExp", ops.logsumexp),
            ("Softmax", ops.softmax),
            ("LogSoftmax", ops.log_softmax),
            ("SumLog1pExpNegAbs", ops.sum_log1p_exp_neg_abs),
        )
    },
    "Cholesky": [
        (floats((4, 4)), lambda x: factorizations.cholesky(definite(x))),
        (floats((2, 3, 3)), lambda x: factorizations.cholesky(definite(x))),
    ],
    "SolveLower": [
        (floats((4, 4), (4, 2)), lambda x, y: factorizations.solve_lower(definite(x), y)),
        (floats((2, 3, 3), (2, 3, 1)), lambda x, y: factorizations.solve_lower(definite(x), y)),
    ],
    "Solve": [
        (floats((4, 4), (4, 2)), lambda x, y: factorizations.solve(definite(x), y)),
        (floats((2, 3, 3), (2, 3, 1)), lambda x, y: factorizations.solve(definite(x), y, True)),
    ],
    "Cofactor": [(floats((2, 3, 3)), lambda x: factorizations.cofactor(definite(x)))],
    **{
        op.name: [
            (floats((4, 4)), lambda x, op=op: op(ops.flip(definite(x), (0,)))),
            (floats((2, 3, 3)), lambda x, op=op: op(definite(x))),
        ]
        for op in (factorizations.det, factorizations.log_abs_det, factorizations.det_sign)
    },
    "LogSumExpOthers": [
        ([X], lambda x: ops.logsumexp_others(x, 1)),
        (floats((2, 3, 4)), lambda x: ops.logsumexp_others(x, 1)),
        (floats((0, 4)), lambda x: ops.logsumexp_others(x, 1)),
    ],
    "Convolution": [
        (floats((2, 4, 7), (6, 2, 3)), lambda x, w: convolution.convolve(x, w, ALONG)),
        (floats((2, 2, 5, 6), (3, 2, 2, 3)), lambda x, w: convolution.convolve(x, w, OVER)),
    ],
    "ConvolutionTransposed": [
        (
            floats((6, 2, 3), (2, 6, 4)),
            lambda w, y: convolution.unconvolve(w, y, ALONG, (7,)),
        ),
        (
            floats((3, 2, 2, 3), (2, 3, 6, 3)),
            lambda w, y: convolution.unconvolve(w, y, OVER, (5, 6)),
        ),
    ],
    "ConvolutionByWeights": [
        (floats((2, 4, 7), (2, 6, 4)), lambda x, y: convolution.correlate(x, y, ALONG)),
        (floats((2, 2, 5, 6), (2, 3, 6, 3)), lambda x, y: convolution.correlate(x, y, OVER)),
    ],
    "CumSum": [([X], lambda x: ops.cumsum(x, 1)), ([X], lambda x: ops.cumsum(x, 0))],
    "ArgExtremum": [
        ([X], lambda x: ops.arg_extremum(x, 1, largest=True)),
        ([X], lambda x: ops.arg_extremum(x, 0, largest=False)),
    ],
    "ArgSort": [
        ([X], lambda x: ops.arg_sort(x, 1, 2, largest=True)),
        ([X], lambda x: ops.arg_sort(x, 0, 3, largest=False)),
        (floats((0, 4)), lambda x: ops.arg_sort(x, 1, 2, largest=True)),
        (floats((2, 4, 0)), lambda x: ops.arg_sort(x, 1, 2, largest=True)),
    ],
}
CASES = [
    pytest.param(name, types, build, id=f"{name}-{i}")
    for name, examples in EXAMPLES.items()
    for i, (types, build) in enumerate(examples)
]
NOT_AT_INTEGERS = {"Cast", "Floor", "Ceil", "Round", "Mod"}  # their results jump there


def test_every_operation_has_an_example():
    tested_elsewhere = {"Const", "Input", "Scan", "Item", "OwnGradient"}
    assert set(EXAMPLES) == set(OPS) - tested_elsewhere


def instantiate(name, types, build, dtype="float64", shift=0):
    """The example as an expression, and arrays for its inputs."""
    rng = np.random.default_rng(zlib.crc32(name.encode()) + shift)
    domains = OPS[name].domain or ((-3.0, 3.0),)
    inputs, arrays = [], {}
    for i, type_ in enumerate(types):
        kind = type_.with_dtype(dtype) if type_.is_float else type_
        inputs.append(symbol(f"x{i}", kind.dtype, kind.shape))
        arrays[f"x{i}"] = sample(
            rng, kind.with_shape(concrete(kind)), domains[min(i, len(domains) - 1)]
        )
    return inputs, build(*inputs), arrays


def in_float64(node, arrays):
    """The reference value of an example, computed in float64 from the same arrays."""
    exact = {k: v.astype(np.float64) if v.dtype.kind == "f" else v for k, v in arrays.items()}
    doubles = {i: symbol(i.attrs["name"], "float64", i.shape) if i.type.is_float else i
               for i in inputs_of([node])}  # fmt: skip
    try:
        (root,) = substitute([node], doubles)
    except ValueError:  # a constant or an attribute fixes the dtype
        return evaluate([node], arrays)[0]
    return evaluate([root], exact)[0]


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


def concrete(type_):
    """The type's shape where every name is 3."""
    return tuple(dims.evaluate(dim, {"N": 3}) for dim in type_.shape)


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
    elsewhere = {"Cast", "Const", "Input", "Scan", "Item", "StopGradient", "SizeOf", "Iota"}
    elsewhere.add("OwnGradient")  # which is no derivative of its value
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
