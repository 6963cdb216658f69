"""C of loops: statements of vectors in the scopes where their variables are known.

A value is written in the outermost scope that knows all that it depends on. One loop on the way
inwards is a loop over vectors: its statements are written for whole vectors and once more for the
rest. Outside of it a value has the same number in every lane, inside each lane has its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

from ..ir.dims import Dim
from .c_text import STORED, index_text, number_text, size_text
from .combining import ADDED, COMBINED, FACTORS, INFIX, START
from .index import ZERO, Clamped, Index, Lookup, LoopVar, Quotient, address, clamped_sizes, index_of
from .loops import Loop, Statement, loops_of, statements
from .scopes import Context, Lanes, Scope
from .storage import Place
from .values import Buffer, Input, Load, Value, needed
from .vectorize import MOST_OF_A_ROW, RowArray, Variant, row_arrays, stride_of

BLOCK = 4096  # elements that are added in float32 before the sum goes on in float64

_FEW = 128  # numbers that a lane adds before the sum goes on with what that loses

_UNROLLED = ((14, 4), (40, 2))  # by what an element costs: as many independent sums hide latency


class LoopWriter:
    """Writes one sweep, in one variant."""

    def __init__(self, context: Context, variant: Variant, sums: Mapping[Statement, int]) -> None:
        self._context, self._variant, self._sums = context, variant, sums
        self._lines: list[str] = []
        self._depth = 1
        self._scopes = [Scope()]
        self._lanes: Lanes | None = None
        self._variables: dict[LoopVar, str] = {}
        self._tiles: dict[str, RowArray] = {}
        self._names = 0

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

    def _in_tile(self, array: str, place: Index) -> str | None:
        """Where an element of the rows is in their tile; None for what is in none."""
        if array not in self._tiles or self._lanes is None or self._varies(place):
            return None
        return f"tile_{array} + ({self._text(self._in_row(place))}) * LG_LANES"

    def _in_row(self, place: Index) -> Index:
        assert self._lanes is not None
        rest = tuple((atom, factor) for atom, factor in place.terms if atom is not self._lanes.var)
        return Index(rest, place.constant)

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

    def _by_lanes(self, buffer: Buffer) -> bool:
        """Whether the memory of a buffer has a vector for each element."""
        around = self._context.storages[buffer].around
        return any(var in self._variant.vectors for var in around)

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

    # --- values ---

    def _hoist(self, loop: Loop) -> None:
        """Write before a loop what does not change in it."""
        inside = list(statements([loop]))
        variables = {loop.var, *(inner.var for inner in loops_of([loop]))}
        made = {s.store.buffer for s in inside if s.store.buffer is not None}
        for value in needed([s.value for s in inside]):
            if not value.variables & variables and not value.buffers & made:
                self._emit(value)

    def _emit(self, value: Value) -> str:
        """The name of a value, which is written if no scope has it yet."""
        for scope in reversed(self._scopes):
            if value.number in scope.values:
                return scope.values[value.number]
        if value.kind == "size":
            return self._size_value(value)
        if isinstance(value.detail, Load):
            found = self._forwarded(value.detail)
            name = found or self._define(_type(value), self._load(value, value.detail))
        else:
            name = self._define(_type(value), self._expression(value))
        self._scopes[-1].values[value.number] = name
        return name

    def _forwarded(self, load: Load) -> str | None:
        """The name of what this iteration has stored."""
        if not isinstance(load.source, Buffer):
            return None
        for scope in reversed(self._scopes):
            if (load.source, load.indices) in scope.stored:
                return scope.stored[load.source, load.indices]
        return None

    def _size_value(self, value: Value) -> str:
        if value.op == "size":
            return self._size(value.detail)
        left, right = (self._emit(arg) for arg in value.args)
        return f"({left} {value.op} {right})"

    def _expression(self, value: Value) -> str:
        op = value.op
        if op == "number":
            return f"lg_splat({number_text(value.detail)})"
        if op == "truth":
            return f"lg_isplat({-int(value.detail)})"
        if op == "place":
            return self._place(value.detail)
        names = [self._emit(arg) for arg in value.args]
        kinds = [arg.kind for arg in value.args]
        if op in ("+", "-", "*") and value.kind == "int":
            return f"lg_wrapped({names[0]}, {op}, {names[1]})"
        if op in INFIX:
            return f"{names[0]} {op} {names[1]}"
        if op == "~":
            return f"~{names[0]}"
        if op == "where":
            return f"lg_{'' if value.kind == 'real' else 'i'}where({', '.join(names)})"
        if op == "to_real":
            return self._as_real(kinds[0], names[0])
        if op == "within":
            return f"lg_within({names[0]}, wide)"
        if op == "to_int":
            if kinds[0] == "size":
                return f"lg_isplat({names[0]})"
            if kinds[0] != "real":
                return f"-{names[0]}"
            total = self._total(value.args[0])
            return f"lg_isplat((int64_t){total})" if total else f"lg_to_int({names[0]})"
        if op == "clip":
            low, high = (number_text(end) for end in value.detail)
            return f"lg_clip({names[0]}, {low}, {high})"
        return f"lg_{op}({', '.join(names)})"

    def _real(self, value: Value, name: str) -> str:
        return name if value.kind == "real" else self._define("V", self._as_real(value.kind, name))

    @staticmethod
    def _as_real(kind: str, name: str) -> str:
        if kind == "size":
            return f"lg_splat((R)({name}))"
        return f"lg_of_mask({name})" if kind == "mask" else f"lg_to_real({name})"

    # --- places ---

    def _place(self, index: Index) -> str:
        """An index as a vector of integers."""
        return self._lane_numbers(index, f"lg_isplat({self._text(index)})")

    def _lane_numbers(self, index: Index, start: str) -> str:
        """What an index is in each lane, from what it is in the first or has in common."""
        lanes = self._lanes
        if lanes is None:
            return start
        text = start
        stride = stride_of(index, lanes.var)
        if stride != 0:
            steps = "lg_iota()" if stride == 1 else f"lg_iota() * lg_isplat({self._size(stride)})"
            text = f"{text} + {steps}"
        for atom, factor in index.terms:
            if isinstance(atom, LoopVar) or lanes.var not in Index(((atom, 1),)).variables:
                continue
            text = f"{text} + {self._lane_atom(atom)} * lg_isplat({self._size(factor)})"
        return text

    def _lane_atom(self, atom: object) -> str:
        if isinstance(atom, Lookup):
            return self._emit(atom.value)
        inner = self._place(atom.index)  # type: ignore[attr-defined]
        if isinstance(atom, Clamped):
            return f"lg_iinside({inner}, {self._size(atom.size)})"
        sign = "/" if isinstance(atom, Quotient) else "%"
        divisor = self._size(atom.divisor)  # type: ignore[attr-defined]
        return f"(({inner}) {sign} lg_isplat(lg_greatest({divisor}, 1)))"

    def _varies(self, index: Index) -> bool:
        """Whether an index is not a line over the lanes: elements are gathered."""
        lanes = self._lanes
        return lanes is not None and any(
            not isinstance(atom, LoopVar) and lanes.var in Index(((atom, 1),)).variables
            for atom, _ in index.terms
        )

    def _text(self, index: Index) -> str:
        """An index as one number: of what varies in other ways than a line, none of it."""
        lanes = self._lanes
        if lanes is not None:
            kept = tuple(
                (atom, factor)
                for atom, factor in index.terms
                if isinstance(atom, LoopVar) or lanes.var not in Index(((atom, 1),)).variables
            )
            index = Index(kept, index.constant)
        return index_text(index, self._context.sizes, self._variables, self._looked_up)

    def _looked_up(self, atom: Lookup) -> str:
        return f"lg_ifirst({self._emit(atom.value)})"

    def _size(self, dim: Dim) -> str:
        return size_text(dim, self._context.sizes)

    # --- loads ---

    def _load(self, value: Value, load: Load) -> str:
        source = load.source
        if isinstance(source, Buffer):
            return self._load_buffer(source, load)
        array = f"in{source.number}" if isinstance(source, Input) else f"table{source.number}"
        place = address(load.indices, load.shape)
        return self._read(
            value.kind == "real", array, STORED[source.dtype], place, clamped_sizes(load.indices)
        )

    def _total(self, value: Value) -> str | None:
        """The number of the call that a value is, which has more digits than ours."""
        load = value.detail
        if not isinstance(load, Load) or not isinstance(load.source, Buffer):
            return None
        if self._context.storages[load.source].place is not Place.NUMBER:
            return None
        return f"k->numbers[{self._context.numbers[load.source]}]"

    def _load_buffer(self, buffer: Buffer, load: Load) -> str:
        storage = self._context.storages[buffer]
        if storage.place is Place.NUMBER:
            return f"lg_splat((R)k->numbers[{self._context.numbers[buffer]}])"
        place = storage.address(buffer, load.indices)
        memory, least = self._context.scratch[buffer], clamped_sizes(load.indices)
        if not self._by_lanes(buffer):
            return self._read(True, memory, self._context.real, place, least)
        if self._varies(place):
            return self._gathered_by_lanes(memory, place, least)
        source = self._there(f"{memory} + ({self._text(place)}) * LG_LANES", least)
        return f"lg_load_{self._context.real}({source})"

    def _read(self, real: bool, array: str, stored: str, place: Index, least: Sequence[Dim]) -> str:
        load = "lg_load" if real else "lg_iload"
        tile = self._in_tile(array, place)
        if tile is not None:
            return f"lg_load_{self._context.real}({self._there(tile, least)})"
        if real and stored == self._context.real and array not in self._tiles:
            found = self._shifted(array, place, least)
            if found is not None:
                return found
        if self._varies(place) and array in self._tiles:
            return self._gathered_by_lanes(f"tile_{array}", self._in_row(place), least)
        source = self._there(f"{array} + {self._text(place)}", least)
        if self._varies(place):
            gather = "lg_gather" if real else "lg_igather"
            lanes = self._lane_numbers(place, "lg_isplat(0)")
            return f"{gather}_{stored}({source}, {lanes}, {self._active(least)})"
        stride = stride_of(place, self._lanes.var) if self._lanes else 0
        if self._lanes is None or stride == 0:
            return f"{load}_one_{stored}({source})"
        if stride != 1:
            step = self._size(stride) + "".join(f" * ({self._size(dim)} > 0)" for dim in least)
            return f"{load}_strided_{stored}({source}, {step}, {self._lanes.count})"
        if self._lanes.whole:
            return f"{load}_{stored}({source})"
        return f"{load}_part_{stored}({source}, {self._lanes.count})"

    def _shifted(self, array: str, place: Index, least: Sequence[Dim]) -> str | None:
        """A load along a line that leaves its axis, or runs backwards."""
        lanes = self._lanes
        if lanes is None:
            return None
        varying = [
            (atom, factor)
            for atom, factor in place.terms
            if lanes.var in Index(((atom, 1),)).variables
        ]
        if len(varying) != 1:
            return None
        ((atom, factor),) = varying
        rest = Index(tuple(t for t in place.terms if t[0] is not atom), place.constant)
        if isinstance(atom, LoopVar) and factor == -1 and not least:
            return f"lg_load_reversed({array} + {self._text(place)}, {lanes.count})"
        if not isinstance(atom, Clamped) or factor != 1 or self._varies(atom.index):
            return None
        if stride_of(atom.index, lanes.var) != 1:
            return None
        start, size = self._text(atom.index), self._size(atom.size)
        for dim in least:
            size = f"({self._size(dim)} > 0 ? {size} : 0)"
        return f"lg_load_range({array} + {self._text(rest)}, {start}, {size}, {lanes.count})"

    def _gathered_by_lanes(self, memory: str, place: Index, least: Sequence[Dim]) -> str:
        """An element of memory with a vector for each, which the lanes choose."""
        lanes = self._lane_numbers(place, f"lg_isplat({self._text(place)})")
        index = f"({lanes}) * lg_isplat(LG_LANES) + lg_iota()"
        return f"lg_gather_{self._context.real}({memory}, {index}, {self._active(least)})"

    def _there(self, source: str, least: Sequence[Dim]) -> str:
        """Where elements are read, or a place to read if their axis has none."""
        for dim in least:
            source = f"lg_there({self._size(dim)}, {source})"
        return source

    def _active(self, least: Sequence[Dim] = ()) -> str:
        """The lanes that count."""
        assert self._lanes is not None
        mask = f"lg_iota() < lg_isplat({self._lanes.count})"
        for dim in least:
            mask = f"({mask}) & -lg_isplat({self._size(dim)} > 0)"
        return mask

    # --- text ---

    def _unroll(self, loop: Loop) -> int:
        cost = sum(
            self._context.costs.get(value.op, 1.0)
            for value in needed([s.value for s in statements([loop])])
            if loop.var in value.variables
        )
        return next((count for most, count in _UNROLLED if cost <= most), 1)

    def _define(self, type_: str, text: str) -> str:
        name = self._name("t")
        self._line(f"const {type_} {name} = {text};")
        return name

    def _name(self, prefix: str) -> str:
        self._names += 1
        return f"{prefix}{self._names}"

    @contextmanager
    def _block(self, header: str) -> Iterator[None]:
        self._line(header)
        self._depth += 1
        self._scopes.append(Scope())
        yield
        self._scopes.pop()
        self._depth -= 1
        self._line("}")

    def _line(self, text: str) -> None:
        self._lines.append("  " * self._depth + text)


def _type(value: Value) -> str:
    return "V" if value.kind == "real" else "M"
