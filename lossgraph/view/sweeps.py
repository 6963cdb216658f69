"""What moves and what stays where a loss is drawn: one entry of its prediction moves.

Losses of single elements stand at one element, with the label 0 of a regression and 1 of a
classification; a classification's other scores are 0; all other losses stand at their example
inputs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..authoring.block import Block
from ..authoring.functions import FunctionLoss
from ..catalogue import Entry, Example, entry_of
from ..compiler.program import Program
from ..deploy.example_inputs import bound_sizes, draw_for
from ..errors import InputError
from ..ir.dims import evaluate
from ..ir.types import numpy_dtype
from ..passes.batch_partition import partition_batch

Array = np.ndarray[Any, Any]
Place = tuple[int, ...]

CLASSES = 3  # of a classification that stands at scores of 0
_LABELS = ("label", "labels", "target", "targets", "relevance", "event", "teacher", "p")
_PREDICTION = "q"  # where it is not the first input: distributions p are compared with it
_REDUCED = ("gluon", "nn")  # namespaces whose losses take means over what they keep apart

_EDGE = 1e-3  # how near a range comes to a bound where there may be a pole
_REAL = (-np.inf, np.inf)
_UNIT = (0.0, 1.0)
_POSITIVE = (0.0, np.inf)
_NEGATIVE = (-np.inf, 0.0)
_LIMITS = {  # of the numbers of a kind; of others there are none
    "unit": _UNIT,
    "simplex": _UNIT,
    "shares": _UNIT,
    "table": _UNIT,
    "log_simplex": _NEGATIVE,
    "log_probability": _NEGATIVE,
    "positive": _POSITIVE,
    "count": _POSITIVE,
}
_REACH = 5.0  # how far a range goes where nothing limits it
_CHOICES = {"sign": (-1, 1), "class": (0, 1), "group": (0, 1)}
_ELEMENT = {"real": 0.0, "zero": 0.0, "log_simplex": -1.0, "log_probability": -1.0}  # others at 1
_BOXES = ((-1.0, -1.0, 1.0, 1.0), (0.0, 0.0, 2.0, 2.0))  # they overlap
_SIMILAR = ("contrastive",)  # of samples further apart than the margin the label 1 makes nothing


@dataclass(frozen=True)
class Label:
    """What the prediction is compared with.

    Attributes:
        input: the name of the input.
        entry: which entry of it; of a ``one_hot`` label the row.
        kind: ``number``, ``class`` (an index), or ``one_hot`` (a row, chosen by an index).
        default: where it stands unless somebody moves it.
        choices: the values it may have; none for any number from ``low`` to ``high``.
        low: the smallest number allowed.
        high: the largest.
    """

    input: str
    entry: Place
    kind: str
    default: float
    choices: tuple[int, ...] = ()
    low: float = -np.inf
    high: float = np.inf

    def place(self, arrays: Mapping[str, Array], value: float) -> dict[str, Array]:
        """The arrays with this label.

        Raises:
            InputError: for a value that it cannot have.
        """
        allowed = value in self.choices if self.choices else self.low <= value <= self.high
        if not allowed:
            one_of = ", ".join(map(str, self.choices))
            wanted = f"one of {one_of}" if one_of else f"a number from {self.low} to {self.high}"
            raise InputError(f"the label {self.input!r} is {wanted} here, got {value}")
        array = arrays[self.input].copy()
        array[self.entry] = 0 if self.kind == "one_hot" else value
        if self.kind == "one_hot":
            array[(*self.entry, int(value))] = 1
        return {**arrays, self.input: array}


@dataclass(frozen=True)
class Sweep:
    """What moves, and what stays.

    Attributes:
        input: the name of the input that moves.
        entry: which entry of it.
        low: where the range begins that is worth drawing.
        high: where it ends.
        limits: the numbers beyond which the loss is not defined.
        arrays: all inputs, the label at its default.
        label: what the prediction is compared with; None where there is nothing of that kind.
    """

    input: str
    entry: Place
    low: float
    high: float
    limits: tuple[float, float]
    arrays: Mapping[str, Array]
    label: Label | None

    def labelled(self, value: float) -> Sweep:
        """The same with another label.

        Raises:
            InputError: if there is no label, or it cannot have this value.
        """
        if self.label is None:
            raise InputError(f"there is no label to set: the inputs are {list(self.arrays)}")
        return replace(self, arrays=self.label.place(self.arrays, value))

    def at(self, x: float) -> dict[str, Array]:
        """The arrays with the entry at ``x``."""
        moved = self.arrays[self.input].copy()
        moved[self.entry] = x
        return {**self.arrays, self.input: moved}

    @property
    def standing(self) -> float | None:
        """Where the label stands: its value, or its index in a row; None where there is none."""
        if self.label is None:
            return None
        found = self.arrays[self.label.input][self.label.entry]
        return float(np.argmax(found)) if self.label.kind == "one_hot" else float(found)

    @property
    def moving(self) -> str:
        """What moves, as a user writes it: ``pred[0, 1]``."""
        return f"{self.input}[{', '.join(map(str, self.entry))}]"


def sweep_of(loss: Block, dtype: str = "float64", entry: Entry | None = None) -> Sweep:
    """What moves and what stays for a loss with its options.

    The inputs of a loss that a user wrote are taken for real numbers of one shape.

    Args:
        loss: the loss.
        dtype: of its float inputs.
        entry: its entry in the catalogue, for a caller who has it; looked up otherwise.

    Raises:
        InputError: for a loss of a user that does not take such inputs.
    """
    known = entry or entry_of(loss)
    entry = known or Entry("", loss if isinstance(loss, FunctionLoss) else type(loss), ())
    examples = _needed(entry, entry.examples(loss))
    if not examples:
        raise InputError(f"what to vary of {loss.name} is not known: it names no inputs")
    types = {
        name: (dtype if example.dtype.startswith("float") else example.dtype, example.shape)
        for name, example in examples.items()
    }
    try:
        program = loss.program(types)
    except InputError as error:
        if known:
            raise
        raise InputError(f"what to vary of {loss.name} is not known: {error}") from error
    moving = _PREDICTION if _PREDICTION in examples else next(iter(examples))
    named = next((name for name in examples if name in _LABELS and name != moving), None)
    stage = _Stage(loss, entry.namespace, examples, program, moving, named)
    if stage.is_of_elements:
        return stage.of_elements()
    label_of_class = stage.label_of_class()
    return stage.of_classes(label_of_class) if label_of_class else stage.of_samples()


def _needed(entry: Entry, examples: Mapping[str, Example]) -> dict[str, Example]:
    """The inputs that must be given; and the label of those that can do without one."""
    needed = {name: e for name, e in examples.items() if entry.declared.get(name, True)}
    first = next(iter(needed.values()), None)
    if first and not set(needed) & set(_LABELS):
        needed |= {n: e for n, e in examples.items() if n in _LABELS and e.shape == first.shape}
    return needed


@dataclass(frozen=True)
class _Stage:
    """A loss with its inputs, of which one moves."""

    loss: Block
    namespace: str
    examples: Mapping[str, Example]
    program: Program
    moving: str
    label: str | None

    @property
    def _moved(self) -> Example:
        return self.examples[self.moving]

    @property
    def _apart(self) -> bool:
        """Whether samples do not see each other."""
        batch = partition_batch(self.program.inputs, self.program.outputs)
        return batch is not None and batch.dim == "N"

    # --- single elements ---

    @property
    def is_of_elements(self) -> bool:
        """Whether each element has a value of its own, if maybe a mean is taken of them."""
        shape = self._moved.shape
        if any(example.shape != shape for example in self.examples.values()):
            return False
        if self.namespace not in _REDUCED:
            value = self.program.outputs[self.program.values[0]]
            return tuple(map(str, value.shape)) == tuple(map(str, shape)) and self._apart
        kinds = {example.values for example in self.examples.values()}
        return (
            self.label is not None
            and self.examples[self.label].dtype.startswith("float")
            and not kinds & {"simplex", "log_simplex"}
        )

    def of_elements(self) -> Sweep:
        """One element: a regression's label is 0, any other 1."""
        dtypes = {node.attrs["name"]: numpy_dtype(node.dtype) for node in self.program.inputs}
        arrays = {
            name: np.full((1,) * len(e.shape), _ELEMENT.get(e.values, 1.0)).astype(dtypes[name])
            for name, e in self.examples.items()
        }
        return self._sweep(arrays, (0,) * len(self._moved.shape))

    # --- classes ---

    def label_of_class(self) -> Label | None:
        """Class 1, as an index or a distribution, if scores of classes are compared with it."""
        if self.label is None or self._moved.shape != ("N", "C"):
            return None
        example, indices = self.examples[self.label], tuple(range(CLASSES))
        if example.dtype.startswith("int"):
            return Label(self.label, (0,) * len(example.shape), "class", 1, indices)
        if (self._moved.values, example.values) == ("real", "simplex"):
            return Label(self.label, (0,), "one_hot", 1, indices)
        return None

    def of_classes(self, label: Label) -> Sweep:
        """One sample, the score of whose class moves; the others are 0."""
        arrays = draw_for(self.program, self.examples, {"N": 1, "C": CLASSES})
        arrays[self.moving][...] = 0
        if label.kind == "class":
            arrays[label.input][...] = -1  # what ends a row of labels
        return self._sweep(label.place(arrays, label.default), (0, 1), label)

    # --- samples ---

    def of_samples(self) -> Sweep:
        """Sample data: of one sample, or of as many as usual where samples see each other."""
        arrays = draw_for(self.program, self.examples, {"N": 1} if self._apart else {})
        for name, example in self.examples.items():
            self._make_feasible(name, example, arrays)
        shape = self._moved.shape
        classes = shape.index("C") if "C" in shape else len(shape) - 1
        last = min(1, arrays[self.moving].shape[classes] - 1)  # the first class is often the blank
        return self._sweep(arrays, tuple(last * (axis == classes) for axis in range(len(shape))))

    def _make_feasible(self, name: str, example: Example, arrays: dict[str, Array]) -> None:
        """Full lengths, sequences without blanks, groups of two, boxes that meet, no certainty."""
        array, count = arrays[name], len(arrays[name])
        if name.endswith("_lengths"):
            dim = "T" if name.startswith("input") else "L"
            array[...] = bound_sizes(self.program, arrays)[dim]
        elif example.values == "box":
            array[...] = _BOXES[name != self.moving]
        elif _is_sequence(example):
            array[...] = np.arange(1, array.shape[-1] + 1)
        elif example.values == "log_probability":
            array[...] = -1.0
        elif (example.values, example.shape) == ("class", ("N",)):
            array[...] = np.arange(count) // 2 if count > 1 else self.loss.name not in _SIMILAR
        elif name in dict(self.program.labels):
            array[(0,) * array.ndim] = 1

    # --- both ends ---

    def _sweep(
        self, arrays: Mapping[str, Array], entry: Place, label: Label | None = None
    ) -> Sweep:
        limits = _LIMITS.get(self._moved.values, _REAL)
        if self._moved.values == "box":
            limits = (-np.inf, _BOXES[0][entry[-1] + 2])  # beyond, it is none
        low = max(-_REACH, limits[0] + _EDGE)
        high = min(_REACH, limits[1] - _EDGE)
        if label is None and self.label is not None:
            label = self._plain_label(self.label, arrays, entry)
        return Sweep(self.moving, entry, low, high, limits, arrays, label)

    def _plain_label(self, name: str, arrays: Mapping[str, Array], entry: Place) -> Label:
        """The entry of the label that belongs to the one that moves, or its first."""
        example, array = self.examples[name], arrays[name]
        if example.shape != self._moved.shape:
            entry = (0,) * array.ndim
        low, high = _LIMITS.get(example.values, _REAL)
        choices = self._choices(name, arrays)
        kind = "class" if example.dtype.startswith("int") else "number"
        return Label(name, entry, kind, array[entry].item(), choices, low, high)

    def _choices(self, name: str, arrays: Mapping[str, Array]) -> tuple[int, ...]:
        """The values that a label may have, where they are few."""
        classes, example = dict(self.program.labels).get(name), self.examples[name]
        if classes is not None:
            return tuple(range(evaluate(classes, bound_sizes(self.program, arrays))))
        if _is_sequence(example):
            return tuple(range(1, arrays[self.moving].shape[-1] - 1))  # the blank is an end
        return _CHOICES.get(example.values, ())


def _is_sequence(example: Example) -> bool:
    """Whether it is the labels of sequences."""
    return example.values in ("class", "event") and example.shape[-1] == "L"
