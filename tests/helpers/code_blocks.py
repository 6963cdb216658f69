"""Pages of Markdown whose examples are run: their Python, and the commands they show."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx

from support import ROOT

MODEL = re.compile(r'text = """(.*?)"""', re.DOTALL)
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)
FENCED = re.compile(r"^```.*?^```$", re.DOTALL | re.MULTILINE)
FRAMEWORKS = ("torch", "jax", "safetensors")


def missing_frameworks(block: str) -> list[str]:
    """The frameworks that a block imports, or writes by, and that are not installed."""
    imported = re.findall(r"^import (\w+)", block, re.MULTILINE)
    imported += ["safetensors"] if "Checkpoints(" in block else []
    return [name for name in imported if name in FRAMEWORKS and not find_spec(name)]


@dataclass(frozen=True)
class Page:
    """A file of Markdown; its blocks belong together, as the cells of a notebook do."""

    path: Path

    @property
    def name(self) -> str:
        return str(self.path.relative_to(ROOT))

    @property
    def text(self) -> str:
        return self.path.read_text("utf-8")

    @property
    def python(self) -> str:
        """Its Python, each line where it stands in the page, so that a traceback shows it.

        Blocks that import a framework which is not installed are left out.
        """
        lines = self.text.splitlines()
        kept = [""] * len(lines)
        start = None
        for number, line in enumerate(lines):
            if start is not None and line.startswith("```"):
                if not missing_frameworks("\n".join(lines[start:number])):
                    kept[start:number] = lines[start:number]
                start = None
            elif line == "```python":
                start = number + 1
        return "\n".join(kept) + "\n"

    @property
    def commands(self) -> list[list[str]]:
        """The words of the commands of lossgraph that it shows."""
        lines = re.findall(r"^\$ (lossgraph .+)$", self.text, re.MULTILINE)
        return [shlex.split(line) for line in lines]

    @property
    def links(self) -> list[tuple[str, str]]:
        """Files of the checkout that it leads to, each with the heading in it, or ""."""
        return re.findall(r"\]\(([\w/.-]*)(?:#([\w-]+))?\)", self.text)

    @property
    def anchors(self) -> set[str]:
        """Its headings as links name them."""
        headings = HEADING.findall(FENCED.sub("", self.text))
        return {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}

    def run_python(self) -> None:
        """Run its Python in order, in one namespace, in the current folder."""
        exec(compile(self.python, str(self.path), "exec"), {"__name__": self.path.stem})

    def run_commands(self, folder: Path) -> None:
        """Run its commands in order, in a folder with the files that they read."""
        np.save(folder / "pred.npy", np.zeros((2, 3), np.float32))
        np.save(folder / "label.npy", np.array([0, 2]))
        np.savez(folder / "train.npz", x=np.eye(20, 2, dtype=np.float32), label=np.arange(20) % 3)
        if any(words[1] == "evaluate" for words in self.commands):
            _write_predictions(folder / "preds")
        for model in MODEL.findall(self.text):
            onnx.save(onnx.parser.parse_model(model), folder / "net.onnx")
        own = {**os.environ, "LOSSGRAPH_CACHE": str(folder / "cache")}  # which may be cleared
        for words in self.commands:
            command = [sys.executable, "-m", *words]
            subprocess.run(command, cwd=folder, check=True, capture_output=True, env=own)


def _write_predictions(folder: Path) -> None:
    """A table of what models predicted, in two files."""
    import pyarrow as pa
    from pyarrow import parquet

    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in "ab":
        scores = pa.FixedSizeListArray.from_arrays(pa.array(rng.normal(size=60)), 3)
        columns = {"country": ["de", "fr"] * 10, "scores": scores, "p": rng.normal(size=20)}
        table = pa.table({**columns, "y": rng.integers(0, 3, 20)})
        parquet.write_table(table, folder / f"{name}.parquet")


def pages() -> list[Page]:
    """The README and the guides."""
    return [Page(ROOT / "README.md"), *map(Page, sorted((ROOT / "docs" / "guides").glob("*.md")))]
