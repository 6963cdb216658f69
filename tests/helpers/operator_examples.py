"""Calls of every operation, small: what tests of operations, engines and kernels try."""

from __future__ import annotations

import zlib

import numpy as np

from lossgraph.errors import DtypeError
from lossgraph.importer import operators  # noqa: F401  (declares operations of networks too)
from lossgraph.ir import ops
from lossgraph.ir.batching import pointwise
from lossgraph.ir.dims import evaluate as evaluate_dim
from lossgraph.ir.dims import named
from lossgraph.ir.evaluate import evaluate
from lossgraph.ir.expr import const, inputs_of, registered, substitute
from lossgraph.ir.ops import convolution
from lossgraph.ir.ops.item import results_of
from lossgraph.ir.types import TensorType
from lossgraph.passes import factorizations
from support import sample, symbol

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


ALONG = ops.Window((3,), (2,), (1,), (1,), (1,), 2)
OVER = ops.Window((2, 3), (1, 2), (1, 2), (1, 2), (1, 1), 1)


STRIDED = ops.Window((3,), (2,), (1,), (0,), (1,))
SAME = ops.Window((3, 3), (1, 1), (1, 1), (1, 1), (1, 1))
CHANNELS = ops.Window((3,), (1,), (1,), (0,), (0,), 64)
ONE = ops.Window((1, 1), (1, 1), (1, 1), (0, 0), (0, 0))
LONG = ops.Window((37,), (1,), (1,), (0,), (0,))
AT_ENDS = ops.Pool((3,), (2,), (1,), (1,), (1,), beyond=True)
OVERLAPPING = ops.Pool((3, 2), (2, 2), (1, 1), (1, 0), (0, 1))
APART = ops.Pool((2, 2), (2, 2), (1, 1), (0, 0), (0, 0))
DILATED = ops.Pool((3, 2), (1, 1), (2, 2), (0, 0), (0, 0))


def unpooled(y, pool, lengths):
    """Numbers put where the maxima of another array stand."""
    shape = (*y.shape[:2], *lengths)
    other = np.random.default_rng(3).permutation(int(np.prod(shape))).reshape(shape)
    index = results_of(ops.max_pool(const(other, y.dtype), pool))[1]
    return ops.max_unpool(y, index, pool, lengths)


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
    "GatherND": [
        ([X, ints(2, 1)], lambda x, i: ops.gather_nd(x, i)),
        ([floats((4, 4, 3))[0], ints(5, 2, 2)], lambda x, i: ops.gather_nd(x, i)),
        ([floats((2, 4, 3))[0], ints(2, 5, 1)], lambda x, i: ops.gather_nd(x, i, 1)),
    ],
    "ScatterND": [
        ([X, ints(1, 1), *floats((1, 4))], ops.scatter_nd),
        (
            [*floats((4, 4, 2)), ints(3, 2), *floats((3, 2))],
            lambda *a: ops.scatter_nd(*a, unique_indices=False),
        ),
    ],
    "ScatterElements": [
        ([X, ints(2, 3), *floats((2, 3))], lambda *a: ops.scatter_elements(*a, 1, "add")),
        (
            [X, ints(2, 1), *floats((2, 1))],
            lambda *a: ops.scatter_elements(*a, 1, unique_indices=True),
        ),
    ],
    "Measured": [([X, ints()], lambda x, n: ops.measured(x, {"n": n}))],
    "Split": [([X], lambda x: ops.split(x, 1, (1, 3))[1])],
    "PadWith": [(floats((3, 4), ()), lambda x, v: ops.pad_with(x, v, (1, 0), (2, 3)))],
    "PadEdges": [
        ([X], lambda x: ops.pad_edges(x, (1, 0), (2, 3), "reflect")),
        ([X], lambda x: ops.pad_edges(x, (0, 2), (2, 5), "edge")),
    ],
    "Resize": [
        (floats((2, 3)), lambda x: ops.resize(x, (4, 6), ops.Resampling((0, 1), (2.0, 2.0)))),
        (floats((2, 5)), lambda x: ops.resize(x, (2, 3), ops.Resampling((1,), None, "linear"))),
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
        (
            floats((2, 4, 7), (6, 2, 3), (6,)),
            lambda x, w, b: convolution.convolve(x, w, ALONG, b),
        ),
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
        (
            floats((3, 2, 1, 1), (2, 3, 4, 2)),
            lambda w, y: convolution.unconvolve(w, y, ONE, (4, 2)),
        ),
    ],
    "ConvolutionByWeights": [
        (floats((2, 4, 7), (2, 6, 4)), lambda x, y: convolution.correlate(x, y, ALONG)),
        (floats((2, 2, 5, 6), (2, 3, 6, 3)), lambda x, y: convolution.correlate(x, y, OVER)),
        (floats((2, 16, 6), (2, 3, 3)), lambda x, y: convolution.correlate(x, y, STRIDED)),
        (floats((2, 32, 4, 3), (2, 3, 4, 3)), lambda x, y: convolution.correlate(x, y, SAME)),
        (floats((2, 16, 4, 3), (2, 3, 4, 3)), lambda x, y: convolution.correlate(x, y, SAME)),
        (floats((2, 64, 5), (2, 64, 3)), lambda x, y: convolution.correlate(x, y, CHANNELS)),
        (floats((2, 3, 4, 2), (2, 5, 4, 2)), lambda x, y: convolution.correlate(x, y, ONE)),
        (floats((2, 2, 60), (2, 2, 24)), lambda x, y: convolution.correlate(x, y, LONG)),
    ],
    "BatchNormalization": [
        ([*floats((2, 3, 4), (3,), (3,), (3,), (3,))], lambda *args: ops.batch_norm(*args)),
        ([*floats((4, 2), (2,), (2,), (2,), (2,))], lambda *args: ops.batch_norm(*args, 0.5)),
    ],
    "LayerNormalization": [
        (floats((2, 3, 4), (4,), (4,)), lambda *args: ops.layer_norm(*args)[0]),
        (floats((2, 3, 4), (3, 4)), lambda x, w: ops.layer_norm(x, w, None, 1, 0.5)[0]),
        (floats((3, 4), (4,)), lambda x, w: ops.add(*ops.layer_norm(x, w)[1:])),
    ],
    "RandomUniform": [
        ([TensorType("int64", ())], lambda seed: ops.random_uniform(seed, 5)),
        ([TensorType("int64", ())], lambda seed: ops.random_uniform(seed, 3, 7)),
    ],
    "MaxPool": [
        (floats((2, 3, 7)), lambda x: results_of(ops.max_pool(x, AT_ENDS))[0]),
        (floats((2, 3, 6, 5)), lambda x: results_of(ops.max_pool(x, OVERLAPPING))[0]),
        (floats((2, 1, 4, 6)), lambda x: results_of(ops.max_pool(x, APART))[0]),
    ],
    "MaxUnpool": [
        (floats((2, 3, 4)), lambda y: unpooled(y, AT_ENDS, (7,))),
        (floats((2, 3, 3, 3)), lambda y: unpooled(y, OVERLAPPING, (6, 5))),
        (floats((2, 1, 2, 3)), lambda y: unpooled(y, APART, (4, 6))),
    ],
    "AveragePool": [
        (floats((2, 3, 7)), lambda x: ops.average_pool(x, AT_ENDS)),
        (floats((2, 3, 7)), lambda x: ops.average_pool(x, AT_ENDS, padding=True)),
        (floats((2, 3, 6, 5)), lambda x: ops.average_pool(x, OVERLAPPING)),
        (floats((2, 1, 4, 6)), lambda x: ops.average_pool(x, APART)),
        (floats((2, 3, 8, 5)), lambda x: ops.average_pool(x, DILATED)),
    ],
    "PoolSpread": [
        (floats((2, 3, 4)), lambda y: ops.spread(y, AT_ENDS, (7,))),
        (floats((2, 3, 3, 3)), lambda y: ops.spread(y, OVERLAPPING, (6, 5))),
        (floats((2, 1, 2, 3)), lambda y: ops.spread(y, APART, (4, 6))),
        (floats((2, 1, 2, 3)), lambda y: ops.spread(y, APART, (5, 6))),
        (floats((2, 3, 4, 3)), lambda y: ops.spread(y, DILATED, (8, 5))),
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


def concrete(type_):
    """The type's shape where every name is 3."""
    return tuple(evaluate_dim(dim, {"N": 3}) for dim in type_.shape)


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


def in_float64(node, arrays, sizes=None):
    """The reference value of an example, computed in float64 from the same arrays."""
    exact = {k: v.astype(np.float64) if v.dtype.kind == "f" else v for k, v in arrays.items()}
    doubles = {i: symbol(i.attrs["name"], "float64", i.shape) if i.type.is_float else i
               for i in inputs_of([node])}  # fmt: skip
    try:
        (root,) = substitute([node], doubles)
    except ValueError:  # a constant or an attribute fixes the dtype
        return evaluate([node], arrays, sizes)[0]
    return evaluate([root], exact, sizes)[0]
