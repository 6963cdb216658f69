"""Calls along axes: reductions, softmax, orders, sequences and loops."""

from __future__ import annotations

from .chooser import Chooser, Recipe

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


def reduction(c: Chooser) -> str:
    x = c.array(c.one_of("f", "f", "f", "a"), least=1)
    name = c.one_of(*_REDUCTIONS)
    options = f"axis={c.axes(x)}" + c.one_of("", ", keepdims=True")
    if name == "norm":
        options += c.one_of("", ", ord=1")
    elif c.integer(0, 5) == 0:
        options += ", exclude=True"
    return f"F.{name}({x}, {options})"


def along(*calls: str) -> Recipe:
    """Calls of an array and one axis: ``{x}``, ``{a}``."""

    def recipe(c: Chooser) -> str:
        x = c.array(least=1)
        return str(c.one_of(*calls)).format(x=x, a=c.axis(x))

    return recipe


def softmax_length(c: Chooser) -> str:
    x = c.array(least=2)
    axis = c.integer(0, len(c.shape(x)) - 1)
    rest = [d for i, d in enumerate(c.shape(x)) if i != axis]
    length = c.index(rest, c.shape(x)[axis] + 1)
    name = c.one_of("softmax", "log_softmax")
    return f"F.{name}({x}, axis={axis}, length={length}, use_length=True)"


def order(c: Chooser) -> str:
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


def sequence(c: Chooser) -> str:
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


def norms(c: Chooser) -> str:
    x = c.array("f", least=2)
    mode = c.one_of("instance", "channel", "spatial")
    part = c.integer(0, 1)
    return c.one_of(f"F.L2Normalization({x}, mode={mode!r})",
                    f"F.moments({x}, axes={c.axes(x) or (0,)})[{part}]")  # fmt: skip


def cumsum(c: Chooser) -> str:
    x = c.array(c.one_of("f", "f", "a"), least=1)
    return f"F.cumsum({x}, axis={c.one_of(None, c.axis(x), c.axis(x))})"


def foreach(c: Chooser) -> str | None:
    x = c.array("f", least=1, most=3)
    state = c.shaped(c.shape(x)[1:] or (1,))
    if c.dtype_of(x) != c.dtype_of(state):
        return None  # a state keeps its dtype, which a loop of Python does not ask for
    step = c.one_of("d + s", "F.tanh(d) * s", "F.maximum(s, d)", "F.sigmoid(s - d)",
                    "F.where(d > s, d, s * 0.5)", "F.logaddexp(s, d)")  # fmt: skip
    out = c.one_of(step, "s", "d * s", "F.sum(s)")
    part = c.integer(0, 1)
    return f"F.contrib.foreach(lambda d, s: ({out}, {step}), {x}, {state})[{part}]"
