"""Recurrent layers: LSTM, GRU and RNN as operations, which the engine's own operators compute.

An engine runs them many times faster than scans of their steps. Their gradient needs the states
that the steps went through: the hidden ones are the result; those of an LSTM's cell follow from
them by a scan that is elementwise. What is projected of all steps is one product of matrices;
only the hidden states' cotangents wait for each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import InputError
from ..ir import ops
from ..ir.dims import Dim
from ..ir.evaluate import evaluate
from ..ir.expr import Array, Expr, Op, const, register, scalar_value, substitute, variable
from ..ir.ops.item import item, results_of
from ..ir.types import TensorType, TupleType, require_equal, tensor_type
from .autodiff import pull_back
from .bodies import apart
from .cells import DEFAULTS, Cell
from .scan import scan

PLACES = ("x", "w", "r", "b", "lengths", "h", "c", "p")


@dataclass(frozen=True)
class Direction:
    """What a layer is in one direction.

    Attributes:
        cell: its cell.
        backwards: whether it begins at the end.
        x: the input, [T, N, I].
        w: the weights of the input, [gates H, I].
        r: those of the hidden state, [gates H, H].
        b: the biases of both, [2 gates H], or None.
        valid: which steps belong to a sequence, bool[T, N, 1], or None for all.
        states: the states to begin with, [N, H].
        p: the weights of peepholes, [3 H], or None.
    """

    cell: Cell
    backwards: bool
    x: Expr
    w: Expr
    r: Expr
    b: Expr | None
    valid: Expr | None
    states: tuple[Expr, ...]
    p: Expr | None

    @property
    def rows(self) -> int:
        """How many rows of ``r`` project the hidden state as it is."""
        return self.cell.projected * self.cell.hidden

    @property
    def projecting(self) -> Expr:
        """The rows of ``r`` that project the hidden state as it is."""
        return ops.take_range(self.r, 0, 0, self.rows)

    @property
    def inner(self) -> Expr | None:
        """The other rows of ``r``, if there are any."""
        rest = self.cell.gates * self.cell.hidden - self.rows
        return ops.take_range(self.r, 0, self.rows, rest) if rest else None

    @property
    def biases(self) -> tuple[Expr | None, Expr | None]:
        """Those of the input and of the hidden state; of a product within a step with the input."""
        if self.b is None:
            return None, None
        count = self.cell.gates * self.cell.hidden
        first, second = (ops.take_range(self.b, 0, k * count, count) for k in (0, 1))
        if self.inner is None:
            return first, second
        zeros = ops.full(0.0, self.b.dtype, (self.rows,))
        late = ops.take_range(second, 0, self.rows, count - self.rows)
        return first + ops.concat([zeros, late], 0), ops.take_range(second, 0, 0, self.rows)

    def of_input(self) -> Expr:
        """The projected input of all steps, [T, N, gates H]."""
        return _projected(self.x, self.w, self.biases[0])

    def of_hidden(self, hidden: Expr) -> Expr:
        """The projected hidden states, of one step or of all."""
        return _projected(hidden, self.projecting, self.biases[1])

    def following(
        self,
        of_input: Sequence[Expr],
        of_hidden: Sequence[Expr],
        states: Sequence[Expr],
        valid: Expr | None,
    ) -> list[Expr]:
        """The states after a step, which one behind the end of a sequence does not change."""
        made = self.cell.step(of_input, of_hidden, states, self.p, self.inner)
        if valid is None:
            return made
        return [ops.where(valid, new, old) for new, old in zip(made, states, strict=True)]


def _projected(x: Expr, weights: Expr, bias: Expr | None) -> Expr:
    rows = ops.gemm(_flat(x), weights, bias, False, True)
    return ops.reshape(rows, (*x.shape[:-1], weights.shape[0]))


def _flat(x: Expr) -> Expr:
    """All axes but the last one as one."""
    if x.rank == 2:
        return x
    count: Dim = 1
    for dim in x.shape[:-1]:
        count = count * dim
    return ops.reshape(x, (count, x.shape[-1]))


# --- the operation ---------------------------------------------------------------------------


def _infer(
    *types: TensorType,
    cells: tuple[Cell, ...],
    backwards: tuple[bool, ...],
    given: tuple[bool, ...],
) -> TupleType:
    x, w, r = types[:3]
    if (x.rank, w.rank, r.rank) != (3, 3, 3):
        raise InputError("a recurrent layer needs input and weights of rank 3")
    cell, count = cells[0], len(cells)
    rows = cell.gates * cell.hidden
    for found, wanted in (
        (w, (count, rows, x.shape[2])),
        (r, (count, rows, cell.hidden)),
    ):
        for left, right in zip(found.shape, wanted, strict=True):
            require_equal(left, right)
    state = x.with_shape((count, x.shape[1], cell.hidden))
    y = x.with_shape((x.shape[0], count, x.shape[1], cell.hidden))
    return TupleType((y, *(state,) * cell.states))


def _named(args: Sequence[Any], given: Sequence[bool]) -> dict[str, Any]:
    """The arguments by what they are."""
    present = [place for place, is_given in zip(PLACES, given, strict=True) if is_given]
    return dict(zip(present, args, strict=True))


def directions(
    args: Sequence[Expr], cells: Sequence[Cell], backwards: Sequence[bool], given: Sequence[bool]
) -> list[Direction]:
    """The directions of a layer."""
    named = _named(args, given)
    x = named["x"]
    return [
        Direction(
            cell,
            backwards[k],
            x,
            _part(named["w"], k),
            _part(named["r"], k),
            _part(named["b"], k) if "b" in named else None,
            _valid(x, named.get("lengths")),
            tuple(
                _part(named[name], k)
                if name in named
                else ops.full(0.0, x.dtype, (x.shape[1], cell.hidden))
                for name in ("h", "c")[: cell.states]
            ),
            _part(named["p"], k) if "p" in named else None,
        )
        for k, cell in enumerate(cells)
    ]


def _part(x: Expr, place: int) -> Expr:
    """What belongs to one direction."""
    return ops.reshape(ops.take_range(x, 0, place, 1), x.shape[1:])


def _valid(x: Expr, lengths: Expr | None) -> Expr | None:
    if lengths is None:
        return None
    step = ops.reshape(ops.iota(x.shape[0]), (x.shape[0], 1, 1))
    return ops.less(step, ops.reshape(ops.cast(lengths, "int64"), (1, x.shape[1], 1)))


def by_scans(
    *args: Expr, cells: tuple[Cell, ...], backwards: tuple[bool, ...], given: tuple[bool, ...]
) -> list[Expr]:
    """The same results, by scans."""
    found = [_run(direction) for direction in directions(args, cells, backwards, given)]
    sequences = ops.concat([ops.expand_dims(y, (1,)) for y, _ in found], 1)
    states = zip(*(last for _, last in found), strict=True)
    return [sequences, *(ops.concat([ops.expand_dims(s, (0,)) for s in k], 0) for k in states)]


def _run(direction: Direction) -> tuple[Expr, list[Expr]]:
    """The hidden states of all steps, and the last states."""
    valid = [] if direction.valid is None else [direction.valid]

    def step(states: list[Expr], elements: list[Expr]) -> tuple[list[Expr], list[Expr]]:
        mask = elements[1] if valid else None
        gates = (elements[0], direction.of_hidden(states[0]))
        a, q = (direction.cell.each(gate) for gate in gates)
        made = direction.following(a, q, states, mask)
        zero = const(0, made[0].dtype)
        return made, [made[0] if mask is None else ops.where(mask, made[0], zero)]

    last, outputs = scan(
        step,
        direction.states,
        [direction.of_input(), *valid],
        reverse=direction.backwards,
    )
    return outputs[0], last


def _ref(*arrays: Array, **attrs: Any) -> tuple[Array, ...]:
    """The scans, evaluated."""
    named = [variable(f"_a{i}", tensor_type(a.dtype, a.shape)) for i, a in enumerate(arrays)]
    values = {f"_a{i}": a for i, a in enumerate(arrays)}
    with apart():
        return tuple(evaluate(by_scans(*named, **attrs), values))


def _lower(b: Any, node: Expr, *names: str) -> str:
    """ONNX's operator; scans in float64, for which ONNX Runtime has no kernels."""
    if node.args[0].dtype == "float64":
        with apart():
            b.give(node, [b.lower(result) for result in by_scans(*node.args, **node.attrs)])
        return ""
    cells, given = node.attrs["cells"], node.attrs["given"]
    listed = iter(names)
    inputs = [next(listed) if is_given else "" for is_given in given]
    while not inputs[-1]:
        inputs.pop()
    return str(b.results(node, cells[0].operator, *inputs, **_onnx_attributes(**node.attrs)))


def _onnx_attributes(
    cells: tuple[Cell, ...], backwards: tuple[bool, ...], given: tuple[bool, ...]
) -> dict[str, Any]:
    """How ONNX says what a layer is, without what it takes by default."""
    cell = cells[0]
    made: dict[str, Any] = {"hidden_size": cell.hidden}
    if len(cells) == 2:
        made["direction"] = "bidirectional"
    elif backwards[0]:
        made["direction"] = "reverse"
    functions = [function for each in cells for function in each.activations]
    if [name for name, _, _ in functions] != [*cell.default_activations] * len(cells):
        made["activations"] = [name for name, _, _ in functions]
        for place, attribute in ((0, "activation_alpha"), (1, "activation_beta")):
            taking = [f for f in functions if DEFAULTS.get(f[0], (None, None))[place] is not None]
            if taking:
                made[attribute] = [float(f[1 + place]) for f in taking]
    if cell.clip is not None:
        made["clip"] = float(cell.clip)
    return made | cell.own_attributes()


def _vjp(
    cts: dict[int, Expr],
    out: Expr,
    *args: Expr,
    cells: tuple[Cell, ...],
    backwards: tuple[bool, ...],
    given: tuple[bool, ...],
    needed: frozenset[int],
) -> tuple[Expr | None, ...]:
    """Each direction by itself; what they share is summed, what they have apart is joined."""
    parts: dict[str, list[Expr]] = {}
    for k, direction in enumerate(directions(args, cells, backwards, given)):
        own = {
            i: ops.reshape(
                ops.take_range(ct, int(i == 0), k, 1),
                [n for axis, n in enumerate(ct.shape) if axis != int(i == 0)],
            )
            for i, ct in cts.items()
        }
        hidden = item(out, 0)
        hidden = ops.reshape(ops.take_range(hidden, 1, k, 1), (hidden.shape[0], *hidden.shape[2:]))
        with apart():  # it may stand in the body of a loop
            pulled = _pulled(direction, own, hidden)
        for name, ct in pulled.items():
            parts.setdefault(name, []).append(ct)
    places = [place for place, is_given in zip(PLACES, given, strict=True) if is_given]
    joined = {
        name: sum(found[1:], found[0])
        if name == "x"
        else ops.concat([ops.expand_dims(ct, (0,)) for ct in found], 0)
        for name, found in parts.items()
    }
    return tuple(joined.get(name) if i in needed else None for i, name in enumerate(places))


def _pulled(direction: Direction, cts: dict[int, Expr], hidden: Expr) -> dict[str, Expr]:
    """The cotangents of what a direction reads, by what it is."""
    x, valid = direction.x, direction.valid
    passed = _passed(direction, hidden)
    of_input, of_hidden = direction.of_input(), direction.of_hidden(passed)
    sequences = [of_input, of_hidden, passed]
    if direction.cell.states == 2:
        sequences.append(_cell_states(direction, of_input, of_hidden, passed))
    sequences += [] if valid is None else [valid]
    sequences += [cts[0]] if 0 in cts else []
    count = direction.cell.states
    zero = ops.full(0.0, x.dtype, (x.shape[1], direction.cell.hidden))

    def step(carry: list[Expr], elements: list[Expr]) -> tuple[list[Expr], list[Expr]]:
        a, q, *states = elements[: 2 + count]
        rest = elements[2 + count :]
        mask = None if valid is None else rest.pop(0)
        after = list(carry) if mask is None else [ops.where(mask, ct, zero) for ct in carry]
        if rest:
            after[0] = after[0] + (rest[0] if mask is None else ops.where(mask, rest[0], zero))
        to_a, to_q, *others = _step_back(direction, a, q, states, after)
        before = others[:count]
        if mask is not None:
            kept = (ops.where(mask, zero, ct) for ct in carry)
            before = [ct + old for ct, old in zip(before, kept, strict=True)]
        before[0] = before[0] + ops.gemm(to_q, direction.projecting)
        return before, [to_a, *([] if to_q is to_a else [to_q]), *others[count:]]

    carry = [cts.get(1 + k, zero) for k in range(count)]
    first, outputs = scan(step, carry, sequences, reverse=not direction.backwards, all_at_once=True)
    to_p = outputs.pop() if direction.p is not None else None
    to_a, to_q = outputs[0], outputs[-1]
    return {
        "x": ops.reshape(ops.gemm(_flat(to_a), direction.w), x.shape),
        "w": ops.gemm(_flat(to_a), _flat(x), None, True, False),
        "r": _to_recurrent(direction, to_a, to_q, of_input, of_hidden, passed),
        "b": _to_biases(direction, to_a, to_q),
        **dict(zip("hc", first, strict=False)),
        **({} if to_p is None else {"p": _total(_flat(to_p))}),
    }


def _step_back(
    direction: Direction, a: Expr, q: Expr, states: Sequence[Expr], after: Sequence[Expr]
) -> list[Expr]:
    """The cotangents of what a step reads, of those of the states that it makes.

    Returns:
        Those of the projections, of the states, and of the weights of peepholes for each sample.
    """
    each, inner, p = direction.cell.each, direction.inner, direction.p
    of_a, of_q = each(a), each(q)
    wide = None if p is None else ops.broadcast_to(p, (a.shape[0], p.shape[0]))
    of_p = [] if wide is None else each(wide)
    made = direction.cell.step(of_a, of_q, states, wide, inner)
    targets = [*of_a, *of_q, *states, *of_p]
    pulled = (_by_slopes if inner is None else pull_back)(made, after, targets)
    parts = iter(pulled)
    joined = [ops.concat([next(parts) for _ in gates], 1) for gates in (of_a, of_q)]
    found = [*joined, *(next(parts) for _ in states)]
    return found if wide is None else [*found, ops.concat(list(parts), 1)]


def _by_slopes(made: Sequence[Expr], after: Sequence[Expr], targets: Sequence[Expr]) -> list[Expr]:
    """``pull_back`` through what is elementwise: slopes, which wait for nothing, times cotangents.

    The hidden state of an LSTM is made of its cell state, which is gone through once.
    """
    hidden, *rest = made
    ones = ops.full(1.0, hidden.dtype, hidden.shape)
    if not rest:
        return [slope * after[0] for slope in pull_back([hidden], [ones], targets)]
    own = variable("_cell_state", hidden.type)
    (direct,) = substitute([hidden], {rest[0]: own})
    to_cell, *slopes = substitute(pull_back([direct], [ones], [own, *targets]), {own: rest[0]})
    through = after[1] + to_cell * after[0]
    return [
        _sum_of(((slope, after[0]), (other, through)), hidden.type)
        for slope, other in zip(slopes, pull_back(rest, [ones], targets), strict=True)
    ]


def _sum_of(terms: Sequence[tuple[Expr, Expr]], type_: TensorType) -> Expr:
    """The sum of slopes times cotangents, without those whose slope is zero."""
    left = [slope * ct for slope, ct in terms if scalar_value(slope) != 0]
    return sum(left[1:], left[0]) if left else ops.full(0.0, type_.dtype, type_.shape)


def _passed(direction: Direction, hidden: Expr) -> Expr:
    """The hidden states that the steps began with."""
    length, first = hidden.shape[0], ops.expand_dims(direction.states[0], (0,))
    if not direction.backwards:
        return ops.concat([first, ops.take_range(hidden, 0, 0, length - 1)], 0)
    later = ops.concat([ops.take_range(hidden, 0, 1, length - 1), first], 0)
    if direction.valid is None:
        return later
    ends = ops.take_range(direction.valid, 0, 1, length - 1)
    last = ops.full(False, "bool", (1, *direction.valid.shape[1:]))
    return ops.where(ops.concat([ends, last], 0), later, first)


def _cell_states(direction: Direction, of_input: Expr, of_hidden: Expr, passed: Expr) -> Expr:
    """The cell states that the steps began with."""
    valid = [] if direction.valid is None else [direction.valid]

    def step(carry: list[Expr], elements: list[Expr]) -> tuple[list[Expr], list[Expr]]:
        mask = elements[3] if valid else None
        states = [elements[2], carry[0]]
        a, q = (direction.cell.each(gates) for gates in elements[:2])
        return direction.following(a, q, states, mask)[1:], carry

    _, (before,) = scan(
        step,
        direction.states[1:],
        [of_input, of_hidden, passed, *valid],
        reverse=direction.backwards,
        all_at_once=True,
    )
    return before


def _to_recurrent(
    direction: Direction, to_a: Expr, to_q: Expr, of_input: Expr, of_hidden: Expr, passed: Expr
) -> Expr:
    """The cotangent of the weights of the hidden state."""
    found = ops.gemm(_flat(to_q), _flat(passed), None, True, False)
    each = direction.cell.each
    reset = direction.cell.reset(each(of_input), each(of_hidden), passed)
    if direction.inner is None or reset is None:
        return found
    late = ops.take_range(_flat(to_a), 1, direction.rows, direction.cell.hidden)
    return ops.concat([found, ops.gemm(late, _flat(reset), None, True, False)], 0)


def _to_biases(direction: Direction, to_a: Expr, to_q: Expr) -> Expr:
    first, second = _total(_flat(to_a)), _total(_flat(to_q))
    if direction.inner is not None:
        late = ops.take_range(first, 0, direction.rows, direction.cell.hidden)
        second = ops.concat([second, late], 0)
    return ops.concat([first, second], 0)


def _total(x: Expr) -> Expr:
    """The sum over the first axis."""
    return ops.reshape(ops.reduce_sum(x, (0,)), x.shape[1:])


_RECURRENT: Op = register(Op("Recurrent", _infer, _ref, _vjp, _lower))


def recurrent(
    cells: Sequence[Cell], backwards: Sequence[bool], **arrays: Expr | None
) -> list[Expr]:
    """A recurrent layer: the hidden states of all steps, and the last states.

    Args:
        cells: the cell of each direction.
        backwards: which direction begins at the end.
        **arrays: ``x``, ``w``, ``r``, and what there is of ``b``, ``lengths``, ``h``, ``c`` and
            ``p``, in ONNX's shapes.
    """
    found = [arrays.get(place) for place in PLACES]
    node = _RECURRENT(
        *(x for x in found if x is not None),
        cells=tuple(cells),
        backwards=tuple(backwards),
        given=tuple(x is not None for x in found),
    )
    return results_of(node)
