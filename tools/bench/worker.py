"""The process of one peer: it computes and times what it is told to, line by line.

Requests come as lines of JSON on stdin, and each has an answer on stdout:

    {"prepare": {"loss": .., "arrays": PATH, "gradient": ..}}   compile, warm up; the seconds of
                                                                calls once it is warm
    {"run": N}         {"seconds": [..]}                        of each of N calls
    {"values": PATH}   {"values": PATH}                         the results, in a file of numpy
    {"memory": {"loss": .., "small": PATH, "arrays": PATH, "gradient": ..}}
                       {"bytes": N}      what the first call takes at most, its results included

The first answer comes unasked: {"versions": ..}, or {"missing": ..} if the peer cannot be
imported. A failure is {"error": ..}. Runs on Python 3.8 too.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any, TextIO

WARM_CALLS, WARM_SECONDS = 3, 0.3  # at least so many, and for so long, before anything is timed
UNTIMED = 2  # calls at the start of each run, for caches that others have used meanwhile


class Server:
    """One peer, and what has been prepared with it."""

    def __init__(self, peer: Any) -> None:
        self._peer = peer
        self._prepared: Any = None

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """The answer to one request."""
        ((what, argument),) = request.items()
        requests: dict[str, Callable[[Any], dict[str, Any]]] = {
            "prepare": self.prepare,
            "run": self.run,
            "values": self.values,
            "memory": self.memory,
        }
        return requests[what](argument)

    def prepare(self, case: dict[str, Any]) -> dict[str, Any]:
        """Compile a loss and warm it up."""
        self._load(case, case["arrays"])
        timed([self._prepared.call])  # which compiles
        seconds: list[float] = []
        while len(seconds) < WARM_CALLS or sum(seconds) < WARM_SECONDS:
            seconds += timed([self._prepared.call])
        return {"seconds": seconds[len(seconds) // 2 :]}

    def _load(self, case: dict[str, Any], path: str) -> None:
        import numpy as np

        self._prepared = None  # the last one's memory
        with np.load(path) as file:
            arrays = {name: file[name] for name in file.files}
        self._prepared = getattr(self._peer, case["loss"])(arrays, case["gradient"])

    def memory(self, case: dict[str, Any]) -> dict[str, Any]:
        """Call once with small arrays, so that everything is loaded, then with the others."""
        self._load(case, case["small"])
        self._prepared.call()
        self._load(case, case["arrays"])
        gc.collect()
        forget_peak()
        before = status("VmRSS")
        self._prepared.call()
        return {"bytes": status("VmHWM") - before}

    def run(self, count: int) -> dict[str, Any]:
        """Time some calls. No garbage is collected meanwhile, as in ``timeit``."""
        gc.collect()
        gc.disable()
        try:
            return {"seconds": timed([self._prepared.call] * (UNTIMED + count))[UNTIMED:]}
        finally:
            gc.enable()

    def values(self, path: str) -> dict[str, Any]:
        """Compute once more and write down what came out."""
        import numpy as np

        np.savez(path, **self._prepared.values(self._prepared.call()))
        return {"values": path}


def timed(calls: list[Callable[[], Any]]) -> list[float]:
    """Call one after the other; the seconds of each."""
    clock, seconds = time.perf_counter, []
    for call in calls:
        start = clock()
        call()
        seconds.append(clock() - start)
    return seconds


def status(name: str) -> int:
    """A number of bytes of this process, as Linux tells it."""
    with open("/proc/self/status", encoding="ascii") as file:
        (line,) = (line for line in file if line.startswith(name + ":"))
    return int(line.split()[1]) * 1024


def forget_peak() -> None:
    """Have Linux count the peak of memory from now on."""
    with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")


def limit(threads: int, cpus: list[int]) -> None:
    """Hold this process to some processors and threads: before any library is loaded."""
    if cpus:
        os.sched_setaffinity(0, cpus)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(threads)


def end_with_parent() -> None:
    """Have Linux end this process if the driver is killed: a stopped one would stay for ever."""
    if sys.platform.startswith("linux"):
        import ctypes

        set_death_signal = 1
        ctypes.CDLL(None).prctl(set_death_signal, signal.SIGKILL)


def private_stdout() -> TextIO:
    """The stdout of this process, to which no library can print any more."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return answers


def serve(peer: Any, requests: TextIO, answers: TextIO) -> None:
    """Answer requests until there are no more."""
    server = Server(peer)
    for line in requests:
        try:
            answer = server.answer(json.loads(line))
        except Exception:
            answer = {"error": traceback.format_exc()}
        say(answer, answers)


def say(answer: dict[str, Any], answers: TextIO) -> None:
    print(json.dumps(answer), file=answers, flush=True)


def main() -> None:
    """Import the peer of a file and serve it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--cpus", type=int, nargs="*", default=[])
    options = parser.parse_args()
    end_with_parent()
    answers = private_stdout()
    limit(options.threads, options.cpus)
    try:
        from .peer import load

        peer = load(options.file)(options.threads)
        versions = peer.versions()
    except Exception as error:
        traceback.print_exc()
        say({"missing": f"{type(error).__name__}: {error}"}, answers)
        return
    say({"python": "{}.{}.{}".format(*sys.version_info[:3]), "versions": versions}, answers)
    serve(peer, sys.stdin, answers)


if __name__ == "__main__":
    main()
