"""One loss by several engines and frameworks: who agrees with lossgraph, and by how much."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..catalogue import examples_of
from ..errors import InputError
from .differences import Deviation, Tolerance, deviation
from .edge_cases import edge_cases
from .equivalents import FRAMEWORKS
from .external_frameworks import Job, MissingError, find_python, outputs_of, version_of
from .outputs import Arrays, Outputs, as_ours, named_outputs
from .own_engines import OWN, Answers, Subject

ORDINARY = "ordinary"
ALL = (*OWN, *FRAMEWORKS)
AGAINST = (*ALL, "optax")  # which is in jax too


@dataclass(frozen=True)
class Row:
    """How one output of one framework agrees.

    Attributes:
        framework: its name.
        case: what the inputs are.
        output: the output.
        deviation: how far lossgraph's is from it; its ``wrong`` is empty where they agree.
    """

    framework: str
    case: str
    output: str
    deviation: Deviation

    @property
    def ok(self) -> bool:
        """Whether they agree."""
        return not self.deviation.wrong


@dataclass
class Comparison:
    """What came of a comparison.

    Attributes:
        rows: of every framework, case and output.
        versions: of the frameworks that took part.
        left_out: those that did not, or not in a case, and why.
    """

    rows: list[Row] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=dict)
    left_out: dict[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """Whether all agree."""
        return all(row.ok for row in self.rows)


def compare(
    subject: Subject,
    against: Sequence[str] = ALL,
    pythons: Mapping[str, str] | None = None,
    with_edge_cases: bool = False,
    tolerance: Callable[[str], Tolerance] | None = None,
    watch: Callable[[Sequence[str]], Iterable[str]] = iter,
) -> Comparison:
    """Compare a loss with what others make of it: value and gradient of its sum.

    Args:
        subject: the loss and its inputs.
        against: names of ``AGAINST``.
        pythons: paths of Pythons that have a framework, by its name.
        with_edge_cases: also at large logits, at zeros and so on.
        tolerance: from the name of a dtype to how far numbers may be apart.
        watch: gives the names one by one, and may show how many are done.

    Raises:
        InputError: for a name that there is not.
    """
    unknown = [name for name in [*against, *(pythons or {})] if name not in AGAINST]
    if unknown:
        raise InputError(f"there is no {unknown[0]!r} to compare with: there are {AGAINST}")
    inputs = {ORDINARY: dict(subject.arrays)}
    if with_edge_cases:
        kinds = {name: example.values for name, example in examples_of(subject.loss).items()}
        inputs |= edge_cases(subject.arrays, kinds)
    ours = {case: named_outputs(_run(subject, arrays)) for case, arrays in inputs.items()}
    found = Comparison()
    for name in watch(against):
        try:
            version, theirs = _ask(name, subject, list(inputs.values()), pythons or {})
        except MissingError as error:
            found.left_out[name] = str(error)
            continue
        given = dict(zip(inputs, theirs, strict=True))
        _judge(found, name, ours, given, tolerance)
        if any(row.framework == name for row in found.rows):
            found.versions[name] = version
    return found


def _judge(
    found: Comparison,
    name: str,
    ours: Mapping[str, Outputs],
    theirs: Mapping[str, Outputs | str],
    tolerance: Callable[[str], Tolerance] | None,
) -> None:
    for case, outputs in theirs.items():
        if isinstance(outputs, str):
            where = "" if case == ORDINARY else f"{case}: "
            found.left_out.setdefault(name, f"{where}{outputs}")
            continue
        for output, mine in ours[case].items():
            its = as_ours(mine, outputs[output])
            if name == "mxnet" and its.size == mine.size == 1:
                its = its.reshape(mine.shape)  # it has no shape ()
            allowed = tolerance(mine.dtype.name) if tolerance else None
            found.rows.append(Row(name, case, output, deviation(output, mine, its, allowed)))


def _run(subject: Subject, arrays: Arrays) -> Any:
    """As a user calls it."""
    if subject.grad:
        return subject.loss.value_and_grad(**arrays, wrt=subject.grad)
    return subject.loss(**arrays), {}


def _ask(
    name: str, subject: Subject, inputs: Sequence[Arrays], pythons: Mapping[str, str]
) -> tuple[str, Answers]:
    """The version of a framework, and its outputs for all inputs."""
    if name in OWN:
        return OWN[name](subject, inputs)
    if name == "optax" and subject.entry.namespace != "optax":
        return "", [f"it has no {subject.entry.name}"] * len(inputs)
    framework = "jax" if name == "optax" else name
    python = find_python(framework, pythons.get(name) or pythons.get(framework))
    jobs = [
        Job(subject.entry.name, arrays, subject.grad, subject.options, subject.entry.options)
        for arrays in inputs
    ]
    return version_of(framework, python), outputs_of(framework, python, jobs)
