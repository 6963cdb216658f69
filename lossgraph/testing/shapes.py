"""A loss on batches of all sizes, and on samples alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..authoring.block import Block
from ..authoring.input_types import symbolic_shapes
from ..catalogue import examples_of
from ..compare.differences import deviation
from ..compare.outputs import values_by_numpy
from ..compiler.outputs import classify
from ..compiler.program import Program
from ..errors import GradientError, InputError, LossgraphError
from ..ir.dims import Size
from ..ir.types import TensorType
from ..passes.batch_partition import partition_batch
from ..symbolic.arguments import checked
from .report import Report, fail
from .subjects import (
    Arrays,
    arrays_of,
    chosen_wrt,
    in_dtype,
    loss_of,
    name_of,
    outputs_of,
    reproduced,
)

BATCHES = (0, 1, 2, 7)


@checked
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
    elif independent and not any(classify(name)[0] == "value" for name in places):
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
        kind, of = classify(name)
        if kind == "gradient" and output.shape != batch[of].shape:
            wrong.append(f"{name} has shape {output.shape}, its input {batch[of].shape}")
    lost = [n for n, output in outputs.items() if np.isnan(output.astype(np.float64)).any()]
    if count and lost and _is_number(block, batch):
        wrong.append(f"NaN in {', '.join(lost)}")
    return wrong


def _is_number(block: Block, batch: Arrays) -> bool:
    """Whether the value of a batch is one by the loss's body on numpy arrays."""
    try:
        exact = values_by_numpy(block, batch, np.dtype(np.float64))
    except GradientError:  # its body differentiates, which numpy cannot
        exact = outputs_of(block, in_dtype(batch, "float64"), ())
    return not any(np.isnan(value).any() for value in exact.values())


def _shapes(outputs: Arrays) -> str:
    return ", ".join(f"{name} {list(output.shape)}" for name, output in outputs.items())


def _places_of_samples(declared: Program | None) -> dict[str, int]:
    """The axis of the samples in each output that has numbers for each, as the graph says."""
    found = partition_batch(declared.inputs, declared.outputs) if declared is not None else None
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
