"""Exports: a folder with the models of a loss, test data and a page that explains them.

::

    value.onnx        the value                     README.md
    training.onnx     the value and the gradients   test_data_set_0/{input,output}_K.pb
    manifest.json     digests of these files

With kernels also what ``fused`` says.

The data have the form of ONNX's backend tests. Their outputs are those of ``training.onnx``
(of ``value.onnx`` where no gradient was asked for); each tensor carries its name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from onnx import numpy_helper

from ..authoring.input_types import InputTypes
from ..compiler.program import Program
from ..errors import InputError
from ..ir.evaluate import evaluate
from ..ir.types import TensorType, numpy_dtype
from ..kernels.targets import SHIPPED, checked_targets
from ..models.files import write_files
from .example_inputs import bound_sizes, draw_for
from .fused import fused_files
from .kernels_page import kernels_page
from .manifest import MANIFEST, manifest
from .page import DATA, KERNELS, MARK, TRAINING, VALUE, fused_name, library_name, page
from .prepared import PreparedLoss, prepare

PAGE = "README.md"
_WIDER = {"float16": "float64", "bfloat16": "float64", "float32": "float64"}

Array = np.ndarray[Any, Any]


def export_folder(
    loss: Any,
    inputs: InputTypes,
    out_dir: str | Path,
    grad: Sequence[str] = (),
    opset: int | None = None,
    sizes: Mapping[str, int] | None = None,
    *,
    as_function: bool = False,
    target_ort: str | None = None,
    kernels: str | Sequence[str] = (),
) -> list[Path]:
    """Compile a loss and write it: ``prepare``, then ``write_folder``."""
    prepared = prepare(loss, inputs, grad)
    return write_folder(
        prepared,
        out_dir,
        opset,
        sizes,
        as_function=as_function,
        target_ort=target_ort,
        kernels=kernels,
    )


def write_folder(
    loss: PreparedLoss,
    out_dir: str | Path,
    opset: int | None = None,
    sizes: Mapping[str, int] | None = None,
    *,
    as_function: bool = False,
    target_ort: str | None = None,
    kernels: str | Sequence[str] = (),
) -> list[Path]:
    """Write the models of a loss, test data and a page about them into a folder.

    An earlier export is replaced when everything of the new one is there, and not before.

    Args:
        loss: the loss with its programs.
        out_dir: the folder, made if it is not there.
        opset: version of the standard operators.
        sizes: values of named dims in the test data, instead of small usual ones.
        as_function: make each graph one node, of a function in the model.
        target_ort: release of ONNX Runtime that is to load the models, like ``1.16``.
        kernels: targets to build fused kernels for, like ``linux-x86_64``, which are written
            beside the standard models; names, or a text with commas between them.

    Returns:
        The files written.

    Raises:
        InputError: for what ``to_onnx`` refuses, and for a folder that holds files of these
            names which are not of an earlier export.
        LossgraphError: for a loss that kernels do not take, and if they cannot be built.
    """
    targets = checked_targets(kernels) if kernels else ()
    folder = Path(out_dir)
    programs = {VALUE: loss.value} | ({TRAINING: loss.training} if loss.training else {})
    models = {
        name: program.to_onnx(opset, as_function=as_function, target_ort=target_ort)
        for name, program in programs.items()
    }
    files = {name: _bytes(model) for name, model in models.items()}
    if targets:
        files |= _kernels(loss, programs, targets, opset, target_ort)
    arrays = draw_for(loss.full, loss.examples, sizes)
    files |= _tensors("input", arrays)
    files |= _tensors("output", expected(loss.block, loss.full, arrays))
    version = models[VALUE].opset_import[0].version
    files[PAGE] = page(loss, version, as_function, targets).encode()
    files[MANIFEST] = manifest(files)  # the last to be renamed
    return write_files(folder, files, _leftovers(folder, files))


def _kernels(
    loss: PreparedLoss,
    programs: Mapping[str, Program],
    targets: Sequence[str],
    opset: int | None,
    target_ort: str | None,
) -> dict[str, bytes]:
    bodies = {
        name: program.to_onnx(opset, target_ort=target_ort) for name, program in programs.items()
    }
    return {
        **fused_files(programs, bodies, targets),
        f"{KERNELS}/{PAGE}": kernels_page(loss.full, list(programs), targets).encode(),
    }


def expected(block: Any, program: Program, arrays: Mapping[str, Array]) -> dict[str, Array]:
    """The outputs of a program, computed in float64 by the interpreter and rounded once.

    Independent of ONNX and of every engine, and the same on every machine but for ties.
    """
    types = {node.attrs["name"]: _widened(node.type) for node in program.inputs}
    wide = block.program(types, grad=program.wrt)
    feeds = {
        name: np.asarray(array).astype(numpy_dtype(types[name].dtype))
        for name, array in arrays.items()
    }
    sizes = bound_sizes(program, arrays)
    values = evaluate(list(wide.outputs.values()), feeds, sizes)
    with np.errstate(over="ignore"):  # what is too large for 16 bits is infinite
        return {
            name: np.asarray(value).astype(numpy_dtype(program.outputs[name].dtype))
            for name, value in zip(wide.outputs, values, strict=True)
        }


def _widened(type_: TensorType) -> TensorType:
    return type_.with_dtype(_WIDER.get(type_.dtype, type_.dtype))


def _bytes(message: Any) -> bytes:
    content: bytes = message.SerializeToString(deterministic=True)
    return content


def _tensors(kind: str, arrays: Mapping[str, Array]) -> dict[str, bytes]:
    return {
        f"{DATA}/{kind}_{k}.pb": _bytes(numpy_helper.from_array(array, name))
        for k, (name, array) in enumerate(arrays.items())
    }


def _leftovers(folder: Path, files: Mapping[str, bytes]) -> list[str]:
    """Files of an earlier export that the new one has not; refuses to touch others' files."""
    models = [VALUE, TRAINING, *map(fused_name, (VALUE, TRAINING))]
    libraries = [f"{KERNELS}/{PAGE}", *map(library_name, SHIPPED)]
    there = [*models, *libraries, PAGE, MANIFEST] + [
        f"{DATA}/{path.name}"
        for path in sorted((folder / DATA).glob("*.pb"))
        if path.name.startswith(("input_", "output_"))
    ]
    there = [name for name in there if (folder / name).exists()]
    page = folder / PAGE
    ours = page.is_file() and page.read_bytes().startswith(MARK.encode())
    if there and not ours:
        raise InputError(
            f"{folder} holds {there[0]}, which is of no earlier export: give another folder"
        )
    return [name for name in there if name not in files]
