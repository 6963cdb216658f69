"""The process of one peer: prepares a network, and times its steps as it is told to.

{"prepare": {"net": .., "folder": .., "what": ..}}   {"seconds": of a warm call}
{"run": N}                                          {"seconds": [..]}
{"values": PATH}                                    {"values": PATH}
{"memory": null}                                    {"bytes": the peak of this process}
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

WARM, UNTIMED = 5, 2


class Server:
    """One peer, and what it has prepared."""

    def __init__(self, peer: str, threads: int, busy: bool) -> None:
        self._peer, self._threads = peer, threads
        self._clock = time.process_time if busy else time.perf_counter
        self._made: Any = None
        self._call: Callable[[], Any] = lambda: None

    def answer(self, request: dict[str, Any]) -> dict[str, Any]:
        """The answer to one request."""
        ((what, argument),) = request.items()
        return dict(getattr(self, f"_{what}")(argument))

    def _prepare(self, case: dict[str, Any]) -> dict[str, Any]:
        from .peers import PEERS

        self._made = PEERS[self._peer](case["net"], Path(case["folder"]), self._threads)
        self._call = getattr(self._made, case["what"])()
        return {"seconds": statistics.median(self._timed(WARM))}

    def _run(self, count: int) -> dict[str, Any]:
        gc.disable()
        try:
            return {"seconds": self._timed(UNTIMED + count)[UNTIMED:]}
        finally:
            gc.enable()

    def _timed(self, count: int) -> list[float]:
        seconds = []
        for _ in range(count):
            start = self._clock()
            self._call()
            seconds.append(self._clock() - start)
        return seconds

    def _values(self, path: str) -> dict[str, Any]:
        import numpy as np

        np.savez(path, **self._made.values())
        return {"values": path}

    def _memory(self, _: None) -> dict[str, Any]:
        from ..worker import status

        return {"bytes": status("VmHWM")}


def main() -> None:
    """Serve a peer."""
    parser = argparse.ArgumentParser()
    parser.add_argument("peer")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--busy", action="store_true")
    options = parser.parse_args()
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(options.threads)
    from ..peer import protocol

    speak = protocol()
    speak.end_with_parent()
    answers = speak.private_stdout()
    speak.say({"peer": options.peer}, answers)
    speak.serve(Server(options.peer, options.threads, options.busy).answer, answers)


if __name__ == "__main__":
    main()
