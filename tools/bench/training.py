"""Steps of training beside PyTorch's and onnx-ad's: ``tools/bench_training``.

Value and gradients of a mean cross-entropy by all weights, and for those that have one a step of
AdamW. Each library runs in a process of its own; rounds are interleaved, and medians of ratios in
the rounds are shown.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve()
MODELS = ("MLP", "LeNet", "ResNet", "GPT")
Step = Callable[[], Any]
Clock = Callable[[], float]


# --- what a worker runs, by library ----------------------------------------------------------


def lossgraph_steps(folder: Path, threads: int) -> dict[str, Step]:
    """Steps of lossgraph."""
    import numpy as np

    import lossgraph as lg

    batch = dict(np.load(folder / "batch.npz"))
    optimizer = lg.training.AdamW(learning_rate=1e-3)
    loss = lg.nn.CrossEntropyLoss()
    step = lg.training.build(folder / "model.onnx", loss, optimizer=optimizer)
    trainer = lg.training.Trainer(step, threads=threads)
    gradients = _bound(step.gradients.model, {**batch, **step.parameters}, threads)
    return {"gradients": gradients, "step": lambda: trainer.step(batch)}


def torch_steps(folder: Path, threads: int) -> dict[str, Step]:
    """Steps of PyTorch, eager."""
    import numpy as np
    import torch
    from training_models import models

    torch.set_num_threads(threads)
    model, _ = models()[folder.name]
    model.eval()
    batch = {k: torch.from_numpy(v) for k, v in np.load(folder / "batch.npz").items()}
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.01)

    def gradients() -> None:
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(model(batch["x"]), batch["target"]).backward()

    def step() -> None:
        gradients()
        optimizer.step()

    return {"gradients": gradients, "step": step}


def onnx_ad_steps(folder: Path, threads: int) -> dict[str, Step]:
    """Value and gradients by onnx-ad's graph, on the same ONNX Runtime."""
    import numpy as np
    import onnx
    from onnx_ad_graph import with_gradients

    batch = dict(np.load(folder / "batch.npz"))
    model, parameters = with_gradients(onnx.load(folder / "model.onnx"), batch)
    return {"gradients": _bound(model, {**batch, **parameters}, threads)}


def _bound(model: Any, arrays: dict[str, Any], threads: int) -> Step:
    """Runs of a model on arrays that the engine has, its outputs left with it."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 4
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    binding = session.io_binding()
    for wanted in session.get_inputs():
        binding.bind_cpu_input(wanted.name, arrays[wanted.name])
    for output in session.get_outputs():
        binding.bind_output(output.name)
    return lambda: session.run_with_iobinding(binding)


LIBRARIES = {"lossgraph": lossgraph_steps, "torch": torch_steps, "onnx-ad": onnx_ad_steps}


def work(library: str, folder: Path, threads: int, clock: Clock) -> None:
    """Answer requests: ``{"what": .., "seconds": ..}`` with the seconds of a step."""
    steps = LIBRARIES[library](folder, threads)
    for step in steps.values():
        for _ in range(3):
            step()
    print(json.dumps(sorted(steps)), flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        print(json.dumps(_timed(steps[asked["what"]], asked["seconds"], clock)), flush=True)


def _timed(step: Step, seconds: float, clock: Clock) -> dict[str, float]:
    step()
    times: list[float] = []
    start = time.perf_counter()
    while time.perf_counter() - start < seconds or len(times) < 3:
        before = clock()
        step()
        times.append(clock() - before)
    return {"seconds": statistics.median(times), "peak": _peak_of_memory()}


def _peak_of_memory() -> float:
    """The largest resident memory of the process so far, in MiB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


# --- what asks them --------------------------------------------------------------------------


class Worker:
    """A library with one model, in a process of its own."""

    def __init__(
        self, library: str, python: str, folder: Path, options: argparse.Namespace
    ) -> None:
        self.library = library
        threads = str(options.threads)
        command = [python, str(HERE), "--work", library, str(folder), "--threads", threads]
        command += ["--busy"] if options.busy else []
        environment = {**os.environ, "OMP_NUM_THREADS": threads}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )
        self.steps = set(self._answer())

    def ask(self, what: str, seconds: float) -> dict[str, float]:
        """The time of a step, and the memory at its peak."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"what": what, "seconds": seconds}) + "\n")
        self._process.stdin.flush()
        return dict(self._answer())

    def end(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.library} failed: its message is above")
        return json.loads(line)


def measure(folder: Path, pythons: dict[str, str], options: argparse.Namespace) -> None:
    """Print the rows of one model."""
    workers = [Worker(n, python, folder, options) for n, python in pythons.items()]
    try:
        for what in ("gradients", "step"):
            asked = [worker for worker in workers if what in worker.steps]
            rounds = [[w.ask(what, options.seconds) for w in asked] for _ in range(options.rounds)]
            own = [answers[0]["seconds"] for answers in rounds]
            cells = []
            for place in range(len(asked)):
                pairs = zip(own, (answers[place]["seconds"] for answers in rounds), strict=True)
                ratio = statistics.median(other / mine for mine, other in pairs)
                cells.append(f"{ratio:.2f} ({rounds[-1][place]['peak']:.0f} MiB)")
            cells[0] = f"{statistics.median(own) * 1e3:.3g} ms ({rounds[-1][0]['peak']:.0f} MiB)"
            found = dict(zip((worker.library for worker in asked), cells, strict=True))
            row = [folder.name, what, *(found.get(name, "") for name in pythons)]
            print(f"| {' | '.join(row)} |", flush=True)
    finally:
        for worker in workers:
            worker.end()


def main(arguments: list[str] | None = None) -> int:
    """Export the models, measure, and print a table."""
    parser = argparse.ArgumentParser(prog="bench_training", description=__doc__)
    parser.add_argument("--torch", metavar="PYTHON", help="has PyTorch, onnx, onnxscript")
    parser.add_argument("--onnx-ad", metavar="PYTHON", help="has onnx-ad and ONNX Runtime")
    parser.add_argument("--models", default=",".join(MODELS), metavar="NAME,..")
    parser.add_argument("--folder", type=Path, help="models that were exported before")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5, help="of a turn")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument(
        "--busy",
        action="store_true",
        help="for a machine that does other work: time of the processor, of one thread",
    )
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    options.threads = 1 if options.busy else options.threads
    if options.work:
        clock = time.process_time if options.busy else time.perf_counter
        work(options.work[0], Path(options.work[1]), options.threads, clock)
        return 0
    pythons = {"lossgraph": sys.executable, "torch": options.torch, "onnx-ad": options.onnx_ad}
    pythons = {name: python for name, python in pythons.items() if python}
    print(f"| | | {' | '.join(pythons)} |\n| --- | --- |{' ---: |' * len(pythons)}")
    with tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch)
        if options.folder is None:
            program = str(HERE.with_name("training_models.py"))
            subprocess.run([options.torch, program, scratch], check=True, capture_output=True)
        for name in options.models.split(","):
            measure(folder / name, pythons, options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
