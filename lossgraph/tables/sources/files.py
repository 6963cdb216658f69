"""Files of a table: paths, folders, globs and lists of them, on this machine or elsewhere.

Folders called ``key=value`` give a column ``key`` to the files below them, as Hive has it.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import unquote

import pyarrow as pa
from pyarrow import fs as pafs

from ...errors import InputError
from .base import described, digest

READ_ERRORS = (pa.ArrowException, OSError, ValueError, ImportError, RuntimeError)

_SUFFIXES = {
    ".parquet": "parquet", ".parq": "parquet", ".pq": "parquet",
    ".csv": "csv", ".tsv": "csv", ".txt": "csv",
    ".arrow": "ipc", ".arrows": "ipc", ".ipc": "ipc", ".feather": "ipc",
}  # fmt: skip
PACKED = (".gz", ".bz2", ".zst", ".lz4", ".br")
_MAGIC = {b"PAR1": "parquet", b"PARE": "parquet", b"ARRO": "ipc", b"\xff\xff\xff\xff": "ipc"}
_NULL = "__HIVE_DEFAULT_PARTITION__"
_READERS = 16  # files that are looked at together
_WILD = re.compile(r"[*?\[]")

T = TypeVar("T")


@dataclass(frozen=True)
class File:
    """A file as it was when the table was opened.

    Attributes:
        path: in its file system.
        name: as whoever named it would write it.
        size: in bytes.
        modified: when, in nanoseconds; None where the file system does not say.
        keys: the columns that its folders give, and their values.
        filesystem: of pyarrow.
    """

    path: str
    name: str
    size: int
    modified: int | None
    keys: tuple[tuple[str, str | None], ...]
    filesystem: pafs.FileSystem = field(compare=False, repr=False)

    @property
    def local(self) -> bool:
        return isinstance(self.filesystem, pafs.LocalFileSystem)

    def identity(self, contents: str) -> str:
        """The same while the file is: ``contents`` is a digest of what is cheap to read of it."""
        return digest(self.name, self.size, self.modified, contents)

    def described(self, kind: str, rows: int | None, contents: str) -> dict[str, Any]:
        """The file, for reports."""
        identity = self.identity(contents)
        return described(kind, path=self.name, size=self.size, rows=rows, digest=identity)

    def unreadable(self, error: Exception, what: str = "cannot be read") -> InputError:
        return InputError(f"{self.name} {what}: {first_line(error)}")


def first_line(error: Exception) -> str:
    """What an error says, on one line."""
    if isinstance(error, FileNotFoundError):
        return "no such file"
    text = str(error).strip() or type(error).__name__
    return text.splitlines()[0]


def find_files(data: str | os.PathLike[str] | Sequence[Any], filesystem: Any = None) -> list[File]:
    """The files that are meant by a path, a URL, a glob, a folder or a list of them, by name.

    Raises:
        InputError: if there are none, or they cannot be reached.
    """
    named = [data] if isinstance(data, str | os.PathLike) else list(data)
    found = [file for one in named for file in _found(os.fspath(one), filesystem)]
    if not found:
        raise InputError("the list of paths is empty: name a file, a folder or a glob")
    return list({file.path: file for file in found}.values())


def file_format(file: File) -> str | None:
    """``'parquet'``, ``'csv'`` or ``'ipc'``, by the name of a file or by its first bytes."""
    path = Path(file.path.lower())
    suffix = Path(path.stem).suffix if path.suffix in PACKED else path.suffix
    if suffix in _SUFFIXES:
        return _SUFFIXES[suffix]
    try:
        with file.filesystem.open_input_file(file.path) as opened:
            return _MAGIC.get(opened.read(4))
    except READ_ERRORS as error:
        raise file.unreadable(error) from error


def _found(text: str, filesystem: Any) -> list[File]:
    """The files that one name means."""
    try:
        if filesystem is None and "://" not in text:
            return _on_this_machine(text)
        base, rest = _split(text)
        system, path = _system(base, filesystem)
        return _listed(_public(text), system, path, rest)
    except InputError:
        raise
    except READ_ERRORS as error:
        raise InputError(f"{_public(text)} cannot be read: {first_line(error)}") from error


def _public(text: str) -> str:
    """A URL without its query and its user, which may be secrets."""
    if "://" not in text:
        return text
    return re.sub(r"(?<=://)[^/@]*@", "", text.partition("?")[0])


def _on_this_machine(text: str) -> list[File]:
    system = pafs.LocalFileSystem()
    path = os.path.expanduser(text)
    if os.path.isdir(path):
        return _tables_below(text, system, os.path.abspath(path))
    if os.path.exists(path):
        names = [path]
    elif _WILD.search(path):
        names = sorted(name for name in glob.glob(path, recursive=True) if os.path.isfile(name))
        if not names:
            raise InputError(f"{text}: no file is called so")
    else:
        raise InputError(f"{text}: no such file or folder")
    infos = system.get_file_info([os.path.abspath(name) for name in names])
    return [_file(info, name, system) for info, name in zip(infos, names, strict=True)]


def _split(text: str) -> tuple[str, str]:
    """A name before the folder in which wildcards begin, and from there on.

    A URL may have a query, which is of the file system: ``s3://bucket/*.parquet?region=eu-west-1``.
    """
    scheme, separator, path = text.partition("://") if "://" in text else ("", "", text)
    path, mark, query = path.partition("?") if separator else (path, "", "")
    wild = _WILD.search(path)
    at = path.rfind("/", 0, wild.start()) + 1 if wild else len(path)
    return scheme + separator + path[:at] + mark + query, path[at:]


def _system(base: str, filesystem: Any) -> tuple[pafs.FileSystem, str]:
    """The file system of pyarrow and the path in it."""
    if filesystem is not None:
        if not isinstance(filesystem, pafs.FileSystem):
            filesystem = pafs.PyFileSystem(pafs.FSSpecHandler(filesystem))
        return filesystem, base.partition("://")[2] or base
    try:
        return pafs.FileSystem.from_uri(base)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        return _system_of_fsspec(base, error)


def _system_of_fsspec(base: str, unknown: Exception) -> tuple[pafs.FileSystem, str]:
    try:
        import fsspec
    except ImportError:
        raise InputError(
            f"{_public(base)}: {first_line(unknown)}; other file systems need fsspec: "
            "pip install fsspec"
        ) from None
    system, path = fsspec.core.url_to_fs(base)
    return pafs.PyFileSystem(pafs.FSSpecHandler(system)), path


def _listed(text: str, system: pafs.FileSystem, path: str, rest: str) -> list[File]:
    """The files of a path, or those below it that match the rest of a glob."""
    if rest:
        folder, pattern = path.rstrip("/") or "/", re.compile(_regular(rest))
        infos = _below(system, folder)
        found = [info for info in infos if pattern.fullmatch(_inside(info.path, folder))]
        if not found:
            raise InputError(f"{text}: no file is called so")
        return [_file(info, _shown(text, info.path), system) for info in found]
    info = system.get_file_info(path)
    if info.type == pafs.FileType.Directory:
        return _tables_below(text, system, path)
    if info.type == pafs.FileType.NotFound:
        raise InputError(f"{text}: no such file or folder")
    return [_file(info, text, system)]


def _tables_below(text: str, system: pafs.FileSystem, folder: str) -> list[File]:
    """The tables in a folder and those in it; names with ``_`` or ``.`` at their start are not."""
    files = []
    for info in _below(system, folder):
        inside = _inside(info.path, folder)
        if not any(step.startswith(("_", ".")) for step in inside.split("/")):
            files.append(_file(info, f"{text.rstrip('/')}/{inside}", system))
    tables = [file for file in files if file_format(file)]
    if not tables:
        raise InputError(f"{text}: there are no tables in this folder (.parquet, .csv, .arrow)")
    return tables


def _below(system: pafs.FileSystem, folder: str) -> list[pafs.FileInfo]:
    infos = system.get_file_info(pafs.FileSelector(folder, recursive=True))
    return sorted((i for i in infos if i.type == pafs.FileType.File), key=lambda info: info.path)


def _inside(path: str, folder: str) -> str:
    """A path from a folder on; whether the root is written depends on the file system."""
    return path.strip("/").removeprefix(folder.strip("/")).strip("/")


def _shown(text: str, path: str) -> str:
    """A path with the scheme of the name by which it was found."""
    scheme, separator, _ = text.partition("://")
    return scheme + separator + path.lstrip("/") if separator else path


def _file(info: pafs.FileInfo, name: str, system: pafs.FileSystem) -> File:
    size = info.size if info.size is not None else 0
    return File(info.path, name, size, info.mtime_ns, tuple(_keys(name)), system)


def _keys(name: str) -> Iterator[tuple[str, str | None]]:
    """The columns that the folders of a path give."""
    for step in re.split(r"[/\\]", name)[:-1]:
        key, equals, value = step.partition("=")
        if key and equals:
            yield unquote(key), None if value == _NULL else unquote(value)


def _regular(pattern: str) -> str:
    """A glob as a regular expression: ``**`` is any number of folders."""
    made = ""
    for token in re.findall(r"\*\*/|\*\*|\*|\?|\[[^\]]+\]|.", pattern):
        match token:
            case "**/":
                made += "(?:.*/)?"
            case "**":
                made += ".*"
            case "*":
                made += "[^/]*"
            case "?":
                made += "[^/]"
            case _ if len(token) > 1:
                made += token.replace("[!", "[^")
            case _:
                made += re.escape(token)
    return made


def key_columns(files: Sequence[File]) -> pa.Schema:
    """The columns that folders give to all of these files.

    Raises:
        InputError: if some files have others.
    """
    names = [key for key, _ in files[0].keys]
    for file in files:
        if sorted(key for key, _ in file.keys) != sorted(names):
            raise InputError(
                f"{file.name} is in folders of {[key for key, _ in file.keys]}, and "
                f"{files[0].name} of {names}: a table's files have the same keys"
            )
    values = {name: [dict(file.keys)[name] for file in files] for name in names}
    return pa.schema([(name, _key_type(values[name])) for name in names])


def _key_type(values: Iterable[str | None]) -> pa.DataType:
    if all(value is None or re.fullmatch(r"-?\d{1,18}", value) for value in values):
        return pa.int64()
    return pa.dictionary(pa.int32(), pa.string())


def key_values(file: File, schema: pa.Schema, own: Sequence[str]) -> dict[str, pa.Scalar]:
    """The values that a file's folders give to columns that are not its own."""
    return {
        key: _key_value(value, schema.field(key).type) for key, value in file.keys if key not in own
    }


def _key_value(value: str | None, kind: pa.DataType) -> pa.Scalar:
    if pa.types.is_dictionary(kind):
        return pa.scalar(value, kind.value_type)
    return pa.scalar(value).cast(kind)


def all_of(reading: Callable[[File], T], files: Sequence[File]) -> list[T]:
    """What is read of each file, of several at a time."""
    if len(files) == 1:
        return [reading(files[0])]
    with ThreadPoolExecutor(_READERS) as readers:
        return list(readers.map(reading, files))
