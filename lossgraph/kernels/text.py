"""The text of a kernel's stages, for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from ..ir.text import lines
from .index import Clamped, Index, Lookup, LoopVar, Quotient
from .kernel import Kernel
from .loops import Block, Loop, Statement
from .storage import Place, Storages, storage_of
from .values import Buffer, Input, Load, Value, needed, reads
from .vectorize import variants


def stages(kernel: Kernel) -> Iterator[tuple[str, list[str]]]:
    """The stages of a kernel by name: expressions, loops, and C."""
    yield "decomposed", list(lines(kernel.decomposed, kernel.inputs))
    yield "loops", list(LoopText(kernel).lines())
    yield "C", kernel.text(0).splitlines()


class LoopText:
    """The loops of a kernel, with what each statement computes at its place."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._inputs = [node.attrs["name"] for node in kernel.inputs]
        self._outputs = list(kernel.outputs)
        self._storages: Storages = storage_of(kernel.blocks)
        self._variables: dict[LoopVar, str] = {}
        self._texts: dict[int, str] = {}  # of values that have a line of their own

    def lines(self) -> Iterator[str]:
        """One line for each loop and statement."""
        yield from self._blocks(self._kernel.blocks, 0)

    def _blocks(self, blocks: Sequence[Block], depth: int) -> Iterator[str]:
        for block in blocks:
            if isinstance(block, Statement):
                for line in self._statement(block):
                    yield "  " * depth + line
                continue
            name = self._variables[block.var] = f"i{len(self._variables)}"
            ways = f"  # {self._vectors(block)}" if depth == 0 else ""
            ways += "  # step by step" if block.sequential else ""
            yield f"{'  ' * depth}for {name} < {block.var.size}:{ways}"
            yield from self._blocks(block.body, depth + 1)

    def _vectors(self, sweep: Loop) -> str:
        """What the lanes of a vector are, in each way to write the sweep."""
        ways = {True: "lanes are rows", False: "lanes go along innermost loops"}
        return ", or ".join(ways[variant.rows] for variant in variants(sweep))

    def _statement(self, statement: Statement) -> Iterator[str]:
        """The line of a statement, after those of what it needs more than once."""
        yield from self._needed_often(statement.value)
        store, value = statement.store, self._value(statement.value)
        if store.output is not None:
            place = ", ".join(map(self._index, statement.target))
            yield f"{self._outputs[store.output]}[{place}] = {value}"
            return
        assert store.buffer is not None
        sign = f" {store.how}= " if store.how else " = "
        yield f"{self._buffer(store.buffer, statement.target)}{sign}{value}"

    def _needed_often(self, root: Value) -> Iterator[str]:
        order = needed([root])
        uses = Counter(read.number for value in order for read in reads(value))
        for value in order:
            if uses[value.number] > 1 and value.args and value.number not in self._texts:
                text = self._value(value)
                self._texts[value.number] = f"t{value.number}"
                yield f"t{value.number} = {text}"

    def _buffer(self, buffer: Buffer, indices: Sequence[Index]) -> str:
        storage = self._storages[buffer]
        kept = ", ".join(self._index(indices[axis]) for axis in storage.axes)
        shared = "shared " if storage.place is Place.SHARED else ""
        return f"{shared}b{buffer.number}" + (f"[{kept}]" if kept else "")

    def _value(self, value: Value) -> str:
        if value.number in self._texts:
            return self._texts[value.number]
        return self._one(value, [self._value(arg) for arg in value.args])

    def _one(self, value: Value, args: Sequence[str]) -> str:
        detail = value.detail
        if isinstance(detail, Load):
            return self._load(detail)
        if isinstance(detail, Index):
            return self._index(detail)
        if not args:
            return str(detail)
        if not value.op[0].isalpha():
            return f"({args[0]} {value.op} {args[1]})" if len(args) > 1 else f"{value.op}{args[0]}"
        limits = list(detail) if isinstance(detail, tuple) else []
        return f"{value.op}({', '.join([*args, *limits])})"

    def _load(self, load: Load) -> str:
        source = load.source
        if isinstance(source, Buffer):
            return self._buffer(source, load.indices)
        name = self._inputs[source.number] if isinstance(source, Input) else f"c{source.number}"
        return f"{name}[{', '.join(map(self._index, load.indices))}]"

    def _index(self, index: Index) -> str:
        terms = [
            self._atom(atom) if factor == 1 else f"{factor}*{self._atom(atom)}"
            for atom, factor in index.terms
        ]
        if index.constant != 0 or not terms:
            terms.append(str(index.constant))
        return " + ".join(terms)

    def _atom(self, atom: object) -> str:
        if isinstance(atom, LoopVar):
            return self._variables[atom]
        if isinstance(atom, Lookup):
            return self._value(atom.value)
        if isinstance(atom, Clamped):
            return f"clamp({self._index(atom.index)}, {atom.size})"
        sign = "//" if isinstance(atom, Quotient) else "%"
        return f"({self._index(atom.index)}) {sign} {atom.divisor}"  # type: ignore[attr-defined]
