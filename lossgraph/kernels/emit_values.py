"""C of values: names in scopes, places in memory, loads; whole vectors and their rest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ..ir.dims import Dim
from .c_text import STORED, index_text, number_text, size_text
from .combining import INFIX
from .index import Clamped, Index, Lookup, LoopVar, Quotient, address, clamped_sizes
from .scopes import Context, Lanes, Scope
from .storage import Place
from .values import Buffer, Input, Load, Value
from .vectorize import RowArray, Variant, stride_of


class ValueWriter:
    """Writes the values of statements where their variables are known."""

    def __init__(self, context: Context, variant: Variant) -> None:
        self._context, self._variant = context, variant
        self._lines: list[str] = []
        self._depth = 1
        self._scopes = [Scope()]
        self._lanes: Lanes | None = None
        self._variables: dict[LoopVar, str] = {}
        self._tiles: dict[str, RowArray] = {}
        self._names = 0

    def _in_tile(self, array: str, place: Index) -> str | None:
        """Where an element of the rows is in their tile; None for what is in none."""
        if array not in self._tiles or self._lanes is None or self._varies(place):
            return None
        return f"tile_{array} + ({self._text(self._in_row(place))}) * LG_LANES"

    def _in_row(self, place: Index) -> Index:
        assert self._lanes is not None
        rest = tuple((atom, factor) for atom, factor in place.terms if atom is not self._lanes.var)
        return Index(rest, place.constant)

    def _by_lanes(self, buffer: Buffer) -> bool:
        """Whether the memory of a buffer has a vector for each element."""
        around = self._context.storages[buffer].around
        return any(var in self._variant.vectors for var in around)

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
