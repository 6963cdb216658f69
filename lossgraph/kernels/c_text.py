"""C of sizes, indices and numbers."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from ..ir.dims import Apply, Dim
from .index import Clamped, Index, Lookup, LoopVar, Quotient

Names = Mapping[str, str]  # of the named sizes

# What the header calls the storage of a dtype.
STORED = {
    "float32": "f32", "float64": "f64", "float16": "f16", "bfloat16": "bf16", "int64": "i64",
    "int32": "i32", "int16": "i16", "int8": "i8", "uint64": "u64", "uint32": "u32",
    "uint16": "u16", "uint8": "u8", "bool": "bool",
}  # fmt: skip


def size_text(dim: Dim, names: Names) -> str:
    """A size, an int64; in an order of our names, so that those of the user change no kernel."""
    if isinstance(dim, int):
        return f"INT64_C({dim})" if abs(dim) > 2**30 else str(dim)
    terms = []
    for atoms, factor in dim.terms:
        factors = sorted(_atom_text(atom, names) for atom in atoms)
        if factor != 1 or not factors:
            factors.insert(0, str(factor))
        terms.append(" * ".join(factors))
    text = " + ".join(sorted(terms))
    return text if len(terms) == 1 else f"({text})"


def _atom_text(atom: str | Apply, names: Names) -> str:
    if isinstance(atom, str):
        return names[atom]
    function = {"//": "lg_quotient", "min": "lg_least", "max": "lg_greatest"}[atom.function]
    return f"{function}({size_text(atom.left, names)}, {size_text(atom.right, names)})"


def index_text(
    index: Index,
    names: Names,
    variables: Mapping[LoopVar, str],
    lookup: Callable[[Lookup], str],
) -> str:
    """An index that is one number, not one for each lane."""
    terms = []
    for atom, factor in index.terms:
        if isinstance(atom, LoopVar):
            text = variables[atom]
        elif isinstance(atom, Lookup):
            text = lookup(atom)
        else:
            inner = index_text(atom.index, names, variables, lookup)
            if isinstance(atom, Clamped):
                text = f"lg_inside({inner}, {size_text(atom.size, names)})"
            else:
                function = "lg_quotient" if isinstance(atom, Quotient) else "lg_remainder"
                text = f"{function}({inner}, {size_text(atom.divisor, names)})"
        terms.append(text if factor == 1 else f"{size_text(factor, names)} * {text}")
    if index.constant != 0 or not terms:
        terms.append(size_text(index.constant, names))
    return " + ".join(terms)


def number_text(text: str) -> str:
    """A real number, exactly."""
    value = float(text)
    if math.isnan(value):
        return "(R)NAN"
    if math.isinf(value):
        return "(R)INFINITY" if value > 0 else "-(R)INFINITY"
    return f"(R){value.hex()}"
