"""Random graphs of operations that move, choose and add whole numbers, for kernels.

Their results are exact in every order of addition, so that a kernel has to give them to the bit:
what is tried is which loops there are, where they read and what they keep, not rounding.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lossgraph.ir import ops
from lossgraph.ir.dims import Dim, Size, evaluate, is_positive, named
from lossgraph.ir.expr import Expr, const, toposort, variable
from lossgraph.ir.types import numpy_dtype, tensor_type

Array = np.ndarray[Any, Any]
NAMES = ("N", "C", "K")
LENGTHS = (0, 1, 2, 3, 4, 7, 17, 33, 50, 70)
MOST = 40_000  # elements of an array
RANK = 5


@dataclass(frozen=True)
class Graph:
    """Outputs, and the lengths that they are to be tried with."""

    outputs: tuple[Expr, ...]
    sizes: tuple[Mapping[str, int], ...]

    def arrays(self, sizes: Mapping[str, int], seed: int) -> dict[str, Array]:
        """Whole numbers, and indices below four, for the inputs."""
        rng = np.random.default_rng(seed)
        found = {}
        for node in toposort(self.outputs):
            if "name" not in node.attrs or node.args:
                continue
            shape = [evaluate(dim, sizes) for dim in node.shape]
            low, high = (0, 4) if node.dtype == "int64" else (-4, 5)
            found[node.attrs["name"]] = rng.integers(low, high, shape).astype(
                numpy_dtype(node.dtype)
            )
        return found


class Growing:
    """A graph that grows by one operation after the other."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.dtype = self.one_of("float32", "float32", "float64")
        self.nodes: list[Expr] = []
        self.inputs = 0
        for _ in range(self.random.randint(1, 3)):
            rank = self.one_of(1, 2, 2, 3, 4)
            self.input([self.dim() for _ in range(rank)])

    def one_of(self, *options: Any) -> Any:
        return self.random.choice(options)

    def dim(self) -> Dim:
        return named(self.one_of(*NAMES)) if self.random.random() < 0.7 else self.one_of(1, 2, 4, 6)

    def input(self, shape: Sequence[Dim], dtype: str = "") -> Expr:
        self.inputs += 1
        made = variable(f"x{self.inputs}", tensor_type(dtype or self.dtype, tuple(shape)))
        if not dtype:
            self.nodes.append(made)
        return made

    def array(self, least: int = 0) -> Expr:
        fits = [node for node in self.nodes if node.rank >= least]
        if not fits:
            return self.input([self.dim() for _ in range(max(least, 1))])
        return fits[-1] if self.random.random() < 0.5 else self.one_of(*fits)

    def axis(self, x: Expr) -> int:
        return self.random.randrange(x.rank)

    def axes(self, x: Expr) -> tuple[int, ...]:
        found = tuple(axis for axis in range(x.rank) if self.random.random() < 0.5)
        return found or (self.axis(x),)

    def like(self, x: Expr) -> Expr:
        """An array that broadcasts with another."""
        fits = [node for node in self.nodes if _broadcasts(node, x)]
        if fits and self.random.random() < 0.7:
            return self.one_of(*fits)
        shape = [1 if self.random.random() < 0.4 else dim for dim in x.shape]
        cut = self.random.randint(0, x.rank)
        return self.input(shape[cut:] if self.random.random() < 0.3 else shape)

    def grow(self) -> None:
        """One operation more, where the one that was drawn fits."""
        make = self.one_of(*MOVES)
        made = make(self)
        if made is None or made.rank > RANK or len(toposort([made])) > 60:
            return
        self.nodes.append(made)

    def graph(self) -> Graph:
        """The last nodes as outputs."""
        for _ in range(self.random.randint(1, 9)):
            self.grow()
        made = [node for node in self.nodes if node.args][-3:] or self.nodes[-1:]
        count = self.random.randint(1, len(made))
        outputs = tuple(dict.fromkeys([*self.random.sample(made, count), self.nodes[-1]]))
        return Graph(outputs, tuple(self._lengths(outputs) for _ in range(5)))

    def _lengths(self, outputs: Sequence[Expr]) -> dict[str, int]:
        nodes = toposort(outputs)
        while True:
            sizes = {name: self.one_of(*LENGTHS) for name in NAMES}
            if all(np.prod([evaluate(d, sizes) for d in n.shape]) <= MOST for n in nodes):
                return sizes


def _broadcasts(left: Expr, right: Expr) -> bool:
    pairs = zip(reversed(left.shape), reversed(right.shape), strict=False)
    return all(a == b or 1 in (a, b) for a, b in pairs)


# --- operations ---------------------------------------------------------------------------


def _small(x: Expr) -> Expr:
    return ops.clip(x, -9, 9)


def _unary(g: Growing) -> Expr:
    x = g.array()
    makers: tuple[Callable[[Expr], Expr], ...] = (
        ops.neg,
        ops.absolute,
        ops.relu,
        ops.sign,
        _small,
        # costly, so that it is kept where two loops need it
        lambda x: ops.floor(ops.exp(ops.clip(x, -2, 2)) + 0.5),
        lambda x: ops.floor(ops.sqrt(ops.absolute(x)) + 0.25),
    )
    return g.one_of(*makers)(x)


def _binary(g: Growing) -> Expr:
    x = g.array()
    y = g.like(x)
    makers: tuple[Callable[[Expr, Expr], Expr], ...] = (
        ops.add,
        ops.sub,
        ops.maximum,
        ops.minimum,
        lambda x, y: _small(x) * _small(y),
        lambda x, y: ops.where(ops.greater(x, y), x, y + 1),
        lambda x, y: ops.where(ops.logical_not(ops.equal(x, y)), x, 3.0),
    )
    return _small(g.one_of(*makers)(x, y))


def _reduced(g: Growing) -> Expr:
    x = g.array(1)
    how = g.one_of(ops.reduce_sum, ops.reduce_sum, ops.reduce_max, ops.reduce_min)
    made = how(x, g.axes(x))
    return _small(made) if g.random.random() < 0.5 else made


def _centred(g: Growing) -> Expr:
    """What reads an array and a reduction of it."""
    x = g.array(1)
    return _small(x - g.one_of(ops.reduce_max, ops.reduce_sum)(x, g.axes(x)))


def _transposed(g: Growing) -> Expr:
    x = g.array(2)
    return ops.transpose(x, g.random.sample(range(x.rank), x.rank))


def _merged(g: Growing) -> Expr:
    """Neighbouring axes as one."""
    x = g.array(2)
    first = g.random.randrange(x.rank - 1)
    last = g.random.randint(first + 2, x.rank)
    together: Dim = 1
    for dim in x.shape[first:last]:
        together = together * dim
    return ops.reshape(x, (*x.shape[:first], together, *x.shape[last:]))


def _split(g: Growing) -> Expr | None:
    """An axis as two, where its length shows how."""
    x = g.array(1)
    axis = g.axis(x)
    dim = x.shape[axis]
    factors = [2, *(named(name) for name in NAMES)]
    g.random.shuffle(factors)
    for factor in factors:
        rest = dim // factor
        if rest * factor == dim and rest != 0 and not _has_functions(rest):
            pair = [factor, rest]
            g.random.shuffle(pair)
            return ops.reshape(x, (*x.shape[:axis], *pair, *x.shape[axis + 1 :]))
    return None


def _has_functions(dim: Dim) -> bool:
    return isinstance(dim, Size) and any(
        not isinstance(atom, str) for atoms, _ in dim.terms for atom in atoms
    )


def _ones(g: Growing) -> Expr:
    x = g.array()
    place = g.random.randint(0, x.rank)
    return ops.expand_dims(x, (place,))


def _without_ones(g: Growing) -> Expr:
    x = g.array()
    return ops.squeeze(x, [axis for axis, dim in enumerate(x.shape) if dim == 1])


def _flipped(g: Growing) -> Expr:
    x = g.array(1)
    return ops.flip(x, g.axes(x))


def _sliced(g: Growing) -> Expr | None:
    """A part that is there at any length."""
    x = g.array(1)
    axis = g.axis(x)
    dim = x.shape[axis]
    if isinstance(dim, int) and dim > 1:
        start = g.random.randrange(dim)
        step = g.one_of(1, 2)
        return ops.take_range(x, axis, start, (dim - start + step - 1) // step, step)
    if is_positive(dim):
        return ops.take_range(x, axis, g.one_of(0, dim - 1), 1)
    return None


def _padded(g: Growing) -> Expr:
    x = g.array(1)
    before = [g.one_of(0, 0, 1, 3) for _ in x.shape]
    after = [g.one_of(0, 0, 1, 2) for _ in x.shape]
    return ops.pad(x, before, after)


def _cut(g: Growing) -> Expr:
    """Neighbours subtracted, as total variation does."""
    x = g.array(1)
    axis = g.axis(x)
    wide = ops.pad(x, [int(i == axis) for i in range(x.rank)], [0] * x.rank)
    return ops.take_range(wide, axis, 0, x.shape[axis]) - x


def _joined(g: Growing) -> Expr:
    x = g.array(1)
    axis = g.axis(x)
    others = [
        node
        for node in g.nodes
        if node.rank == x.rank
        and all(
            i == axis or a == b for i, (a, b) in enumerate(zip(node.shape, x.shape, strict=True))
        )
    ]
    parts = [x, *(g.one_of(*others) for _ in range(g.random.randint(1, 2)))]
    g.random.shuffle(parts)
    return ops.concat(parts, axis)


def _wide(g: Growing) -> Expr:
    x = g.array()
    shape = [g.dim() if dim == 1 else dim for dim in x.shape]
    return ops.broadcast_to(x, [*(g.dim() for _ in range(g.one_of(0, 0, 1))), *shape])


def _at_least_four(g: Growing) -> tuple[Expr, int]:
    """An array with an axis that holds the indices of inputs."""
    x = g.array(1)
    axis = g.axis(x)
    if isinstance(x.shape[axis], int) and x.shape[axis] >= 4:  # type: ignore[operator]
        return x, axis
    return ops.pad(x, [0] * x.rank, [4 * (i == axis) for i in range(x.rank)]), axis


def _picked(g: Growing) -> Expr:
    x, axis = _at_least_four(g)
    length = g.one_of(1, 1, 2)
    index = g.input([length if i == axis else d for i, d in enumerate(x.shape)], "int64")
    return ops.pick(x, index, axis, unique_indices=length == 1)


def _scattered(g: Growing) -> Expr:
    x = g.array(1)
    axis = g.axis(x)
    few = ops.reduce_sum(x, (axis,))
    index = g.input(few.shape, "int64")
    return _small(ops.scatter_add(few, index, axis, g.one_of(4, 5, named("K") + 4)))


def _taken(g: Growing) -> Expr:
    x, axis = _at_least_four(g)
    index = g.input([g.dim() for _ in range(g.one_of(1, 1, 2))], "int64")
    if g.random.random() < 0.3:
        index = const(np.array([3, 0, 0, 2, 1]), "int64")
    return ops.take(x, index, axis)


def _hot(g: Growing) -> Expr:
    index = g.input([g.dim() for _ in range(g.one_of(1, 2))], "int64")
    return ops.one_hot(index, g.one_of(3, 4, named("C")), g.dtype)


def _counted(g: Growing) -> Expr:
    """Where the elements stand."""
    x = g.array(1)
    axis = g.axis(x)
    places = ops.cast(ops.iota(x.shape[axis]), x.dtype)
    return _small(x - ops.reshape(places, [d if i == axis else 1 for i, d in enumerate(x.shape)]))


def _table(g: Growing) -> Expr:
    x = g.array(1)
    made = const(np.arange(-3.0, 3.0), x.dtype)
    return ops.expand_dims(x, (x.rank,)) * made if x.rank < RANK else x + 1


def _mean(g: Growing) -> Expr:
    x = g.array(1)
    return ops.floor(ops.reduce_mean(x, g.axes(x)) + 0.0078125)


MOVES: tuple[Callable[[Growing], Expr | None], ...] = (
    _unary, _unary, _binary, _binary, _binary, _reduced, _reduced, _reduced, _centred, _centred,
    _transposed, _merged, _split, _ones, _without_ones, _flipped, _sliced, _padded, _cut, _joined,
    _wide, _picked, _scattered, _taken, _hot, _counted, _table,
)  # fmt: skip
