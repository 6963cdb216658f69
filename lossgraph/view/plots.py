"""Pictures of losses: which are drawn, with which options and labels, and what is told of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import ml_dtypes
import numpy as np

from ..authoring.block import Block
from ..authoring.functions import FunctionLoss, as_loss
from ..catalogue import Entry, entry_of, lookup
from ..errors import InputError
from ..symbolic.arguments import checked
from .curves import Curve, curve
from .plotting import Line, draw_on, figure_of, picture
from .sweeps import Sweep, sweep_of

if TYPE_CHECKING:
    from matplotlib.figure import Figure

POINTS = 401
Watch = Callable[[Sequence[Any], str], Iterable[Any]]


class Subject(NamedTuple):
    """A loss that is to be drawn.

    Attributes:
        name: what it is called in the picture.
        entry: its entry in the catalogue; None for a loss that a user wrote.
        made: the loss with its options; None for one that was named.
    """

    name: str
    entry: Entry | None
    made: Block | None

    @property
    def options(self) -> Mapping[str, Any]:
        """Its options with their defaults."""
        if self.entry is not None:
            return self.entry.options
        return self.made.options if self.made is not None else {}

    def with_options(self, options: Mapping[str, Any]) -> Block:
        """The loss with some options.

        Raises:
            InputError: for options of a loss that was made with options already.
        """
        if self.made is None:
            assert self.entry is not None
            return self.entry.make(options)
        if not options:
            return self.made
        if isinstance(self.made, FunctionLoss):
            return self.made.with_options(**options)
        raise InputError(f"{self.name} was made with its options: give others when it is made")


class Drawn(NamedTuple):
    """A loss with options and a label, and its curve."""

    subject: Subject
    options: Mapping[str, Any]
    sweep: Sweep
    curve: Curve


@checked
def plot(
    *losses: Any,
    options: Mapping[str, Any] | None = None,
    sweep: Mapping[str, Sequence[Any]] | None = None,
    label: float | Sequence[float] | None = None,
    low: float | None = None,
    high: float | None = None,
    points: int = POINTS,
    dtype: str = "float64",
    together: bool = False,
    ax: Any = None,
) -> Figure:
    """Draw the values and gradients of losses, as ``lossgraph plot`` does.

    One entry of the prediction moves. Losses of single elements stand at the label 0, those of
    signs and classes at 1 with other scores 0, all others at example inputs.

    Args:
        *losses: losses, functions of F, or names as of ``lossgraph list``.
        options: options of those losses that have them, ``{"rho": 2}``; of one, with its name,
            ``{"HuberLoss.rho": 2}``.
        sweep: an option with several values, a line for each: ``{"rho": (0.5, 1, 2)}``.
        label: where the label stands instead; of several labels each has a line.
        low: where the range begins.
        high: where it ends.
        points: how many points.
        dtype: what is computed in.
        together: value and gradient in one panel, the gradient dashed.
        ax: axes of matplotlib to draw on: a pair for value and gradient, or one for both.

    Returns:
        The figure, which a notebook shows and ``savefig`` writes; it needs no display.

    Raises:
        InputError: for what no loss takes, and if matplotlib is not installed.
    """
    labels = [None] if label is None else np.ravel(label).tolist()
    subjects = [subject_of(loss) for loss in losses]
    drawn = draw(subjects, options or {}, sweep or {}, labels, (low, high, points), dtype)
    lines, told = legend(drawn)
    if ax is None:
        return figure_of(lines, together=together, **told)
    return draw_on(ax, lines, **told)


def subject_of(loss: Any) -> Subject:
    """A loss to draw, from a name, a loss or a function of F.

    Raises:
        InputError: for a name that no loss has, and for what is no loss.
    """
    if isinstance(loss, str):
        return Subject(loss, lookup(loss), None)
    made = as_loss(loss)
    return Subject(made.name, entry_of(made), made)


def draw(
    subjects: Sequence[Subject],
    options: Mapping[str, Any],
    sweep: Mapping[str, Sequence[Any]],
    labels: Sequence[float | None],
    wanted: tuple[float | None, float | None, int],
    dtype: str,
    watch: Watch = lambda items, _: items,
) -> list[Drawn]:
    """The curves: of each loss one for each value of the option that varies, and each label.

    Args:
        subjects: the losses.
        options: options, by name or by loss and name.
        sweep: the option that varies, with its values.
        labels: where the label stands; None for its default.
        wanted: where the range begins and ends, and how many points it has.
        dtype: what is computed in.
        watch: goes through the curves that are to be computed.

    Raises:
        InputError: for options, labels and ranges that a loss has not.
    """
    if not subjects:
        raise InputError("nothing to draw: give a loss")
    families = [
        (subject, chosen, label)
        for subject, chosen in _families(subjects, options, sweep)
        for label in labels
    ]
    return [
        _drawn(subject, chosen, label, wanted, dtype)
        for subject, chosen, label in watch(families, "computing")
    ]


def file_of(drawn: Sequence[Drawn], format: str, together: bool = False) -> bytes:
    """The picture as a file.

    Raises:
        InputError: for a format that is none of pictures, and if matplotlib is not installed.
    """
    lines, told = legend(drawn)
    return picture(lines, format, together=together, **told)


def legend(drawn: Sequence[Drawn]) -> tuple[list[Line], dict[str, Any]]:
    """The lines with their names, and what is common to all: title, what moves, whether ordered."""
    told = [_told(one) for one in drawn]
    differs = [len({*texts}) > 1 for texts in zip(*told, strict=True)]
    lines = [
        Line(" ".join(filter(None, itertools.compress(texts, differs))), one.curve)
        for texts, one in zip(told, drawn, strict=True)
    ]
    moving = {one.sweep.moving for one in drawn}
    return lines, {
        "x_name": moving.pop() if len(moving) == 1 else "prediction",
        "title": " ".join(
            filter(None, itertools.compress(told[0], (not each for each in differs)))
        ),
        "ordered": differs == [False, True, False],  # one loss whose option varies
    }


# --- which losses, with which options ---


def _families(
    subjects: Sequence[Subject], given: Mapping[str, Any], sweep: Mapping[str, Sequence[Any]]
) -> Iterator[tuple[Subject, dict[str, Any]]]:
    """Each loss with its options, several times where one of them has several values."""
    common = _by_subject(subjects, given)
    several = _by_subject(subjects, sweep)
    for subject, options, varied in zip(subjects, common, several, strict=True):
        for option, values in varied.items():
            for value in values:
                yield subject, {**options, option: value}
        if not varied:
            yield subject, options


def _by_subject(subjects: Sequence[Subject], given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The options given for each loss.

    Raises:
        InputError: for an option that no loss has, or for a loss that is not drawn.
    """
    found: list[dict[str, Any]] = [{} for _ in subjects]
    for key, value in given.items():
        option, meant = _meant(subjects, key)
        having = [i for i in meant if option in subjects[i].options]
        if not having:
            known = "; ".join(f"{_full(s)} has {', '.join(s.options)}" for s in subjects)
            raise InputError(f"no loss here has an option {option!r}: {known}")
        for i in having:
            found[i][option] = value
    return found


def _meant(subjects: Sequence[Subject], key: str) -> tuple[str, list[int]]:
    """An option's name, and the places of the losses that it is given for."""
    loss, _, option = key.rpartition(".")
    if not loss:
        return option, list(range(len(subjects)))
    places = [i for i, subject in enumerate(subjects) if loss == subject.name]
    if not places:
        only = lookup(loss).name
        places = [i for i, subject in enumerate(subjects) if only == _full(subject)]
    if not places:
        raise InputError(f"{key}: {only} is not among the losses that are drawn")
    return option, places


def _full(subject: Subject) -> str:
    return subject.entry.name if subject.entry else subject.name


# --- their curves ---


def _drawn(
    subject: Subject,
    options: Mapping[str, Any],
    label: float | None,
    wanted: tuple[float | None, float | None, int],
    dtype: str,
) -> Drawn:
    loss = subject.with_options(options)
    sweep = sweep_of(loss, dtype, subject.entry)
    try:
        sweep = sweep if label is None else sweep.labelled(label)
    except InputError as error:
        raise InputError(f"{subject.name}: {error}") from None
    points = _points(subject.name, sweep, *wanted)
    return Drawn(subject, options, sweep, curve(loss, sweep, points))


def _points(name: str, sweep: Sweep, low: float | None, high: float | None, count: int) -> Any:
    """The range that is wanted, as far as the loss is defined there and its dtype has numbers."""
    if count < 2:
        raise InputError(f"a line has 2 points or more, got {count}")
    finfo: Any = ml_dtypes.finfo  # which knows bfloat16, and says no types
    largest = float(finfo(sweep.arrays[sweep.input].dtype).max)
    least, most = max(sweep.limits[0], -largest), min(sweep.limits[1], largest)
    first = sweep.low if low is None else max(low, least)
    last = sweep.high if high is None else min(high, most)
    if not first < last:
        where = f"from {sweep.limits[0]:g} to {sweep.limits[1]:g}"
        raise InputError(f"{name}: nothing to draw from {first:g} to {last:g}: defined {where}")
    return np.linspace(first, last, count)


def _told(drawn: Drawn) -> tuple[str, str, str]:
    """The loss, its options, where its label stands; empty if there is nothing to tell."""
    options = ", ".join(f"{key}={value}" for key, value in drawn.options.items())
    standing = drawn.sweep.standing
    return drawn.subject.name, options, "" if standing is None else f"at label {standing:.4g}"
