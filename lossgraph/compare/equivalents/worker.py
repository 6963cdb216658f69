"""Computes losses in a framework that another Python has: FRAMEWORK FOLDER, or FRAMEWORK alone.

With a framework alone it prints the version. A folder has ``jobs.json`` and the arrays of job K in
``in_K.npz``; what comes of it goes to ``out_K.npz``, or to ``out_K.txt`` if nothing does. Needs
numpy, the framework and this folder, and Python 3.8 or newer.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).resolve().parent


def load() -> Any:
    """The package around this file, without the package around that."""
    file = HERE / "__init__.py"
    spec = importlib.util.spec_from_file_location(
        "equivalents", str(file), submodule_search_locations=[str(HERE)]
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    sys.modules["equivalents"] = module
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """Do what the command line says."""
    # The files beside this one are no modules to others, whatever they are called.
    sys.path[:] = [path for path in sys.path if Path(path).resolve() != HERE]
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # a library's prints are no answers
    equivalents, framework = load(), sys.argv[1]
    print(equivalents.version(framework), file=answers, flush=True)
    if len(sys.argv) < 3:
        return
    folder = Path(sys.argv[2])
    for number, job in enumerate(json.loads((folder / "jobs.json").read_text())):
        with np.load(folder / f"in_{number}.npz") as file:
            arrays = {name: file[f"array_{k}"] for k, name in enumerate(job["inputs"])}
        options = (
            {k: _hashable(v) for k, v in job[which].items()} for which in ("options", "defaults")
        )
        found = equivalents.compute(
            framework, job["loss"], *options, arrays, job["grad"], job["narrow"]
        )
        write(folder, number, found)


def write(folder: Path, number: int, found: Any) -> None:
    """What came of a job: there as a whole or not at all, should the process end."""
    if isinstance(found, str):
        (folder / f"out_{number}.txt").write_text(found, encoding="utf-8")
        return
    aside = folder / f"part_{number}.npz"
    np.savez(str(aside), **{f"array_{k}": array for k, array in enumerate(found.values())})
    (folder / f"out_{number}.json").write_text(json.dumps(list(found)))
    aside.replace(folder / f"out_{number}.npz")


def _hashable(value: Any) -> Any:
    """An option that JSON made a list is a tuple."""
    return tuple(_hashable(item) for item in value) if isinstance(value, list) else value


if __name__ == "__main__":
    main()
