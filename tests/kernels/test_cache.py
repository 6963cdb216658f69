"""The cache of libraries: what it takes for safe, what makes a library another one, its size."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from compilers import COMPILERS, TWICE, each_compiler, needs_compiler, posix, twice
from lossgraph.kernels import cache, folders, processor, toolchain
from lossgraph.kernels.folders import CacheError
from lossgraph.kernels.toolchain import BuildError, NoCompilerError, Toolchain

ANY = Toolchain("gcc", ("/usr/bin/gcc",), "gcc", "GCC 12", ("-march=native",), "macros")
as_root = pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can give files away"
)


@pytest.fixture(autouse=True)
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The user's cache folder, which is not there yet."""
    tmp_path.chmod(0o700)
    monkeypatch.setenv("LOSSGRAPH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "_failed", {})
    return tmp_path / "cache" / "kernels"


@pytest.fixture
def built(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The libraries that are built, by no compiler at all."""
    found: list[Path] = []

    def build(text: str, compiler: Toolchain, path: Path, *_: object, **__: object) -> None:
        if "fail" in text:
            found.append(path)
            raise BuildError("it does not compile")
        path.write_text(text)
        path.chmod(0o700)
        found.append(path)

    monkeypatch.setattr(cache, "build", build)
    return found


# --- where it is ---


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"LOSSGRAPH_CACHE": "/a"}, "/a/kernels"),
        ({"LOSSGRAPH_CACHE": "~/b"}, "/home/me/b/kernels"),
        ({"XDG_CACHE_HOME": "/x"}, "/x/lossgraph/kernels"),
        ({"XDG_CACHE_HOME": "relative"}, "/home/me/.cache/lossgraph/kernels"),
        ({}, "/home/me/.cache/lossgraph/kernels"),
    ],
)
def test_the_folder_is_where_the_system_keeps_caches(
    variables: dict[str, str], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    for name in ("LOSSGRAPH_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {"HOME": "/home/me", **variables}.items():
        monkeypatch.setenv(name, value)
    assert folders.cache_folder() == Path(expected)


@posix
def test_folders_of_other_systems(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LOSSGRAPH_CACHE")
    monkeypatch.setenv("HOME", "/Users/me")
    monkeypatch.setattr(sys, "platform", "darwin")
    assert folders.cache_folder() == Path("/Users/me/Library/Caches/lossgraph/kernels")
    monkeypatch.setenv("LOCALAPPDATA", "/local")
    monkeypatch.setattr(sys, "platform", "win32")
    assert folders.cache_folder() == Path("/local/lossgraph/kernels")


def test_a_relative_folder_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOSSGRAPH_CACHE", "here")
    with pytest.raises(CacheError, match="LOSSGRAPH_CACHE=here: expected an absolute path"):
        cache.library(TWICE, ANY)


# --- what is in it ---


@each_compiler
def test_a_library_is_built_once(compiler: Toolchain, folder: Path) -> None:
    path = cache.library(TWICE, compiler)
    assert path.parent == folder
    assert folder.stat().st_mode & 0o777 == 0o700
    assert twice(path, 4.0) == 8.0
    before = path.stat()
    assert cache.library(TWICE, compiler) == path
    assert path.stat().st_ino == before.st_ino


def test_a_failed_build_is_not_tried_again(built: list[Path]) -> None:
    for _ in range(3):
        with pytest.raises(BuildError, match="it does not compile"):
            cache.library("fail", ANY)
    assert len(built) == 1


def test_threads_build_a_library_once(built: list[Path]) -> None:
    threads = [threading.Thread(target=cache.library, args=(TWICE, ANY)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built) == 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there are no forks here")
def test_a_child_of_a_fork_waits_for_no_thread_of_its_parent(built: list[Path]) -> None:
    program = (
        "import os\n"
        "from pathlib import Path\n"
        "from lossgraph.kernels import cache\n"
        "lock = cache._LOCKS.of('a')\n"
        "lock.acquire(); cache._LOCKS._all.acquire()\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    with cache._LOCKS.of('a'): os._exit(7)\n"
        "print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "7\n", done.stderr


def test_a_library_of_any_compiler_serves_where_there_is_none(
    built: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = cache.library(TWICE, ANY)
    assert cache.library(TWICE, None) == path
    with pytest.raises(NoCompilerError, match="there is no C compiler"):
        cache.library(f"{TWICE}\n", None)
    monkeypatch.setattr(cache, "processor", lambda: "another")
    with pytest.raises(NoCompilerError):
        cache.library(TWICE, None)


Changed = tuple[str, Toolchain, str]


@pytest.mark.parametrize(
    "change",
    [
        lambda: ("other text", ANY, "native"),
        lambda: (TWICE, dataclasses.replace(ANY, version="GCC 13"), "native"),
        lambda: (TWICE, dataclasses.replace(ANY, native=()), "native"),
        lambda: (TWICE, dataclasses.replace(ANY, macros="others"), "native"),
        lambda: (TWICE, dataclasses.replace(ANY, command=("/usr/bin/gcc", "-m32")), "native"),
        lambda: (TWICE, dataclasses.replace(ANY, family="zig"), "linux-aarch64"),
        lambda: (TWICE, dataclasses.replace(ANY, family="zig"), "linux-x86_64"),
    ],
)
def test_all_that_a_library_depends_on_is_in_its_name(change: Callable[[], Changed]) -> None:
    text, compiler, target = change()
    assert cache.library_name(text, compiler, target) != cache.library_name(TWICE, ANY)


def test_headers_the_processor_and_the_version_are_in_its_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    names = {cache.library_name(TWICE, ANY)}
    monkeypatch.setattr(cache, "processor", lambda: "another")
    names.add(cache.library_name(TWICE, ANY))
    monkeypatch.setattr("lossgraph.__version__", "99")
    names.add(cache.library_name(TWICE, ANY))
    monkeypatch.setattr(cache, "SOURCES", tmp_path)
    names.add(cache.library_name(TWICE, ANY))
    (tmp_path / "a.h").write_text("int a;")
    names.add(cache.library_name(TWICE, ANY))
    (tmp_path / "a.h").rename(tmp_path / "b.h")
    names.add(cache.library_name(TWICE, ANY))
    (tmp_path / "b.h").write_text("int b;")
    names.add(cache.library_name(TWICE, ANY))
    assert len(names) == 7


AMD = """\
processor\t: 0
vendor_id\t: AuthenticAMD
cpu family\t: 25
model\t\t: 17
cpu MHz\t\t: 2445.406
flags\t\t: fpu sse2 avx2 fma avx512f
"""


def test_features_of_processors() -> None:
    known = processor.from_cpuinfo(AMD)
    assert known == [
        "cpu family: 25", "flags: avx2 avx512f fma fpu sse2", "model: 17",
        "vendor_id: AuthenticAMD",
    ]  # fmt: skip
    second = AMD.replace("processor\t: 0", "processor\t: 1").replace("2445.406", "3100.0")
    assert processor.from_cpuinfo(AMD + "\n" + second) == known  # as it is at another time
    assert processor.from_cpuinfo(AMD.replace(" avx512f", "")) != known
    assert processor.from_cpuinfo(AMD.replace("model\t\t: 17", "model\t\t: 18")) != known
    arm = "CPU part\t: 0xd40\nFeatures\t: fp asimd sve\n"
    assert processor.from_cpuinfo(arm) == ["CPU part: 0xd40", "Features: asimd fp sve"]
    little = arm.replace(" sve", "").replace("0xd40", "0xd05")
    assert processor.from_cpuinfo(arm + little) == processor.from_cpuinfo(little + arm) != known


def test_the_processor_is_known_here(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert processor.processor() == processor.processor.__wrapped__()
    if sys.platform == "linux":
        monkeypatch.setattr(processor, "_CPUINFO", tmp_path / "none")
        assert processor.processor.__wrapped__() is None


@needs_compiler
def test_libraries_of_another_machine_stay_where_they_are(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    compiler = COMPILERS[0]
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr(cache, "processor", lambda: "a processor with more features")
        theirs = cache.library(TWICE, compiler)
    theirs.write_bytes(b"\x7fELF and instructions that this machine has not")
    ours = cache.library(TWICE, compiler)
    assert twice(ours, 1.0) == 2.0
    assert {path.name for path in folder.glob("*.*") if path.is_file()} == {theirs.name, ours.name}


SEVERAL = """
import sys, time
from pathlib import Path
from lossgraph.kernels import cache, toolchain
from compilers import TWICE, twice
found = toolchain.find()
Path(sys.argv[1]).touch()
while len(list(Path(sys.argv[1]).parent.glob("ready*"))) < 2:
    time.sleep(0.001)
path = cache.library(TWICE, found)
print(path, twice(path, 21.0))
"""


@needs_compiler
def test_processes_that_build_at_once_all_get_a_whole_library(folder: Path, tmp_path: Path) -> None:
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", SEVERAL, str(tmp_path / f"ready{i}")],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in range(2)
    ]
    said = [process.communicate(timeout=120) for process in processes]
    (path,) = (path for path in folder.iterdir() if path.is_file())
    assert said == [(f"{path} 42.0\n", "")] * 2
    assert not list(folder.glob(".build-*"))


# --- what is safe ---


@posix
@pytest.mark.parametrize(
    ("where", "mode"), [(".", 0o777), (".", 0o1777), (".", 0o770), ("..", 0o777), ("..", 0o773)]
)
def test_folders_that_others_can_write_are_refused(
    where: str, mode: int, folder: Path, built: list[Path]
) -> None:
    cache.library(TWICE, ANY)
    path = (folder / where).resolve()
    path.chmod(mode)
    with pytest.raises(CacheError, match=rf"{path} can be written by others \(mode {mode:04o}\)"):
        cache.library(TWICE, ANY)
    with pytest.raises(CacheError, match="set LOSSGRAPH_CACHE to a folder of your own"):
        cache.library("another", ANY)
    assert len(built) == 1
    assert str(path) in cache.info().problem


@posix
@pytest.mark.parametrize("mode", [0o755, 0o1777])
def test_parents_that_others_cannot_change_are_fine(
    mode: int, folder: Path, built: list[Path]
) -> None:
    cache.library(TWICE, ANY)
    folder.parent.chmod(mode)
    assert cache.library(TWICE, ANY) == built[0]


@posix
def test_groups_of_one_user_may_write_to_parents(
    folder: Path, built: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    cache.library(TWICE, ANY)
    folder.parent.chmod(0o775)
    monkeypatch.setattr(folders, "_is_private_group", lambda group: True)
    cache.library(TWICE, ANY)
    monkeypatch.setattr(folders, "_is_private_group", lambda group: False)
    with pytest.raises(CacheError, match="by others"):
        cache.library(TWICE, ANY)


@as_root
@pytest.mark.parametrize("where", [".", "..", "library"])
def test_what_belongs_to_another_user_is_refused(
    where: str, folder: Path, built: list[Path]
) -> None:
    path = cache.library(TWICE, ANY)
    os.chown(path if where == "library" else folder / where, 12345, 12345)
    with pytest.raises(CacheError, match=r"belongs to another user \(12345\)"):
        cache.library(TWICE, ANY)


@posix
def test_a_library_that_others_can_write_is_refused(folder: Path, built: list[Path]) -> None:
    path = cache.library(TWICE, ANY)
    path.chmod(0o720)
    with pytest.raises(CacheError, match="can be written by others"):
        cache.library(TWICE, ANY)
    path.unlink()
    (folder / "real").write_text("")
    path.symlink_to(folder / "real")
    with pytest.raises(CacheError, match="is no file: remove it"):
        cache.library(TWICE, ANY)


@posix
def test_links_to_folders_are_followed_before_they_are_judged(
    folder: Path, built: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o777)
    (tmp_path / "link").symlink_to(open_to_all)
    monkeypatch.setenv("LOSSGRAPH_CACHE", str(tmp_path / "link"))
    with pytest.raises(CacheError, match=f"{open_to_all} can be written by others"):
        cache.library(TWICE, ANY)


# --- where nothing can be written, or loaded ---


def test_without_a_folder_a_process_has_its_own(
    built: list[Path], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LOSSGRAPH_CACHE", str(tmp_path / "file"))  # in which there is no folder
    path = cache.library(TWICE, ANY)
    assert path.parent == folders.private_folder()
    assert os.name != "posix" or path.parent.stat().st_mode & 0o777 == 0o700
    assert cache.library(TWICE, ANY) == path
    assert len(built) == 1


READ_ONLY = """
import os, sys
from lossgraph.kernels import cache, folders, toolchain
from compilers import TWICE, twice
found = toolchain.find()
os.setgroups([]); os.setgid(65534); os.setuid(65534)
if not os.access(toolchain.SOURCES / "kernel.h", os.R_OK):
    raise SystemExit("unreadable")
for home in sys.argv[1:]:
    os.environ["LOSSGRAPH_CACHE"] = home
    path = cache.library(TWICE, found)
    print(path.parent == folders.private_folder(), twice(path, 21.0), cache.info().problem)
print(path)
"""
# The modes of a home, and of the libraries and their folder in it; None if there are none.
HOMES = [(0o755, None), (0o755, 0o700), (0o700, 0o700), (0o755, 0o755)]


@as_root
@needs_compiler
def test_a_home_that_is_only_read(monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory() as top:  # which others can enter, unlike pytest's
        Path(top).chmod(0o755)
        homes = [Path(top) / str(i) for i in range(len(HOMES))]
        for home, (home_mode, mode) in zip(homes, HOMES, strict=True):
            home.mkdir()
            monkeypatch.setenv("LOSSGRAPH_CACHE", str(home))
            if mode is not None:
                path = cache.library(TWICE, toolchain.find())
                path.chmod(mode)
                path.parent.chmod(mode)
            home.chmod(home_mode)
        done = subprocess.run(
            [sys.executable, "-c", READ_ONLY, *map(str, homes)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            capture_output=True,
            text=True,
            timeout=120,
        )
        if done.stderr == "unreadable\n":
            pytest.skip("another user cannot read the package")
        *said, used = done.stdout.splitlines() or [done.stderr]
        alone = "it cannot be written: each process builds its own kernels"
        assert said == [f"{mode != 0o755} 42.0 {alone}" for _, mode in HOMES], done.stderr
        assert Path(used).parent == homes[-1] / "kernels"


@posix
def test_nothing_is_loaded_from_where_the_system_does_not(
    folder: Path, built: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cache, "is_executable", lambda path: path != folder)
    path = cache.library(TWICE, ANY)
    assert path.parent == folders.private_folder()
    assert "mounted noexec" in cache.info().problem
    monkeypatch.setattr(cache, "is_executable", lambda path: False)
    with pytest.raises(CacheError, match=r"loads no libraries from .* \(mounted noexec\)"):
        cache.library("another", ANY)


def mounted_noexec() -> list[Path]:
    """Folders of file systems from which nothing is loaded."""
    mounts = Path("/proc/mounts")
    lines = mounts.read_text().splitlines() if mounts.exists() else []
    fields = (line.split() for line in lines)
    return [Path(where) for _, where, _, options, *_ in fields if "noexec" in options.split(",")]


@pytest.mark.skipif(not mounted_noexec(), reason="no file system is mounted noexec")
def test_file_systems_without_programs_are_known(tmp_path: Path) -> None:
    assert folders.is_executable(tmp_path)
    assert not folders.is_executable(mounted_noexec()[0])


def test_the_folder_of_a_process_goes_with_it() -> None:
    program = (
        "import os\n"
        "from lossgraph.kernels import folders\n"
        "print(folders.private_folder(), folders.private_folder().is_dir(), flush=True)\n"
        "child = os.fork() if hasattr(os, 'fork') else 1\n"
        "if child == 0:\n"
        "    print(folders.private_folder(), folders.private_folder().is_dir(), flush=True)\n"
        "    raise SystemExit\n"  # which runs what is to run at exit
        "if hasattr(os, 'wait'):\n"
        "    os.wait()\n"
        "print(folders.private_folder().is_dir())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60
    )
    *made, last = done.stdout.splitlines()
    assert last == "True", done.stderr
    paths = {Path(line.removesuffix(" True")) for line in made}
    assert len(paths) == len(made)
    assert all(line.endswith(" True") for line in made)
    assert not any(path.exists() for path in paths)


# --- size ---


def test_what_was_not_used_for_longest_goes_first(
    folder: Path, built: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [cache.library(f"{i} {'x' * 100}", ANY) for i in range(4)]
    for i, path in enumerate(paths):
        os.utime(path, (1000 + i, 1000 + i))
    cache.library(f"0 {'x' * 100}", ANY)  # is used
    monkeypatch.setattr(cache, "MOST_BYTES", 350)
    new = cache.library("new " + "x" * 90, ANY)
    assert set(folder.iterdir()) == {paths[0], paths[3], new}
    monkeypatch.setattr(cache, "MOST_BYTES", 10)
    large = cache.library("large", ANY)
    assert set(folder.iterdir()) == {large}
    larger = cache.library("larger than all", ANY)
    assert set(folder.iterdir()) == {larger}


def test_size_and_clear(folder: Path, built: list[Path]) -> None:
    assert cache.info() == cache.CacheInfo(folder, 0, 0, cache.MOST_BYTES, "")
    assert cache.clear() == 0
    cache.library("12345", ANY)
    cache.library("123", ANY)
    (folder / "notes.txt").write_text("of the user's")
    (folder / ".build-died").mkdir()
    (folder / "onnxruntime-1.json").write_text("{}")
    found = cache.info()
    assert (found.libraries, found.size, found.problem) == (2, 8, "")
    assert cache.clear() == 8
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]


def test_builds_that_died_are_removed_when_they_are_old(folder: Path, built: list[Path]) -> None:
    folder.mkdir(parents=True, mode=0o700)
    for name in (".build-old", ".build-new"):
        (folder / name).mkdir()
        (folder / name / "kernel.c").write_text("")
    os.utime(folder / ".build-old", (time.time() - 7200,) * 2)
    cache.library(TWICE, ANY)
    assert [path.name for path in folder.glob(".build*")] == [".build-new"]
