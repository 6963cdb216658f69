"""Calls that read and write at indices."""

from __future__ import annotations

from .chooser import Chooser


def pick(c: Chooser) -> str:
    x = c.array(least=2, most=3)
    shape = c.shape(x)
    axis = c.integer(0, len(shape) - 1)
    rest = [d for i, d in enumerate(shape) if i != axis]
    index = c.index(rest, shape[axis])
    return c.one_of(f"F.pick({x}, {index}, axis={axis})",
                    f"F.pick({x}, {index}, axis={axis}, keepdims=True)",
                    f"F.pick({x}, {index}, axis={axis}, mode='wrap')")  # fmt: skip


def take(c: Chooser) -> str:
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


def along_axis(c: Chooser) -> str:
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


def nd(c: Chooser) -> str:
    x = c.array(least=1, most=3)
    shape = c.shape(x)
    depth = c.integer(1, len(shape))
    index = c.index([depth, c.integer(0, 3)], min(shape[:depth]))
    if c.one_of(True, False):
        return f"F.gather_nd({x}, {index})"
    length = max(4, shape[0])
    rows = c.distinct(shape[0], length)  # MXNet leaves open what twice the same means
    return f"F.scatter_nd({x}, {rows}, shape={(length, *shape[1:])})"


def one_hot(c: Chooser) -> str:
    index = c.index([c.integer(0, 3)], 3)
    more = c.one_of("", f", on_value={c.number()}, off_value={c.number()}")
    return f"F.one_hot({index}, 3{more}) * {c.number()}"


def cross_entropy(c: Chooser) -> str:
    x = c.array(least=2, most=2)
    rows, classes = c.shape(x)
    label = c.index([rows], -classes)
    picked = f"F.pick(F.log_softmax({x}, axis=-1), {label}, axis=-1, mode='raise')"
    return str(c.one_of(f"F.softmax_cross_entropy({x}, {label})", picked))
