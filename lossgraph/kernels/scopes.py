"""What is known where a line of C is written: names, lanes, and what all loops share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .c_text import Names
from .index import Index, LoopVar
from .storage import Storages
from .values import Buffer


@dataclass
class Lanes:
    """The loop over vectors that is being written: its variable, and how many lanes count."""

    var: LoopVar
    count: str
    whole: bool


@dataclass
class Scope:
    """Names that are known from here on, inwards."""

    values: dict[int, str] = field(default_factory=dict)
    stored: dict[tuple[Buffer, tuple[Index, ...]], str] = field(default_factory=dict)


@dataclass
class Context:
    """What all loops of a kernel share."""

    real: str  # the storage type of a real number: f32 or f64
    sizes: Names
    storages: Storages
    numbers: Mapping[Buffer, int]
    scratch: Mapping[Buffer, str]
    output_dtypes: Sequence[str]
    costs: Mapping[str, float]
