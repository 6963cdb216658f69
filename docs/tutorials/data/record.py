"""Records PyTorch's numbers for the tutorials: ``python data/record.py`` with torch installed.

It runs the cells of the pages, which collect what PyTorch computes in ``measured``.
"""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import matplotlib as mpl
import torch

PAGES = Path(__file__).resolve().parent.parent
FILE = PAGES / "data" / "pytorch.json"
CELL = re.compile(r"^```\{code-cell\} ipython3\n(?:---\n.*?\n---\n)?(.*?)^```$", re.M | re.S)


def record(page: str) -> dict[str, Any]:
    """What PyTorch computes on a page."""
    names: dict[str, Any] = {"__name__": page}
    for cell in CELL.findall((PAGES / f"{page}.md").read_text()):
        if not cell.startswith(":tags:"):  # how figures look
            exec(compile(cell, page, "exec"), names)
    measured: dict[str, Any] = names["measured"]
    return measured


def main() -> None:
    """Write the numbers of both pages."""
    os.chdir(PAGES)
    mpl.use("agg")
    if not FILE.exists():
        FILE.write_text('{"version": "none"}')
    numbers = {"version": torch.__version__}
    for page in ("own-losses", "pytorch"):
        numbers |= record(page)
    lines = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in numbers.items()]
    FILE.write_text("{" + ",\n ".join(lines) + "}\n")


if __name__ == "__main__":
    main()
