"""NaN in, NaN out, and infinities as the mathematics has them, for every operator of F.

Every operator, on rows of many lengths with a special value at each kind of position: kernels treat
the rest of a row that fills no vector by itself. The numpy F says what comes out.
"""

from __future__ import annotations

import numpy as np
import pytest

import lossgraph as lg
from lossgraph import reference, symbolic
from lossgraph.authoring.functions import as_loss
from lossgraph.runtime.sessions import make_session
from support import assert_close
from tolerances import TOLERANCE

# Each operator on rows (2, n); those that are not of floats, or make arrays of nothing, are below.
ELEMENTWISE = [
    "abs",
    "arcsin",
    "arccos",
    "arccosh",
    "arcsinh",
    "arctan",
    "arctanh",
    "cbrt",
    "ceil",
    "cos",
    "cosh",
    "degrees",
    "digamma",
    "erf",
    "exp",
    "expm1",
    "fix",
    "floor",
    "gammaln",
    "gelu",
    "hard_sigmoid",
    "isfinite",
    "isinf",
    "isnan",
    "log",
    "log10",
    "log1p",
    "log2",
    "negative",
    "radians",
    "rcbrt",
    "reciprocal",
    "relu",
    "rint",
    "round",
    "rsqrt",
    "sigmoid",
    "sign",
    "sin",
    "sinh",
    "smooth_l1",
    "softrelu",
    "softsign",
    "sqrt",
    "square",
    "tan",
    "tanh",
    "identity",
    "BlockGrad",
    "logical_not",
]
ALONG = [
    "sum",
    "mean",
    "prod",
    "max",
    "min",
    "logsumexp",
    "nansum",
    "nanprod",
    "norm",
    "argmax",
    "argmin",
]
WITHIN = ["softmax", "log_softmax", "softmin", "cumsum", "sort", "argsort"]
PAIRS = [
    "broadcast_add",
    "broadcast_sub",
    "broadcast_mul",
    "broadcast_div",
    "broadcast_mod",
    "broadcast_power",
    "broadcast_maximum",
    "broadcast_minimum",
    "broadcast_hypot",
    "broadcast_equal",
    "broadcast_not_equal",
    "broadcast_greater",
    "broadcast_greater_equal",
    "broadcast_lesser",
    "broadcast_lesser_equal",
    "broadcast_logical_and",
    "broadcast_logical_or",
    "broadcast_logical_xor",
    "logaddexp",
]
OPERATORS = {
    **{name: lambda F, x, name=name: getattr(F, name)(x) for name in ELEMENTWISE},
    **{f"{name}-last": lambda F, x, name=name: getattr(F, name)(x, axis=1) for name in ALONG},
    **{f"{name}-first": lambda F, x, name=name: getattr(F, name)(x.T, axis=0) for name in ALONG},
    **{f"{name}-all": lambda F, x, name=name: getattr(F, name)(x) for name in ALONG},
    **{name: lambda F, x, name=name: getattr(F, name)(x, axis=1) for name in WITHIN},
    **{f"{name}-0": lambda F, x, name=name: getattr(F, name)(x.T, axis=0) for name in WITHIN},
    **{name: lambda F, x, name=name: getattr(F, name)(x, 1.5 - x) for name in PAIRS},
    **{f"{name}-row": lambda F, x, name=name: getattr(F, name)(1.5 * F.ones_like(x), x)
       for name in PAIRS},
    "norm-1": lambda F, x: F.norm(x, ord=1, axis=1),
    "moments": lambda F, x: F.moments(x, axes=1)[1],
    "L2Normalization": lambda F, x: F.L2Normalization(x),
    **{name: lambda F, x, name=name: getattr(F, name)(x) for name in
       ("softplus", "log_sigmoid", "elu", "swish", "mish")},
    **{name: lambda F, x, name=name: getattr(F, name)(x, axis=1) for name in
       ("var", "std", "cumprod", "logcumsumexp")},
    "erfinv": lambda F, x: F.erfinv(x - 1.5),
    "floor_divide": lambda F, x: F.floor_divide(x, 0.5),
    "matmul": lambda F, x: F.matmul(x, F.transpose(x)),
    "einsum": lambda F, x: F.einsum("ij,kj->ik", x, x),
    **{f"Pooling-{kind}": lambda F, x, kind=kind: F.Pooling(
        F.reshape(x, (1, 1, 2, -1)), kernel=(2, 1), pool_type=kind) for kind in ("max", "avg")},
    "Convolution": lambda F, x: F.Convolution(
        F.reshape(x, (1, 1, 2, -1)), F.ones((1, 1, 2, 1)), kernel=(2, 1), num_filter=1,
        no_bias=True),
    "Deconvolution": lambda F, x: F.Deconvolution(
        F.reshape(x, (1, 1, 2, -1)), F.ones((1, 1, 2, 1)), kernel=(2, 1), num_filter=1,
        no_bias=True),
    "FullyConnected": lambda F, x: F.FullyConnected(
        F.transpose(x), F.ones((3, 2)), num_hidden=3, no_bias=True),
    "scatter_add": lambda F, x: F.scatter_add(F.zeros_like(x), F.zeros_like(x), x, axis=0),
    "clip": lambda F, x: F.clip(x, -1, 1),
    "where": lambda F, x: F.where(x > 1, x, 2 * x),
    "masked_mul": lambda F, x: F.masked_mul(x > 1, x),
    "topk": lambda F, x: F.topk(x, axis=1, k=1, ret_typ="value"),
    "topk-smallest": lambda F, x: F.topk(x, axis=1, k=1, ret_typ="value", is_ascend=True),
    "Activation": lambda F, x: F.Activation(x, act_type="softrelu"),
    "LeakyReLU": lambda F, x: F.LeakyReLU(x, act_type="elu"),
    "selu": lambda F, x: F.LeakyReLU(x, act_type="selu"),
    "add_n": lambda F, x: F.add_n(x, x, x),
    "concat": lambda F, x: F.concat(x, x, dim=1),
    "stack": lambda F, x: F.stack(x, x, axis=1),
    "pad": lambda F, x: F.pad(F.reshape(x, (1, 1, 2, -1)), mode="constant",
                              pad_width=(0, 0, 0, 0, 1, 0, 1, 2)),
    "dot": lambda F, x: F.dot(x, F.transpose(x)),
    "batch_dot": lambda F, x: F.batch_dot(F.expand_dims(x, 0), F.expand_dims(x, 0),
                                          transpose_b=True),
    "linalg_gemm2": lambda F, x: F.linalg_gemm2(x, x, transpose_b=True),
    "flip": lambda F, x: F.flip(x, axis=1),
    "tile": lambda F, x: F.tile(x, (2, 1)),
    "repeat": lambda F, x: F.repeat(x, 2, axis=1),
    "take": lambda F, x: F.take(x, F.array([1, 0, 1]), axis=0),
    "pick": lambda F, x: F.pick(x, F.array([0, 0]), axis=1),
    "one_hot": lambda F, x: x * F.one_hot(F.array([0, 1]), 2, dtype="float32").sum(),
    "SequenceMask": lambda F, x: F.SequenceMask(x, F.full((1,), 1) * F.ones_like(x[0]),
                                                use_sequence_length=True),
    "slice": lambda F, x: x[:, 0:1],
    "cast": lambda F, x: F.cast(x, "float64"),
    "broadcast_to": lambda F, x: F.broadcast_to(x[0:1], (3, x.shape[1])),
    "scatter_nd": lambda F, x: F.scatter_nd(x, F.array([[1, 0]], dtype="int32"), (2, x.shape[1])),
}  # fmt: skip
# What moves elements, makes arrays of no numbers, or is another name of what is above.
ELSEWHERE = {
    "boolean_mask", "frame", "index_add", "irfft", "rfft", "stft", "CTCLoss", "ctc_loss",
    "LinearRegressionOutput", "LogisticRegressionOutput", "MAERegressionOutput", "Softmax",
    "SoftmaxOutput", *(name for name in symbolic.functions() if name.startswith("linalg_")),
    "with_gradient", "softmax_cross_entropy", "linalg_gemm", "logaddexp",
    "Embedding", "Flatten", "Pad", "Reshape", "SequenceLast", "SequenceReverse", "SliceChannel",
    "SwapAxis", "arange", "array", "batch_take", "broadcast_axes", "broadcast_like", "diag", "eye",
    "expand_dims", "full", "gather_nd", "moveaxis", "ones", "ones_like", "put_along_axis",
    "reshape_like", "scalar", "shape_array", "size_array", "slice", "slice_axis", "slice_like",
    "linspace", "squeeze", "take_along_axis", "tril", "triu", "transpose", "zeros", "zeros_like",
}  # fmt: skip
LENGTHS = (1, 3, 8, 17, 33)
DTYPES = ("float16", "float32", "float64")


def test_every_operator_is_here():
    named = {name.partition("-")[0] for name in OPERATORS} | ELSEWHERE
    functions = symbolic.functions()
    here = {functions[name] for name in named if name in functions}
    assert not {name for name, function in functions.items() if function not in here}


def rows(dtype, length):
    """Rows of ordinary numbers, one of which has a special value at a kind of position."""
    places = {0, 1, length // 2, length - 2, length - 1} & set(range(length))
    rng = np.random.default_rng(length)
    for value in (np.nan, np.inf, -np.inf) if length in (3, 17) else (np.nan,):
        for place in sorted(places):
            x = rng.uniform(1.1, 1.9, (2, length)).astype(dtype)
            x[1, place] = value
            yield x


@pytest.mark.parametrize("dtype", DTYPES)
def test_operators(dtype):
    """All of them as outputs of one graph: of the one that is run here, and of the exported one."""
    everything = as_loss(lambda F, x: tuple(body(F, x) for body in OPERATORS.values()))
    types = {"x": (dtype, (2, "C"))}
    run, exported = lg.compile(everything, types), make_session(everything.to_onnx(types))
    for length in LENGTHS:
        for x in rows(dtype, length):
            wide = x.astype("float32") if dtype == "float16" else x  # and rounded once
            with np.errstate(all="ignore"):
                expected = [body(reference, reference.Array(wide)) for body in OPERATORS.values()]
            for values in (run(x), exported.run(None, {"x": x})):
                for name, actual, wanted in zip(OPERATORS, values, expected, strict=True):
                    check(name, actual, wanted.asnumpy(), dtype, x)


def check(name, actual, expected, dtype, x):
    with np.errstate(over="ignore"):
        expected = expected.astype(actual.dtype)
    try:
        assert_close(actual, expected, tolerance=TOLERANCE[dtype])
    except AssertionError as error:
        raise AssertionError(f"{name} of {x.tolist()}: {error}") from None


def test_slopes_of_prelu_say_nothing_above_zero():
    def body(F, x, slopes):
        return F.LeakyReLU(x, slopes, act_type="prelu")

    x, slopes = np.array([[0.5, 0.5, -0.5]]), np.array([-np.inf, np.nan, 0.25])
    value, gradients = as_loss(body).value_and_grad(x=x, slopes=slopes, wrt=("x", "slopes"))
    assert np.array_equal(value, [[0.5, 0.5, -0.125]])
    assert np.array_equal(gradients["x"], [[1.0, 1.0, 0.25]])
    assert np.array_equal(gradients["slopes"], [0.0, 0.0, -0.5])
