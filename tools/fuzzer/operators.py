"""The operators of F as text with drawn arguments: one recipe for each kind of call.

A recipe is given a ``Chooser``, which names arrays that there are or makes new inputs, and returns
the text of a call, or None where nothing here fits it. What a recipe gets wrong of shapes does not
matter: the reference refuses it, and the line is not taken.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from lossgraph import reference, symbolic

# Functions of F that no recipe has, and why.
LEFT_OUT = {
    "_copy": "MXNet's inner name of copy",
    **dict.fromkeys(
        ("with_gradient", "SoftmaxOutput", "Softmax", "LinearRegressionOutput",
         "LogisticRegressionOutput", "MAERegressionOutput"),
        "its gradient is what it is told, not that of its value",
    ),
    **dict.fromkeys(
        ("Convolution", "Deconvolution", "Pooling", "FullyConnected", "frame", "stft", "fft",
         "ifft", "CTCLoss", "ctc_loss"),
        "sizes that fit each other are rare at random: other frameworks judge them, in tests",
    ),
    **dict.fromkeys(
        ("cond", "while_loop", "boolean_mask"),
        "its shape depends on values, or it takes functions: foreach stands for them",
    ),
    **dict.fromkeys(
        (name for name in symbolic.functions() if "linalg" in name and "gemm" not in name),
        "matrices that have a factor or an inverse are rare at random: tests make them",
    ),
}  # fmt: skip

Recipe = Callable[["Chooser"], str | None]


class Chooser(Protocol):
    """What recipes choose from."""

    def array(self, kind: str = "f", least: int = 0, most: int = 4) -> str:
        """The name of an array of a kind ("f" floats, "a" any) with a rank in a range."""

    def like(self, name: str) -> str:
        """An array that broadcasts with a given one, by chance the same; or a number."""

    def shaped(self, shape: Sequence[int], dtype: str = "") -> str:
        """An array of a shape: one that there is, or a new input."""

    def index(self, shape: Sequence[int], length: int) -> str:
        """A new input of indices, some of them outside where they may be."""

    def distinct(self, count: int, length: int) -> str:
        """A new input of one row of indices that differ, as many as there are at most."""

    def shape(self, name: str) -> tuple[int, ...]:
        """The lengths of an array."""

    def dtype_of(self, name: str) -> str:
        """The dtype of an array."""

    def size(self, name: str, axis: int) -> str:
        """A length as text, by its symbol or as a number."""

    def axis(self, name: str) -> int:
        """An axis of an array, counted from either end."""

    def axes(self, name: str) -> Any:
        """Axes to reduce over: none, one, or several."""

    def integer(self, low: int, high: int) -> int:
        """A whole number."""

    def number(self) -> float:
        """A number of few binary digits, so that every dtype has it exactly."""

    def one_of(self, *options: Any) -> Any:
        """One of some options."""


_UNARY = (
    "abs",
    "sign",
    "negative",
    "square",
    "sqrt",
    "rsqrt",
    "cbrt",
    "rcbrt",
    "reciprocal",
    "exp",
    "expm1",
    "log",
    "log1p",
    "log2",
    "log10",
    "relu",
    "sigmoid",
    "softrelu",
    "softsign",
    "tanh",
    "erf",
    "gammaln",
    "digamma",
    "sin",
    "cos",
    "floor",
    "ceil",
    "tan",
    "arctan",
    "arcsin",
    "arccos",
    "sinh",
    "cosh",
    "arcsinh",
    "arccosh",
    "arctanh",
    "degrees",
    "radians",
    "fix",
    "trunc",
    "round",
    "rint",
    "isnan",
    "isinf",
    "isfinite",
    "gelu",
    "stop_gradient",
    "BlockGrad",
    "identity",
    "make_loss",
    "MakeLoss",
    "hard_sigmoid",
    "smooth_l1",
    "logical_not",
    "zeros_like",
    "ones_like",
)
# Where they are well behaved, so that programs get deep: these are drawn as often as all others.
_TAME = (
    "tanh",
    "sigmoid",
    "softrelu",
    "softsign",
    "exp",
    "log1p",
    "square",
    "abs",
    "relu",
    "erf",
    "arctan",
    "negative",
    "sqrt",
    "gelu",
)
_BINARY = (
    "broadcast_add",
    "broadcast_plus",
    "elemwise_add",
    "add",
    "broadcast_sub",
    "broadcast_minus",
    "elemwise_sub",
    "subtract",
    "broadcast_mul",
    "elemwise_mul",
    "multiply",
    "broadcast_div",
    "elemwise_div",
    "divide",
    "true_divide",
    "broadcast_mod",
    "modulo",
    "mod",
    "broadcast_power",
    "power",
    "pow",
    "broadcast_maximum",
    "maximum",
    "broadcast_minimum",
    "minimum",
    "broadcast_hypot",
    "hypot",
    "masked_mul",
    "logaddexp",
    "broadcast_equal",
    "equal",
    "broadcast_not_equal",
    "not_equal",
    "broadcast_greater",
    "greater",
    "broadcast_greater_equal",
    "greater_equal",
    "broadcast_lesser",
    "lesser",
    "broadcast_lesser_equal",
    "lesser_equal",
    "broadcast_logical_and",
    "logical_and",
    "broadcast_logical_or",
    "logical_or",
    "broadcast_logical_xor",
    "logical_xor",
    "add_n",
    "ElementWiseSum",
)
_SIGNS = ("+", "-", "*", "/", "%", "**", ">", "<", ">=", "<=", "==", "!=")
_REDUCTIONS = (
    "sum",
    "sum_axis",
    "mean",
    "prod",
    "max",
    "max_axis",
    "min",
    "min_axis",
    "logsumexp",
    "nansum",
    "nanprod",
    "norm",
)


def _unary(names: Sequence[str]) -> Recipe:
    return lambda c: f"F.{c.one_of(*names)}({c.array(c.one_of('f', 'f', 'f', 'a'))})"


def _binary(c: Chooser) -> str:
    left = c.array(c.one_of("f", "f", "a"))
    return f"F.{c.one_of(*_BINARY)}({left}, {c.like(left)})"


def _sign(c: Chooser) -> str:
    left = c.array(c.one_of("f", "f", "a"))
    sides = [left, c.like(left)]
    if c.one_of(False, True):
        sides.reverse()
    return f"{sides[0]} {c.one_of(*_SIGNS)} {sides[1]}"


def _reduction(c: Chooser) -> str:
    x = c.array(c.one_of("f", "f", "f", "a"), least=1)
    name = c.one_of(*_REDUCTIONS)
    options = f"axis={c.axes(x)}" + c.one_of("", ", keepdims=True")
    if name == "norm":
        options += c.one_of("", ", ord=1")
    elif c.integer(0, 5) == 0:
        options += ", exclude=True"
    return f"F.{name}({x}, {options})"


def _along(*calls: str) -> Recipe:
    """Calls of an array and one axis: ``{x}``, ``{a}``."""

    def recipe(c: Chooser) -> str:
        x = c.array(least=1)
        return str(c.one_of(*calls)).format(x=x, a=c.axis(x))

    return recipe


def _softmax_length(c: Chooser) -> str:
    x = c.array(least=2)
    axis = c.integer(0, len(c.shape(x)) - 1)
    rest = [d for i, d in enumerate(c.shape(x)) if i != axis]
    length = c.index(rest, c.shape(x)[axis] + 1)
    name = c.one_of("softmax", "log_softmax")
    return f"F.{name}({x}, axis={axis}, length={length}, use_length=True)"


def _reshape(c: Chooser) -> str:
    x = c.array("a", least=1)
    rank = len(c.shape(x))
    shapes = [(-1,), (0, -1), (-1, 1), (1, -1), (-2,), (1, -2), (-2, 1), (-3, -2)]
    if rank > 1:
        shapes += [c.shape(x)[::-1], (-1, c.shape(x)[0])]
    shape = c.one_of(*shapes)
    return c.one_of(f"F.reshape({x}, shape={shape})", f"{x}.reshape({shape})",
                    f"F.Reshape({x}, shape={shape}, reverse=True)")  # fmt: skip


def _split_axis(c: Chooser) -> str | None:
    x = c.array("a", least=1)
    axis = c.axis(x)
    length = c.shape(x)[axis]
    if length % 2 or not length:
        return None
    return f"F.reshape(F.moveaxis({x}, {axis}, 0), shape=(-4, 2, -1, -2))"


def _transpose(c: Chooser) -> str:
    x = c.array("a", least=2)
    rank = len(c.shape(x))
    a, b = c.integer(0, rank - 1), c.integer(-rank, rank - 1)
    return c.one_of(f"F.transpose({x})", f"{x}.T", f"F.swapaxes({x}, {a}, {b})",
                    f"F.SwapAxis({x}, {a}, {b})", f"F.moveaxis({x}, {a}, {b})",
                    f"F.transpose({x}, axes={tuple(range(rank))[::-1]})")  # fmt: skip


def _expand(c: Chooser) -> str:
    x = c.array("a", most=3)
    axis = c.integer(-len(c.shape(x)) - 1, len(c.shape(x)))
    return c.one_of(f"F.expand_dims({x}, {axis})", f"{x}[None]" if c.shape(x) else f"{x} + 0.5",
                    f"F.flatten({x})", f"F.Flatten({x})", f"F.squeeze({x})")  # fmt: skip


def _cut(c: Chooser) -> str:
    x = c.array("a", least=1)
    ends = (None, 0, 1, 2, 3, -1, -2, -4, 5)

    def one() -> str:
        kind = c.integer(0, 5)
        if kind == 0:
            return str(c.one_of(0, -1, 1))
        if kind == 1:
            return "None"
        step = c.one_of(None, None, 1, 2, -1, -2, -3)
        begin, end = c.one_of(*ends), c.one_of(*ends)
        text = [("" if end is None else str(end)) for end in (begin, end)]
        return ":".join(text if step is None else [*text, str(step)])

    keys = [one() for _ in range(c.integer(1, len(c.shape(x))))]
    if c.integer(0, 4) == 0:
        keys.insert(0, "...")
    return f"{x}[{', '.join(keys)}]"


def _slice(c: Chooser) -> str:
    x = c.array("a", least=1)
    axis = c.axis(x)
    length = c.shape(x)[axis]
    first = c.integer(0, length)
    last = c.one_of(None, c.integer(first, length))
    rank = len(c.shape(x))
    begin = tuple(c.one_of(None, 0, 1, -1) for _ in range(rank))
    end = tuple(c.one_of(None, 1, 2, -1) for _ in range(rank))
    step = tuple(c.one_of(None, 1, 2, -1, -2) for _ in range(rank))
    return c.one_of(f"F.slice_axis({x}, axis={axis}, begin={first}, end={last})",
                    f"F.slice({x}, begin={begin}, end={end})",
                    f"F.slice({x}, begin={begin}, end={end}, step={step})",
                    f"F.slice_like({x}, {c.array('a', rank, rank)})",
                    f"F.flip({x}, axis={axis})", f"F.reverse({x}, axis={axis})")  # fmt: skip


def _repeat(c: Chooser) -> str:
    x = c.array("a", least=1, most=3)
    n, axis = c.integer(1, 3), c.axis(x)
    ones = [i for i, d in enumerate(c.shape(x)) if d == 1]
    calls = [f"F.repeat({x}, {n}, axis={axis})", f"F.tile({x}, reps=({n}, 1))",
             f"F.tile({x}, reps={n})", f"F.repeat({x}, {n})"]  # fmt: skip
    if ones:
        calls += [f"F.broadcast_axis({x}, axis={ones[0]}, size={n})",
                  f"F.broadcast_axes({x}, axis={ones[0]}, size={n})"]  # fmt: skip
    shape = (n, *c.shape(x)[1:])
    calls.append(f"F.broadcast_to({x}, shape={shape})")
    like = c.like(x)
    if like.isidentifier():
        calls += [f"F.broadcast_like({x}, {like})"]
    return str(c.one_of(*calls))


def _pad(c: Chooser) -> str:
    x = c.array("f", least=1)
    rank = len(c.shape(x))
    mode = c.one_of("constant", "constant", "edge", "reflect")
    if mode == "constant":
        width = tuple(c.integer(0, 2) for _ in range(2 * rank))
        more = c.one_of("", f", constant_value={c.number()}")
    else:
        width = tuple(c.integer(0, 1) for _ in range(2 * rank))
        more = ""
    return f"F.{c.one_of('pad', 'Pad')}({x}, mode={mode!r}, pad_width={width}{more})"


def _join(c: Chooser) -> str:
    x = c.array(c.one_of("f", "a"), least=1)
    axis = c.integer(0, len(c.shape(x)) - 1)
    y = c.shaped(c.shape(x))
    return c.one_of(f"F.concat({x}, {y}, dim={axis})", f"F.Concat({y}, {x}, {x}, dim={axis})",
                    f"F.stack({x}, {y}, axis={axis})")  # fmt: skip


def _split(c: Chooser) -> str | None:
    x = c.array("a", least=1)
    axis = c.axis(x)
    length = c.shape(x)[axis]
    n = c.one_of(*[n for n in (1, 2, 3, 4) if length % n == 0])
    name = c.one_of("split", "SliceChannel")
    squeeze = ", squeeze_axis=True" if n == length and c.one_of(False, True) else ""
    text = f"F.{name}({x}, num_outputs={n}, axis={axis}{squeeze})"
    return text if n == 1 else f"{text}[{c.integer(0, n - 1)}]"


def _matrices(c: Chooser) -> str:
    x = c.array(least=2, most=3)
    shape = c.shape(x)
    n = c.integer(1, 3)
    if len(shape) == 2:
        y = c.shaped((shape[1], n))
        return c.one_of(f"F.dot({x}, {y})", f"F.linalg_gemm2({x}, {y})",
                        f"F.dot({x}, {x}, transpose_a=True)", f"F.dot({x}, {x}, transpose_b=True)",
                        f"F.linalg_gemm2({x}, {x}, transpose_b=True, alpha={c.number()})",
                        f"F.linalg_gemm({x}, {y}, {c.shaped((shape[0], n))}, "
                        f"beta={c.number()})")  # fmt: skip
    y = c.shaped((shape[0], shape[2], n))
    return c.one_of(f"F.batch_dot({x}, {y})", f"F.batch_dot({x}, {x}, transpose_b=True)",
                    f"F.batch_dot({x}, {x}, transpose_a=True)",
                    f"F.linalg_gemm2({x}, {y})",
                    f"F.dot({x}, {c.shaped((shape[2],))})")  # fmt: skip


def _pick(c: Chooser) -> str:
    x = c.array(least=2, most=3)
    shape = c.shape(x)
    axis = c.integer(0, len(shape) - 1)
    rest = [d for i, d in enumerate(shape) if i != axis]
    index = c.index(rest, shape[axis])
    return c.one_of(f"F.pick({x}, {index}, axis={axis})",
                    f"F.pick({x}, {index}, axis={axis}, keepdims=True)",
                    f"F.pick({x}, {index}, axis={axis}, mode='wrap')")  # fmt: skip


def _take(c: Chooser) -> str:
    x = c.array(c.one_of("f", "f", "a"), least=1, most=3)
    axis = c.integer(0, len(c.shape(x)) - 1)
    length = c.shape(x)[axis]
    index = c.index([c.integer(0, 3)] if c.one_of(True, True, False) else [2, 2], length)
    calls = [f"F.take({x}, {index}, axis={axis})",
             f"F.take({x}, {index}, axis={axis}, mode='wrap')"]  # fmt: skip
    if len(c.shape(x)) == 2:
        rows = c.index([c.shape(x)[0]], c.shape(x)[1])
        calls += [f"F.batch_take({x}, {rows})"]
        calls += [f"F.Embedding({index}, {x}, input_dim={length}, output_dim={c.shape(x)[1]})"]
    return str(c.one_of(*calls))


def _along_axis(c: Chooser) -> str:
    x = c.array(least=1, most=3)
    shape = list(c.shape(x))
    axis = c.integer(0, len(shape) - 1)
    count = c.integer(1, 2)
    index = c.index([*shape[:axis], count, *shape[axis + 1 :]], shape[axis])
    if c.one_of(True, False):
        return f"F.take_along_axis({x}, {index}, axis={axis})"
    one = [*shape[:axis], 1, *shape[axis + 1 :]]
    where = c.index(one, shape[axis])
    return f"F.put_along_axis({x}, {where}, {c.shaped(one)}, axis={axis})"


def _nd(c: Chooser) -> str:
    x = c.array(least=1, most=3)
    shape = c.shape(x)
    depth = c.integer(1, len(shape))
    index = c.index([depth, c.integer(0, 3)], min(shape[:depth]))
    if c.one_of(True, False):
        return f"F.gather_nd({x}, {index})"
    length = max(4, shape[0])
    rows = c.distinct(shape[0], length)  # MXNet leaves open what twice the same means
    return f"F.scatter_nd({x}, {rows}, shape={(length, *shape[1:])})"


def _one_hot(c: Chooser) -> str:
    index = c.index([c.integer(0, 3)], 3)
    more = c.one_of("", f", on_value={c.number()}, off_value={c.number()}")
    return f"F.one_hot({index}, 3{more}) * {c.number()}"


def _cross_entropy(c: Chooser) -> str:
    x = c.array(least=2, most=2)
    rows, classes = c.shape(x)
    label = c.index([rows], -classes)
    picked = f"F.pick(F.log_softmax({x}, axis=-1), {label}, axis=-1, mode='raise')"
    return str(c.one_of(f"F.softmax_cross_entropy({x}, {label})", picked))


def _order(c: Chooser) -> str:
    x = c.array("f", least=1)
    axis = c.one_of(c.axis(x), c.axis(x), None)
    length = 99 if axis is None else c.shape(x)[axis]
    k = c.integer(1, max(1, min(length, 3)))
    kind = c.one_of("value", "value", "indices", "mask")
    ascend = c.one_of(True, False)
    return c.one_of(f"F.argmax({x}, axis={axis})", f"F.argmin({x}, axis={axis}, keepdims=True)",
                    f"F.sort({x}, axis={axis}, is_ascend={ascend})",
                    f"F.argsort({x}, axis={axis}, is_ascend={ascend})",
                    f"F.topk({x}, axis={axis}, k={k}, ret_typ={kind!r}, "
                    f"is_ascend={ascend})")  # fmt: skip


def _sequence(c: Chooser) -> str:
    x = c.array("f", least=2)
    axis = c.integer(0, 1)
    time, batch = c.shape(x)[axis], c.shape(x)[1 - axis]
    lengths = c.index([batch], -time - 1)
    name = c.one_of("SequenceMask", "SequenceReverse", "SequenceLast")
    more = f", value={c.number()}" if name == "SequenceMask" else ""
    if c.integer(0, 3) == 0:
        return f"F.{name}({x}, axis={axis}{more})"
    if name == "SequenceLast":
        lengths = f"F.maximum({lengths}, 1)"
    return f"F.{name}({x}, {lengths}, use_sequence_length=True, axis={axis}{more})"


def _norms(c: Chooser) -> str:
    x = c.array("f", least=2)
    mode = c.one_of("instance", "channel", "spatial")
    part = c.integer(0, 1)
    return c.one_of(f"F.L2Normalization({x}, mode={mode!r})",
                    f"F.moments({x}, axes={c.axes(x) or (0,)})[{part}]")  # fmt: skip


def _activation(c: Chooser) -> str:
    x = c.array()
    kind = c.one_of("relu", "sigmoid", "tanh", "softrelu", "softsign")
    leaky = c.one_of("leaky", "elu", "selu", "gelu")
    calls = [f"F.Activation({x}, act_type={kind!r})", f"F.LeakyReLU({x}, act_type={leaky!r})"]
    if len(c.shape(x)) >= 2:
        slopes = c.shaped((c.shape(x)[1],))
        calls.append(f"F.LeakyReLU({x}, {slopes}, act_type='prelu')")
    return str(c.one_of(*calls))


def _clip(c: Chooser) -> str:
    low, high = sorted((c.number(), c.number()))
    return f"F.clip({c.array()}, {low}, {high})"


def _where(c: Chooser) -> str:
    x = c.array(c.one_of("f", "f", "a"))
    y = c.like(x)
    tested = c.one_of(x, x, c.array("a"))
    condition = c.one_of(f"{tested} > {c.number()}", f"{tested}", f"{tested} == {c.number()}",
                         f"F.isnan({tested})")  # fmt: skip
    return c.one_of(f"F.where({condition}, {x}, {y})", f"F.where({condition}, {y}, {x})",
                    f"F.where({condition}, {x}, {c.number()})")  # fmt: skip


def _guard(c: Chooser) -> str:
    """A pole that a choice keeps away, as losses have them."""
    x = c.array()
    function = c.one_of("log", "sqrt", "reciprocal", "rsqrt", "exp", "log1p", "arcsin", "gammaln")
    safe = c.one_of(f"F.where({x} > 0, {x}, 1.0)", f"F.maximum({x}, 0.125)",
                    f"F.abs({x}) + 1.0", f"F.clip({x}, 0.125, 8.0)", f"1.0 + F.square({x})",
                    f"F.sigmoid({x})")  # fmt: skip
    return f"F.{function}({safe})"


def _cumsum(c: Chooser) -> str:
    x = c.array(c.one_of("f", "f", "a"), least=1)
    return f"F.cumsum({x}, axis={c.one_of(None, c.axis(x), c.axis(x))})"


def _diag(c: Chooser) -> str:
    x = c.array("f", least=1, most=3)
    k = c.integer(-1, 1)
    return f"F.diag({x}, k={k})"


def _created(c: Chooser) -> str:
    x = c.array("a", least=1, most=2)
    axis = c.integer(0, len(c.shape(x)) - 1)
    size = c.size(x, axis)
    n = c.integer(1, 3)
    made = c.one_of(f"F.arange({size})", f"F.arange(0, {n}, 0.5)", f"F.eye({size})",
                    f"F.eye({n}, {size} + 1, 1)", f"F.linspace(-1.0, 2.0, {n + 1})",
                    f"F.zeros(({n}, {size}))", f"F.ones(({size},))",
                    f"F.full(({n},), {c.number()})", f"F.array([1.0, {c.number()}, -2.0])",
                    f"F.arange(1, {size}, 2)")  # fmt: skip
    return f"{made} * {c.number()}"


def _shapes(c: Chooser) -> str:
    x = c.array("a", least=1)
    axis = c.integer(0, len(c.shape(x)) - 1)
    size = c.size(x, axis)
    y = c.array()
    return c.one_of(f"F.shape_array({x}) * 0.5", f"F.size_array({x}) + 0.5", f"{y} * {size}",
                    f"{y} / ({size} + 1)", f"{y} + {size} // 2")  # fmt: skip


def _casts(c: Chooser) -> str:
    x = c.array("a")
    to = c.one_of("float32", "float64", "int32", "int64", "float16")
    return c.one_of(f"F.cast({x}, {to!r})", f"F.Cast({x}, dtype={to!r})", f"{x}.astype({to!r})",
                    f"{x}.copy()", f"{x}.detach()")  # fmt: skip


def _reshape_like(c: Chooser) -> str:
    x = c.array("a", least=1)
    size = 1
    for length in c.shape(x):
        size *= length
    y = c.shaped((size,))
    return c.one_of(f"F.reshape_like({x}, {y})", f"F.reshape_like({y}, {x})",
                    f"F.scalar(F.sum({x})) * {y}")  # fmt: skip


def _foreach(c: Chooser) -> str | None:
    x = c.array("f", least=1, most=3)
    state = c.shaped(c.shape(x)[1:] or (1,))
    if c.dtype_of(x) != c.dtype_of(state):
        return None  # a state keeps its dtype, which a loop of Python does not ask for
    step = c.one_of("d + s", "F.tanh(d) * s", "F.maximum(s, d)", "F.sigmoid(s - d)",
                    "F.where(d > s, d, s * 0.5)", "F.logaddexp(s, d)")  # fmt: skip
    out = c.one_of(step, "s", "d * s", "F.sum(s)")
    part = c.integer(0, 1)
    return f"F.contrib.foreach(lambda d, s: ({out}, {step}), {x}, {state})[{part}]"


def _resize(c: Chooser) -> str:
    x = c.shaped((1, 2, c.integer(1, 3), c.integer(1, 3)))
    corners = c.one_of(True, False)
    return (f"F.contrib.BilinearResize2D({x}, height={c.integer(1, 4)}, width={c.integer(1, 4)}, "
            f"align_corners={corners})")  # fmt: skip


def _einsum(c: Chooser) -> str:
    x = c.array(least=2, most=2)
    y = c.shaped((c.shape(x)[1], 2))
    return c.one_of(f"F.einsum('ij,jk->ik', {x}, {y})", f"F.einsum('ij,ij->i', {x}, {x})",
                    f"F.einsum('ij->ji', {x})", f"F.einsum('ij,kj->', {x}, {x})",
                    f"F.einsum('ij,jk', {x}, {y})")  # fmt: skip


def by_signature() -> dict[str, list[str]]:
    """The functions of F that arrays alone call, or arrays and an axis: the names of these."""
    found = {}
    for name, function in symbolic.functions().items():
        if name not in reference.__all__:
            continue  # a method of arrays alone
        parameters = inspect.signature(function).parameters.values()
        needed = [p for p in parameters if p.default is p.empty and p.kind is not p.VAR_POSITIONAL]
        takes = [p.name for p in needed]
        if needed and all(p.annotation == "Operand" or p.name == "axis" for p in needed):
            options = [p.name for p in parameters if p.name in ("axis", "keepdims", "beta", "k")]
            found[name] = [*takes, *(each for each in options if each not in takes)]
    return found


_BY_SIGNATURE = by_signature()
_OPTION: dict[str, Callable[[Chooser, str], str]] = {
    "axis": lambda c, x: str(c.axis(x)),
    "keepdims": lambda c, x: str(c.one_of(False, True)),
    "beta": lambda c, x: str(c.one_of(1.0, 0.5, 2.0)),
    "k": lambda c, x: str(c.integer(-1, 1)),
}


def _any_function(c: Chooser) -> str:
    """Any function whose call follows from its signature: new ones are called at once."""
    name = c.one_of(*sorted(_BY_SIGNATURE.keys() - LEFT_OUT.keys()))
    x = c.array(least=1)
    arrays, options = [x], []
    for parameter in _BY_SIGNATURE[name][1:]:
        if parameter in _OPTION:
            options.append(f"{parameter}={_OPTION[parameter](c, x)}")
        else:
            arrays.append(c.like(x))
    if name.startswith("arg") or name == "batch_take":  # of its own recipe: indices
        return f"F.sigmoid({x})"
    return f"F.{name}({', '.join([*arrays, *options])})"


RECIPES: dict[str, Recipe] = {
    "any function": _any_function,
    "unary": _unary(_UNARY),
    "tame": _unary(_TAME),
    "binary": _binary,
    "sign": _sign,
    "reduction": _reduction,
    "softmax": _along(
        "F.softmax({x}, axis={a})",
        "F.log_softmax({x}, axis={a})",
        "F.softmin({x}, axis={a})",
        "F.softmax({x}, axis={a}, temperature=0.5)",
        "F.log_softmax({x}, axis={a}, temperature=2.0)",
        "F.log(F.softmax({x}, axis={a}))",
        "F.exp({x}) / F.sum(F.exp({x}), axis={a}, keepdims=True)",
        "F.log(F.sum(F.exp({x}), axis={a}, keepdims=True))",
    ),
    "softmax with lengths": _softmax_length,
    "reshape": _reshape,
    "split an axis": _split_axis,
    "transpose": _transpose,
    "expand": _expand,
    "cut": _cut,
    "slice": _slice,
    "repeat": _repeat,
    "pad": _pad,
    "join": _join,
    "split": _split,
    "matrices": _matrices,
    "einsum": _einsum,
    "pick": _pick,
    "take": _take,
    "along axis": _along_axis,
    "nd": _nd,
    "one hot": _one_hot,
    "cross entropy": _cross_entropy,
    "order": _order,
    "sequence": _sequence,
    "norms": _norms,
    "activation": _activation,
    "clip": _clip,
    "where": _where,
    "guard": _guard,
    "cumsum": _cumsum,
    "diag": _diag,
    "created": _created,
    "shapes": _shapes,
    "casts": _casts,
    "reshape like": _reshape_like,
    "foreach": _foreach,
    "resize": _resize,
}
