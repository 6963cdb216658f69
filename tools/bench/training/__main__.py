"""Times steps of training by turns: peers in processes of their own, stopped while others run."""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from lossgraph.compare.bench import in_turn
from lossgraph.compare.workers import Worker

NETS = ("MLP", "LeNet", "ResNet", "GPT")
WHAT = {"gradients": ("torch", "lossgraph", "onnx-ad"), "step": ("torch", "lossgraph")}
TOOLS = Path(__file__).resolve().parents[2]
EQUAL = 1e-3  # of the largest number of a gradient, in float32 through some twenty layers


def main() -> int:
    """Measure and print a table of Markdown."""
    parser = argparse.ArgumentParser(prog="tools/bench_training", description=__doc__)
    parser.add_argument("nets", nargs="*", default=NETS, help=f"of {', '.join(NETS)}")
    parser.add_argument("--torch", default=".venvs/bench-training-torch/bin/python")
    parser.add_argument("--onnx-ad", default=".venvs/bench-training-onnx-ad/bin/python")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=0.4, help="of each peer in each round")
    parser.add_argument("--busy", action="store_true", help="on a machine that does other work too:"
                        " the time of the processor, of one thread")  # fmt: skip
    options = parser.parse_args()
    options.threads = 1 if options.busy else options.threads
    pythons = {"torch": options.torch, "lossgraph": sys.executable, "onnx-ad": options.onnx_ad}
    print("| network | what | torch | lossgraph | onnx-ad | torch / lossgraph | "
          "onnx-ad / lossgraph | peak memory, MB |")  # fmt: skip
    print("|---|---|---|---|---|---|---|---|")
    for net in options.nets:
        for what, peers in WHAT.items():
            print(measured(net, what, {p: pythons[p] for p in peers}, options), flush=True)
    return 0


def measured(net: str, what: str, pythons: dict[str, str], options: argparse.Namespace) -> str:
    """A row of the table: medians, ratios of medians, and peaks of whole processes."""
    with tempfile.TemporaryDirectory() as place, ExitStack() as stack:
        folder = Path(place)
        workers = {
            peer: stack.enter_context(started(peer, python, folder, options))
            for peer, python in pythons.items()
        }
        counts = {}
        for peer, worker in workers.items():  # the first one exports the network
            case = {"net": net, "folder": place, "what": what}
            warm = worker.ask({"prepare": case})["seconds"]
            counts[peer] = int(np.clip(options.seconds / warm, 3, 200))
            worker.pause()
        require_equal({p: asked(workers[p], folder, p) for p in ("torch", "lossgraph")})
        seconds: dict[str, list[float]] = {peer: [] for peer in workers}
        for turn in range(options.rounds):
            for peer in in_turn(list(workers), turn):
                workers[peer].resume()
                seconds[peer] += workers[peer].ask({"run": counts[peer]})["seconds"]
                workers[peer].pause()
        peaks = {}
        for peer, worker in workers.items():
            worker.resume()
            peaks[peer] = worker.ask({"memory": None})["bytes"] / 1e6
    return row(net, what, seconds, peaks)


def started(peer: str, python: str, folder: Path, options: argparse.Namespace) -> Worker:
    """The process of a peer."""
    paths = [str(TOOLS), *([str(TOOLS.parent)] if peer == "lossgraph" else [])]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    command = [str(Path(python).absolute()), "-W", "ignore", "-m", "bench.training.worker", peer]
    command += ["--threads", str(options.threads), *(["--busy"] if options.busy else [])]
    worker = Worker(command, folder, f"{peer}.log", env)
    worker.hello()
    return worker


def asked(worker: Worker, folder: Path, peer: str) -> dict[str, np.ndarray]:
    """What a peer computes."""
    worker.resume()
    path = worker.ask({"values": str(folder / f"{peer}.npz")})["values"]
    worker.pause()
    with np.load(path) as file:
        return dict(file)


def require_equal(values: dict[str, dict[str, np.ndarray]]) -> None:
    """Refuse to compare what computes different numbers, where names of gradients are the same."""
    right, found = values["torch"], values["lossgraph"]
    for name in set(right) & set(found):
        if right[name].shape != found[name].shape:
            continue  # a weight that is stored transposed
        apart = np.abs(right[name] - found[name]).max() / (1e-6 + np.abs(right[name]).max())
        if not apart < EQUAL:
            raise SystemExit(f"{name} differs from PyTorch's by {apart:.1e} of its largest number")


def row(net: str, what: str, seconds: dict[str, list[float]], peaks: dict[str, float]) -> str:
    """The medians in milliseconds, with the least times in brackets."""
    middle = {peer: statistics.median(found) for peer, found in seconds.items()}
    cells = [
        f"{middle[p] * 1e3:.2f} ({min(seconds[p]) * 1e3:.2f})" if p in middle else ""
        for p in ("torch", "lossgraph", "onnx-ad")
    ]
    ratios = [
        f"{middle[p] / middle['lossgraph']:.2f}" if p in middle else ""
        for p in ("torch", "onnx-ad")
    ]
    memory = " / ".join(f"{peaks[p]:.0f}" for p in peaks)
    return f"| {net} | {what} | {' | '.join([*cells, *ratios])} | {memory} |"


if __name__ == "__main__":
    raise SystemExit(main())
