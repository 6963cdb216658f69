"""Classes by name: which number a value of a column stands for."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...catalogue import hint
from ...errors import InputError
from ..arrow import without_view
from .names import listed
from .rows import Elements

Array = np.ndarray[Any, Any]
Said = Sequence[Any] | Mapping[Any, int] | str | Path


@dataclass(frozen=True)
class Classes:
    """The classes of an input.

    Attributes:
        values: what stands in the column.
        indices: the class of each.
    """

    values: tuple[Any, ...]
    indices: tuple[int, ...]

    def require(self, column: str, leaf: pa.DataType) -> None:
        """Refuse a column whose elements cannot be these values.

        Raises:
            InputError: naming the column.
        """
        try:
            self._values_as(leaf)
        except (pa.ArrowException, TypeError):
            raise InputError(
                f"column {column!r} is of {leaf}, and its classes are {listed(self.values)}"
            ) from None

    def labels(self, cells: pa.Array, elements: Elements) -> Array:
        """The class of each element, int32.

        Raises:
            BadRowError: for the first that has none.
        """
        if pa.types.is_null(cells.type):
            return np.zeros(len(cells), np.int32)
        if isinstance(cells, pa.DictionaryArray):
            found = self._positions(cells.dictionary)[np.asarray(cells.indices)]
        else:
            found = self._positions(cells)
        if len(found) and found.min() < 0:
            place = int(np.argmax(found < 0))
            raise elements.bad(place, self._unknown(cells[place].as_py()))
        return np.asarray(self.indices, np.int32)[found]

    def _unknown(self, value: Any) -> str:
        texts = [known for known in self.values if isinstance(known, str)]
        near = hint(value, texts) if isinstance(value, str) else ""
        return f"has {value!r}, which is none of the {len(self.values)} classes{near}"

    def _positions(self, values: pa.Array) -> Array:
        """The place of each among the classes; -1 for what is none."""
        if pa.types.is_string_view(values.type):  # which Arrow cannot look up
            values = without_view(values, pa.large_string())
        places = pc.index_in(values, value_set=self._values_as(values.type))
        return np.asarray(places.fill_null(-1))

    def _values_as(self, type_: pa.DataType) -> pa.Array:
        return pa.array(self.values, type_)


def classes_of(input: str, said: Said) -> Classes:
    """Classes as a user says them: in order, numbers by value, or a file of JSON of one of these.

    Raises:
        InputError: for classes that are not clear.
    """
    if isinstance(said, (str, Path)):
        return classes_of(input, _read(input, Path(said)))
    numbered = dict(said) if isinstance(said, Mapping) else {v: i for i, v in enumerate(said)}
    if isinstance(said, Mapping) and _names_by_number(numbered):
        numbered = {name: int(number) for number, name in numbered.items()}
    elif len(numbered) < len(said):
        raise InputError(f"classes of {input}: some stand there twice")
    for value, number in numbered.items():
        if not isinstance(number, int) or number < 0:
            raise InputError(f"classes of {input}: the number of {value!r} is {number!r}")
    if not numbered:
        raise InputError(f"classes of {input}: there are none")
    return Classes(tuple(numbered), tuple(numbered.values()))


def _names_by_number(said: Mapping[Any, Any]) -> bool:
    """Whether numbers have names, and not names numbers, as in a model's ``id2label``."""
    return all(str(key).isdecimal() and isinstance(name, str) for key, name in said.items())


def _read(input: str, path: Path) -> Any:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"classes of {input}: {path}: {error.strerror}") from None
    except ValueError as error:
        raise InputError(f"classes of {input}: {path} is no JSON: {error}") from None
    if not isinstance(found, (list, dict)):
        raise InputError(f"classes of {input}: {path} has no list of classes, nor their numbers")
    return found
