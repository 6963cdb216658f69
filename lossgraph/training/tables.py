"""Training data from files: the arrays of ``.npz``, the columns of tables such as ``.parquet``."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import InputError
from ..ir.types import TensorType, numpy_dtype
from ..tables import require_pyarrow

Array = np.ndarray[Any, Any]
Types = Mapping[str, TensorType]


def read_arrays(
    path: Path, types: Types, columns: Mapping[str, Sequence[str]] | None = None
) -> dict[str, Array]:
    """The arrays in a file for inputs of these types, converted to their dtypes.

    Args:
        path: a file of NumPy, ``.npz``, or a table: a file or a folder of Parquet, CSV or Arrow.
        types: the types of the inputs, whose first axes are the samples.
        columns: the columns of a table that make an input together, side by side. By default an
            input is the column of its name; one input of numbers side by side, of as many as there
            are other columns, is made of those.

    Raises:
        InputError: for files that cannot be read, and data that do not fit.
    """
    found = _read(path)
    for name, parts in (columns or {}).items():
        missing = [part for part in parts if part not in found]
        if missing:
            raise InputError(f"{path}: there are no columns {missing}: there are {list(found)}")
        found[name] = np.stack([found[part] for part in parts], axis=1)
    if path.suffix != ".npz":
        _join_rest(found, types)
    missing = [name for name in types if name not in found]
    if missing:
        others = [name for name in found if name not in types]
        name = missing[0]
        hint = f"; rename an input of the loss, as in {name}={others[0]}" if others else ""
        raise InputError(f"{path} has no {name!r}, {types[name]}: it has {list(found)}{hint}")
    return {name: _converted(path, name, found[name], types[name]) for name in types}


def _read(path: Path) -> dict[str, Array]:
    if path.suffix != ".npz":
        return _read_table(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        with path.open("rb") as opened, np.load(opened, allow_pickle=False) as file:
            return dict(file)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise InputError(f"{path} is no file of NumPy's arrays: {error}") from error


def _read_table(path: Path) -> dict[str, Array]:
    require_pyarrow()
    from ..tables.sources import open_source

    table = open_source(path).to_arrow()
    return {name: _column(path, name, table.column(name)) for name in table.column_names}


def _column(path: Path, name: str, column: Any) -> Array:
    """A column as an array; of lists of one length an array of rank 2."""
    if column.null_count:
        raise InputError(f"{path}: column {name!r} has {column.null_count} empty cells: fill them")
    values = column.to_numpy()
    if values.dtype != object or not len(values) or isinstance(values[0], str):
        return values
    lengths = {len(value) for value in values}
    if len(lengths) > 1:
        raise InputError(f"{path}: the lists in column {name!r} have lengths {sorted(lengths)[:4]}")
    return np.stack([np.asarray(value) for value in values])


def _join_rest(found: dict[str, Array], types: Types) -> None:
    """Make the one input that is missing of the columns that are left, if they are as many."""
    missing = [name for name in types if name not in found]
    rest = [name for name, array in found.items() if name not in types and array.ndim == 1]
    types_left = [types[name] for name in missing]
    if len(missing) == 1 and types_left[0].rank == 2 and types_left[0].shape[1] == len(rest):
        found[missing[0]] = np.stack([found[name] for name in rest], axis=1)


def _converted(path: Path, name: str, array: Array, type_: TensorType) -> Array:
    """An array in the dtype of an input, if nothing but precision is lost."""
    wanted = numpy_dtype(type_.dtype)
    if array.dtype == wanted:
        return array
    if array.dtype.kind not in "biuf":
        raise InputError(f"{path}: {name!r} is {array.dtype}, and not numbers of {type_}")
    with np.errstate(invalid="ignore", over="ignore"):
        made = array.astype(wanted)
    if wanted.kind in "biu" and not np.array_equal(made, array):
        raise InputError(
            f"{path}: {name!r} is {array.dtype} with values that {type_.dtype} has not, like "
            f"{array[made != array].flat[0]}"
        )
    return made
