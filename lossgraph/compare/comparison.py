"""One loss by several engines and frameworks: who agrees with lossgraph, and by how much."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from .. import reference
from ..authoring.block import Block
from ..catalogue import Entry, examples_of
from ..compiler.program import Program
from ..deploy.export import expected
from ..errors import InputError, LossgraphError
from ..models.model_runner import ModelRunner
from .checks import evaluate_model
from .differences import Deviation, Tolerance, deviation, with_floats
from .edge_cases import cases
from .equivalents import FRAMEWORKS
from .external_frameworks import Job, MissingError, find_python, outputs_of, version_of

Array = np.ndarray[Any, Any]
Arrays = Mapping[str, Array]
Outputs = dict[str, Array]

ORDINARY = "ordinary"
OWN = ("numpy", "onnx.reference", "onnxruntime")
ALL = (*OWN, *FRAMEWORKS)
AGAINST = (*ALL, "optax")  # which is in jax too


@dataclass(frozen=True)
class Subject:
    """What is compared.

    Attributes:
        entry: the loss.
        loss: it with its options.
        program: its graph.
        arrays: the inputs.
        options: the options that were given.
    """

    entry: Entry
    loss: Block
    program: Program
    arrays: Arrays
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def grad(self) -> tuple[str, ...]:
        """By which inputs it is differentiated."""
        return tuple(self.program.wrt)


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
    extremes: bool = False,
    tolerance: Callable[[str], Tolerance] | None = None,
    watch: Callable[[Sequence[str]], Iterable[str]] = iter,
) -> Comparison:
    """Compare a loss with what others make of it: value and gradient of its sum.

    Args:
        subject: the loss and its inputs.
        against: names of ``AGAINST``.
        pythons: paths of Pythons that have a framework, by its name.
        extremes: also at large logits, at zeros and so on.
        tolerance: from the name of a dtype to how far numbers may be apart.
        watch: gives the names one by one, and may show how many are done.

    Raises:
        InputError: for a name that there is not.
    """
    unknown = [name for name in [*against, *(pythons or {})] if name not in AGAINST]
    if unknown:
        raise InputError(f"there is no {unknown[0]!r} to compare with: there are {AGAINST}")
    inputs = {ORDINARY: dict(subject.arrays)}
    if extremes:
        kinds = {name: example.values for name, example in examples_of(subject.loss).items()}
        inputs |= cases(subject.arrays, kinds)
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


def named_outputs(result: Any) -> Outputs:
    """``(value, grads)`` as numpy arrays by the names that outputs of models have."""
    value, grads = result
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], dict):
        whole, parts = value
        values = {"loss": whole, **{f"loss_{name}": part for name, part in parts.items()}}
    elif isinstance(value, tuple):
        values = {f"loss_{k}": part for k, part in enumerate(value)}
    else:
        values = {"loss": value}
    outputs = {**values, **{f"grad_{name}": array for name, array in grads.items()}}
    return {name: np.asarray(array) for name, array in outputs.items()}


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


def as_ours(mine: Array, its: Array) -> Array:
    """Numbers of bfloat16, which frameworks give as float32."""
    if mine.dtype.name == "bfloat16" and its.dtype == np.float32:
        return its.astype(mine.dtype)
    return its


def _run(subject: Subject, arrays: Arrays) -> Any:
    """As a user calls it."""
    if subject.grad:
        return subject.loss.value_and_grad(**arrays, wrt=subject.grad)
    return subject.loss(**arrays), {}


def _ask(
    name: str, subject: Subject, inputs: Sequence[Arrays], pythons: Mapping[str, str]
) -> tuple[str, Sequence[Outputs | str]]:
    """The version of a framework, and its outputs for all inputs."""
    if name in OWN:
        return _OWN[name](subject, inputs)
    if name == "optax" and subject.entry.namespace != "optax":
        return "", [f"it has no {subject.entry.name}"] * len(inputs)
    framework = "jax" if name == "optax" else name
    python = find_python(framework, pythons.get(name) or pythons.get(framework))
    jobs = [
        Job(subject.entry.name, arrays, subject.grad, subject.options, subject.entry.options)
        for arrays in inputs
    ]
    return version_of(framework, python), outputs_of(framework, python, jobs)


# --- our own oracles ---


def _numpy(subject: Subject, inputs: Sequence[Arrays]) -> tuple[str, Sequence[Outputs | str]]:
    """In float64: the value by the body of the loss on arrays, the gradients by the interpreter."""
    found: list[Outputs | str] = []
    for arrays in inputs:
        outputs = expected(subject.loss, subject.program, arrays)
        value = values_by_numpy(subject.loss, arrays, np.dtype(np.float64))
        found.append(outputs | {n: v.astype(outputs[n].dtype) for n, v in value.items()})
    return str(np.__version__), found


def values_by_numpy(loss: Block, arrays: Arrays, dtype: np.dtype[Any]) -> Outputs:
    """The value of a loss by its body on numpy arrays, in a wider dtype."""
    wide = with_floats(arrays, dtype)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        value = loss(**{name: reference.Array(array) for name, array in wide.items()})
    return named_outputs((_numbers(value), {}))


def _numbers(value: Any) -> Any:
    if isinstance(value, tuple):
        return tuple(_numbers(item) for item in value)
    if isinstance(value, dict):
        return {name: _numbers(item) for name, item in value.items()}
    return value.asnumpy()


def _onnx_reference(
    subject: Subject, inputs: Sequence[Arrays]
) -> tuple[str, Sequence[Outputs | str]]:
    import onnx

    model = subject.program.to_onnx()
    return onnx.__version__, [_attempt(lambda a: evaluate_model(model, a), a) for a in inputs]


def _onnxruntime(subject: Subject, inputs: Sequence[Arrays]) -> tuple[str, Sequence[Outputs | str]]:
    """The exported graph, run as a whole."""
    from ..runtime.sessions import onnxruntime

    runner = ModelRunner(subject.program.to_onnx())
    return onnxruntime().__version__, [_attempt(runner.run, arrays) for arrays in inputs]


def _attempt(run: Callable[[dict[str, Array]], Outputs], arrays: Arrays) -> Outputs | str:
    try:
        return run(dict(arrays))
    except LossgraphError as error:
        return str(error).splitlines()[0]


_OWN: Mapping[str, Callable[[Subject, Sequence[Arrays]], tuple[str, Sequence[Outputs | str]]]] = {
    "numpy": _numpy,
    "onnx.reference": _onnx_reference,
    "onnxruntime": _onnxruntime,
}
