"""C compilers: which one of this machine is used, with which flags, and how it is run.

``CC`` of the environment is obeyed; else the compiler of ziglang's wheel, which needs nothing of
the system, and then ``cc``, ``gcc`` and ``clang``.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import importlib.util
import os
import platform
import re
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..errors import LossgraphError
from .processes import run_process
from .processor import processor
from .targets import NATIVE, TARGETS, WIDE_VECTORS, Target, here, suffix, target_flags

SOURCES = Path(__file__).parent / "sources"  # of headers
BUILD_PREFIX = ".build-"  # of folders that are gone when a build ends
BUILDING = 300.0  # seconds that a build may take
# Never fast-math: NaN and infinities are values of losses.
FLAGS = (
    "-O3", "-std=gnu11", "-shared", "-fvisibility=hidden", "-fno-math-errno",
    "-fno-trapping-math", "-ffp-contract=fast", "-w",
)  # fmt: skip
NAMES = ("ziglang", "cc", "gcc", "clang")  # in the order in which they are preferred
_OLDEST = {"gcc": 9, "clang": 9}  # with vectors, their conversions and shuffles
_MAJOR = {"gcc": "__GNUC__", "clang": "__clang_major__"}

_ASKING = 20.0  # seconds
_X86 = ("x86_64", "amd64")
_ARM = ("aarch64", "arm64")
_MAGIC = (b"\x7fELF", b"MZ", b"\xcf\xfa\xed\xfe")  # of Linux, Windows and macOS
_SYSTEMS = {"linux": "__linux__", "darwin": "__APPLE__", "win32": "_WIN32"}
_MACHINES = {"__x86_64__": _X86, "__aarch64__": _ARM}


class ToolchainError(LossgraphError):
    """The compiler that was asked for is not there, or does not work."""


class NoCompilerError(ToolchainError):
    """A machine without a compiler: what brings one."""

    def __init__(self) -> None:
        super().__init__(
            "there is no C compiler here: pip install 'lossgraph[kernels]' brings one, and "
            "`lossgraph doctor` says what was looked for"
        )


class BuildError(LossgraphError):
    """A compiler that does not compile a kernel."""


@dataclass(frozen=True)
class Toolchain:
    """A compiler that answered.

    Attributes:
        name: ``CC``, or one of ``NAMES``.
        command: how it is called, an absolute path first.
        family: whose flags it takes: ``zig``, ``gcc`` or ``clang``.
        version: what it says of itself.
        native: the flags for the processor of this machine, those that it takes.
        macros: a digest of what it defines with them; empty if it was not asked.
    """

    name: str
    command: tuple[str, ...]
    family: str
    version: str
    native: tuple[str, ...]
    macros: str = ""

    def __str__(self) -> str:
        return f"{shlex.join(self.command)} ({self.version})"


@dataclass(frozen=True)
class Candidate:
    """A compiler that was looked for: the toolchain, or why it is none."""

    name: str
    toolchain: Toolchain | None
    problem: str = ""


def find(preferred: str | None = None) -> Toolchain | None:
    """The compiler to use, or None if the machine has none.

    Args:
        preferred: one of ``NAMES``, which then has to be there.

    Raises:
        ToolchainError: if ``preferred``, or ``CC`` of the environment, does not work.
    """
    asked = preferred is not None or _from_environment() is not None
    for candidate in candidates() if preferred is None else [_look(preferred)]:
        if candidate.toolchain is not None:
            return candidate.toolchain
        if asked:
            raise ToolchainError(candidate.problem)
    return None


def find_for(targets: Sequence[str]) -> Toolchain:
    """The compiler to use for targets other than this machine: the preferred one of those that can.

    Raises:
        BuildError: for a target that there is not.
        ToolchainError: if there is none that builds for all of them.
    """
    wanted = {name: _target(name) for name in targets}
    missing = list(wanted)
    for candidate in (*candidates(), _look("ziglang")):
        found = candidate.toolchain
        if found is None:
            continue
        others = [n for n, target in wanted.items() if target_flags(found.family, target) is None]
        if not others:
            return found
        missing = [name for name in missing if name in others]
    raise ToolchainError(
        f"no C compiler here builds for {', '.join(missing or targets)}: ziglang's does, "
        "pip install 'lossgraph[kernels]'"
    )


def candidates() -> Iterator[Candidate]:
    """The compilers in the order in which they are preferred; with ``CC`` that one alone."""
    if _from_environment() is not None:
        yield _look("CC")
    else:
        yield from map(_look, NAMES)


def _from_environment() -> str | None:
    return os.environ.get("CC", "").strip() or None


def _look(name: str) -> Candidate:
    if name == "ziglang":
        return _ziglang()
    if name == "CC":
        return _named_by_environment(_from_environment() or "")
    if name not in NAMES:
        raise ToolchainError(f"compiler {name!r}: expected one of {', '.join(NAMES)}")
    return _on_path(name, (name,), f"there is no {name} on the PATH")


def _ziglang() -> Candidate:
    """The wheel's compiler: its version is known without a process."""
    try:
        spec = importlib.util.find_spec("ziglang")
        version = importlib.metadata.version("ziglang") if spec else ""
    except (ImportError, ValueError):
        spec = None
    places = (spec.submodule_search_locations if spec else None) or ()
    for place in places:
        zig = Path(place) / ("zig.exe" if sys.platform == "win32" else "zig")
        if zig.is_file():
            return _wheel((str(zig), "cc"), version)
    return Candidate("ziglang", None, "ziglang is not installed: pip install 'lossgraph[kernels]'")


def _wheel(command: tuple[str, ...], version: str) -> Candidate:
    if processor() is None:  # then the compiler has to say for which one it builds
        return _on_path("ziglang", command, f"there is no {command[0]}")
    native = ("-mcpu=native", *_wide_vectors())
    return Candidate("ziglang", Toolchain("ziglang", command, "zig", f"ziglang {version}", native))


def _named_by_environment(text: str) -> Candidate:
    try:
        command = _split(text)
    except ValueError as error:
        return Candidate("CC", None, f"CC={text}: {error}")
    found = _on_path("CC", command, f"there is no {command[0]}")
    return found if found.toolchain else Candidate("CC", None, f"CC={text}: {found.problem}")


def _split(text: str) -> tuple[str, ...]:
    """A command and its arguments; backslashes are no escapes where paths have them."""
    if Path(text).is_file():
        return (text,)
    if os.name == "nt":
        return tuple(part.strip('"') for part in shlex.split(text, posix=False))
    return tuple(shlex.split(text))


def _on_path(name: str, command: tuple[str, ...], missing: str) -> Candidate:
    path = shutil.which(command[0])
    if path is None:
        return Candidate(name, None, missing)
    try:
        return Candidate(name, _ask(name, (os.path.abspath(path), *command[1:])))
    except ToolchainError as error:
        return Candidate(name, None, str(error))


def _once(function: Callable[[str, tuple[str, ...]], Toolchain]) -> Callable[..., Toolchain]:
    """A compiler is asked once a process, one that does not answer too."""

    @functools.cache
    def asked(name: str, command: tuple[str, ...]) -> Toolchain | ToolchainError:
        try:
            return function(name, command)
        except ToolchainError as error:
            return error

    def answer(name: str, command: tuple[str, ...]) -> Toolchain:
        found = asked(name, command)
        if isinstance(found, ToolchainError):
            raise ToolchainError(str(found))
        return found

    return answer


@_once
def _ask(name: str, command: tuple[str, ...]) -> Toolchain:
    """The toolchain of a command, from what it defines: of macros no translation has another word.

    Raises:
        ToolchainError: if it is no compiler, or not one for this machine.
    """
    if _needs_installing(command[0]):
        raise ToolchainError(
            f"{command[0]} needs Apple's command line tools: xcode-select --install"
        )
    native = _native_flags()
    macros, problem = _macros(command, native)
    if macros is None and native:
        native = ()
        macros, problem = _macros(command, native)
    if macros is None:
        raise ToolchainError(f"{shlex.join(command)} does not work: {problem}")
    family, version = _family(command, macros)
    digest = hashlib.sha256("\n".join(f"{k} {v}" for k, v in sorted(macros.items())).encode())
    return Toolchain(name, command, family, version, native, digest.hexdigest())


def _needs_installing(path: str) -> bool:
    """Whether it is macOS's placeholder, which opens a window when it is called."""
    if sys.platform != "darwin" or os.path.dirname(path) != "/usr/bin":
        return False
    return run_process(("/usr/bin/xcode-select", "-p"), None, _ASKING).code != 0


def _macros(command: tuple[str, ...], flags: tuple[str, ...]) -> tuple[dict[str, str] | None, str]:
    """What a compiler defines, or None and why it does not say it."""
    done = run_process((*command, *flags, "-E", "-dM", "-x", "c", "-"), None, _ASKING)
    found = dict(re.findall(r"^#define (\w+) ?(.*)$", done.output, re.MULTILINE))
    if done.code == 0 and found:
        return found, ""
    return None, done.problem or "it says nothing of itself"


def _family(command: tuple[str, ...], macros: dict[str, str]) -> tuple[str, str]:
    """Whose flags a compiler takes, and its version."""
    shown = shlex.join(command)
    if not _is_for_this_machine(macros):
        raise ToolchainError(f"{shown} compiles for another machine than {platform.machine()}")
    family = "clang" if _MAJOR["clang"] in macros else "gcc"  # Clang defines GCC's as well
    if _MAJOR[family] not in macros:
        raise ToolchainError(f"{shown} is neither GCC nor Clang, whose vectors kernels need")
    major = macros[_MAJOR[family]]
    number = macros.get("__VERSION__", major).strip('"')
    version = number if family == "clang" else f"GCC {number}"
    if int(major) < _OLDEST[family]:
        raise ToolchainError(f"{shown} is {version}: {_OLDEST[family]} is the oldest that will do")
    is_zig = len(command) > 1 and command[-1] == "cc"  # it says that it is Clang
    return ("zig" if is_zig else family), version


def _is_for_this_machine(macros: dict[str, str]) -> bool:
    machine = platform.machine().lower()
    wrong = any((macro in macros) != (machine in machines) for macro, machines in _MACHINES.items())
    pointer = 8 if sys.maxsize > 2**32 else 4
    same_width = macros.get("__SIZEOF_POINTER__", str(pointer)) == str(pointer)
    return not wrong and same_width and _SYSTEMS.get(sys.platform, "") in {"", *macros}


def _native_flags() -> tuple[str, ...]:
    machine = platform.machine().lower()
    if machine in _X86:
        return ("-march=native", *_wide_vectors())
    return ("-mcpu=native",) if machine in _ARM else ()


def _wide_vectors() -> tuple[str, ...]:
    return (WIDE_VECTORS,) if platform.machine().lower() in _X86 else ()


def build(
    text: str,
    toolchain: Toolchain,
    path: Path,
    target: str = NATIVE,
    timeout: float = BUILDING,
    scratch: Path | None = None,
) -> None:
    """Compile a C text to a library: ``path`` is written whole, or not at all.

    Args:
        text: a translation unit, which includes what is in ``SOURCES``.
        toolchain: from ``find``.
        path: of the library, in a folder that exists.
        target: ``native``, for this machine alone, or a name of ``TARGETS``.
        timeout: seconds after which the compiler is killed.
        scratch: where a compiler may keep what it needs for further builds; None for where it
            does so by itself.

    Raises:
        BuildError: with what the compiler says, or if it does not build for the target.
    """
    steps = list(_steps(toolchain, target))
    try:
        with tempfile.TemporaryDirectory(prefix=BUILD_PREFIX, dir=path.parent) as name:
            made = Path(name) / f"kernel{suffix(target)}"
            made.with_suffix(".c").write_text(text, encoding="utf-8")
            for step in steps:
                _compile([*toolchain.command, *step], made.parent, timeout, scratch)
            _check_library(made)
            settle(made)
            made.replace(path)
    except BuildError as error:
        raise BuildError(f"{toolchain} cannot build a kernel: {error}") from None
    except OSError as error:
        raise BuildError(f"no kernel can be built in {path.parent}: {error}") from error


def _compile(command: Sequence[str], folder: Path, timeout: float, scratch: Path | None) -> None:
    problem = run_process(command, folder, timeout, _environment(folder, scratch)).problem
    if problem:
        raise BuildError(problem)


def _steps(toolchain: Toolchain, target: str) -> Iterator[list[str]]:
    """The arguments of each call of the compiler: an object for each level, then the library."""
    sources = ["-I", str(SOURCES), "kernel.c"]
    objects = []
    levels = () if target == NATIVE else _target(target).levels
    for level, alone in levels:
        objects.append(f"level_{level}.o")
        flags = [flag for flag in compile_flags(toolchain, alone) if not _is_for_linking(flag)]
        yield [*flags, f"-DLG_LEVEL={level}", "-c", "-o", objects[-1], *sources]
    chosen = ["-DLG_LEVELS"] if levels else []
    flags = [*compile_flags(toolchain, target), *chosen]
    yield [*flags, "-o", f"kernel{suffix(target)}", *sources, *objects, *_libraries(target)]


def _is_for_linking(flag: str) -> bool:
    return flag in ("-shared", "-s") or flag.startswith("-Wl,")


def _target(name: str) -> Target:
    if name not in TARGETS:
        raise BuildError(f"target {name!r}: expected one of {', '.join([NATIVE, *TARGETS])}")
    return TARGETS[name]


def compile_flags(toolchain: Toolchain, target: str = NATIVE) -> tuple[str, ...]:
    """All flags that decide what a library becomes.

    Raises:
        BuildError: if the toolchain does not build for the target.
    """
    if target == NATIVE:
        system, own = here(), toolchain.native
    else:
        system = _target(target).system
        found = target_flags(toolchain.family, _target(target))
        if found is None:
            raise BuildError(
                f"{toolchain} does not build for {target}: "
                "ziglang does, pip install 'lossgraph[kernels]'"
            )
        own = found
    position = () if system == "windows" else ("-fPIC",)
    # ONNX Runtime loads libraries with their names for all: each is to use its own.
    linking = ("-s", "-Wl,-Bsymbolic") if system == "linux" else ()
    return (*FLAGS, *position, *own, *linking)


def _libraries(target: str) -> tuple[str, ...]:
    system = here() if target == NATIVE else TARGETS[target].system
    return () if system == "windows" else ("-lm",)


def _environment(folder: Path, scratch: Path | None) -> dict[str, str]:
    """Where compilers leave what they need for a while: homes may be read-only."""
    places = dict.fromkeys(("TMPDIR", "TMP", "TEMP", "ZIG_LOCAL_CACHE_DIR"), folder)
    if scratch is not None and not os.environ.get("ZIG_GLOBAL_CACHE_DIR"):
        places["ZIG_GLOBAL_CACHE_DIR"] = scratch  # zig's own libraries, 50 MB
    return {name: str(place) for name, place in places.items()}


def _check_library(path: Path) -> None:
    """Refuse what is no library, which a loader might not survive."""
    if not path.is_file():
        raise BuildError("it wrote nothing")
    with path.open("rb") as file:
        if not file.read(4).startswith(_MAGIC):
            raise BuildError("what it wrote is no library")


def settle(path: Path) -> None:
    """Make a file ours alone, and have it on the disk before its name is."""
    path.chmod(0o700)
    with path.open("rb") as file:
        os.fsync(file.fileno())
