"""The search for faults: programs of a seed, the first fault shrunk to its smallest program."""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis.errors import Flaky

from . import by_jax
from .check import check
from .judge import Fault
from .programs import Program, programs

SHRINK = 20.0  # seconds for making the program of a fault smaller
FORGET = 8  # seeds after which JAX's caches are dropped
CHUNK = 40  # programs of one seed: a fault ends them


@dataclass(frozen=True)
class Found:
    """A fault with the seed that leads to it."""

    seed: int
    what: str
    paste: str

    def __str__(self) -> str:
        return f"# seed {self.seed}: {self.what}\n{self.paste}"


def search(start: int, step: int, deadline: float) -> Iterator[tuple[int, Found | None]]:
    """Programs run for each seed, and the fault that was found, until a time has come."""
    for number in itertools.count(start, step):
        if time.monotonic() >= deadline:
            return
        yield try_seed(number, deadline)
        if number // step % FORGET == 0:
            by_jax.forget()


def try_seed(
    number: int, deadline: float = float("inf"), count: int = CHUNK
) -> tuple[int, Found | None]:
    """The programs of one seed: how many, and the fault in them if there is one."""
    ran, last = 0, None
    shrinking = float("inf")

    @seed(number)
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        report_multiple_bugs=False,
        verbosity=Verbosity.quiet,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    @given(programs())
    def run(program: Program | None) -> None:
        nonlocal ran, last, shrinking
        if program is None or time.monotonic() > (deadline if last is None else shrinking):
            return
        ran += 1
        try:
            check(program)
        except Fault as fault:
            made = Found(number, str(fault), program.paste(fault.call))
            if last is None:
                shrinking = time.monotonic() + SHRINK
            if last is None or len(made.paste) <= len(last.paste):
                last = made
            raise

    with contextlib.suppress(Fault, Flaky):
        run()
    return ran, last
