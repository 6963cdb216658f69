"""Train on real data with nothing but an exported graph and ONNX Runtime.

A linear model and its softmax cross-entropy are written as one loss in Gluon style, compiled to
ONNX graphs of value and gradient, and checked. Then ``training.onnx`` alone, loaded by plain
ONNX Runtime, fits scikit-learn's handwritten digits: all that is left for numpy is to subtract.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import onnx
import onnxruntime
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator
from onnx.reference import ReferenceEvaluator
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

import lossgraph
from lossgraph import gluon
from lossgraph.compare.finite_differences import one_sided

PIXELS, CLASSES = 64, 10
BATCH, RATE, MOMENTUM = 64, 0.1, 0.9
REQUIRED_ACCURACY = 0.95
TOLERANCE = 1e-5  # relative to the largest entry, for graphs in float32

STYLE: Any = {
    "axes.edgecolor": "#8a8f98", "axes.labelcolor": "#4a4f57", "axes.spines.right": False,
    "axes.spines.top": False, "figure.constrained_layout.h_pad": 0.1,
    "figure.constrained_layout.use": True, "figure.constrained_layout.w_pad": 0.12,
    "figure.constrained_layout.wspace": 0.04, "font.size": 10, "grid.color": "#e6e8eb",
    "text.color": "#1d2126", "xtick.color": "#4a4f57", "ytick.color": "#4a4f57",
}  # fmt: skip

Array = np.ndarray[Any, Any]


class SoftmaxRegression(gluon.Loss):
    """The cross-entropy of a linear model: its parameters are inputs, so they have gradients."""

    def __init__(self) -> None:
        super().__init__(weight=None, batch_axis=0)
        self.cross_entropy = gluon.SoftmaxCrossEntropyLoss()

    def hybrid_forward(self, F: Any, x: Any, w: Any, b: Any, label: Any) -> Any:
        logits = F.dot(x, w) + b
        return self.cross_entropy(logits, label)


class Digits(NamedTuple):
    """Images in [0, 1], one a row, and their classes."""

    train_x: Array
    test_x: Array
    train_label: Array
    test_label: Array


class Epoch(NamedTuple):
    """What one pass over the training images came to."""

    loss: float
    accuracy: float


def compile_model(dtype: str = "float32", grad: Sequence[str] = ()) -> onnx.ModelProto:
    """The loss for any number of images, with the gradients that are asked for."""
    types = {
        "x": (dtype, ("N", PIXELS)),
        "w": (dtype, (PIXELS, CLASSES)),
        "b": (dtype, (CLASSES,)),
        "label": ("int64", ("N",)),
    }
    return SoftmaxRegression().to_onnx(types, grad=grad)


def export(folder: Path) -> dict[str, Path]:
    """The two graphs as files."""
    models = {"value": compile_model(), "training": compile_model(grad=("w", "b"))}
    paths = {name: folder / f"{name}.onnx" for name in models}
    for name, model in models.items():
        with replacing(paths[name]) as path:
            path.write_bytes(model.SerializeToString())
    return paths


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A path to write to, which takes the place of ``path`` once all is there."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def load() -> Digits:
    """The digits; the split never changes, so that accuracies can be compared."""
    x, label = load_digits(return_X_y=True)
    x, label = (x / 16).astype(np.float32), label.astype(np.int64)
    return Digits(*train_test_split(x, label, test_size=0.25, random_state=0, stratify=label))


def check(paths: dict[str, Path], digits: Digits) -> dict[str, float]:
    """Compare the graphs with ONNX's own interpreter and with differences of their values."""
    rng = np.random.default_rng(0)
    feeds = {
        "x": digits.train_x[:32],
        "w": rng.normal(size=(PIXELS, CLASSES)).astype(np.float32),
        "b": rng.normal(size=CLASSES).astype(np.float32),
        "label": digits.train_label[:32],
    }
    one = {**feeds, "x": feeds["x"][:1], "label": feeds["label"][:1]}
    interpreted = [against_reference(path, f) for path in paths.values() for f in (feeds, one)]
    return {
        "ONNX Runtime and ONNX's reference evaluator": max(interpreted),
        "Gradients and central finite differences": against_differences(paths, feeds),
    }


def against_reference(path: Path, feeds: dict[str, Array]) -> float:
    """The largest difference between two engines, over all outputs of a graph."""
    ours = open_session(path).run(None, feeds)
    theirs = ReferenceEvaluator(str(path)).run(None, feeds)
    return max(apart(a, b) for a, b in zip(ours, theirs, strict=True))


def against_differences(paths: dict[str, Path], feeds: dict[str, Array]) -> float:
    """The largest difference between some gradients and slopes of the summed loss.

    The slopes are those of the same loss in float64: in float32 rounding would drown the step.
    """
    gradients = open_session(paths["training"]).run(["grad_w", "grad_b"], feeds)
    session = open_session(compile_model("float64").SerializeToString())
    wide = {k: v if k == "label" else v.astype(np.float64) for k, v in feeds.items()}
    found, expected = [], []
    for name, gradient in zip("wb", gradients, strict=True):
        places = spread(gradient, 8)
        slopes = one_sided(lambda at: session.run(["loss"], dict(at))[0], wide, name, places, 1e-5)
        found += [gradient[place] for place in places]
        expected += slopes.central.tolist()
    return apart(np.array(found), np.array(expected))


def spread(array: Array, count: int) -> list[Any]:
    """Indices of some entries, from the largest to the smallest."""
    order = np.argsort(-np.abs(array), axis=None)
    chosen = order[np.linspace(0, array.size - 1, count).astype(int)]
    return [np.unravel_index(flat, array.shape) for flat in chosen]


def apart(a: Array, b: Array) -> float:
    """The largest difference, relative to the largest number."""
    return float(np.abs(a - b).max() / np.abs(b).max())


def open_session(model: Path | bytes) -> onnxruntime.InferenceSession:
    source = model if isinstance(model, bytes) else str(model)
    return onnxruntime.InferenceSession(source, providers=["CPUExecutionProvider"])


def fit(training: Path, digits: Digits, epochs: int, seed: int) -> Iterator[Epoch]:
    """Train by gradient descent with momentum: from here on only ONNX Runtime and numpy work."""
    session = open_session(training)
    rng = np.random.default_rng(seed)
    parameters = {
        "w": np.zeros((PIXELS, CLASSES), np.float32),
        "b": np.zeros(CLASSES, np.float32),
    }
    velocity = {name: np.zeros_like(value) for name, value in parameters.items()}
    for _ in range(epochs):
        losses = []
        for batch in shuffled(len(digits.train_x), rng):
            feeds = {"x": digits.train_x[batch], "label": digits.train_label[batch], **parameters}
            loss, *gradients = session.run(["loss", "grad_w", "grad_b"], feeds)
            losses.append(loss)
            for name, gradient in zip(parameters, gradients, strict=True):
                # The gradient is that of the sum over the batch, and the rate is for its mean.
                velocity[name] = MOMENTUM * velocity[name] + RATE / len(batch) * gradient
                parameters[name] -= velocity[name]
        yield Epoch(float(np.concatenate(losses).mean()), accuracy(digits, **parameters))


def shuffled(count: int, rng: np.random.Generator) -> Iterator[Array]:
    """Each index once, in batches; the last is what remains, for a graph takes any N."""
    order = rng.permutation(count)
    for start in range(0, count, BATCH):
        yield order[start : start + BATCH]


def accuracy(digits: Digits, w: Array, b: Array) -> float:
    """The share of test images whose largest logit is that of their class."""
    predicted = (digits.test_x @ w + b).argmax(axis=1)
    return float((predicted == digits.test_label).mean())


def follow(history: Iterator[Epoch], epochs: int, console: Console) -> list[Epoch]:
    """Show the loss falling while it does."""
    columns = (
        TextColumn("Training"),
        BarColumn(bar_width=20),
        MofNCompleteColumn(),
        TextColumn("{task.description}"),
    )
    done = []
    with Progress(*columns, console=console, disable=console.quiet) as progress:
        task = progress.add_task("", total=epochs)
        for epoch in history:
            done.append(epoch)
            fall = f"loss {done[0].loss:.3f} to {epoch.loss:.3f}"
            state = f"{fall}, test accuracy {epoch.accuracy:.3f}"
            progress.update(task, advance=1, description=state)
    return done


def draw(history: Sequence[Epoch], path: Path) -> None:
    """Loss and accuracy by epoch, side by side: two scales on one pair of axes mislead."""
    with rc_context(STYLE):
        figure = Figure(figsize=(8, 3.7), dpi=150)
        figure.suptitle(
            "Softmax regression on handwritten digits, fitted by training.onnx in ONNX Runtime",
            x=0.012, ha="left", weight="bold", size=11,
        )  # fmt: skip
        left, right = figure.subplots(1, 2)
        draw_loss(left, [epoch.loss for epoch in history])
        draw_accuracy(right, [100 * epoch.accuracy for epoch in history])
        with replacing(path) as temporary:
            figure.savefig(temporary, format="png")


def draw_loss(axes: Axes, values: Sequence[float]) -> None:
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_title("Training loss (mean cross-entropy)", loc="left", size=10)
    draw_line(axes, values, "#1f5fa8", f"{values[-1]:.3f}")


def draw_accuracy(axes: Axes, values: Sequence[float]) -> None:
    axes.yaxis.set_major_formatter("{x:g} %")
    axes.set_title("Test accuracy", loc="left", size=10)
    draw_line(axes, values, "#b5541c", f"{values[-1]:.1f} %")


def draw_line(axes: Axes, values: Sequence[float], color: str, last: str) -> None:
    """One line with its last value beside its end."""
    epochs = range(1, len(values) + 1)
    axes.plot(epochs, values, color=color, linewidth=1.8, solid_joinstyle="round")
    axes.plot(epochs[-1], values[-1], "o", color=color, markersize=5, clip_on=False)
    axes.annotate(
        last, (epochs[-1], values[-1]), (8, 0), textcoords="offset points",
        va="center", color=color, weight="bold",
    )  # fmt: skip
    axes.set_xlim(0, len(values))
    axes.margins(y=0.08)
    axes.grid(axis="y")
    axes.set_xlabel("Epoch")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, steps=[1, 2, 5, 10], integer=True))


def run(folder: Path, epochs: int, seed: int, console: Console) -> str | None:
    """Everything, in order; what went wrong, if something did."""
    folder.mkdir(parents=True, exist_ok=True)
    digits = load()
    console.print(
        f"lossgraph {lossgraph.__version__}, ONNX Runtime {onnxruntime.__version__}; "
        f"{len(digits.train_x)} digits to learn from, {len(digits.test_x)} to test"
    )
    paths = export(folder)
    for what, size in check(paths, digits).items():
        console.print(f"  {what + ':':52}apart by {size:.0e}")
        if not size < TOLERANCE:
            return f"{what}: apart by {size:.0e}, more than {TOLERANCE:.0e}"
    start = time.perf_counter()
    history = follow(fit(paths["training"], digits, epochs, seed), epochs, console)
    seconds = time.perf_counter() - start
    paths["curve"] = folder / "curve.png"
    draw(history, paths["curve"])
    reached = history[-1].accuracy
    console.print(f"Test accuracy {reached:.3f} after {seconds:.2f} s of training; written:")
    for path in paths.values():
        console.print(f"  {path} ({path.stat().st_size:,} bytes)", soft_wrap=True)
    if not reached > REQUIRED_ACCURACY:
        return f"test accuracy {reached:.3f} is not above {REQUIRED_ACCURACY}"
    return None


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="demo", description=str(__doc__).partition("\n\n")[0])
    parser.add_argument(
        "-o", "--output", type=Path, default=Path("out/demo"), metavar="DIR",
        help="where the graphs and the picture go (default: %(default)s)",
    )  # fmt: skip
    parser.add_argument(
        "--epochs", type=at_least(1), default=40, help="passes over the images (default: 40)"
    )
    parser.add_argument(
        "--seed", type=at_least(0), default=0, help="for the order of the images (default: 0)"
    )
    parser.add_argument("--quiet", action="store_true", help="print nothing but what goes wrong")
    return parser.parse_args(arguments)


def at_least(smallest: int) -> Callable[[str], int]:
    """A type for the command line: whole numbers from a smallest one."""

    def number(text: str) -> int:
        if not text.isdecimal() or int(text) < smallest:
            raise argparse.ArgumentTypeError(f"expected {smallest} or more, got {text!r}")
        return int(text)

    return number


def main(arguments: Sequence[str] | None = None) -> int:
    """The command: 0, 1 for a failed check or a low accuracy, 2 for wrong use."""
    options = parse(arguments)
    console = Console(quiet=options.quiet, highlight=False, markup=False)
    start = time.perf_counter()
    try:
        wrong = run(options.output, options.epochs, options.seed, console)
    except OSError as error:
        print(f"demo: {error}", file=sys.stderr)
        return 2
    if wrong:
        print(f"demo: {wrong}", file=sys.stderr)
        return 1
    console.print(f"Done in {time.perf_counter() - start:.1f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
