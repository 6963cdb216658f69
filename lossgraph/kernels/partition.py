"""What of a program becomes kernels: few large regions, and the operations between them.

An operation that kernels have no form of (a product of matrices, a sort) is *standard*: it stays
an operator of ONNX. The others are put into regions by how many standard operations are behind
them: those of one number make a region, whichever way they depend on each other. No path leaves
such a region and comes back, since on its way it would pass a standard operation.

A region computes again, from what lies in memory anyway, what is cheaper computed than read; and
what only moves elements, or follows from sizes alone, is part of whatever uses it, no result.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from ..ir.dims import Size, names
from ..ir.expr import (
    Body,
    Expr,
    Movement,
    is_input,
    is_literal,
    rebuild,
    substitute,
    toposort,
    variable,
)
from ..ir.kernel_forms import Element, Elementwise, Formula
from ..ir.ops.item import results_of
from .elements import WORTH_KEEPING
from .integers import KernelUnsupportedError
from .kernel import Kernel
from .prepare import is_one_hot_product

# Operators on arrays that a region has to replace. Calling a kernel costs what calling an operator
# does, and one that reads and writes as much as the operator alone saves nothing: from the second
# one on a pass over memory is saved.
WORTH_A_KERNEL = 2
_SHARE_OF_A_SMALL_ONE = 0.4  # one that has a number for each row saves its call, and no pass

_MOVES_ALL = (Movement.RESHAPE, Movement.PERMUTE, Movement.BROADCAST)


@dataclass(frozen=True, eq=False)
class Region:
    """What one kernel computes.

    Attributes:
        inputs: the values that it reads, of inputs, standard operations and regions before it.
        outputs: those of its values that are read outside of it.
        inside: the nodes between.
    """

    inputs: tuple[Expr, ...]
    outputs: tuple[Expr, ...]
    inside: tuple[Expr, ...]

    @cached_property
    def body(self) -> Body:
        """It as a function of variables."""
        variables = {node: variable(f"in_{i}", node.type) for i, node in enumerate(self.inputs)}
        return Body(tuple(variables.values()), tuple(substitute(self.outputs, variables)), 0)

    @cached_property
    def kernel(self) -> Kernel:
        """The kernel that computes it.

        Raises:
            KernelUnsupportedError: if none can.
        """
        found = {f"out_{i}": node for i, node in enumerate(self.body.outputs)}
        return Kernel(self.body.inputs, found)


@dataclass(frozen=True)
class Partition:
    """Roots as regions, in an order of execution, and the standard operations around them."""

    roots: tuple[Expr, ...]
    regions: tuple[Region, ...]
    _rounds: Mapping[Expr, int] = field(repr=False)

    def with_calls(self, called: Sequence[Any]) -> list[Expr]:
        """The roots with calls of kernels: ``called[i](arguments)`` gives the results of one."""
        built: dict[Expr, Expr] = {}
        order = sorted(toposort(self.roots), key=self._rounds.__getitem__)  # stable
        place = 0
        for number in range(-1, len(self.regions)):
            if number >= 0:
                region = self.regions[number]
                results = called[number]([built.get(node, node) for node in region.inputs])
                built.update(zip(region.outputs, results, strict=True))
            while place < len(order) and self._rounds[order[place]] <= number:
                node = order[place]
                place += 1
                if node not in built and all(arg in built for arg in node.args):
                    built[node] = (
                        node if _is_leaf(node) else rebuild(node, [built[arg] for arg in node.args])
                    )
        return [built[root] for root in self.roots]


def partition(inputs: Sequence[Expr], roots: Sequence[Expr]) -> Partition:
    """The regions of roots; there may be none.

    Args:
        inputs: of the graph: where a region finds sizes that its own arrays do not have.
        roots: expressions that compute in no narrow dtypes.
    """
    standard = {node for node in toposort(roots) if not _has_form(node)}
    standard |= _of_another_width(roots, standard)
    while True:
        standard |= {n for n in toposort(roots) if n.op.is_item and n.args[0] in standard}
        cut = _Cut(inputs, roots, standard)
        wrong = cut.wrong()
        if not wrong:
            return cut.partition()
        standard = standard | wrong


class _Cut:
    """The regions that follow from what is standard."""

    def __init__(self, inputs: Sequence[Expr], roots: Sequence[Expr], standard: set[Expr]) -> None:
        self._graph_inputs, self._roots, self._standard = inputs, roots, standard
        self._nodes = toposort(roots)
        self._ready: dict[Expr, int] = {}  # the first region that can read it
        self._done: dict[Expr, int] = {}  # the last region that has to be done before it is there
        for node in self._nodes:
            self._number(node)
        self._first_use = self._first_uses()
        self._wanted: dict[int, dict[Expr, None]] = {}
        self._regions: dict[int, Region] = {}
        self._collect()

    def partition(self) -> Partition:
        """The result."""
        places = {-1: -1, **{level: i for i, level in enumerate(sorted(self._regions))}}
        rounds: dict[Expr, int] = {}
        for node in self._nodes:
            levels = [level for level in places if level <= self._done[node]]
            rounds[node] = places[max(levels)]
        regions = tuple(self._regions[level] for level in sorted(self._regions))
        return Partition(tuple(self._roots), regions, rounds)

    def wrong(self) -> set[Expr]:
        """What should be standard after all, if anything."""
        if self._standard or not self._regions:
            small = [
                self._own(level)
                for level, region in self._regions.items()
                if _saved(region) < WORTH_A_KERNEL
            ]
            if any(small):
                return set[Expr]().union(*small)
        found: set[Expr] = set()
        for level, region in self._regions.items():
            if not _is_supported(region):
                mine = self._own(level)
                alone = {node for node in mine if not _is_kernel(node)}
                found |= alone or mine
        return found

    def _own(self, level: int) -> set[Expr]:
        """What a region computes and no other can."""
        inside = self._regions[level].inside
        return {n for n in inside if not self._is_free(n) and self._ready[n] == level}

    # --- which region ---

    def _is_free(self, node: Expr) -> bool:
        """Whether it is computed wherever it is used: it costs nothing there."""
        if node in self._standard or _is_leaf(node):
            return False
        return node.op.movement in _MOVES_ALL or not self._has_data(node)

    def _has_data(self, node: Expr) -> bool:
        return self._data[node]

    @cached_property
    def _data(self) -> dict[Expr, bool]:
        found: dict[Expr, bool] = {}
        for node in self._nodes:
            found[node] = is_input(node) or any(found[arg] for arg in node.args)
        return found

    def _number(self, node: Expr) -> None:
        ready = max((self._ready[arg] for arg in node.args), default=0)
        done = max((self._done[arg] for arg in node.args), default=-1)
        if node in self._standard:
            ready = done + 1
        elif not _is_leaf(node) and not self._is_free(node):
            done = ready
        self._ready[node], self._done[node] = ready, done

    def _first_uses(self) -> dict[Expr, int]:
        """The first region that uses each node, itself or through what is free; -1 for others."""
        uses: dict[Expr, int] = dict.fromkeys(self._roots, -1)
        for node in reversed(self._nodes):
            mine = self._ready[node]
            if self._is_free(node):
                mine = uses[node]
            elif node in self._standard:
                mine = -1
            for arg in node.args:
                uses[arg] = min(uses.get(arg, mine), mine)
        return uses

    # --- what is in it ---

    def _collect(self) -> None:
        for node in self._nodes:
            if node in self._standard:
                for arg in node.args:
                    self._want(arg)
        for root in self._roots:
            if self._is_free(root) and self._ready[root] == self._done[root]:
                self._wanted.setdefault(self._ready[root], {})[root] = None
            else:
                self._want(root)
        if self._wanted:
            last = self._wanted[max(self._wanted)]
            last.update((r, None) for r in self._roots if self._is_free(r) and self._done[r] < 0)
        for level in range(max(self._ready.values(), default=0), -1, -1):
            if level in self._wanted:
                self._regions[level] = self._region(level, list(self._wanted[level]))

    def _want(self, node: Expr) -> None:
        """Have a node computed, whose value a standard operation, a region or the caller reads."""
        while self._is_free(node) and self._has_data(node):
            node = node.args[0]
        if not _is_leaf(node) and node not in self._standard and not self._is_free(node):
            self._wanted.setdefault(self._ready[node], {})[node] = None

    def _region(self, level: int, outputs: Sequence[Expr]) -> Region:
        inside: set[Expr] = set()
        inputs: dict[Expr, None] = {}
        stack = list(reversed(outputs))
        while stack:
            node = stack.pop()
            if node in inside or node in inputs:
                continue
            if is_literal(node) or self._is_free(node) or self._belongs(node, level):
                inside.add(node)
                stack.extend(reversed(node.args))
            else:
                inputs[node] = None
                self._want(node)
        members = tuple(node for node in self._nodes if node in inside)
        return Region(
            (*inputs, *_with_sizes(self._graph_inputs, list(inputs), members)),
            tuple(outputs),
            members,
        )

    def _belongs(self, node: Expr, level: int) -> bool:
        """Whether a region computes a node, and does not read it."""
        if _is_leaf(node) or node in self._standard:
            return False
        return self._ready[node] == level or self._is_cheap(node, level)

    def _is_cheap(self, node: Expr, level: int) -> bool:
        """Whether a node of an earlier region is better computed (again) than written and read."""
        if self._is_wanted(node) or _shrinks(node):
            return False
        if self._first_use[node] < level:  # its own region computes it too
            return self._cost(node) <= WORTH_KEEPING
        return len(self._crossing(node, level)) <= 1

    def _is_wanted(self, node: Expr) -> bool:
        return node in self._wanted.get(self._ready[node], ())

    def _sources(self, node: Expr) -> Iterator[Expr]:
        """Arguments, through what is free, that are in no memory yet and not small either."""
        for arg in node.args:
            if self._is_free(arg):
                yield from self._sources(arg)
            elif not (
                _is_leaf(arg) or arg in self._standard or self._is_wanted(arg) or _shrinks(arg)
            ):
                yield arg

    def _cost(self, node: Expr) -> float:
        """The cost of an element, from what is in memory or small; enough to know it is high."""
        seen: set[Expr] = set()
        total, stack = 0.0, [node]
        while stack and total <= WORTH_KEEPING:
            each = stack.pop()
            if each not in seen:
                seen.add(each)
                total += _costs(each)
                stack.extend(self._sources(each))
        return total

    def _crossing(self, node: Expr, level: int) -> set[Expr]:
        """What a region has to read if it computes a node, and could do without otherwise."""
        found: set[Expr] = set()
        for arg in self._sources(node):
            if self._first_use[arg] < level:
                found |= set() if self._cost(arg) <= WORTH_KEEPING else {arg}
            else:
                found |= self._crossing(arg, level)
        return found


# --- judging ------------------------------------------------------------------------------


def _saved(region: Region) -> float:
    """The operators that a region is without kernels, those on its largest arrays in full."""
    operators = [n for n in region.inside if n.op.movement not in _MOVES_ALL and _is_array(n)]
    axes = [_long_axes(node) for node in operators]
    return sum(1.0 if count == max(axes) else _SHARE_OF_A_SMALL_ONE for count in axes)


def _long_axes(node: Expr) -> int:
    """The axes of the array that an operator goes over: what it reduces, or else its result."""
    reduces = "axes" in node.attrs and _shrinks(node)
    return max(sum(dim != 1 for dim in x.shape) for x in (node.args if reduces else (node,)))


def _is_array(node: Expr) -> bool:
    """Whether a node computes on more than a few numbers."""
    return any(isinstance(dim, Size) or dim > 8 for x in (node, *node.args) for dim in x.shape)


def _shrinks(node: Expr) -> bool:
    """Whether its result is a number for each row of what it reads, or fewer."""
    return any(
        here == 1 != before
        for arg in node.args
        for here, before in zip(reversed(node.shape), reversed(arg.shape), strict=False)
    )


def _costs(node: Expr) -> float:
    """About what an element costs; nothing where there is one for each row alone."""
    if node.op.has_body:
        return 2 * WORTH_KEEPING
    if not node.shape or 1 in node.shape:
        return 0.0
    form = node.op.kernel
    if isinstance(form, Elementwise) or (isinstance(form, Element) and form.cost > 1):
        return form.cost
    if isinstance(form, Formula):
        return 2 * WORTH_KEEPING
    return 0.0 if node.op.movement is not None else 1.0


# --- what kernels take --------------------------------------------------------------------


def _is_leaf(node: Expr) -> bool:
    return is_input(node) or is_literal(node)


def _has_form(node: Expr) -> bool:
    """Whether kernels have a form of an operation, as far as its declaration says."""
    if _is_leaf(node):
        return True
    return node.op.kernel is not None or is_one_hot_product(node)


def _is_supported(region: Region) -> bool:
    """Whether a region is a kernel: of operations together, with sizes that it can read off."""
    axes = set(_axes(region.inputs))
    if not all(_names_of((node.shape, node.attrs)) <= axes for node in region.inside):
        return False
    try:
        return bool(region.kernel.name)
    except KernelUnsupportedError:
        return False


def _is_kernel(node: Expr) -> bool:
    """Whether an operation is a kernel by itself, with its constants as they are."""
    node = node.args[0] if node.op.is_item else node
    variables = {
        arg: variable(f"in_{i}", arg.type)
        for i, arg in enumerate(node.args)
        if not is_literal(arg) and any(map(is_input, toposort([arg])))
    }
    (alone,) = substitute([node], variables)
    results = results_of(alone) if node.op.has_body else [alone]
    try:
        Kernel(list(variables.values()), {f"out_{i}": each for i, each in enumerate(results)})
    except KernelUnsupportedError:
        return False
    return True


def _of_another_width(roots: Sequence[Expr], standard: set[Expr]) -> set[Expr]:
    """Operations in float64 where more are in float32, or the other way: a kernel has one width."""
    by_width: dict[bool, set[Expr]] = {True: set(), False: set()}
    for node in toposort(roots):
        if node in standard or _is_leaf(node):
            continue
        for x in (node, *node.args):
            if x.type.is_float:
                by_width[x.dtype == "float64"].add(node)
    return min(by_width.values(), key=len)


# --- sizes --------------------------------------------------------------------------------


def _with_sizes(
    graph_inputs: Sequence[Expr], inputs: Sequence[Expr], inside: Iterable[Expr]
) -> list[Expr]:
    """Inputs of the graph that a region is given for their lengths alone."""
    known = set(_axes(inputs))
    sources: dict[str, Expr] = {}
    for node in graph_inputs:
        for name in _axes([node]):
            sources.setdefault(name, node)
    added: dict[Expr, None] = {}
    for node in (*inputs, *inside):
        for name in sorted(_names_of((node.type.shape, node.attrs))):
            if name not in known and name in sources:
                added[sources[name]] = None
                known |= set(_axes([sources[name]]))
    return list(added)


def _axes(nodes: Iterable[Expr]) -> Iterator[str]:
    """The names of sizes that are axes of arrays."""
    for node in nodes:
        for dim in node.shape:
            if isinstance(dim, Size) and dim.name is not None:
                yield dim.name


def _names_of(value: Any) -> set[str]:
    """The names of sizes in shapes and attributes."""
    if isinstance(value, Size):
        return set(names(value))
    if isinstance(value, Mapping):
        value = tuple(value.values())
    if isinstance(value, tuple):
        return {name for item in value for name in _names_of(item)}
    return set()
