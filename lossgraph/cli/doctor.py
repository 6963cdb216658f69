"""``lossgraph doctor``."""

from __future__ import annotations

import importlib.metadata
import platform
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import typer

from ..errors import LossgraphError
from ..kernels import cache
from ..runtime.kernel_health import KernelHealth, kernel_health
from ..runtime.sessions import onnxruntime
from .cache import cache_rows
from .options import Json
from .output import note, print_json, print_table

NAME = "doctor"
EXAMPLE = "Example: LOSSGRAPH_KERNELS=on lossgraph doctor"

# What pyproject.toml has for those who use the package.
EXTRAS = {
    "cpu": ("onnxruntime",),
    "gpu": ("onnxruntime-gpu",),
    "kernels": ("ziglang",),
    "cli": ("rich", "typer"),
    "plot": ("matplotlib",),
    "html": ("fast-sugiyama", "jinja2", "latex2mathml"),
    "training": ("safetensors",),
    "tables": ("ddsketch", "pyarrow", "scipy"),
    "ray": ("ray",),
    "spark": ("pyspark",),
    "serve": ("kserve",),
}
_SETTINGS = {"auto": "auto", True: "on", False: "off", None: "not readable"}


@dataclass(frozen=True)
class Engine:
    """ONNX Runtime as it is installed: its version and providers, or why it is not there."""

    version: str | None
    providers: list[str]
    problem: str


def command(json: Json = False) -> None:
    """Tell what is installed, and whether fused kernels are used.

    Versions, extras, ONNX Runtime and its execution providers, C compilers, the cache folder;
    a small kernel is built and run. The exit code is 1 if something is broken; what is only not
    installed is not.
    """
    engine, health = _engine(), kernel_health()
    try:
        kept: cache.CacheInfo | str = cache.info()
    except LossgraphError as error:
        kept = str(error)
    problems = _problems(engine, health)
    if json:
        print_json(_described(engine, health, kept, problems))
    else:
        rows = list(_rows(engine, health, kept))
        print_table(("", "name", "value"), rows)
    for problem in problems:
        note(f"broken: {problem}")
    if problems:
        raise typer.Exit(1)


def _engine() -> Engine:
    try:
        module = onnxruntime()
        return Engine(str(module.__version__), list(module.get_available_providers()), "")
    except LossgraphError as error:
        cause = error.__cause__
        missing = isinstance(cause, ModuleNotFoundError) and cause.name == "onnxruntime"
        return Engine(None, [], str(error) if missing else f"it cannot be imported: {cause}")


def _problems(engine: Engine, health: KernelHealth) -> list[str]:
    broken = [f"ONNX Runtime: {engine.problem}"] if _is_installed("onnxruntime", engine) else []
    return broken + ([f"kernels: {health.reason}"] if health.broken else [])


def _is_installed(name: str, engine: Engine) -> bool:
    """Whether there is an ONNX Runtime that does not work."""
    return bool(engine.problem) and any(map(_version, (name, f"{name}-gpu")))


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _described(
    engine: Engine, health: KernelHealth, kept: cache.CacheInfo | str, problems: list[str]
) -> dict[str, Any]:
    return {
        "ok": not problems,
        "problems": problems,
        "versions": dict(_versions()),
        "onnxruntime": asdict(engine),
        "extras": {name: {item: _version(item) for item in EXTRAS[name]} for name in EXTRAS},
        "cache": {"problem": kept} if isinstance(kept, str) else asdict(kept),
        "kernels": {
            "setting": _SETTINGS[health.setting],
            "used": health.used,
            "reason": health.reason,
            "compiler": health.chosen,
            "compilers": [
                {
                    "name": found.name,
                    "command": list(found.toolchain.command) if found.toolchain else None,
                    "version": found.toolchain.version if found.toolchain else None,
                    "problem": found.problem,
                }
                for found in health.compilers
            ],
        },
    }


def _versions() -> Iterator[tuple[str, str]]:
    from .. import __version__

    yield "lossgraph", __version__
    yield "Python", platform.python_version()
    yield "system", f"{platform.system()} {platform.machine()}"
    for name in ("numpy", "onnx"):
        yield name, _version(name) or "not installed"


def _rows(
    engine: Engine, health: KernelHealth, kept: cache.CacheInfo | str
) -> Iterator[tuple[str, str, str]]:
    """What stands in each line; the first column names a section where it begins."""
    for title, section in _sections(engine, health, kept).items():
        for i, (name, value) in enumerate(section):
            yield title if i == 0 else "", name, value


def _sections(
    engine: Engine, health: KernelHealth, kept: cache.CacheInfo | str
) -> dict[str, list[tuple[str, str]]]:
    return {
        "versions": list(_versions()),
        "ONNX Runtime": [
            ("version", engine.version or engine.problem),
            *([("providers", ", ".join(engine.providers))] if engine.providers else []),
        ],
        "extras": [(name, _extra(name)) for name in EXTRAS],
        "compilers": [(found.name, _compiler(found, health)) for found in health.compilers],
        "cache": [("state", kept)] if isinstance(kept, str) else cache_rows(kept),
        "kernels": [
            ("setting", _SETTINGS[health.setting]),
            ("used", f"{'yes' if health.used else 'no'}: {health.reason}"),
        ],
    }


def _extra(name: str) -> str:
    missing = [package for package in EXTRAS[name] if _version(package) is None]
    if missing:
        return f"no {', '.join(missing)}: pip install 'lossgraph[{name}]'"
    return ", ".join(f"{package} {_version(package)}" for package in EXTRAS[name])


def _compiler(found: Any, health: KernelHealth) -> str:
    if found.toolchain is None:
        return str(found.problem)
    if found.name == health.chosen:
        return f"used: {found.toolchain}"
    return f"not used, as {health.chosen} is there: {found.toolchain}"
