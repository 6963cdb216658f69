"""Writes the page: a folder that works from a web server and from the file system.

A page that is opened from a file may load scripts, but neither fetch nor import modules. So all
that it needs is in classic scripts: the engine, packed, and a script for each loss.
"""

from __future__ import annotations

import base64
import gzip
import json
import subprocess
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import lossgraph
from lossgraph.catalogue import Entry
from lossgraph.models.files import write_files

from .sheets import index, sheet

HERE = Path(__file__).parent
PAGE = HERE / "page"
ENGINE = "onnxruntime-web/dist"
NEEDED = (f"{ENGINE}/ort.wasm.min.js", "uplot/dist/uPlot.min.css", ".bin/esbuild")


class MissingModulesError(Exception):
    """There is no node_modules, or not all in it that the page is made of."""


def build(
    folder: Path,
    modules: Path,
    entries: Sequence[Entry],
    watched: Callable[[Sequence[Entry]], Iterable[Entry]] = iter,
) -> list[Path]:
    """Write the page of some losses.

    Args:
        folder: where.
        modules: the ``node_modules`` that has what package.json names.
        entries: the losses, in the order of the list.
        watched: gives them again, and may say how far they are.

    Returns:
        The files written.

    Raises:
        MissingModulesError: if something of those modules is not there.
    """
    for name in NEEDED:
        if not (modules / name).exists():
            raise MissingModulesError(f"{modules / name} is not there: run tools/site")
    files = {
        "index.html": (PAGE / "index.html").read_bytes(),
        "theme.js": (PAGE / "theme.js").read_bytes(),
        "style.css": _joined(modules / "uplot/dist/uPlot.min.css", PAGE / "style.css"),
        "explorer.js": _bundle(modules),
        "ort.wasm.min.js": _runtime(modules / ENGINE),
        "engine.js": _shelved("engine", _engine(modules / ENGINE)),
        "index.js": _shelved("index", [index(entry) for entry in entries])
        + _shelved("about", _about(entries)),
        "LICENSES.txt": _joined(HERE / "licenses/onnxruntime-web.txt", modules / "uplot/LICENSE"),
    }
    for entry in watched(entries):
        files[f"losses/{entry.name}.js"] = _shelved(("losses", entry.name), sheet(entry))
    stale = (f"losses/{path.name}" for path in (folder / "losses").glob("*.js"))
    return write_files(folder, files, [name for name in stale if name not in files])


def _shelved(place: str | tuple[str, str], content: Any) -> bytes:
    """A script that puts something where the page's own script finds it."""
    path = "".join(f"[{json.dumps(key)}]" for key in ([place] if isinstance(place, str) else place))
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return f"(globalThis.lossgraph ??= {{ losses: {{}} }}){path} = {text};\n".encode()


def _about(entries: Sequence[Entry]) -> str:
    return (
        f"lossgraph {lossgraph.__version__}, {len(entries)} losses. ONNX Runtime Web and uPlot are "
        "under the MIT license, see LICENSES.txt."
    )


def _joined(*paths: Path) -> bytes:
    return b"\n".join(path.read_bytes() for path in paths)


def _bundle(modules: Path) -> bytes:
    """The page's modules, and the one that draws, as one classic script."""
    command = [
        modules / ".bin/esbuild", PAGE / "main.js", "--bundle", "--format=iife",
        "--target=es2022", "--charset=utf8", "--log-level=warning", "--legal-comments=inline",
        f"--alias:uplot={modules / 'uplot/dist/uPlot.esm.js'}",
    ]  # fmt: skip
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
