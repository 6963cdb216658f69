"""Writing files so that a reader sees the old content or the new, never a part."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from ..errors import InputError

Content = bytes | Path | Callable[[Path], None]  # what is to be in a file


def write_files(
    folder: Path, files: Mapping[str, Content], remove: Iterable[str] = ()
) -> list[Path]:
    """Write files below a folder, all of them or none.

    Everything is written under temporary names beside its place first; only when all of it is
    on the disk do the names change.

    Args:
        folder: made if it is not there.
        files: content by path below the folder, or a file to copy, or what writes the file that it
            is given.
        remove: paths below the folder of files to delete, if they are there, before the last file
            is written.

    Raises:
        InputError: if the folder is a file, or the system refuses to write.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is a file: give a folder to write into")
    waiting: dict[Path, Path] = {}
    try:
        _sweep({folder / name for name in (*files, *remove)})
        for name, content in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            waiting[path] = _write_aside(path, content)
        for path in waiting:
            if path.is_dir():  # the one thing that would stop the renaming half-way
                raise InputError(f"{path} is a folder where a file is to be written: move it away")
        *others, last = waiting or [folder]
        for path in others:
            os.replace(waiting[path], path)
        for name in remove:
            (folder / name).unlink(missing_ok=True)
        if waiting:  # the last one may say that all the others are there
            os.replace(waiting[last], last)
    except OSError as error:
        raise _cannot_write(folder, error) from error
    finally:
        for path, aside in waiting.items():
            _remove(_name_aside(path) if aside.parent != path.parent else aside)
    return list(waiting)


def write_file(path: Path, content: bytes) -> Path:
    """Write one file, whole or not at all.

    Raises:
        InputError: if the path is a folder, or the system refuses to write.
    """
    if path.is_dir():
        raise InputError(f"{path} is a folder: give the name of a file to write")
    return write_files(path.parent, {path.name: content})[0]


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Where to write, for as long as it takes, what is to be at a path: a file or a folder.

    It gets its name when all went well, and is deleted otherwise.

    Raises:
        InputError: if the path is a folder with something in it, or the system refuses to write.
    """
    if path.is_dir() and any(path.iterdir()):
        raise InputError(f"{path} is a folder that is not empty: give another name")
    aside = _name_aside(path)
    try:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _sweep([path])
            aside.mkdir(exist_ok=True)
        except OSError as error:
            raise _cannot_write(path.parent, error) from error
        yield aside / path.name
        try:
            os.replace(aside / path.name, path)
        except OSError as error:
            raise _cannot_write(path.parent, error) from error
    finally:
        _remove(aside)


def _cannot_write(folder: Path, error: OSError) -> InputError:
    return InputError(f"cannot write into {folder}: {error.strerror or error}")


def leftovers(paths: Iterable[Path]) -> list[tuple[Path, int]]:
    """Files that wait to become one of these, with the number of the process that wrote each."""
    names: dict[Path, set[str]] = {}
    for path in paths:
        names.setdefault(path.parent, set()).add(path.name)
    found = []
    for folder, known in names.items():
        for left in sorted(folder.glob(".*.tmp")) if folder.is_dir() else ():
            match = re.fullmatch(r"\.(.+)\.(\d+)\.tmp", left.name)
            if match and match[1] in known:
                found.append((left, int(match[2])))
    return found


def _sweep(paths: Iterable[Path]) -> None:
    """Delete what processes that ended before they could rename it have left beside files."""
    for left, process in leftovers(paths):
        if not _runs(process):
            _remove(left)


def _runs(process: int) -> bool:
    """Whether a process runs; where that cannot be asked, any other than this is taken to."""
    if os.name != "posix" or process == os.getpid():
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):  # another user's, or no number of a process
        return True
    return True


def _write_aside(path: Path, content: Content) -> Path:
    """Write what is to be at a path beside it, and where that is.

    What writes files itself does so in a folder of its own: it may have other names for what is
    not complete.
    """
    aside = _name_aside(path)
    try:
        if callable(content):
            aside.mkdir(exist_ok=True)
            content(aside / path.name)
            return aside / path.name
        if isinstance(content, Path):
            shutil.copyfile(content, aside)
        else:
            aside.write_bytes(content)
    except BaseException:
        _remove(aside)
        raise
    return aside


def _name_aside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.tmp")


def _remove(path: Path) -> None:
    """Delete a file, or a folder with all that is in it."""
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
