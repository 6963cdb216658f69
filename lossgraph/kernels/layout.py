"""What surrounds the loops of a kernel: sizes, memory, chunks and their sums, the operator.

``sources/kernel.h`` says what each function of a kernel is for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType

import numpy as np

from ..ir.dims import Dim, Size, names, product
from ..ir.expr import Array, Expr
from ..lowering.onnx_api import dtype_code
from .c_text import STORED, size_text
from .combining import START
from .emit import LoopWriter
from .index import LoopVar
from .integers import KernelUnsupportedError
from .loops import Block, Loop, Statement, loops_of, statements
from .scopes import Context
from .storage import Place, storage_of
from .values import Buffer, needed
from .vectorize import Variant, narrow_if, variants

_C_TYPES = {
    "f32": "float", "f64": "double", "f16": "uint16_t", "bf16": "uint16_t", "i64": "int64_t",
    "i32": "int32_t", "i16": "int16_t", "i8": "int8_t", "u64": "uint64_t", "u32": "uint32_t",
    "u16": "uint16_t", "u8": "uint8_t", "bool": "uint8_t",
}  # fmt: skip
_MOST_NUMBERS = 64  # LG_NUMBERS
_MOST_SIZES = 32
_ON_THE_STACK = 2048  # numbers of scratch memory that a chunk takes without asking for memory
# Work of a chunk, in vectors' operations of about 0.06 ns: 25 us, some twenty times what handing
# it to a thread costs.
_WORK_OF_A_CHUNK = 400_000
_LEAST_COLUMNS = 64  # neighbours in memory that a chunk has at least: lines of cache are shared


class Layout:
    """The C of a kernel, from its loops.

    Args:
        inputs: the inputs of the operator.
        outputs: its outputs.
        blocks: the loops.
        tables: constant arrays that values read.
        bits: the width of real numbers.
        costs: what functions cost, in additions.
        constraints: pairs of sizes that must be equal.
        limits: sizes, and what they may be at most, to either side.
    """

    def __init__(
        self,
        inputs: Sequence[Expr],
        outputs: Sequence[Expr],
        blocks: Sequence[Block],
        tables: Sequence[Array],
        bits: int,
        costs: Mapping[str, float],
        constraints: Sequence[tuple[Dim, Dim]] = (),
        limits: Mapping[Dim, int] = MappingProxyType({}),
    ) -> None:
        self._inputs, self._outputs, self._tables = inputs, outputs, tables
        self._bits, self._costs, self._constraints = bits, costs, constraints
        self._limits = limits
        self._sweeps = [block for block in blocks if isinstance(block, Loop)]
        self._last = [block for block in blocks if isinstance(block, Statement)]
        self._storages = storage_of(blocks)
        self._sizes = _named_sizes(inputs)
        self._names = {name: f"s{i}" for i, name in enumerate(self._sizes)}
        found = [b for b, storage in self._storages.items() if storage.place is Place.NUMBER]
        self._numbers = {buffer: i for i, buffer in enumerate(found)}
        self._sums = [_sums_of(sweep) for sweep in self._sweeps]
        if len(self._numbers) > _MOST_NUMBERS or len(self._sizes) > _MOST_SIZES:
            raise KernelUnsupportedError("a kernel has room for 64 sums over all samples, 32 sizes")

    def text(self, number: int) -> str:
        """The C of the kernel, with its name in the macro ``LG_NAME_<number>``."""
        parts = [
            f"#undef LG_BITS\n#define LG_BITS {self._bits}\n"
            '#include "kernel.h"\n#include "generated.h"\n',
            *self._table_texts(number),
            self._plan(number),
            self._begin(number),
            *(self._sweep(i, number) for i in range(len(self._sweeps))),
            self._chunk(number),
            self._finish(number),
            self._kernel(number),
        ]
        return "\n".join(parts)

    # --- sizes and the plan ---

    def _size(self, dim: Dim) -> str:
        return size_text(dim, self._names)

    def _size_lines(self) -> list[str]:
        return [
            f"const int64_t {name} = k->size[{i}]; (void){name};"
            for i, name in enumerate(self._names.values())
        ]

    def _plan(self, number: int) -> str:
        lines = [
            f"k->size[{i}] = k->in_dims[{a}][{axis}];"
            for i, (a, axis) in enumerate(self._sizes.values())
        ]
        lines += self._size_lines()
        for place, node in enumerate(self._inputs):
            for axis, dim in enumerate(node.shape):
                wrong = f"lossgraph: axis {axis} of input {place} has another length than expected"
                lines.append(
                    f'if (k->in_dims[{place}][{axis}] != {self._size(dim)}) return "{wrong}";'
                )
        for left, right in self._constraints:
            if names(left) | names(right) <= self._sizes.keys():
                lines.append(
                    f"if ({self._size(left)} != {self._size(right)})"
                    ' return "lossgraph: two lengths that must be equal are not";'
                )
        for size, limit in self._limits.items():
            text = self._size(size)
            lines.append(
                f"if ({text} > INT64_C({limit}) || {text} < -INT64_C({limit}))"
                ' return "lossgraph: arrays are too large for a kernel";'
            )
        for place, node in enumerate(self._outputs):
            lines += [
                f"k->out_dims[{place}][{axis}] = {self._size(dim)};"
                for axis, dim in enumerate(node.shape)
            ]
        shared = [self._size(self._storages[b].elements(b)) for b in self._shared]
        lines.append(f"k->shared_size = sizeof(R) * (size_t)({' + '.join(shared) or '0'});")
        lines.append("k->rows = 0, k->step = 1, k->chunks = 0;")
        lines.append("return 0;")
        return _function(f"static const char *lg_plan_{number}(LgCall *k)", lines)

    def _begin(self, number: int) -> str:
        lines = [*self._size_lines(), "switch (k->sweep) {"]
        for i, sweep in enumerate(self._sweeps):
            work = " + ".join(self._work(sweep)) or "1"
            least = _LEAST_COLUMNS if variants(sweep)[0].long else 1
            lines += [
                f"case {i}: {{",
                f"  k->rows = {self._size(sweep.var.size)};",
                f"  k->step = lg_greatest({_WORK_OF_A_CHUNK} / (1 + {work}), {least});",
                "  break;",
                "}",
            ]
        lines += ["}", "k->chunks = (size_t)((k->rows + k->step - 1) / k->step);"]
        return _function(f"static void lg_begin_{number}(LgCall *k)", lines)

    def _work(self, sweep: Loop) -> Iterator[str]:
        """The work of a row, in operations of vectors."""
        for loop, length in _leaves(sweep):
            found = needed([s.value for s in statements([loop])])
            each = sum(self._costs.get(v.op, 1.0) for v in found if loop.var in v.variables)
            yield f"{max(1, round(each))} * ({self._size(length)} + 4)"

    # --- memory ---

    @cached_property
    def _shared(self) -> list[Buffer]:
        return [b for b, storage in self._storages.items() if storage.place is Place.SHARED]

    def _table_texts(self, number: int) -> Iterator[str]:
        for i, table in enumerate(self._tables):
            type_ = self._type_of(table)
            elements = ", ".join(_literal(item) for item in table.ravel().tolist())
            yield f"static const {type_} lg_table{i}_{number}[] = {{{elements}}};\n"

    def _type_of(self, table: Array) -> str:
        return "int64_t" if table.dtype.kind in "iub" else self._real_type

    @property
    def _real_type(self) -> str:
        return "double" if self._bits == 64 else "float"

    def _memory(self, number: int, sweep: Loop | None, variant: Variant) -> list[str]:
        """The arrays that the loops of a sweep read and write."""
        lines = self._size_lines()
        for i, node in enumerate(self._inputs):
            lines.append(f"const {_c_type(node)} *in{i} = k->in[{i}]; (void)in{i};")
        for i, node in enumerate(self._outputs):
            lines.append(f"{_c_type(node)} *out{i} = k->out[{i}]; (void)out{i};")
        for i, table in enumerate(self._tables):
            type_ = self._type_of(table)
            lines.append(f"const {type_} *table{i} = lg_table{i}_{number}; (void)table{i};")
        place = "0"
        for buffer in self._shared:
            name = f"w{buffer.number}"
            lines.append(f"R *{name} = (R *)k->shared + ({place}); (void){name};")
            place += f" + {self._size(self._storages[buffer].elements(buffer))}"
        return lines + (self._scratch(sweep, variant) if sweep is not None else [])

    def _scratch(self, sweep: Loop, variant: Variant) -> list[str]:
        made = dict.fromkeys(s.store.buffer for s in statements([sweep]))
        mine = [b for b in made if b and self._storages[b].place is Place.SCRATCH]
        if not mine:
            return []
        lines: list[str] = []
        sizes: list[str] = []
        for buffer in mine:
            storage = self._storages[buffer]
            size = self._size(storage.elements(buffer))
            if any(var in variant.vectors for var in storage.around):
                size = f"{size} * LG_LANES"
            lines.append(f"R *w{buffer.number} = scratch + ({' + '.join(sizes) or '0'});")
            sizes.append(size)
        return [
            f"R few[{_ON_THE_STACK}];",
            f"const int64_t count = {' + '.join(sizes)};",
            f"R *scratch = count <= {_ON_THE_STACK} ? few : malloc(sizeof(R) * (size_t)count);",
            "if (!scratch) {",
            "  lg_fail(k);",
            "  return;",
            "}",
            *lines,
        ]

    # --- sweeps ---

    def _context(self) -> Context:
        return Context(
            "f64" if self._bits == 64 else "f32",
            self._names,
            self._storages,
            self._numbers,
            {buffer: f"w{buffer.number}" for buffer in self._storages},
            [node.dtype for node in self._outputs],
            self._costs,
        )

    def _sweep(self, i: int, number: int) -> str:
        sweep = self._sweeps[i]
        return "\n".join(
            self._variant(
                sweep, variant, self._sums[i], f"{number}_{i}{'r' * variant.rows}", number
            )
            for variant in variants(sweep)
        )

    def _variant(
        self, sweep: Loop, variant: Variant, sums: Sequence[Statement], suffix: str, number: int
    ) -> str:
        memory = self._memory(number, sweep, variant)
        writer = LoopWriter(
            self._context(), variant, {statement: j for j, statement in enumerate(sums)}
        )
        writer.sweep(sweep)
        lines = [*memory, "(void)sums;", *_watched(writer.text)]
        if any("scratch" in line for line in memory):
            lines.append("if (scratch != few) free(scratch);")
        head = f"static void lg_rows_{suffix}(LgCall *k, int64_t first, int64_t last, double *sums)"
        return _function(head, lines)

    def _chunk(self, number: int) -> str:
        lines = [
            *self._size_lines(),
            "const int64_t first = (int64_t)index * k->step;",
            "const int64_t last = lg_least(first + k->step, k->rows);",
            f"double *sums = k->sums + index * {self._count_of_sums};",
            "(void)first, (void)last, (void)sums;",
            "switch (k->sweep) {",
        ]
        for i, sweep in enumerate(self._sweeps):
            ways = variants(sweep)
            call = f"lg_rows_{number}_{i}"
            lines.append(f"case {i}:")
            if len(ways) == 2:
                narrow = " && ".join(
                    f"{self._size(size)} <= {most}" for size, most in narrow_if(sweep)
                )
                lines.append(f"  if ({narrow}) {call}r(k, first, last, sums);")
                lines.append(f"  else {call}(k, first, last, sums);")
            else:
                lines.append(f"  {call}{'r' * ways[0].rows}(k, first, last, sums);")
            lines.append("  break;")
        return _function(f"static void lg_chunk_{number}(LgCall *k, size_t index)", [*lines, "}"])

    @property
    def _count_of_sums(self) -> int:
        return max((len(sums) for sums in self._sums), default=0)

    # --- what follows from sums ---

    def _finish(self, number: int) -> str:
        lines = ["switch (k->sweep) {"]
        for i, sums in enumerate(self._sums):
            lines.append(f"case {i}:")
            for place, statement in enumerate(sums):
                lines += self._added(place, statement)
            lines.append("  break;")
        lines.append("}")
        if self._last:
            lines.append(f"if (k->sweep + 1 < {max(1, len(self._sweeps))}) return;")
            none = Variant(frozenset[LoopVar](), False)
            lines += self._memory(number, None, none)
            writer = LoopWriter(self._context(), none, {})
            writer.statements(self._last)
            lines += _watched(writer.text)
        return _function(f"static void lg_finish_{number}(LgCall *k)", lines)

    def _added(self, place: int, statement: Statement) -> list[str]:
        """The sums of all chunks added in their order."""
        how = statement.store.how
        assert statement.store.buffer is not None
        total = f"k->numbers[{self._numbers[statement.store.buffer]}]"
        each = f"k->sums[i * {self._count_of_sums} + {place}]"
        return [
            f"  {total} = {START[how]};",
            f"  for (size_t i = 0; i < k->chunks; i++) {total} = lg_{how}_of_two({total}, {each});",
        ]

    def _kernel(self, number: int) -> str:
        types = [
            _array(f"lg_{what}_types_{number}", [dtype_code(node.dtype) for node in nodes])
            for what, nodes in (("in", self._inputs), ("out", self._outputs))
        ]
        ranks = [
            _array(f"lg_{what}_ranks_{number}", [node.rank for node in nodes])
            for what, nodes in (("in", self._inputs), ("out", self._outputs))
        ]
        fields = {
            "name": f"LG_NAME_{number}",
            "inputs": len(self._inputs),
            "outputs": len(self._outputs),
            "input_type": f"lg_in_types_{number}",
            "output_type": f"lg_out_types_{number}",
            "input_rank": f"lg_in_ranks_{number}",
            "output_rank": f"lg_out_ranks_{number}",
            "sums": self._count_of_sums,
            "plan": f"lg_plan_{number}",
            "chunk": f"lg_chunk_{number}",
            "finish": f"lg_finish_{number}",
            "sweeps": max(1, len(self._sweeps)),
            "begin": f"lg_begin_{number}",
        }
        rows = [f"  .{name} = {value}," for name, value in fields.items()]
        head = f"static const LgKernel lg_kernel_{number} = {{"
        return "\n".join([*types, *ranks, head, *rows, "};\n"])


def _watched(text: str) -> list[str]:
    """Statements, and what becomes of integers that lanes cannot hold, if they look for any."""
    if "lg_within(" not in text:
        return [text]
    return ["M wide = lg_isplat(0);", text, "if (lg_any(wide)) lg_fail_as(k, LG_TOO_LARGE);"]


def _named_sizes(inputs: Sequence[Expr]) -> dict[str, tuple[int, int]]:
    """Each named size and an axis of an input that has it."""
    found: dict[str, tuple[int, int]] = {}
    for place, node in enumerate(inputs):
        for axis, dim in enumerate(node.shape):
            if isinstance(dim, Size) and dim.name is not None:
                found.setdefault(dim.name, (place, axis))
    return found


def _sums_of(sweep: Loop) -> list[Statement]:
    """What a sweep combines over all of its rows."""
    return [s for s in statements([sweep]) if s.is_reduced(sweep.var)]


def _leaves(sweep: Loop) -> Iterator[tuple[Loop, Dim]]:
    """The innermost loops, and how many iterations of them a row has."""
    if sweep.is_leaf:
        yield sweep, 1
        return
    for loop in loops_of(sweep.body):
        if loop.is_leaf:
            path = next(statements([loop])).loops
            yield loop, product(var.size for var in path[1:])


def _c_type(node: Expr) -> str:
    return _C_TYPES[STORED[node.dtype]]


def _literal(item: object) -> str:
    if isinstance(item, (bool, int)):
        return f"INT64_C({int(item)})"
    value = float(item)  # type: ignore[arg-type]
    if np.isnan(value):
        return "NAN"
    if np.isinf(value):
        return "INFINITY" if value > 0 else "-INFINITY"
    return value.hex()


def _array(name: str, items: Sequence[int]) -> str:
    return f"static const int {name}[] = {{{', '.join(map(str, items)) or '0'}}};"


def _function(head: str, lines: Sequence[str]) -> str:
    body = "\n".join(line if line.startswith("  ") else f"  {line}" for line in lines)
    return f"{head} {{\n{body}\n}}\n"
