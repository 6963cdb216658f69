"""Folders that libraries are loaded from: the user's own, which nobody else can write.

Whoever can write a library, or put another folder in the place of the one it lies in, runs code
as the user who loads it.
"""

from __future__ import annotations

import atexit
import functools
import os
import shutil
import stat
import sys
import tempfile
from pathlib import Path

from ..errors import LossgraphError

_UNMAPPED = 65534  # whose files are those of users that a container does not know
_OTHER_CACHE = "set LOSSGRAPH_CACHE to a folder of your own"
_OTHERS = stat.S_IWGRP | stat.S_IWOTH


class CacheError(LossgraphError):
    """A folder or a library that is not safe to load code from, or nowhere to write one."""


def cache_folder() -> Path:
    """Where kernels are kept, there or not.

    Raises:
        CacheError: if ``LOSSGRAPH_CACHE`` is not an absolute path, or there is no home.
    """
    named = os.environ.get("LOSSGRAPH_CACHE", "")
    if not named:
        return _caches() / "lossgraph" / "kernels"
    if not os.path.isabs(os.path.expanduser(named)):
        raise CacheError(f"LOSSGRAPH_CACHE={named}: expected an absolute path")
    return Path(named).expanduser() / "kernels"


def _caches() -> Path:
    """The folder that the system has for caches."""
    for variable in ("LOCALAPPDATA",) if sys.platform == "win32" else ("XDG_CACHE_HOME",):
        if os.path.isabs(os.environ.get(variable, "")):  # others are to be ignored
            return Path(os.environ[variable])
    try:
        home = Path.home()
    except RuntimeError as error:
        raise CacheError(f"there is no home folder ({error}): set LOSSGRAPH_CACHE") from None
    return home / ("Library/Caches" if sys.platform == "darwin" else ".cache")


def check_folder(folder: Path) -> None:
    """Refuse a folder in which others could put a library, or in whose place another folder.

    Raises:
        CacheError: saying which folder, and who could.
    """
    real = folder.resolve()
    _check(real, folder, is_parent=False)
    for parent in real.parents:
        _check(parent, folder, is_parent=True)


def check_origin(path: Path) -> None:
    """Refuse a file beside which libraries lie, if others than this user and root can write them.

    The group of one's own that many systems give to each user may write.

    Raises:
        CacheError: saying who else could write.
    """
    real = path.resolve()
    for part in (real, *real.parents):
        _check(part, path.parent, True, "load it without its libraries")


def check_library(path: Path) -> None:
    """Refuse a library that others could write.

    Raises:
        CacheError: saying who could.
        FileNotFoundError: if there is none.
    """
    if not stat.S_ISREG(path.lstat().st_mode):
        raise CacheError(f"{path} is no file: remove it")
    _check(path, path, is_parent=False)


def _check(path: Path, loaded: Path, is_parent: bool, otherwise: str = _OTHER_CACHE) -> None:
    problem = _problem(path.lstat(), is_parent)
    if problem:
        raise CacheError(
            f"{path} {problem}, so no library is loaded from {loaded}: change that, or {otherwise}"
        )


def _problem(found: os.stat_result, is_parent: bool) -> str:
    """Who else could write, if somebody could."""
    if os.name != "posix":  # a profile is its user's, and modes say nothing
        return ""
    if found.st_uid not in (0, os.geteuid()) and not _is_unmapped(found.st_uid):
        return f"belongs to another user ({found.st_uid})"
    written = found.st_mode & _OTHERS
    if not written or (is_parent and _is_harmless(found, written)):
        return ""
    return f"can be written by others (mode {stat.S_IMODE(found.st_mode):04o})"


def _is_harmless(parent: os.stat_result, written: int) -> bool:
    """Whether nobody can rename what is ours there, and put something else in its place."""
    if parent.st_mode & stat.S_ISVTX:
        return True
    return written == stat.S_IWGRP and _is_private_group(parent.st_gid)


@functools.cache
def _is_private_group(group: int) -> bool:
    """Whether it is the group of one's own that many systems give to each user."""
    import grp
    import pwd

    try:
        user, entry = pwd.getpwuid(os.geteuid()), grp.getgrgid(group)
    except KeyError:
        return False
    own = entry.gr_name == user.pw_name and group == user.pw_gid
    return own and set(entry.gr_mem) <= {user.pw_name}


def _is_unmapped(user: int) -> bool:
    """Whether a container does not know the owner: the system's folders may be root's outside."""
    if user != _UNMAPPED:
        return False
    try:
        mapped = Path("/proc/self/uid_map").read_text().split()
    except OSError:
        return False
    return mapped[:3] != ["0", "0", str(2**32 - 1)]


def is_executable(folder: Path) -> bool:
    """Whether the file system lets libraries be loaded from a folder."""
    if not hasattr(os, "statvfs"):
        return True
    return not os.statvfs(folder).f_flag & getattr(os, "ST_NOEXEC", 0)


def can_write(folder: Path) -> bool:
    """Whether files can be made in a folder, which is made too."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def private_folder() -> Path:
    """A folder of this process alone, gone when it ends.

    Raises:
        CacheError: if there is no place for one.
    """
    return _private(os.getpid())


@functools.lru_cache(maxsize=1)
def _private(process: int) -> Path:
    """By process, so that the child of a fork has another one than its parent."""
    try:
        folder = Path(tempfile.mkdtemp(prefix="lossgraph-kernels-"))
    except OSError as error:
        raise CacheError(f"there is no folder to write kernels to: {error}") from None
    atexit.register(_remove, folder, process)
    return folder


def _remove(folder: Path, process: int) -> None:
    if os.getpid() == process:  # and not a child of it
        shutil.rmtree(folder, ignore_errors=True)
