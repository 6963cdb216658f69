"""The losses that are measured: their sizes, and arrays of these sizes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

Array = np.ndarray[Any, Any]
Sizes = tuple[int, ...]


class Loss(NamedTuple):
    """A loss, under the name by which peers know it."""

    name: str
    title: str
    dims: tuple[str, ...]  # what its sizes are called
    sizes: tuple[Sizes, ...]  # what is measured if nothing else is asked for
    arrays: Callable[..., dict[str, Array]]  # by dims, and ``rng``
    fault: Callable[..., str | None]  # why such sizes cannot be measured, by dims
    shrinks: tuple[str, ...] = ("N",)  # the dims that are small in calls that only load code


class Case(NamedTuple):
    """What is measured at once: a loss of some sizes, with its gradient or without."""

    loss: Loss
    sizes: Sizes
    gradient: bool

    @property
    def what(self) -> str:
        return "value + gradient" if self.gradient else "value"

    def arrays(self) -> dict[str, Array]:
        """The same arrays in every run."""
        named = dict(zip(self.loss.dims, self.sizes, strict=True))
        return self.loss.arrays(rng=np.random.default_rng(0), **named)

    def small(self, count: int) -> Case:
        """The same with so many samples; what else shrinks has sizes of its own, a few more."""
        few = {dim: count + i for i, dim in enumerate(self.loss.shrinks)}
        named = {**dict(zip(self.loss.dims, self.sizes, strict=True)), **few}
        return self._replace(sizes=tuple(named.values()))


class Suite(NamedTuple):
    """Losses that one command measures, with the same dims."""

    title: str
    losses: tuple[Loss, ...]

    @property
    def dims(self) -> tuple[str, ...]:
        return self.losses[0].dims

    def only(self, names: list[str]) -> Suite:
        """Those of some names, in any spelling; KeyError for a name that none has."""
        known = {_plain(n): loss for loss in self.losses for n in (loss.name, loss.title)}
        return self._replace(losses=tuple(known[_plain(name)] for name in names))


def _plain(name: str) -> str:
    return name.lower().replace("_", "").removesuffix("loss")


# --- CTC ---


def _ctc_arrays(T: int, N: int, C: int, L: int, rng: np.random.Generator) -> dict[str, Array]:
    """Logits (N, T, C), and labels of L classes each. The blank is the last class."""
    return {
        "logits": rng.normal(size=(N, T, C)).astype(np.float32),
        "labels": rng.integers(0, C - 1, (N, L)),
    }


def _ctc_fault(T: int, N: int, C: int, L: int) -> str | None:
    if C < 2:
        return "CTC needs a class beside the blank: C >= 2"
    if T < 2 * L - 1:  # each repeated class has a blank between
        return "a label may have no alignment, where libraries differ: T has to be >= 2 L - 1"
    return None


CTC = Loss(
    name="ctc",
    title="CTC loss",
    dims=("T", "N", "C", "L"),
    sizes=((20, 4, 20, 5), (100, 32, 40, 20), (200, 32, 80, 40)),
    arrays=_ctc_arrays,
    fault=_ctc_fault,
)


# --- Gluon's losses of rows: N samples of C numbers, by the names of Gluon's inputs ---

Draw = Callable[[np.random.Generator, int, int], Array]
TITLES = {
    "SigmoidBinaryCrossEntropyLoss": "SigmoidBCE",
    "SoftmaxCrossEntropyLoss": "SoftmaxCE",
    "CosineEmbeddingLoss": "Cosine",
}
# Common shapes, then narrow rows, where most lanes of a vector along a row are empty, and a
# vocabulary.
ROWS = ((64, 10), (256, 1000), (4096, 1000), (100_000, 10), (1_000_000, 3), (128, 50_257))


def _rows(name: str, *sizes: Sizes, **inputs: Draw) -> Loss:
    def arrays(N: int, C: int, rng: np.random.Generator) -> dict[str, Array]:
        drawn = {name: draw(rng, N, C) for name, draw in inputs.items()}
        return {n: a.astype(np.float32) if a.dtype.kind == "f" else a for n, a in drawn.items()}

    title = TITLES.get(name, name.removesuffix("Loss"))
    return Loss(name, title, ("N", "C"), (*ROWS, *sizes), arrays, lambda N, C: None)


def _real(rng: np.random.Generator, N: int, C: int) -> Array:
    return rng.normal(size=(N, C))


def _signs(rng: np.random.Generator, N: int, C: int) -> Array:
    return rng.choice([-1.0, 1.0], (N, C))


def _binary(rng: np.random.Generator, N: int, C: int) -> Array:
    return rng.choice([0.0, 1.0], (N, C))


def _classes(rng: np.random.Generator, N: int, C: int) -> Array:
    return rng.integers(0, C, N)


def _counts(rng: np.random.Generator, N: int, C: int) -> Array:
    return rng.poisson(3.0, (N, C)).astype(np.float64)


def _simplex(rng: np.random.Generator, N: int, C: int) -> Array:
    weights = np.exp(rng.normal(size=(N, C)))
    return weights / weights.sum(axis=1, keepdims=True)


def _log_simplex(rng: np.random.Generator, N: int, C: int) -> Array:
    return np.log(_simplex(rng, N, C))


def _apart(near: float, far: float) -> Draw:
    """Rows of another length by turns, so that none is at the kink, where rounding decides."""

    def draw(rng: np.random.Generator, N: int, C: int) -> Array:
        return rng.normal(size=(N, C)) * np.where(np.arange(N) % 2, near, far)[:, None]

    return draw


def _one_sign_each(rng: np.random.Generator, N: int, C: int) -> Array:
    return rng.choice([-1.0, 1.0], N)


def _around(center: float) -> Draw:
    """Rows of these are never at right angles, where the cosine's loss has a kink."""
    return lambda rng, N, C: rng.normal(center, size=(N, C))


GLUON = (
    _rows("L2Loss", pred=_real, label=_real),
    _rows("L1Loss", pred=_real, label=_real),
    _rows("HuberLoss", pred=_real, label=_real),
    _rows("SigmoidBinaryCrossEntropyLoss", pred=_real, label=_binary),
    _rows("SoftmaxCrossEntropyLoss", (1024, 32000), pred=_real, label=_classes),
    _rows("KLDivLoss", pred=_log_simplex, label=_simplex),
    _rows("HingeLoss", pred=_real, label=_signs),
    _rows("LogisticLoss", pred=_real, label=_signs),
    _rows("TripletLoss", pred=_real, positive=_apart(1, 3), negative=_apart(3, 1)),
    _rows("CosineEmbeddingLoss", input1=_around(1), input2=_around(2), label=_one_sign_each),
    _rows("PoissonNLLLoss", pred=_real, target=_counts),
)


# --- linear layers ---


def _linear_arrays(N: int, C: int, D: int, rng: np.random.Generator) -> dict[str, Array]:
    """Rows, a layer whose logits are about one whatever the sizes, and classes."""
    weight = rng.normal(size=(C, D)) / np.sqrt(D)
    return {
        "input": rng.normal(size=(N, D)).astype(np.float32),
        "linear_weight": weight.astype(np.float32),
        "target": rng.integers(0, C, N),
    }


LINEAR = Loss(
    name="linear",
    title="Cross-entropy of a linear layer",
    dims=("N", "C", "D"),
    sizes=((512, 8000, 256), (4096, 32000, 512)),
    arrays=_linear_arrays,
    fault=lambda N, C, D: None,
    shrinks=("N", "C", "D"),
)


# --- images: a class for each pixel ---


def _image_arrays(N: int, C: int, H: int, W: int, rng: np.random.Generator) -> dict[str, Array]:
    """Logits with the classes as second axis, and a class for each pixel."""
    logits = rng.standard_normal(size=(N, C, H, W), dtype=np.float32)
    return {"logits": logits, "labels": rng.integers(0, C, (N, H, W))}


IMAGES = Loss(
    name="segmentation",
    title="Cross-entropy of pixels",
    dims=("N", "C", "H", "W"),
    sizes=((64, 19, 256, 256),),
    arrays=_image_arrays,
    fault=lambda N, C, H, W: None,
    shrinks=("N", "H", "W"),
)

SUITES: Mapping[str, Suite] = {
    "ctc": Suite("CTC loss", (CTC,)),
    "linear": Suite("cross-entropy of a linear layer", (LINEAR,)),
    "peers": Suite("losses", GLUON),
    "segmentation": Suite("cross-entropy of pixels", (IMAGES,)),
}
