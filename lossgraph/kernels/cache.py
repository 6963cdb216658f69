"""Libraries that were built, in the user's cache folder: by what they are built from, and for.

A library's name is a digest of all that it depends on, so that none is ever wrong, and a folder
may be shared by machines. Processes need no lock: a library appears whole under its name.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from .folders import (
    CacheError,
    cache_folder,
    can_write,
    check_folder,
    check_library,
    is_executable,
    private_folder,
)
from .processor import processor
from .targets import NATIVE, suffix
from .toolchain import (
    BUILD_PREFIX,
    SOURCES,
    BuildError,
    NoCompilerError,
    Toolchain,
    build,
    compile_flags,
    settle,
)

MOST_BYTES = 256 << 20
_ABANDONED = 3600.0  # seconds after which the folder of a build is one of a process that died
_SCRATCH = ".compiler"  # the folder of what zig keeps between builds
_VERDICTS = "onnxruntime-*.json"  # whether a release can be trusted with kernels
_ENDINGS = (".so", ".dylib", ".dll")

_failed: dict[str, str] = {}


class _Locks:
    """One lock a library; in a forked process there is nobody to give the parent's back."""

    def __init__(self) -> None:
        self.reset()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self.reset)

    def reset(self) -> None:
        self._all = threading.Lock()
        self._by_name: dict[str, threading.Lock] = {}

    def of(self, name: str) -> threading.Lock:
        with self._all:
            return self._by_name.setdefault(name, threading.Lock())


_LOCKS = _Locks()


@dataclass(frozen=True)
class CacheInfo:
    """What a cache folder is like.

    Attributes:
        folder: where it is, there or not.
        libraries: how many there are.
        size: their bytes.
        most: the bytes that it is kept below.
        problem: why nothing is loaded from it or written to it; empty if all is well.
    """

    folder: Path
    libraries: int
    size: int
    most: int
    problem: str


def library(text: str, toolchain: Toolchain | None, target: str = NATIVE) -> Path:
    """The library of a translation unit: found in the cache, or built now.

    Where the folder cannot be written, or the system loads nothing from it, the library is built
    in a folder of this process. A build that failed is not tried again in this process.

    Args:
        text: the translation unit.
        toolchain: what builds it; None for a library that any compiler has built here.
        target: as ``build`` has it.

    Raises:
        BuildError: with what the compiler says.
        CacheError: if others could write to the folder, or there is nowhere to build.
        NoCompilerError: if there is no compiler and no library.
    """
    if toolchain is None:
        return _built_before(text, target)
    name = library_name(text, toolchain, target)
    with _LOCKS.of(name):
        if name in _failed:
            raise BuildError(_failed[name])
        found = _find(name, _loadable())
        return found or _make(name, text, toolchain, target)


def _built_before(text: str, target: str) -> Path:
    folder, digest = _loadable(), _digest(_source_parts(text, target))
    if folder is not None and (target != NATIVE or processor() is not None):
        for path in sorted(folder.glob(f"{digest}-*{suffix(target)}")):
            found = _find(path.name, folder)
            if found is not None:
                return found
    raise NoCompilerError


def library_name(text: str, toolchain: Toolchain, target: str = NATIVE) -> str:
    """The name of a library's file: digests of the source and of what builds it.

    Raises:
        BuildError: if the toolchain does not build for the target.
    """
    flags = compile_flags(toolchain, target)
    builder = [*toolchain.command, toolchain.version, *flags, toolchain.macros]
    return f"{_digest(_source_parts(text, target))}-{_digest(builder)}{suffix(target)}"


def _source_parts(text: str, target: str) -> list[str]:
    """All but the compiler that decides what a library is: also for which processor."""
    from .. import __version__

    headers = sorted(SOURCES.glob("*.[ch]"))
    sources = [part for path in headers for part in (path.name, path.read_text("utf-8"))]
    own = processor() or "" if target == NATIVE else ""
    return [__version__, target, own, text, *sources]


def _digest(parts: Sequence[str]) -> str:
    lengths = "".join(f"{len(part)}," for part in parts)  # so that parts cannot run together
    return hashlib.sha256("".join([lengths, *parts]).encode()).hexdigest()[:32]


def kept(content: bytes, ending: str) -> Path:
    """A library that comes from elsewhere, in a folder where nobody else can change it.

    Args:
        content: of the library, which the caller trusts.
        ending: how the names of libraries end, with the dot.

    Raises:
        CacheError: if there is no folder for it.
    """
    name = f"{hashlib.sha256(content).hexdigest()[:32]}{ending}"
    found = _find(name, _loadable())
    if found is None or found.read_bytes() != content:
        folder = writable_folder()
        found = folder / name
        with tempfile.TemporaryDirectory(prefix=BUILD_PREFIX, dir=folder) as aside:
            made = Path(aside) / name
            made.write_bytes(content)
            settle(made)
            made.replace(found)
        trim(folder, found)
    return found


def _find(name: str, folder: Path | None) -> Path | None:
    """A library that is there and safe to load, marked as used now."""
    if folder is None:
        return None
    path = folder / name
    try:
        check_library(path)
    except (FileNotFoundError, PermissionError):
        return None
    with suppress(OSError):  # a folder that is only read
        os.utime(path)
    return path


def _make(name: str, text: str, toolchain: Toolchain, target: str) -> Path:
    folder = writable_folder()
    found = _find(name, folder)
    if found is not None:  # in the folder of this process
        return found
    path = folder / name
    try:
        build(text, toolchain, path, target, scratch=folder / _SCRATCH)
    except BuildError as error:
        _failed[name] = str(error)
        raise
    trim(folder, path)
    return path


def _loadable() -> Path | None:
    """The cache folder, if it is there and the system loads libraries from it."""
    folder = cache_folder()
    if not os.path.isdir(folder):  # which says False of what it may not look at
        return None
    check_folder(folder)
    return folder if is_executable(folder) else None


def writable_folder() -> Path:
    """The folder to build in: the cache folder, or else one of this process.

    Raises:
        CacheError: if others could write to it, or there is none.
    """
    folder = cache_folder()
    if can_write(folder):
        check_folder(folder)
        if is_executable(folder):
            return folder
    folder = private_folder()
    check_folder(folder)
    if not is_executable(folder):
        raise CacheError(
            f"the system loads no libraries from {cache_folder()} and {folder} (mounted noexec): "
            "set LOSSGRAPH_CACHE to a folder elsewhere"
        )
    return folder


def trim(folder: Path, keep: Path | None = None, most: int | None = None) -> None:
    """Remove the libraries that were not used for longest, until the folder is small enough."""
    found = sorted(_libraries(folder), key=lambda item: item[1].st_mtime_ns)
    size = sum(stat.st_size for _, stat in found)
    for path, stat in found:
        if size <= (MOST_BYTES if most is None else most):
            break
        if path != keep:
            with suppress(OSError):  # Windows keeps what is in use
                path.unlink()
                size -= stat.st_size
    _remove_builds(folder, _ABANDONED)


def info() -> CacheInfo:
    """What the user's cache folder is like; nothing is made or removed."""
    folder = cache_folder()
    sizes = [stat.st_size for _, stat in _libraries(folder)]
    return CacheInfo(folder, len(sizes), sum(sizes), MOST_BYTES, _state(folder))


def _state(folder: Path) -> str:
    nearest = next(path for path in (folder, *folder.parents) if os.path.isdir(path))
    try:
        check_folder(nearest)
    except CacheError as error:
        return str(error)
    if not is_executable(nearest):
        return "the system loads no libraries from there (mounted noexec)"
    if not os.access(nearest, os.W_OK | os.X_OK):
        return "it cannot be written: each process builds its own kernels"
    return ""


def clear() -> int:
    """Remove all that is kept in the user's cache folder; how many bytes libraries had.

    Raises:
        CacheError: if one cannot be removed.
    """
    removed = 0
    for path, stat in _libraries(cache_folder()):
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise CacheError(f"{path} cannot be removed: {error.strerror}") from error
        removed += stat.st_size
    for path in cache_folder().glob(_VERDICTS):
        path.unlink(missing_ok=True)
    shutil.rmtree(cache_folder() / _SCRATCH, ignore_errors=True)
    _remove_builds(cache_folder(), 0.0)
    return removed


def _libraries(folder: Path) -> list[tuple[Path, os.stat_result]]:
    found = []
    with suppress(OSError):
        for path in folder.iterdir():
            if path.suffix in _ENDINGS:
                with suppress(OSError):  # another process may remove it meanwhile
                    found.append((path, path.lstat()))
    return found


def _remove_builds(folder: Path, age: float) -> None:
    """Remove what processes left that died while they built."""
    with suppress(OSError):
        for path in folder.glob(f"{BUILD_PREFIX}*"):
            if time.time() - path.lstat().st_mtime > age:
                shutil.rmtree(path, ignore_errors=True)
