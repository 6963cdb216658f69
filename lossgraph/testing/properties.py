"""What holds of every loss, with nothing to compare it with: extremes, dtypes, shapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..authoring.block import Block, symbolic_shapes
from ..catalogue import examples_of
from ..compare.comparison import values_by_numpy
from ..compare.differences import SAMPLE_TOLERANCES, TOLERANCES, Tolerance, deviation, with_floats
from ..compare.edge_cases import cases
from ..compiler.program import Program
from ..errors import InputError, LossgraphError
from ..ir.dims import Size
from ..ir.types import TensorType
from ..passes.batch_partition import find_batch
from .gradients import compare, gradcheck, places_of, slopes
from .report import Report, fail
from .subjects import (
    Array,
    Arrays,
    arrays_of,
    at_element,
    chosen_wrt,
    generator,
    in_dtype,
    loss_of,
    name_of,
    outputs_of,
    refused,
    reproduced,
    summed,
)

NARROW = ("float16", "bfloat16", "float32")
BATCHES = (0, 1, 2, 7)
EXTENDED = np.dtype(np.longdouble)  # 80 bits where the processor has them
# A derivative in float32, at numbers of 1e4, by differences of a value of up to 1e8.
_EXTREME_STEP, _EXTREME_ENTRIES = 2.0**-10, 12
# An entry of a gradient may be a difference of probabilities, numbers up to 1, which it rounds.
_SHARE = SAMPLE_TOLERANCES["float32"]
_EXTREME = (_SHARE, _SHARE, float(np.finfo(np.float32).eps))
_UNITS = 16  # roundings of an input that intermediate results may be worth


def check(
    loss: Any,
    inputs: Mapping[str, Any] | None = None,
    wrt: Sequence[str] | None = None,
    *,
    independent: bool | None = None,
    seed: int = 0,
) -> Report:
    """All checks: ``gradcheck``, ``check_dtypes``, ``check_extremes``, ``check_shapes``.

    Args:
        loss: a loss, or a function of F.
        inputs: an array for each input, or its ``(dtype, shape)``; the example of a loss of the
            catalogue if there are none.
        wrt: the inputs to differentiate by; the predictions by default.
        independent: as for ``check_shapes``.
        seed: of drawn inputs.

    Raises:
        AssertionError: of the first check that fails.
    """
    block = loss_of(loss)
    return (
        gradcheck(block, inputs, wrt, seed=seed)
        + check_dtypes(block, inputs, wrt, seed=seed)
        + check_extremes(block, inputs, wrt, seed=seed)
        + check_shapes(block, inputs, wrt, independent=independent, seed=seed)
    )


# --- extremes ---


def check_extremes(
    loss: Any,
    inputs: Mapping[str, Any] | None = None,
    wrt: Sequence[str] | None = None,
    *,
    seed: int = 0,
) -> Report:
    """Hold value and gradient in float32 to wider numbers where inputs are at extremes.

    These are logits of 200 and 1e4, zeros, and probabilities of 0 and 1: what an input is, is seen
    by its numbers. The value is to be that of the loss's body on numpy arrays in extended
    precision where that is finite, and the gradient that value's slopes.

    Args:
        loss: a loss, or a function of F.
        inputs: an array for each input, or its ``(dtype, shape)``; the example of a loss of the
            catalogue if there are none.
        wrt: the inputs to differentiate by; the predictions by default.
        seed: of drawn inputs.

    Raises:
        AssertionError: saying where it is not finite, or wrong.
    """
    block = loss_of(loss)
    arrays = in_dtype(arrays_of(block, inputs, seed), "float32")
    names = chosen_wrt(block, arrays, wrt)
    kinds = {name: example.values for name, example in examples_of(block).items()}
    report = Report(name_of(loss))
    for title, moved in cases(arrays, kinds).items():
        wrong, known = _at_extreme(block, moved, names)
        fail(f"{name_of(loss)}: wrong at {title}", wrong, [reproduced(moved)])
        report.lines.append(f"{title}: {known}")
    return report


def _at_extreme(block: Block, arrays: Arrays, names: Sequence[str]) -> tuple[list[str], str]:
    """What is wrong, and what was compared."""
    mine = outputs_of(block, arrays, names)
    wide = outputs_of(block, in_dtype(arrays, "float64"), names)
    try:
        exact = values_by_numpy(block, arrays, EXTENDED)
    except LossgraphError:  # an operation that numpy has not in that precision
        exact = {}
    wrong, compared = [], 0
    for name, right in wide.items():
        if name.startswith("grad_"):
            lost = np.isfinite(right) & ~np.isfinite(mine[name]) & _fits(right)
            wrong += _lost(name, lost, mine[name], right, arrays)
            continue
        if name in exact:
            right = np.where(np.isfinite(exact[name]), exact[name], right)
        there = np.isfinite(right)
        compared += int(there.sum())
        given = np.where(there, mine[name], np.float32(0))
        with np.errstate(over="ignore"):
            rounded = np.where(there, right, 0).astype(np.float32)
        found = deviation(name, given, rounded, _rounding(arrays))
        wrong += [found.wrong] if found.wrong else []
    values = exact or {n: a for n, a in wide.items() if not n.startswith("grad_")}
    if wrong or not all(np.isfinite(value).all() for value in values.values()):
        return wrong, f"{compared} values"

    def total(given: Mapping[str, Array]) -> Any:
        if not exact:
            return summed(outputs_of(block, given, names))
        return summed(values_by_numpy(block, given, EXTENDED))

    spread = with_floats(arrays, EXTENDED if exact else np.float64)
    for name in names:
        places = places_of(arrays[name], name, _EXTREME_ENTRIES)
        found_slopes = slopes(total, spread, name, places, _EXTREME_STEP)
        wrong += compare(name, mine[f"grad_{name}"], found_slopes, total, spread, _EXTREME)
    return wrong, f"{compared} values, gradients by {', '.join(names) or 'nothing'}"


def _rounding(arrays: Arrays) -> Tolerance:
    """The tolerance of float32, with one rounding of the largest number that goes in."""
    largest = max(np.abs(a).max(initial=0) for a in arrays.values() if a.dtype == np.float32)
    relative, absolute = TOLERANCES["float32"][:2]
    return Tolerance(relative, max(absolute, float(np.spacing(np.float32(largest)))))


def _fits(array: Array) -> Array:
    """Where numbers have a place in float32."""
    return np.asarray(np.abs(array) < np.finfo(np.float32).max)


def _lost(name: str, lost: Array, mine: Array, right: Array, arrays: Arrays) -> list[str]:
    places = np.argwhere(lost)
    if not len(places):
        return []
    first = tuple(int(i) for i in places[0])
    at = "".join(f", {line}" for line in at_element(arrays, first))
    return [
        f"{name}{list(first)} is {mine[first]}, in float64 {right[first]:.9g}"
        f" ({len(places)} of {lost.size} elements){at}"
    ]


# --- dtypes ---


def check_dtypes(
    loss: Any,
    inputs: Mapping[str, Any] | None = None,
    wrt: Sequence[str] | None = None,
    *,
    seed: int = 0,
) -> Report:
    """Hold value and gradient in float16, bfloat16 and float32 to float64 on the same numbers.

    A number may be off by the tolerance of its dtype, and by what some roundings of the inputs
    would make of it. Dtypes that the engine has no kernels for are left out, and said.

    Args:
        loss: a loss, or a function of F.
        inputs: an array for each input, or its ``(dtype, shape)``; the example of a loss of the
            catalogue if there are none.
        wrt: the inputs to differentiate by; the predictions by default.
        seed: of drawn inputs.

    Raises:
        AssertionError: saying where it is off.
    """
    block = loss_of(loss)
    arrays = arrays_of(block, inputs, seed)
    names = chosen_wrt(block, arrays, wrt)
    report = Report(name_of(loss))
    for dtype in NARROW:
        given = in_dtype(arrays, dtype)
        try:
            mine = outputs_of(block, given, names)
        except Exception as error:
            if not refused(error) or dtype == "float32":
                raise
            report.lines.append(f"{dtype}: left out, {str(error).splitlines()[0]}")
            continue
        wrong, share = _against_wider(block, given, names, mine, dtype)
        fail(f"{name_of(loss)}: wrong in {dtype}", wrong, [reproduced(given)])
        report.lines.append(f"{dtype}: off by {share:.2g} of what is tolerated")
    return report


def _against_wider(
    block: Block, given: Arrays, names: Sequence[str], mine: Arrays, dtype: str
) -> tuple[list[str], float]:
    """What is wrong, and how much of the tolerance is used."""
    wide = in_dtype(given, "float64")
    right, rounded = (outputs_of(block, a, names) for a in (wide, _rounded(wide, dtype)))
    wrong, worst = [], 0.0
    for name, exact in right.items():
        with np.errstate(invalid="ignore"):
            moved = np.abs(rounded[name] - exact)
        room = _UNITS * float(np.nan_to_num(moved, posinf=0.0).max(initial=0.0))
        relative, absolute = TOLERANCES[dtype][:2]
        allowed = Tolerance(relative, absolute + room)
        if mine[name].dtype.name != dtype:
            wrong.append(f"{name} is of {mine[name].dtype} instead of {dtype}")
            continue
        with np.errstate(over="ignore"):
            found = deviation(name, mine[name], exact.astype(mine[name].dtype), allowed)
        worst = max(worst, found.share)
        wrong += [str(found)] if found.wrong else []
    return wrong, worst


def _rounded(arrays: Arrays, dtype: str) -> Arrays:
    """The inputs moved by half a unit of a dtype, up or down by chance."""
    half = {"float16": 2.0**-11, "bfloat16": 2.0**-8, "float32": 2.0**-24}[dtype]
    return {
        n: a * (1 + half * generator("rounded", n).choice([-1, 1], a.shape))
        if a.dtype == np.float64
        else a
        for n, a in arrays.items()
    }


# --- shapes ---


def check_shapes(
    loss: Any,
    inputs: Mapping[str, Any] | None = None,
    wrt: Sequence[str] | None = None,
    *,
    independent: bool | None = None,
    seed: int = 0,
) -> Report:
    """Run a loss on batches of 0, 1, 2 and 7 samples, and each sample alone.

    Value and gradients have the shapes that the types say, and numbers where there are samples; a
    sample's value is the same in any company.

    Args:
        loss: a loss, or a function of F.
        inputs: an array for each input, or its ``(dtype, shape)``; the example of a loss of the
            catalogue if there are none. Samples lie along the dim ``N``, or else along the first
            axis of every input that is as long as the first input's.
        wrt: the inputs to differentiate by; the predictions by default.
        independent: whether a sample's value depends on no other; by default what the graph says.
        seed: of drawn inputs.

    Raises:
        AssertionError: saying for which batch what is wrong.
    """
    block = loss_of(loss)
    arrays = arrays_of(block, inputs, seed)
    names, axes = chosen_wrt(block, arrays, wrt), _sample_axes(block, inputs, arrays)
    report, wrong = Report(name_of(loss)), []
    if not axes:
        report.lines.append("no input has samples")
        return report
    declared = _declared(block, arrays, names, axes)
    for count in BATCHES:
        batch = _batch(arrays, axes, count)
        try:
            outputs = outputs_of(block, batch, names)
        except InputError as error:
            report.lines.append(f"{count} samples: refused, {str(error).splitlines()[0]}")
            continue
        except Exception as error:
            wrong.append(f"{count} samples: {type(error).__name__}: {error}".splitlines()[0])
            continue
        found = _misshapen(block, declared, batch, outputs, count)
        wrong += [f"{count} samples: {each}" for each in found]
        report.lines.append(f"{count} samples: {_shapes(outputs)}")
    places = _places_of_samples(declared)
    if independent is False:
        places = {}
    elif independent and "loss" not in places and "loss_0" not in places:
        places |= {next(iter(outputs_of(block, arrays, ()))): 0}
    if places and not wrong:
        wrong += _dependent(block, arrays, names, axes, places)
        report.lines.append("samples are independent")
    fail(f"{name_of(loss)}: wrong for some batches", wrong, [reproduced(arrays)])
    return report


def _sample_axes(block: Block, inputs: Mapping[str, Any] | None, arrays: Arrays) -> dict[str, int]:
    """The axis of the samples in each input that has one."""
    types: dict[str, Any] = {name: example.type for name, example in examples_of(block).items()}
    types |= {n: v for n, v in (inputs or {}).items() if isinstance(v, (tuple, TensorType))}
    named = {}
    for name, array in arrays.items():
        type_ = types.get(name)
        shape = type_.shape if isinstance(type_, TensorType) else type_[1] if type_ else ()
        dims = [dim.name if isinstance(dim, Size) else dim for dim in shape]
        if "N" in dims and len(dims) == array.ndim:
            named[name] = dims.index("N")
    if named:
        return named
    first = next(iter(arrays.values()))
    length = first.shape[0] if first.ndim else None
    return {n: 0 for n, a in arrays.items() if length and a.ndim and a.shape[0] == length}


def _batch(arrays: Arrays, axes: Mapping[str, int], count: int) -> Arrays:
    """So many of the samples, from the first on and over again."""
    return {
        name: np.take(a, np.arange(count) % a.shape[axes[name]], axis=axes[name])
        if name in axes
        else a
        for name, a in arrays.items()
    }


def _declared(
    block: Block, arrays: Arrays, names: Sequence[str], axes: Mapping[str, int]
) -> Program | None:
    """The graph for any number of samples; None for a loss that needs sizes as numbers."""
    several = _batch(arrays, axes, max(BATCHES))
    shapes = symbolic_shapes(several)
    types = {n: TensorType(a.dtype.name, shapes[n]) for n, a in several.items()}
    try:
        return block.program(types, grad=names)
    except LossgraphError:
        return None


def _misshapen(
    block: Block, declared: Program | None, batch: Arrays, outputs: Arrays, count: int
) -> list[str]:
    wrong = []
    for name, output in outputs.items():
        if declared is not None and output.ndim != declared.outputs[name].rank:
            wrong.append(f"{name} has shape {output.shape}, declared {declared.outputs[name].type}")
        if name.startswith("grad_") and output.shape != batch[name[5:]].shape:
            wrong.append(f"{name} has shape {output.shape}, its input {batch[name[5:]].shape}")
    lost = [n for n, output in outputs.items() if np.isnan(output.astype(np.float64)).any()]
    if count and lost and _is_number(block, batch):
        wrong.append(f"NaN in {', '.join(lost)}")
    return wrong


def _is_number(block: Block, batch: Arrays) -> bool:
    """Whether the value of a batch is one by the loss's body on numpy arrays."""
    exact = values_by_numpy(block, batch, np.dtype(np.float64))
    return not any(np.isnan(value).any() for value in exact.values())


def _shapes(outputs: Arrays) -> str:
    return ", ".join(f"{name} {list(output.shape)}" for name, output in outputs.items())


def _places_of_samples(declared: Program | None) -> dict[str, int]:
    """The axis of the samples in each output that has numbers for each, as the graph says."""
    found = find_batch(declared.inputs, declared.outputs) if declared is not None else None
    if found is None or declared is None or declared.values[0] not in found.outputs:
        return {}
    return dict(found.outputs)


def _dependent(
    block: Block,
    arrays: Arrays,
    names: Sequence[str],
    axes: Mapping[str, int],
    places: Mapping[str, int],
) -> list[str]:
    """The samples whose value or gradient is another one alone."""
    length = min(arrays[name].shape[axis] for name, axis in axes.items())
    together = outputs_of(block, arrays, names)
    for name, axis in places.items():
        if together[name].ndim <= axis or together[name].shape[axis] != length:
            return [f"{name} of shape {together[name].shape} has not a number for each sample"]
    wrong = []
    for sample in range(length):
        one = {n: np.take(a, [sample], axes[n]) if n in axes else a for n, a in arrays.items()}
        alone = outputs_of(block, one, names)
        for name, axis in places.items():
            part = np.take(together[name], [sample], axis)
            found = deviation(name, part, alone[name].reshape(part.shape))
            if found.wrong:
                wrong.append(f"sample {sample} in its batch and alone: {found}")
    return wrong[:3]
