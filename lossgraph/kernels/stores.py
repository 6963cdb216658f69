"""What a kernel stores, in an order of execution: reductions, states, what is kept, outputs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from ..ir.expr import Expr, Movement, is_input, is_literal, toposort
from ..ir.kernel_forms import Elementwise, Reduction, Scatter
from ..ir.kernel_forms import Recurrence as RecurrenceForm
from ..ir.ops import cast, slice_
from .elements import WORTH_KEEPING, Elements
from .index import Index, Indices
from .integers import KernelUnsupportedError
from .loops import At, Block, Statement, Store, loops_of
from .recurrence import Recurrence
from .values import Value, needed

_MOVES = (Movement.RESHAPE, Movement.BROADCAST, Movement.PERMUTE)


class Stores:
    """The stores of a program, made of elements.

    Args:
        elements: where nodes are kept is noted there.
        outputs: the nodes of the outputs, in their order.
    """

    def __init__(self, elements: Elements, outputs: Sequence[Expr]) -> None:
        self._elements, self._outputs = elements, outputs
        nodes = _early_first(toposort(outputs))
        for node in nodes:
            if isinstance(node.op.kernel, RecurrenceForm):
                elements.follow(Recurrence(node))
        self._nodes = list(_with_bodies(nodes, elements))
        self._keep(node for node in self._nodes if _has_a_nest(node))
        for recurrence in elements.recurrences.values():
            self._keep(recurrence.put_out())
            self._keep(_read_at_each_step(recurrence))

    def all(self) -> list[Store]:
        """The stores."""
        return [*self._inner(), *self._of_outputs()]

    def keep_what_is_needed_twice(self, blocks: Sequence[Block]) -> bool:
        """Keep what the loops, as they are, compute more than once; whether there is any."""
        found = _needed_twice(blocks, self._elements, self._nodes)
        self._keep(found)
        self._elements.forget()
        return bool(found)

    def _keep(self, nodes: Iterable[Expr]) -> None:
        for node in nodes:
            if node not in self._elements.buffers:
                self._elements.keep(node)

    def _inner(self) -> Iterator[Store]:
        elements = self._elements
        for node in self._nodes:
            if node in elements.recurrences:
                yield from self._of_states(elements.recurrences[node])
            elif node in elements.buffers and elements.inside(node) is None:
                yield _store(node, elements)

    def _of_states(self, recurrence: Recurrence) -> Iterator[Store]:
        """The states before the first step, and what each step computes."""
        elements, args = self._elements, recurrence.node.args
        for buffer, first in zip(recurrence.kept, args, strict=False):
            yield Store(
                buffer.node,
                (1, *buffer.node.shape),
                _first_state(elements, first),
                buffer=buffer,
                recurrence=recurrence,
                begins=True,
            )
        following = recurrence.following
        for node in recurrence.nodes:
            if node in elements.buffers:
                yield _in_steps(_store(node, elements), node, elements)
            if node in following:
                yield self._next(recurrence, following[node])
        for place, node in enumerate(recurrence.outputs[: len(recurrence.states)]):
            if following.get(node) != place:
                yield self._next(recurrence, place)

    def _next(self, recurrence: Recurrence, place: int) -> Store:
        buffer = recurrence.kept[place]
        return Store(
            buffer.node,
            (recurrence.length, *buffer.node.shape),
            _next_state(self._elements, recurrence, place),
            buffer=buffer,
            recurrence=recurrence,
            shift=1,
        )

    def _of_outputs(self) -> Iterator[Store]:
        for place, node in enumerate(self._outputs):
            yield Store(node, node.shape, _given(self._elements, node), output=place)


def _with_bodies(nodes: Iterable[Expr], elements: Elements) -> Iterator[Expr]:
    for node in nodes:
        recurrence = elements.recurrences.get(node)
        if recurrence is not None:
            if any(inner.op.has_body for inner in recurrence.nodes):
                raise KernelUnsupportedError("kernels have no scan inside of a scan")
            yield from recurrence.nodes
        yield node


def _early_first(nodes: Sequence[Expr]) -> list[Expr]:
    """Nodes in an order of execution, those first that no recurrence has to go before."""
    depth: dict[Expr, int] = {}
    for node in nodes:
        depth[node] = max((depth[arg] + arg.op.has_body for arg in node.args), default=0)
    return sorted(nodes, key=lambda node: depth[node])


def _has_a_nest(node: Expr) -> bool:
    """Whether it is computed by loops of its own."""
    form = node.op.kernel
    if isinstance(form, Reduction):
        return any(node.args[0].shape[axis] != 1 for axis in node.attrs["axes"])
    return isinstance(form, Scatter) and not Elements.is_few(_scattered(node))


def _scattered(node: Expr):  # type: ignore[no-untyped-def]
    return node.args[0].shape[node.attrs["axis"]]


def _read_at_each_step(recurrence: Recurrence) -> list[Expr]:
    """What steps read that is costly to compute: before the first it is cheaper."""
    found = []
    for arg in recurrence.node.args[len(recurrence.states) :]:
        node = arg
        while node.op.movement in _MOVES or node.op is slice_.op:
            node = node.args[0]
        if (node.type.is_float or node.dtype == "bool") and _cost(node) > WORTH_KEEPING:
            found.append(node)
    return found


def _cost(node: Expr) -> float:
    """About how many additions an element costs, if no operation before it is kept."""
    return sum(
        form.cost if isinstance(form := each.op.kernel, Elementwise) else 1.0
        for each in toposort([node])
        if not (is_input(each) or is_literal(each) or each.op.movement in _MOVES)
    )


# --- one store ------------------------------------------------------------------------------


def _store(node: Expr, elements: Elements) -> Store:
    """The store of a node that has a buffer."""
    buffer, form = elements.buffers[node], node.op.kernel

    def kept(indices: Indices) -> Value:
        return elements.real(elements.computed(node, indices))

    if not _has_a_nest(node):
        return Store(node, node.shape, kept, buffer=buffer)
    source = node.args[0]

    def combined(indices: Indices) -> Value:
        return elements.real(elements.at(source, indices))

    if isinstance(form, Reduction):
        return Store(node, source.shape, combined, form.how, buffer)

    def index(indices: Indices) -> Index:
        return elements.lookup(elements.at(node.args[1], indices))

    axis = node.attrs["axis"]
    return Store(node, source.shape, combined, "sum", buffer, scatter=axis, index=index)


def _in_steps(store: Store, node: Expr, elements: Elements) -> Store:
    """The store of a node of a body, with the axis of steps; any other as it is."""
    recurrence = elements.inside(node)
    if recurrence is None:
        return store
    if store.scatter is not None:
        raise KernelUnsupportedError("kernels have no sums by label inside of a scan")
    return Store(
        store.node,
        (recurrence.length, *store.domain),
        _during(elements, recurrence, store.at),
        store.how,
        store.buffer,
        recurrence=recurrence,
    )


def _during(elements: Elements, recurrence: Recurrence, inner: At) -> At:
    def at(indices: Indices) -> Value:
        with elements.during(recurrence, indices[0]):
            return inner(indices[1:])

    return at


def _given(elements: Elements, node: Expr) -> At:
    """The elements of an output, rounded to its dtype when they are written."""
    (source,) = node.args if node.op is cast.op and node.type.is_float else (node,)
    kept = source if source.type.is_float else node

    def at(indices: Indices) -> Value:
        return elements.exact(elements.at(kept, indices))

    return at


def _first_state(elements: Elements, node: Expr) -> At:
    def at(indices: Indices) -> Value:
        return elements.real(elements.at(node, indices[1:]))

    return at


def _next_state(elements: Elements, recurrence: Recurrence, place: int) -> At:
    node = recurrence.outputs[place]

    def at(indices: Indices) -> Value:
        own = recurrence.following.get(node) == place and node not in elements.buffers
        return elements.real((elements.computed if own else elements.at)(node, indices))

    return _during(elements, recurrence, at)


def _needed_twice(blocks: Sequence[Block], elements: Elements, nodes: Sequence[Expr]) -> list[Expr]:
    """Costly nodes whose elements more than one innermost loop computes.

    In a step a shifted element counts too: each is computed once as well.
    """
    loops: dict[Expr, set[int]] = {}
    for loop in loops_of(blocks):
        for statement in loop.body:
            if not isinstance(statement, Statement):
                continue
            for value in needed(statement.values):
                node = elements.costly.get(value.number)
                if node is not None and loop.var in value.variables:
                    inside = elements.inside(node) is not None
                    loops.setdefault(node, set()).add(value.number if inside else id(loop))
    return [node for node in nodes if len(loops.get(node, ())) > 1]
