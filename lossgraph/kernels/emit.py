"""C of loops: statements of vectors in the scopes where their variables are known.

A value is written in the outermost scope that knows all that it depends on. One loop on the way
inwards is a loop over vectors: its statements are written for whole vectors and once more for the
rest. Outside of it a value has the same number in every lane, inside each lane has its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from .c_text import STORED
from .combining import ADDED, COMBINED, FACTORS, START
from .emit_values import ValueWriter
from .index import ZERO, Index, LoopVar, address, index_of
from .loops import Loop, Statement, loops_of, statements
from .scopes import Context, Lanes
from .storage import Place
from .values import Buffer, Value, needed
from .vectorize import MOST_OF_A_ROW, RowArray, Variant, row_arrays, stride_of

BLOCK = 4096  # elements that are added in float32 before the sum goes on in float64

_FEW = 128  # numbers that a lane adds before the sum goes on with what that loses

_UNROLLED = ((14, 4), (40, 2))  # by what an element costs: as many independent sums hide latency


class LoopWriter(ValueWriter):
    """Writes one sweep, in one variant."""

    def __init__(self, context: Context, variant: Variant, sums: Mapping[Statement, int]) -> None:
        super().__init__(context, variant)
        self._sums = sums

    @property
    def text(self) -> str:
        """What was written."""
        return "\n".join(self._lines)

    # --- loops ---

    def sweep(self, loop: Loop) -> None:
        """The outermost loop, over the rows of a chunk; sums go where the call adds them."""
        self._hoist(loop)
        if self._variant.rows and not self._variant.long:
            self._tiles = self._tiled(loop)
        totals = self._reduced(loop, "first", "last")
        for statement, name in totals.items():
            self._line(f"sums[{self._sums[statement]}] = {name};")

    def statements(self, found: Sequence[Statement]) -> None:
        """Statements outside of all loops."""
        for statement in found:
            self._store(statement)

    def _reduced(self, loop: Loop, first: str, last: str) -> dict[Statement, str]:
        """Write a loop; the names of what it combines."""
        vectors = loop.var in self._variant.vectors
        combined = [s for s in statements([loop]) if s.is_reduced(loop.var)]
        for statement in (s for s in combined if s.store.scatter is not None):
            self._clear(statement)
        combined = [s for s in combined if s.store.scatter is None]
        totals = {statement: self._name("a") for statement in combined}
        for statement, name in totals.items():
            how = statement.store.how
            if self._lanes is not None:
                self._line(f"V {name} = lg_splat({START[how]});")
            else:
                self._line(f"{'double' if how in ADDED else 'R'} {name} = {START[how]};")
        if vectors:
            self._over_vectors(loop, totals, first, last)
            return totals
        self._one_by_one(loop, totals, first, last)
        for statement, name in totals.items():
            if self._how(statement, loop) == "log1p":
                self._line(f"{name} = lg_log1p({name});")
        return totals

    def _one_by_one(
        self, loop: Loop, totals: Mapping[Statement, str], first: str, last: str
    ) -> None:
        sums = [s for s in totals if s.store.how == "sum"]
        if self._variant.long and self._lanes is not None and loop.is_leaf and sums:
            self._in_blocks(loop, totals, sums, last)
            return
        name = self._variables[loop.var] = self._name("i")
        with self._block(f"for (int64_t {name} = {first}; {name} < {last}; {name}++) {{"):
            self._body(loop, totals)

    def _in_blocks(
        self, loop: Loop, totals: Mapping[Statement, str], sums: Sequence[Statement], last: str
    ) -> None:
        """Sums in lanes, block by block: what adding a block's to the total loses is kept too."""
        outer, end = self._name("b"), self._name("e")
        inside = {s: f"{name}_b" if s in sums else name for s, name in totals.items()}
        for statement in sums:
            self._line(f"V {totals[statement]}_lost = lg_splat(0);")
        with self._block(f"for (int64_t {outer} = 0; {outer} < {last}; {outer} += {_FEW}) {{"):
            self._line(f"const int64_t {end} = lg_least({outer} + {_FEW}, {last});")
            for statement in sums:
                self._line(f"V {inside[statement]} = lg_splat(0);")
            name = self._variables[loop.var] = self._name("i")
            with self._block(f"for (int64_t {name} = {outer}; {name} < {end}; {name}++) {{"):
                self._body(loop, inside)
            for statement in sums:
                total = totals[statement]
                self._line(f"lg_add_exactly(&{total}, &{total}_lost, {inside[statement]});")
        for total in map(totals.__getitem__, sums):
            self._line(f"{total} = lg_kept({total}, {total}_lost);")

    def _over_vectors(
        self, loop: Loop, totals: Mapping[Statement, str], first: str, last: str
    ) -> None:
        """Blocks of vectors, and of each block what is left; sums of a block are in its lanes."""
        hows = {statement: self._how(statement, loop) for statement in totals}
        own = {statement: f"{name}_v" for statement, name in totals.items()}
        added = [statement for statement, how in hows.items() if how in ADDED]
        extrema = [statement for statement in totals if statement not in added]
        unroll = self._unroll(loop) if totals and loop.is_leaf else 1
        self._start(extrema, own, hows)
        with self._blocks(loop, hows, unroll, first, last) as (start, end):
            self._start(added, own, hows)
            copies = [{s: f"{name}_{copy}" for s, name in own.items()} for copy in range(1, unroll)]
            for names in copies:
                self._start(names, names, hows)
            if unroll > 1:
                step = f"{unroll} * LG_LANES"
                with self._block(f"for (; {start} + {step} <= {end}; {start} += {step}) {{"):
                    for copy, names in enumerate([own, *copies]):
                        self._vector(loop, names, f"{start} + {copy} * LG_LANES", "LG_LANES")
            with self._block(f"for (; {start} + LG_LANES <= {end}; {start} += LG_LANES) {{"):
                self._vector(loop, own, start, "LG_LANES")
            with self._block(f"if ({start} < {end}) {{"):
                self._line(f"const int n_{start} = (int)({end} - {start});")
                self._vector(loop, own, start, f"n_{start}")
            for names in copies:
                for statement, name in names.items():
                    self._combine(hows[statement], own[statement], name)
            for statement in added:
                self._line(
                    ADDED[hows[statement]].format(total=totals[statement], lanes=own[statement])
                )
        for statement in extrema:
            self._line(f"{totals[statement]} = lg_{hows[statement]}_of({own[statement]});")

    def _start(
        self,
        found: Iterable[Statement],
        names: Mapping[Statement, str],
        hows: Mapping[Statement, str],
    ) -> None:
        for statement in found:
            self._line(f"V {names[statement]} = lg_splat({START[hows[statement]]});")

    @contextmanager
    def _blocks(
        self, loop: Loop, hows: Mapping[Statement, str], unroll: int, first: str, last: str
    ) -> Iterator[tuple[str, str]]:
        """A loop over blocks, if there are sums, with the names of where vectors begin and end."""
        start, end, outer = self._name("j"), self._name("e"), self._name("b")
        if not loop.is_leaf or self._variant.rows or not any(how in ADDED for how in hows.values()):
            header, limit = f"{{ const int64_t {outer} = {first};", last
        else:
            logs = "log1p" in hows.values()
            length = f"{FACTORS * unroll} * LG_LANES" if logs else str(BLOCK)
            header = f"for (int64_t {outer} = {first}; {outer} < {last}; {outer} += {length}) {{"
            limit = f"lg_least({outer} + {length}, {last})"
        with self._block(header):
            self._line(f"const int64_t {end} = {limit};")
            self._line(f"int64_t {start} = {outer};")
            yield start, end

    def _how(self, statement: Statement, loop: Loop) -> str:
        """How a loop combines: sums of log(1+t), t in [0, 1], by the product of a few factors.

        (1+p)(1+q) - 1 = p + q + pq has no term to cancel, so that small ones keep their digits.
        """
        how = statement.store.how
        if how != "sum" or not loop.is_leaf or statement.value.op != "log1p_unit":
            return how
        rows = self._variant.rows and not self._variant.long
        short = self._lanes is not None if rows else loop.var in self._variant.vectors
        return "log1p" if short else how

    def _vector(self, loop: Loop, totals: Mapping[Statement, str], place: str, count: str) -> None:
        """The body of a loop for the lanes of one vector."""
        name = self._variables[loop.var] = self._name("i")
        self._lanes = Lanes(loop.var, count, count == "LG_LANES")
        with self._block("{"):
            self._line(f"const int64_t {name} = {place};")
            self._tiles_in(name, count)
            self._body(loop, totals)
            self._tiles_out(name, count)
        self._lanes = None

    def _tiles_in(self, row: str, count: str) -> None:
        for name, array in self._tiles.items():
            width, real = self._size(array.width), self._context.real
            self._line(f"R tile_{name}[{MOST_OF_A_ROW} * LG_LANES];")
            if array.is_input:
                place = f"{name} + {width} * {row}"
                self._line(f"lg_tile_in_{real}(tile_{name}, {place}, {width}, {count});")

    def _tiles_out(self, row: str, count: str) -> None:
        for name, array in self._tiles.items():
            width, real = self._size(array.width), self._context.real
            if not array.is_input:
                place = f"{name} + {width} * {row}"
                self._line(f"lg_tile_out_{real}({place}, tile_{name}, {width}, {count});")

    def _tiled(self, sweep: Loop) -> dict[str, RowArray]:
        """The arrays whose rows are transposed: those of real numbers, stored as we compute."""
        return {
            row.name: row
            for row in row_arrays(sweep)
            if STORED[row.dtype or self._context.output_dtypes[row.number]] == self._context.real
        }

    def _body(self, loop: Loop, totals: Mapping[Statement, str]) -> None:
        for item in loop.body:
            if isinstance(item, Loop):
                self._inner(item, totals)
            elif item in totals:
                how, value = self._how(item, loop), item.value
                value = value.args[0] if how == "log1p" else value
                self._accumulate(item, how, totals[item], self._emit(value))
            else:
                self._store(item)

    def _inner(self, loop: Loop, totals: Mapping[Statement, str]) -> None:
        self._hoist(loop)
        found = self._reduced(loop, "0", self._size(loop.var.size))
        for statement, name in found.items():
            if statement in totals:
                self._accumulate(
                    statement, statement.store.how, totals[statement], name, inner=True
                )
            else:
                self._finished(statement, name)

    # --- what is combined ---

    def _accumulate(
        self, statement: Statement, how: str, total: str, value: str, *, inner: bool = False
    ) -> None:
        """Add a value, or the total of an inner loop, to the total of a loop."""
        if self._lanes is not None:
            if not self._lanes.whole and statement.is_reduced(self._lanes.var):
                active = f"lg_iota() < lg_isplat({self._lanes.count})"
                value = f"lg_where({active}, {value}, lg_splat({START[how]}))"
            self._combine(how, total, value)
        else:
            self._combine_scalars(how, total, value if inner else f"lg_first({value})")

    def _combine(self, how: str, total: str, value: str) -> None:
        self._line(f"{total} = {COMBINED[how].format(total, value)};")

    def _combine_scalars(self, how: str, total: str, value: str) -> None:
        self._line(f"{total} = lg_{how}_of_two({total}, {value});")

    def _finished(self, statement: Statement, total: str) -> None:
        """A total becomes the value of its buffer."""
        text = total if self._lanes is not None else f"lg_splat((R){total})"
        name = self._define("V", text)
        self._keep(statement, name)

    # --- what is stored ---

    def _store(self, statement: Statement) -> None:
        value = statement.value
        name = self._emit(value)
        store = statement.store
        if store.scatter is not None:
            return self._add_at(statement, self._real(value, name))
        if store.buffer is not None:
            self._keep(statement, self._real(value, name))
        else:
            assert store.output is not None
            dtype = self._context.output_dtypes[store.output]
            place = address(statement.target, store.node.shape)
            self._write(f"out{store.output}", dtype, place, value, name)

    def _keep(self, statement: Statement, name: str) -> None:
        buffer = statement.store.buffer
        assert buffer is not None
        storage = self._context.storages[buffer]
        self._scopes[-1].stored[buffer, statement.target] = name
        if storage.place is Place.REGISTER:
            return
        place = storage.address(buffer, statement.target)
        memory = self._context.scratch[buffer]
        if self._by_lanes(buffer):
            text = self._text(place)
            self._line(f"lg_store_{self._context.real}({memory} + ({text}) * LG_LANES, {name});")
        else:
            self._write_real(memory, self._context.real, place, name)

    def _clear(self, statement: Statement) -> None:
        """Zeros in all that a loop adds to."""
        buffer, axis = statement.store.buffer, statement.store.scatter
        assert buffer is not None
        assert axis is not None
        place = [ZERO if i == axis else index for i, index in enumerate(statement.target)]
        address_of = self._context.storages[buffer].address
        place[axis] = index_of(each := LoopVar(buffer.shape[axis]))
        name = self._variables[each] = self._name("i")
        memory = self._context.scratch[buffer]
        with self._block(
            f"for (int64_t {name} = 0; {name} < {self._size(each.size)}; {name}++) {{"
        ):
            text = self._text(address_of(buffer, place))
            if self._by_lanes(buffer):
                real = self._context.real
                self._line(f"lg_store_{real}({memory} + ({text}) * LG_LANES, lg_splat(0));")
            else:
                self._line(f"{memory}[{text}] = 0;")

    def _add_at(self, statement: Statement, name: str) -> None:
        """Add each lane where its index says."""
        buffer = statement.store.buffer
        assert buffer is not None
        for value in statement.values[1:]:
            self._emit(value)
        place = self._context.storages[buffer].address(buffer, statement.target)
        memory, index = self._lane_places(buffer, place)
        count = self._lanes.count if self._lanes else "1"
        self._line(f"lg_add_at({memory}, {index}, {name}, {count});")

    def _lane_places(self, buffer: Buffer, place: Index) -> tuple[str, str]:
        """Where the memory of a buffer begins, and in it the place of each lane."""
        memory, text = self._context.scratch[buffer], self._text(place)
        index = self._lane_numbers(place, "lg_isplat(0)")
        if not self._by_lanes(buffer):
            return f"{memory} + {text}", index
        return f"{memory} + ({text}) * LG_LANES", f"({index}) * lg_isplat(LG_LANES) + lg_iota()"

    def _write(self, array: str, dtype: str, place: Index, value: Value, name: str) -> None:
        if "float" in dtype:
            self._write_real(array, STORED[dtype], place, self._real(value, name))
            return
        if value.kind == "real":
            name = name if dtype == "bool" else f"lg_to_int({name})"
        elif value.kind == "size":
            name = f"lg_isplat({name})"
        elif value.kind == "mask" and dtype != "bool":
            name = f"(-{name})"
        self._write_as("lg_istore", array, STORED[dtype], place, name)

    def _write_real(self, array: str, stored: str, place: Index, name: str) -> None:
        self._write_as("lg_store", array, stored, place, name)

    def _write_as(self, store: str, array: str, stored: str, place: Index, name: str) -> None:
        tile = self._in_tile(array, place)
        if tile is not None:
            self._line(f"lg_store_{self._context.real}({tile}, {name});")
            return
        target = f"{array} + {self._text(place)}"
        stride = stride_of(place, self._lanes.var) if self._lanes else 0
        if self._lanes is None or stride == 0:
            self._line(f"{store}_part_{stored}({target}, {name}, 1);")
        elif stride != 1:
            count = self._lanes.count
            size = self._size(stride)
            self._line(f"{store}_strided_{stored}({target}, {size}, {name}, {count});")
        elif self._lanes.whole:
            self._line(f"{store}_{stored}({target}, {name});")
        else:
            self._line(f"{store}_part_{stored}({target}, {name}, {self._lanes.count});")

    # --- what does not change in a loop ---

    def _hoist(self, loop: Loop) -> None:
        """Write before a loop what does not change in it."""
        inside = list(statements([loop]))
        variables = {loop.var, *(inner.var for inner in loops_of([loop]))}
        made = {s.store.buffer for s in inside if s.store.buffer is not None}
        for value in needed([s.value for s in inside]):
            if not value.variables & variables and not value.buffers & made:
                self._emit(value)

    def _unroll(self, loop: Loop) -> int:
        cost = sum(
            self._context.costs.get(value.op, 1.0)
            for value in needed([s.value for s in statements([loop])])
            if loop.var in value.variables
        )
        return next((count for most, count in _UNROLLED if cost <= most), 1)
