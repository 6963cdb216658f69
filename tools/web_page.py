"""Pages that run models by ONNX Runtime Web, and that work from a file system too.

A page that is opened from a file may load scripts, but neither fetch nor import modules. So all
that it needs is in classic scripts: the engine, packed, and what the page is about.
"""

from __future__ import annotations

import base64
import gzip
import json
import subprocess
from pathlib import Path
from typing import Any

ENGINE = "onnxruntime-web/dist"
NEEDED = (f"{ENGINE}/ort.wasm.min.js", ".bin/esbuild")
LICENSE = Path(__file__).parent / "explorer" / "licenses" / "onnxruntime-web.txt"
SHARED = Path(__file__).parent / "explorer" / "page"


class MissingModulesError(Exception):
    """There is no node_modules, or not all in it that the page is made of."""


def require_modules(modules: Path, *needed: str, tool: str) -> None:
    """Refuse a node_modules in which something is missing.

    Raises:
        MissingModulesError: naming it, and the tool that makes it.
    """
    for name in (*NEEDED, *needed):
        if not (modules / name).exists():
            raise MissingModulesError(f"{modules / name} is not there: run {tool}")


def engine_files(modules: Path) -> dict[str, bytes]:
    """The scripts of the engine, by name."""
    dist = modules / ENGINE
    return {
        "ort.wasm.min.js": _runtime(dist),
        "engine.js": shelved("engine", _engine(dist)),
    }


def shelved(place: str | tuple[str, str], content: Any) -> bytes:
    """A script that puts something where the page's own script finds it."""
    path = "".join(f"[{json.dumps(key)}]" for key in ([place] if isinstance(place, str) else place))
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return f"(globalThis.lossgraph ??= {{ losses: {{}} }}){path} = {text};\n".encode()


def joined(*paths: Path) -> bytes:
    """Files one after the other."""
    return b"\n".join(path.read_bytes() for path in paths)


def bundle(main: Path, modules: Path, *aliases: str) -> bytes:
    """The modules of a page as one classic script.

    Args:
        main: the module that imports the others.
        modules: the ``node_modules`` that has esbuild.
        aliases: modules of packages, ``name=path below modules``.
    """
    command = [
        modules / ".bin/esbuild", main, "--bundle", "--format=iife", "--target=es2022",
        "--charset=utf8", "--log-level=warning", "--legal-comments=inline",
    ]  # fmt: skip
    for alias in aliases:
        name, _, path = alias.partition("=")
        command.append(f"--alias:{name}={modules / path}")
    return subprocess.run(list(map(str, command)), check=True, stdout=subprocess.PIPE).stdout


def _runtime(dist: Path) -> bytes:
    """The engine's script, without a word of its source map, which is not there."""
    lines = (dist / "ort.wasm.min.js").read_bytes().splitlines(keepends=True)
    return b"".join(line for line in lines if not line.startswith(b"//# sourceMappingURL"))


def _engine(dist: Path) -> dict[str, str]:
    """What the engine would fetch: its WebAssembly, packed to a quarter, and the script for it."""
    wasm = (dist / "ort-wasm-simd-threaded.wasm").read_bytes()
    glue = (dist / "ort-wasm-simd-threaded.mjs").read_bytes()
    return {
        "wasm": base64.b64encode(gzip.compress(wasm, mtime=0)).decode(),
        "glue": base64.b64encode(glue).decode(),
    }
