"""Right calls of functions of F with one argument replaced: refused by name, or taken."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest

import lossgraph as lg
from lossgraph import symbolic as F
from lossgraph.symbolic.listing import listing


def s(*shape, dtype="float32"):
    return lg.symbol("abcdefghij"[sum(n for n in shape if isinstance(n, int)) % 10], dtype, shape)


X, A, B = s(2, 3, 4, 5), s(2, 3, 3), s(2, 3, 2)
ROWS, INDEX = s(2, 3), s(2, dtype="int64")
CALLS = {
    **{f"linalg_{n}": {"A": A} for n in ("potrf", "potri", "sumlogdiag", "inverse", "det", "syrk",
                                         "slogdet", "extractdiag", "makediag", "extracttrian")},
    **{f"linalg_{n}": {"A": A, "B": B} for n in ("trsm", "trmm", "solve", "gemm2")},
    **{n: {"data": X} for n in ("softplus", "log_sigmoid", "elu", "selu", "gelu", "swish", "mish",
                                "tril", "triu", "var", "std", "erfinv", "rfft")},
    **{n: {"a": X} for n in ("cumprod", "logcumsumexp")},
    **{f"{n}RegressionOutput": {"data": ROWS, "label": ROWS}
       for n in ("Linear", "Logistic", "MAE")},
    "linalg_gemm": {"A": A, "B": B, "C": B},
    "linalg_maketrian": {"A": s(2, 6)},
    "matmul": {"lhs": A, "rhs": B},
    "linspace": {"start": 0.0, "stop": 1.0, "num": 4},
    "SoftmaxOutput": {"data": ROWS, "label": INDEX},
    "CTCLoss": {"data": s(5, 2, 4), "label": s(2, 3, dtype="int64"), "data_lengths": INDEX,
                "label_lengths": INDEX, "use_data_lengths": True, "use_label_lengths": True},
    "FullyConnected": {"data": X, "weight": s(3, 60), "bias": s(3), "num_hidden": 3},
    "Convolution": {"data": X, "weight": s(2, 3, 2, 2), "bias": s(2), "kernel": (2, 2),
                    "stride": (1, 1), "dilate": (1, 1), "pad": (0, 0), "num_filter": 2},
    "Deconvolution": {"data": X, "weight": s(3, 2, 2, 2), "bias": s(2), "kernel": (2, 2),
                      "stride": (1, 1), "adj": (0, 0), "num_filter": 2, "no_bias": False},
    "Pooling": {"data": X, "kernel": (2, 2), "pool_type": "avg", "stride": (1, 1), "pad": (0, 0)},
    "frame": {"data": X, "frame_length": 3, "hop_length": 1},
    "irfft": {"real": X, "imag": X},
    "stft": {"data": s(2, 20), "n_fft": 4, "window": s(4)},
    "contrib.fft": {"data": X},
    "contrib.ifft": {"data": s(2, 6)},
    "scatter_add": {"data": s(4, 3), "index": s(2, 3, dtype="int64"), "src": ROWS},
    "index_add": {"data": s(4, 3), "index": INDEX, "source": ROWS},
    "boolean_mask": {"data": s(4, 3), "index": [1, 0, 1, 1]},
    "contrib.cond": {"pred": F.sum(X), "then_func": lambda: X, "else_func": lambda: X * 2},
    "contrib.while_loop": {"cond": lambda *a: F.sum(a[0]) > 0, "func": lambda *a: (a, list(a)),
                           "loop_vars": X, "max_iterations": 3},
    "contrib.foreach": {"body": lambda e, states: (e, states), "data": 3, "init_states": X},
}  # fmt: skip
BAD = [3, -7, 0, 2.5, None, "text", object(), [], (), [[1, 2], [3]], True, np.zeros(3), {}, 1j,
       b"x", np.zeros((2, 2, 2), bool), np.array(["a"]), np.array([1 + 2j]), s(5), s(), s(0, 3),
       s("N", "M"), s(3, dtype="bool"), float("nan"), float("inf"), 10**30,
       np.float32(2)]  # fmt: skip
FUNCTIONS = {function.name: function for function in listing()}


@pytest.mark.parametrize("name", CALLS)
def test_a_bad_argument_is_named_by_an_error_of_lossgraph(name):
    function = FUNCTIONS[name]
    function.function(**CALLS[name])  # which is right
    for parameter in function.arguments:
        for value in BAD:
            with contextlib.suppress(lg.LossgraphError):
                function.function(**{**CALLS[name], parameter.name: value})
