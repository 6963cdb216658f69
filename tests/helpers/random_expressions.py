"""Random expressions of functions that stay tame on any value, for property tests."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from lossgraph.ir import ops
from support import symbol

ROWS, COLUMNS = "N", 3
X = symbol("x", "float64", (ROWS, COLUMNS))
Y = symbol("y", "float64", (1, COLUMNS))
Z = symbol("z", "float64", (ROWS, 1))
LEAVES = (X, Y, Z)

# Functions that stay tame on any value: no poles, no growth that overflows.
UNARY = {
    "neg": ops.neg,
    "tanh": ops.tanh,
    "sigmoid": ops.sigmoid,
    "softplus": ops.softplus,
    "erf": ops.erf,
    "exp(-softplus)": lambda x: ops.exp(-ops.softplus(x)),
    "log(1+exp)": lambda x: ops.log(1 + ops.exp(ops.clip(x, -20, 20))),
    "log(sigmoid)": lambda x: ops.log(ops.sigmoid(ops.clip(x, -20, 20))),
    "1-sigmoid": lambda x: 1 - ops.sigmoid(x),
    "sin": ops.sin,
    "square": lambda x: x * x * 0.1,
    "sqrt(1+x^2)": lambda x: ops.sqrt(1 + x * x),
    "relu": lambda x: ops.relu(x + 0.123),
    "abs": lambda x: ops.absolute(x - 0.321),
    "clip": lambda x: ops.clip(x, -1.1, 0.9),
    "double": lambda x: x + x,
}
BINARY = {
    "add": ops.add,
    "sub": ops.sub,
    "mul": lambda a, b: ops.tanh(a) * b,
    "div": lambda a, b: a / (1 + b * b),
    "max": lambda a, b: ops.maximum(a, b + 0.0317),
    "min": lambda a, b: ops.minimum(a + 0.0713, b),
    "where": lambda a, b: ops.where(ops.greater(a, 0.0171), b, a * 0.5),
    "masked": lambda a, b: ops.masked_mul(ops.sigmoid(a), b),
}
ROWWISE = {
    "sum": lambda x: ops.reduce_sum(x, (x.rank - 1,)),
    "mean": lambda x: ops.reduce_mean(x, (x.rank - 1,)),
    "logsumexp": lambda x: ops.log(ops.reduce_sum(ops.exp(ops.tanh(x)), (x.rank - 1,))),
    "softmax": lambda x: ops.exp(ops.tanh(x)) / ops.reduce_sum(ops.exp(ops.tanh(x)), (x.rank - 1,)),
    "log_softmax": lambda x: ops.log(ops.softmax(x, (x.rank - 1,))),
    "norm": lambda x: ops.norm(x + 0.0117, (x.rank - 1,)),
    "cumsum": lambda x: ops.cumsum(x, x.rank - 1),
    "flip": lambda x: ops.flip(x, (x.rank - 1,)),
    "there and back": lambda x: ops.reshape(
        ops.reshape(x, (x.shape[1], x.shape[0])) * 1.0, x.shape
    ),
    "transposed": lambda x: ops.transpose(ops.tanh(ops.transpose(x, (1, 0))), (1, 0)),
    "wide": lambda x: ops.broadcast_to(x, ops.add(x, X).shape),
    "padded": lambda x: ops.take_range(ops.pad(x, (0, 1), (0, 2)), 1, 1, x.shape[1]),
}


@st.composite
def expressions(draw):
    """An expression of up to a dozen operations, and how it was made."""
    pool, text = list(LEAVES), ["x", "y", "z"]
    for _ in range(draw(st.integers(1, 12))):
        table = draw(st.sampled_from([UNARY, BINARY, ROWWISE]))
        name = draw(st.sampled_from(sorted(table)))
        chosen = [draw(st.integers(0, len(pool) - 1)) for _ in range(1 + (table is BINARY))]
        pool.append(table[name](*(pool[i] for i in chosen)))
        text.append(f"{name}({', '.join(text[i] for i in chosen)})")
    return pool[-1], text[-1]


def arrays(rows, seed):
    rng = np.random.default_rng(seed)
    return {
        "x": rng.uniform(-3, 3, (rows, COLUMNS)),
        "y": rng.uniform(-3, 3, (1, COLUMNS)),
        "z": rng.uniform(-3, 3, (rows, 1)),
    }
