"""Computes losses in a framework that another Python has: the worker FRAMEWORK.

It greets with ``{"version": ..}``. A request is ``{"loss", "options", "defaults", "inputs",
"grad", "narrow", "outputs"}``: the inputs by name, and the stem of the files of the outputs. The
answer is ``{"outputs": ..}``, or ``{"refusal": why}``. Needs numpy, the framework, this folder and
``worker_protocol``, and Python 3.8 or newer.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent


def load(file: Path, name: str) -> Any:
    """A module, or a package, without the package around it."""
    inside = [str(file.parent)] if file.name == "__init__.py" else None
    spec = importlib.util.spec_from_file_location(
        name, str(file), submodule_search_locations=inside
    )
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} cannot be loaded")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def main() -> None:
    """Serve the framework that the command line names."""
    # The files beside this one are no modules to others, whatever they are called.
    sys.path[:] = [path for path in sys.path if Path(path).resolve() != HERE]
    protocol = load(HERE.parent / "worker_protocol.py", "worker_protocol")
    protocol.end_with_parent()
    answers, framework = protocol.private_stdout(), sys.argv[1]
    equivalents = load(HERE / "__init__.py", "equivalents")

    def answer(job: dict[str, Any]) -> dict[str, Any]:
        options, defaults = (
            {name: _hashable(value) for name, value in job[which].items()}
            for which in ("options", "defaults")
        )
        found = equivalents.compute(
            framework, job["loss"], options, defaults, protocol.fetch(job["inputs"]),
            job["grad"], job["narrow"],
        )  # fmt: skip
        if isinstance(found, str):
            return {"refusal": found}
        return {"outputs": protocol.store(Path(job["outputs"]), found)}

    try:
        version = equivalents.version(framework)
    except Exception as error:
        protocol.say({"missing": f"{type(error).__name__}: {error}".splitlines()[0]}, answers)
        return
    protocol.say({"version": version}, answers)
    protocol.serve(answer, answers)


def _hashable(value: Any) -> Any:
    """An option that JSON made a list is a tuple."""
    return tuple(_hashable(item) for item in value) if isinstance(value, list) else value


if __name__ == "__main__":
    main()
