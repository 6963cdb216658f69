"""Writes the page: a folder that works from a web server and from the file system."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import lossgraph
from lossgraph.catalogue import Entry
from lossgraph.models.files import write_files

from .sheets import index, sheet

HERE = Path(__file__).parent
PAGE = HERE / "page"
sys.path.append(str(HERE.parent))

from web_page import (  # noqa: E402
    LICENSE,
    MissingModulesError,
    bundle,
    engine_files,
    joined,
    require_modules,
    shelved,
)

__all__ = ["MissingModulesError", "build"]

UPLOT = "uplot/dist/uPlot.min.css"


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
    require_modules(modules, UPLOT, tool="tools/site")
    files = {
        "index.html": (PAGE / "index.html").read_bytes(),
        "theme.js": (PAGE / "theme.js").read_bytes(),
        "style.css": joined(modules / UPLOT, PAGE / "palette.css", PAGE / "style.css"),
        "explorer.js": bundle(PAGE / "main.js", modules, "uplot=uplot/dist/uPlot.esm.js"),
        **engine_files(modules),
        "index.js": shelved("index", [index(entry) for entry in entries])
        + shelved("about", _about(entries)),
        "LICENSES.txt": joined(LICENSE, modules / "uplot/LICENSE"),
    }
    for entry in watched(entries):
        files[f"losses/{entry.name}.js"] = shelved(("losses", entry.name), sheet(entry))
    stale = (f"losses/{path.name}" for path in (folder / "losses").glob("*.js"))
    return write_files(folder, files, [name for name in stale if name not in files])


def _about(entries: Sequence[Entry]) -> str:
    return (
        f"lossgraph {lossgraph.__version__}, {len(entries)} losses. ONNX Runtime Web and uPlot are "
        "under the MIT license, see LICENSES.txt."
    )
