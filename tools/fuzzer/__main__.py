"""The command line of tools/fuzz."""

from __future__ import annotations

import argparse
import itertools
import multiprocessing
import queue
import sys
import time
from typing import Any

from .kernels import search_kernels
from .search import Found, search

DESCRIPTION = """\
Runs random programs of F in every way there is, and holds what they give to mirrors.

A program has up to ten operators of F, on arrays of all dtypes, of lengths 0 and 1 too, with NaN,
infinities, signed zeros, and numbers that overflow. It is called, compiled (for named and for fixed
sizes, in tiles, on threads, bound to its arrays) and exported for an opset, in value and gradients,
by chance in second derivatives. Its value is held to lossgraph.reference, its gradients to
differences and, where it is installed, to JAX, and all of it to the traced graph in float64, whose
roundings say how far an honest result may be away."""

EPILOG = """\
A fault is printed as the smallest program that shows it, ready to be pasted, with the seed that
leads to it again: --seed SEED --seconds 1. The exit code is 0 if nothing is found, 1 for a fault, 2
for wrong use."""


def main(arguments: list[str] | None = None) -> int:
    """Search for some seconds; the exit code."""
    options = _parser().parse_args(arguments)
    began = time.monotonic()
    results: Any = multiprocessing.Queue()
    workers = [
        multiprocessing.Process(
            target=_work,
            args=(i, options, results),
        )
        for i in range(options.workers)
    ]
    for worker in workers:
        worker.start()
    ran, faults = _collect(workers, results, began)
    for worker in workers:
        worker.join()
    crashed = [worker.exitcode for worker in workers if worker.exitcode]
    for code in crashed:
        print(f"a worker ended with exit code {code}")
    print(f"{ran} programs in {time.monotonic() - began:.0f} s, {len(faults)} faults; seeds from "
          f"{options.seed}")  # fmt: skip
    return 1 if faults or crashed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tools/fuzz",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--seconds", type=float, default=60, help="how long to search (60)")
    parser.add_argument("--seeds", type=int, help="how many seeds at most (no limit)")
    parser.add_argument("--seed", type=int, default=0, help="the first seed (0)")
    parser.add_argument("--kernels", action="store_true",
                        help="graphs of whole numbers as kernels; needs cc")  # fmt: skip
    parser.add_argument("--workers", type=int, default=2, help="processes side by side (2)")
    return parser


def _work(number: int, options: argparse.Namespace, results: Any) -> None:
    """Every so many seeds from one on: those of one worker."""
    find = search_kernels if options.kernels else search
    deadline = time.monotonic() + options.seconds
    found = find(options.seed + number, options.workers, deadline)
    mine = None if options.seeds is None else len(range(number, options.seeds, options.workers))
    for each in itertools.islice(found, mine):
        results.put(each)


def _collect(workers: list[Any], results: Any, began: float) -> tuple[int, list[Found]]:
    """What the workers found, printed as it comes: a fault of a kind only once."""
    total, faults, kinds = 0, [], set()
    while True:
        alive = any(worker.is_alive() for worker in workers)
        try:
            ran, found = results.get(timeout=1)
        except queue.Empty:
            if not alive:
                return total, faults
            continue
        total += ran
        if found is not None:
            faults.append(found)
            kind = found.what.split(" is ")[0][:60], found.paste.count("\n")
            if kind not in kinds:
                kinds.add(kind)
                print(f"\n{found}\n", flush=True)
        if sys.stderr.isatty():
            print(f"\r{total} programs, {len(faults)} faults, {time.monotonic() - began:.0f} s ",
                  end="", file=sys.stderr, flush=True)  # fmt: skip


if __name__ == "__main__":
    sys.exit(main())
