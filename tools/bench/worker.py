"""The process of one peer: it computes and times what it is told to.

Its requests and answers, in the form of ``lossgraph.compare.worker_protocol``:

    {"prepare": {"loss": .., "arrays": PATH, "gradient": ..}}   compile, warm up; the seconds of
                                                                calls once it is warm
    {"run": N}         {"seconds": [..]}                        of each of N calls
    {"values": PATH}   {"values": PATH}                         the results, in a file of numpy
    {"memory": {"small": [PATH, ..], "loss": ..}}  {"bytes": N}  at the peak of the first call,
                                                                besides inputs and outputs, after
                                                                calls with small arrays

It greets with {"python": .., "versions": ..}. Runs on Python 3.8 too.
"""

from __future__ import annotations

import argparse
import gc
import os
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

from .peer import load, protocol

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
        self._prepared = None  # the last one's memory
        self._prepared = self._of(case, case["arrays"])
        timed([self._prepared.call])  # which compiles
        seconds: list[float] = []
        start = time.perf_counter()
        while len(seconds) < WARM_CALLS or time.perf_counter() - start < WARM_SECONDS:
            seconds += timed([self._prepared.call])
        return {"seconds": seconds[len(seconds) // 2 :]}

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

    def memory(self, case: dict[str, Any]) -> dict[str, Any]:
        """Measure the first call with arrays, whose code calls with others have loaded."""
        for path in case["small"]:
            small = self._of(case, path)
            small.values(small.call())
        self._peer.ahead = True
        prepared = self._of(case, case["arrays"])
        gc.collect()
        reset_peak()
        before = status("VmRSS")
        result = prepared.call()
        peak = status("VmHWM")
        outputs = sum(array.nbytes for array in prepared.values(result).values())
        return {"bytes": max(0, peak - before - outputs + prepared.kept)}

    def _of(self, case: dict[str, Any], path: str) -> Any:
        import numpy as np

        with np.load(path) as file:
            arrays = {name: file[name] for name in file.files}
        return self._peer.prepare(case["loss"], arrays, case["gradient"])


def reset_peak() -> None:
    """Have Linux count the peak of this process's memory from now on."""
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")


def status(name: str) -> int:
    """A number of bytes that Linux knows about this process."""
    with open("/proc/self/status") as file:
        lines = [line.split() for line in file]
    return next(int(words[1]) * 1024 for words in lines if words[0] == name + ":")


def timed(calls: list[Callable[[], Any]]) -> list[float]:
    """Call one after the other; the seconds of each."""
    clock, seconds = time.perf_counter, []
    for call in calls:
        start = clock()
        call()
        seconds.append(clock() - start)
    return seconds


def limit(threads: int, cpus: list[int]) -> None:
    """Hold this process to some processors and threads: before any library is loaded."""
    if cpus:
        os.sched_setaffinity(0, cpus)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(threads)


def main() -> None:
    """Import the peer of a file and serve it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("file")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--cpus", type=int, nargs="*", default=[])
    options = parser.parse_args()
    speak = protocol()
    speak.end_with_parent()
    answers = speak.private_stdout()
    limit(options.threads, options.cpus)
    try:
        peer = load(options.file)(options.threads)
        versions = peer.versions()
    except Exception as error:
        traceback.print_exc()
        reason, *_ = f"{type(error).__name__}: {error}".splitlines()
        speak.say({"missing": reason}, answers)
        return
    python = "{}.{}.{}".format(*sys.version_info[:3])
    speak.say({"python": python, "versions": versions}, answers)
    speak.serve(Server(peer).answer, answers)


if __name__ == "__main__":
    main()
