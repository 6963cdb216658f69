"""Programs: a body of F as text, its inputs, and how it is to be run; drawn at random, printed."""

from __future__ import annotations

import keyword
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from hypothesis import strategies as st

from lossgraph import reference
from lossgraph.errors import LossgraphError

from .recipes import RECIPES

FLOAT = ("float32", "float64", "float16")
# What numbers the float inputs of a program hold: those of one kind, beside ordinary ones, so that
# it is known what makes a result special. All are exact in every dtype that has them.
ORDINARY = (0.5, -0.75, 1.25, 2.0, -1.5, 0.0625, -2.25, 3.0, 0.875, -0.3125, 1.75, -3.5)
SPECIAL: dict[str, tuple[float, ...]] = {
    "ordinary": (),
    "ties": (0.0, 1.0, 1.0, -1.0, 0.0),
    "zeros": (0.0, -0.0, 0.0),
    "nan": (np.nan,),
    "infinities": (np.inf, -np.inf),
    "large": (50.0, -50.0, 1000.0, -1000.0),
    "huge": (1e30, -1e30, 0.0),
    "tiny": (1e-30, -1e-30, 0.0),
}
NUMBERS = (0.5, 2.0, -1.0, 0.25, 1.0, 0.0, 3.0, -0.5, 1.5, 4.0)
LENGTHS = (2, 3, 2, 3, 1, 4, 0)


@dataclass(frozen=True)
class Input:
    """An array, and what its axes are called where sizes are named."""

    name: str
    array: np.ndarray[Any, Any]
    dims: tuple[str | int, ...]

    def type(self, named: bool) -> tuple[str, tuple[Any, ...]]:
        """The type as the compiler is told it."""
        return self.array.dtype.name, self.dims if named else self.array.shape

    @property
    def text(self) -> str:
        listed = np.array2string(self.array, separator=", ", threshold=10**6, floatmode="unique")
        listed = listed.replace("nan", "np.nan").replace("inf", "np.inf").replace("\n", "")
        if not self.array.size:
            return f"np.zeros({self.array.shape}, {self.array.dtype.name!r})"
        return f"np.array({listed}, {self.array.dtype.name!r})"


@dataclass(frozen=True)
class Way:
    """How a program is run: what is compiled, for what, and how it is called."""

    named: bool = True
    opset: int = 18
    tiles: int | None = None
    threads: int | None = None
    bound: bool = False
    second: bool = False


@dataclass(frozen=True)
class Program:
    """Lines that each make an array of those before; the last is the value."""

    inputs: tuple[Input, ...]
    lines: tuple[str, ...]
    special: str = "ordinary"
    way: Way = field(default_factory=Way)

    @property
    def names(self) -> list[str]:
        return [each.name for each in self.inputs]

    @property
    def arrays(self) -> dict[str, np.ndarray[Any, Any]]:
        return {each.name: each.array for each in self.inputs}

    @property
    def wrt(self) -> list[str]:
        """The inputs whose gradients are asked for."""
        return [each.name for each in self.inputs if each.array.dtype.kind == "f"]

    @property
    def dtype(self) -> str:
        """The dtype that is computed in."""
        floats = [each.array.dtype.name for each in self.inputs if each.array.dtype.kind == "f"]
        return floats[0] if floats else "float32"

    def types(self, named: bool) -> dict[str, Any]:
        return {each.name: each.type(named) for each in self.inputs}

    @cached_property
    def source(self) -> str:
        """The body as a function of Python."""
        head = f"def body(F, {', '.join(self.names)}):\n"
        lines = [f"v{i} = {line}" for i, line in enumerate(self.lines)]
        return head + textwrap.indent("\n".join([*lines, f"return v{len(lines) - 1}"]), "    ")

    @cached_property
    def body(self) -> Callable[..., Any]:
        scope: dict[str, Any] = {}
        exec(self.source, {"__name__": "fuzzer_program"}, scope)
        return scope["body"]

    def judged(self, arrays: dict[str, np.ndarray[Any, Any]]) -> np.ndarray[Any, Any]:
        """The value that the reference gives."""
        given = {name: reference.Array(array) for name, array in arrays.items()}
        with np.errstate(all="ignore"):
            return self.body(reference, **given).asnumpy()

    def paste(self, call: str) -> str:
        """All that it takes to see a fault again."""
        arrays = [f"{each.name} = {each.text}" for each in self.inputs]
        return "\n".join(
            ["import numpy as np", "import onnxruntime", "import lossgraph as lg",
             "from lossgraph import reference", "from lossgraph.authoring.functions import as_loss",
             "", self.source, "", *arrays, call,
             f"print(body(reference, {', '.join(f'reference.Array({n})' for n in self.names)}))"]
        )  # fmt: skip

    def without_unused(self) -> Program:
        """Only what the value is made of, but one float input at least."""
        needed = {f"v{len(self.lines) - 1}"}
        for i in reversed(range(len(self.lines))):
            if f"v{i}" in needed:
                needed |= _words(self.lines[i])
        kept = [i for i in range(len(self.lines)) if f"v{i}" in needed]
        renamed = {f"v{old}": f"v{new}" for new, old in enumerate(kept)}
        lines = tuple(_renamed(self.lines[i], renamed) for i in kept)
        inputs = [each for each in self.inputs if each.name in needed]
        return replace(self, inputs=tuple(inputs or self.inputs[:1]), lines=lines)


def _words(line: str) -> set[str]:
    cleaned = "".join(ch if ch.isalnum() or ch == "_" else " " for ch in line)
    return {word for word in cleaned.split() if word.isidentifier() and not keyword.iskeyword(word)}


def _renamed(line: str, names: dict[str, str]) -> str:
    out, word = "", ""
    for ch in line + " ":
        if ch.isalnum() or ch == "_":
            word += ch
        else:
            out += names.get(word, word) + ch
            word = ""
    return out[:-1]


class Drawing:
    """A program that grows: it chooses arguments for recipes and keeps what the reference takes."""

    def __init__(self, draw: Callable[[Any], Any]) -> None:
        self._draw = draw
        self.dtype: str = self.one_of(*FLOAT)
        self.special: str = self.one_of(*SPECIAL)
        self.lengths = {name: self.one_of(*LENGTHS) for name in ("N", "C", "K")}
        self.inputs: list[Input] = []
        self.lines: list[str] = []
        self.values: dict[str, np.ndarray[Any, Any]] = {}
        for _ in range(self.integer(1, 2)):
            rank = self.one_of(2, 2, 1, 3)
            self._new_input([self.one_of("N", "C", "K", "N", "C", 1, 2) for _ in range(rank)])

    # --- what recipes ask ---

    def integer(self, low: int, high: int) -> int:
        return int(self._draw(st.integers(low, max(low, high))))

    def one_of(self, *options: Any) -> Any:
        return options[self.integer(0, len(options) - 1)]

    def number(self) -> float:
        return float(self.one_of(*NUMBERS))

    def array(self, kind: str = "f", least: int = 0, most: int = 4) -> str:
        fits = [
            name
            for name, value in self.values.items()
            if least <= value.ndim <= most and (kind == "a" or value.dtype.kind == "f")
        ]
        if not fits:
            return self._new_input(["N", "C", "K"][: max(least, 1)])
        if self.integer(0, 4):  # mostly what was made last, so that programs get deep
            return str(fits[-1])
        return str(self.one_of(*fits))

    def like(self, name: str) -> str:
        shape = self.shape(name)
        fits = [n for n, value in self.values.items() if _broadcasts(shape, value.shape)]
        choice = self.integer(0, len(fits) + 1)
        if choice < len(fits):
            return fits[choice]
        if choice == len(fits):
            return str(self.number())
        return self.shaped([self.one_of(d, d, 1) for d in shape])

    def shaped(self, shape: Sequence[int], dtype: str = "") -> str:
        fits = [n for n, value in self.values.items()
                if value.shape == tuple(shape) and value.dtype.kind == "f"]  # fmt: skip
        choice = self.integer(0, len(fits))
        if choice < len(fits):
            return fits[choice]
        return self._new_input(self._named(shape), floats=True)

    def index(self, shape: Sequence[int], length: int) -> str:
        low, high = (0, -length - 1) if length < 0 else (-1, length)
        dtype = self.one_of("int64", "int32", "float32")
        array = np.zeros(tuple(shape), dtype)
        for place in range(array.size):
            array.flat[place] = self.integer(low, max(high, low))
        return self._add(Input(self._name(), array, self._named(shape)))

    def distinct(self, count: int, length: int) -> str:
        first = self.integer(0, length - 1)
        array = (first + np.arange(count)[None] * self.one_of(1, -1)) % length
        return self._add(Input(self._name(), array, array.shape))

    def shape(self, name: str) -> tuple[int, ...]:
        return self.values[name].shape

    def dtype_of(self, name: str) -> str:
        return str(self.values[name].dtype.name)

    def size(self, name: str, axis: int) -> str:
        return self.one_of(f"{name}.shape[{axis}]", str(self.shape(name)[axis]))

    def axis(self, name: str) -> int:
        rank = len(self.shape(name))
        return self.integer(-rank, rank - 1)

    def axes(self, name: str) -> Any:
        rank = len(self.shape(name))
        several = tuple(i for i in range(rank) if self.integer(0, 1))
        return self.one_of(self.axis(name), self.axis(name), None, several or None)

    # --- growth ---

    def grow(self) -> None:
        """One line more, if the reference takes it."""
        recipe = RECIPES[self.one_of(*RECIPES)]
        inputs, values = list(self.inputs), dict(self.values)
        try:
            line = recipe(self)
            value = None if line is None else self._evaluate(line)
        except (LossgraphError, IndexError, ZeroDivisionError):
            value = None
        if value is None or value.size > 64 or value.ndim > 4:
            self.inputs, self.values = inputs, values
            return
        self.lines.append(str(line))
        self.values[f"v{len(self.lines) - 1}"] = value

    def _evaluate(self, line: str) -> np.ndarray[Any, Any] | None:
        scope = {name: reference.Array(value) for name, value in self.values.items()}
        with np.errstate(all="ignore"):
            made = eval(line, {"F": reference, **scope})
        return made.asnumpy() if isinstance(made, reference.Array) else None

    def _named(self, shape: Sequence[int]) -> tuple[str | int, ...]:
        """Names for lengths, by chance where two names have one length; 1 and others stay."""
        dims: list[str | int] = []
        for length in shape:
            names = [n for n, value in self.lengths.items() if value == length and length != 1]
            dims.append(self.one_of(*names, length) if names else length)
        return tuple(dims)

    def _name(self) -> str:
        return "xyzwuabcdefghijk"[len(self.inputs) : len(self.inputs) + 1] or (
            f"x{len(self.inputs)}"
        )

    def _new_input(self, dims: Sequence[str | int], floats: bool = False) -> str:
        shape = [self.lengths[dim] if isinstance(dim, str) else dim for dim in dims]
        kind = self.dtype
        if self.inputs and not floats:
            kind = self.one_of(*[self.dtype] * 6, "int32", "int64")
        array = np.zeros(shape, kind)
        numbers = ORDINARY
        if kind == self.dtype and self.special != "ordinary":
            numbers = (*ORDINARY[:7], *SPECIAL[self.special])
        with np.errstate(all="ignore"):
            for place in range(array.size):
                number = self.one_of(*numbers)
                array.flat[place] = number if kind == self.dtype else int(number * 2)
        named = [1 if size == 1 else dim for dim, size in zip(dims, shape, strict=True)]
        return self._add(Input(self._name(), array, tuple(named)))

    def _add(self, made: Input) -> str:
        self.inputs.append(made)
        self.values[made.name] = made.array
        return made.name


def _broadcasts(left: tuple[int, ...], right: tuple[int, ...]) -> bool:
    try:
        return len(np.broadcast_shapes(left, right)) <= 4
    except ValueError:
        return False


@st.composite
def programs(draw: Callable[[Any], Any]) -> Program | None:
    """A program of up to a dozen lines, of what its value needs."""
    drawing = Drawing(draw)
    while len(drawing.lines) < 10 and drawing.integer(0, 7):  # so that any line can be left out
        drawing.grow()
    if not drawing.lines:
        return None
    way = Way(
        named=bool(drawing.integer(0, 2)),
        opset=drawing.one_of(18, 18, 13, 14, 17, 20, 21, 26),
        tiles=drawing.one_of(None, None, 1, 2),
        threads=drawing.one_of(None, None, 1, 2),
        bound=bool(drawing.integer(0, 1)),
        second=drawing.integer(0, 2) == 2,
    )
    whole = Program(tuple(drawing.inputs), tuple(drawing.lines), drawing.special, way)
    return whole.without_unused()
