"""A worker's side: a process that answers requests, on any Python from 3.8, by any library.

A request is a line of JSON on stdin, and its answer a line on stdout; ``{"error": ..}`` says that
the request failed. The first answer comes unasked: the worker is ready, or ``{"missing": why}``.
Arrays are files of raw little-endian numbers, which the JSON names with dtype and shape: that is
what every language can read. ``workers`` is the side that asks.

Nothing is imported before it is needed, not even numpy: some set the number of threads first.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np

    Array = np.ndarray[Any, Any]


def private_stdout() -> TextIO:
    """The stdout of this process, to which no library can print any more."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def end_with_parent() -> None:
    """Have Linux end this process if the parent is killed: a stopped one would stay for ever."""
    if sys.platform.startswith("linux"):
        import ctypes

        set_death_signal = 1
        ctypes.CDLL(None).prctl(set_death_signal, signal.SIGKILL)


def say(answer: Mapping[str, Any], answers: TextIO) -> None:
    """Write an answer."""
    print(json.dumps(answer), file=answers, flush=True)


def serve(answer: Callable[[Any], Mapping[str, Any]], answers: TextIO) -> None:
    """Answer requests until there are no more."""
    for line in sys.stdin:
        try:
            found = answer(json.loads(line))
        except Exception:
            found = {"error": traceback.format_exc()}
        say(found, answers)


def store(stem: Path, arrays: Mapping[str, Array]) -> dict[str, Any]:
    """Write arrays to files that begin with a stem; where and of what type they are, by name."""
    places = {}
    for number, (name, array) in enumerate(arrays.items()):
        file = stem.with_name(f"{stem.name}_{number}.bin")
        little = array.astype(array.dtype.newbyteorder("<"), copy=False)
        file.write_bytes(little.tobytes())
        places[name] = {"dtype": array.dtype.name, "shape": list(array.shape), "file": str(file)}
    return places


def fetch(places: Mapping[str, Any], folder: Path | None = None) -> dict[str, Array]:
    """Read arrays; ``folder`` is that of files without one."""
    return {name: _array(place, folder or Path()) for name, place in places.items()}


def _array(place: Mapping[str, Any], folder: Path) -> Array:
    import numpy as np

    dtype = np.dtype(place["dtype"])
    content = bytearray((folder / place["file"]).read_bytes())  # which can be written to
    little = np.frombuffer(content, dtype.newbyteorder("<")).reshape(place["shape"])
    return little.astype(dtype, copy=False)
