"""How much of the processors others use meanwhile: what was measured beside them is doubtful.

Where that happens, libraries do not even suffer alike: one whose threads wait for each other in
a loop may take ten times as long if one of them has to wait for a processor.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

PROC = Path("/proc")


class Meter:
    """Compares what some processors did with what some processes did on them."""

    def __init__(
        self,
        cpus: Sequence[int],
        pids: Sequence[int],
        proc: Path = PROC,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cpus, self._pids, self._proc, self._clock = cpus, pids, proc, clock
        self._last = self._read()

    def lap(self) -> float | None:
        """The share of the processors that others used since the last lap; None if unknown."""
        last, self._last = self._last, self._read()
        if last is None or self._last is None:
            return None
        elapsed, busy, ours = (now - then for now, then in zip(self._last, last, strict=True))
        return min(1.0, max(0.0, (busy - ours) / (elapsed * len(self._cpus))))

    def _read(self) -> tuple[float, float, float] | None:
        """The time, and the seconds that the processors and the processes have worked."""
        if not self._cpus:
            return None
        try:
            return self._clock(), self._busy(), sum(map(self._worked, self._pids))
        except OSError:
            return None

    def _busy(self) -> float:
        """What a host took away for others (steal) counts as well."""
        names = {f"cpu{cpu}" for cpu in self._cpus}
        lines = map(str.split, (self._proc / "stat").read_text().splitlines())
        found = [list(map(int, numbers)) for name, *numbers in lines if name in names]
        ticks = sum(
            user + nice + system + sum(interrupts_and_steal)
            for user, nice, system, _, _, *interrupts_and_steal in (line[:8] for line in found)
        )
        return ticks / os.sysconf("SC_CLK_TCK")

    def _worked(self, pid: int) -> float:
        stat = (self._proc / str(pid) / "stat").read_text()
        user, system = stat.rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
