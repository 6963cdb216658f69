"""Calls that move, cut, join and make arrays."""

from __future__ import annotations

from .chooser import Chooser


def reshape(c: Chooser) -> str:
    x = c.array("a", least=1)
    rank = len(c.shape(x))
    shapes = [(-1,), (0, -1), (-1, 1), (1, -1), (-2,), (1, -2), (-2, 1), (-3, -2)]
    if rank > 1:
        shapes += [c.shape(x)[::-1], (-1, c.shape(x)[0])]
    shape = c.one_of(*shapes)
    return c.one_of(f"F.reshape({x}, shape={shape})", f"{x}.reshape({shape})",
                    f"F.Reshape({x}, shape={shape}, reverse=True)")  # fmt: skip


def split_axis(c: Chooser) -> str | None:
    x = c.array("a", least=1)
    axis = c.axis(x)
    length = c.shape(x)[axis]
    if length % 2 or not length:
        return None
    return f"F.reshape(F.moveaxis({x}, {axis}, 0), shape=(-4, 2, -1, -2))"


def transpose(c: Chooser) -> str:
    x = c.array("a", least=2)
    rank = len(c.shape(x))
    a, b = c.integer(0, rank - 1), c.integer(-rank, rank - 1)
    return c.one_of(f"F.transpose({x})", f"{x}.T", f"F.swapaxes({x}, {a}, {b})",
                    f"F.SwapAxis({x}, {a}, {b})", f"F.moveaxis({x}, {a}, {b})",
                    f"F.transpose({x}, axes={tuple(range(rank))[::-1]})")  # fmt: skip


def expand(c: Chooser) -> str:
    x = c.array("a", most=3)
    axis = c.integer(-len(c.shape(x)) - 1, len(c.shape(x)))
    return c.one_of(f"F.expand_dims({x}, {axis})", f"{x}[None]" if c.shape(x) else f"{x} + 0.5",
                    f"F.flatten({x})", f"F.Flatten({x})", f"F.squeeze({x})")  # fmt: skip


def cut(c: Chooser) -> str:
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


def slice(c: Chooser) -> str:
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


def repeat(c: Chooser) -> str:
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


def pad(c: Chooser) -> str:
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


def join(c: Chooser) -> str:
    x = c.array(c.one_of("f", "a"), least=1)
    axis = c.integer(0, len(c.shape(x)) - 1)
    y = c.shaped(c.shape(x))
    return c.one_of(f"F.concat({x}, {y}, dim={axis})", f"F.Concat({y}, {x}, {x}, dim={axis})",
                    f"F.stack({x}, {y}, axis={axis})")  # fmt: skip


def split(c: Chooser) -> str | None:
    x = c.array("a", least=1)
    axis = c.axis(x)
    length = c.shape(x)[axis]
    n = c.one_of(*[n for n in (1, 2, 3, 4) if length % n == 0])
    name = c.one_of("split", "SliceChannel")
    squeeze = ", squeeze_axis=True" if n == length and c.one_of(False, True) else ""
    text = f"F.{name}({x}, num_outputs={n}, axis={axis}{squeeze})"
    return text if n == 1 else f"{text}[{c.integer(0, n - 1)}]"


def diag(c: Chooser) -> str:
    x = c.array("f", least=1, most=3)
    k = c.integer(-1, 1)
    return f"F.diag({x}, k={k})"


def created(c: Chooser) -> str:
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


def shapes(c: Chooser) -> str:
    x = c.array("a", least=1)
    axis = c.integer(0, len(c.shape(x)) - 1)
    size = c.size(x, axis)
    y = c.array()
    return c.one_of(f"F.shape_array({x}) * 0.5", f"F.size_array({x}) + 0.5", f"{y} * {size}",
                    f"{y} / ({size} + 1)", f"{y} + {size} // 2")  # fmt: skip


def reshape_like(c: Chooser) -> str:
    x = c.array("a", least=1)
    size = 1
    for length in c.shape(x):
        size *= length
    y = c.shaped((size,))
    return c.one_of(f"F.reshape_like({x}, {y})", f"F.reshape_like({y}, {x})",
                    f"F.scalar(F.sum({x})) * {y}")  # fmt: skip
