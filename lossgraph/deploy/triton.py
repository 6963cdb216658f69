"""Model repositories for Triton Inference Server, as its ONNX Runtime backend loads them.

::

    NAME/config.pbtxt             NAME_training/config.pbtxt
    NAME/1/model.onnx             NAME_training/1/model.onnx

With kernels a library lies beside each model, and the configuration names it. The backend hands
that name to the system's loader as it is, so it is a whole path, as the server sees it.

The value and the training graph are two models: a backend computes all outputs of a model, and
who wants a value shall not wait for gradients.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..authoring.input_types import InputTypes
from ..compiler.outputs import with_expressions
from ..compiler.program import Program
from ..errors import InputError
from ..ir.expr import substitute, variable
from ..ir.ops import reshape
from ..ir.types import TensorType, shape_names
from ..kernels.prebuilt import library_file
from ..kernels.targets import checked_targets
from ..models.files import write_files
from ..passes.batch_partition import independent_batch_dim
from .prepared import PreparedLoss, prepare
from .protocol import DATATYPES

TRAINING_SUFFIX = "_training"
MAX_BATCH_SIZE = 4096

_TARGETS = ("linux-x86_64", "linux-aarch64")
_MARK = "# written by lossgraph export"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")


def export_repository(
    loss: Any,
    inputs: InputTypes,
    out_dir: str | Path,
    grad: Sequence[str] = (),
    name: str | None = None,
    max_batch_size: int = MAX_BATCH_SIZE,
    gpu: bool = False,
    kernels: str | Sequence[str] = (),
    server_path: str | None = None,
    **how: Any,
) -> list[Path]:
    """Compile a loss and write it: ``prepare``, then ``write_repository``."""
    prepared = prepare(loss, inputs, grad)
    return write_repository(
        prepared, out_dir, name, max_batch_size, gpu, kernels, server_path, **how
    )


def write_repository(
    loss: PreparedLoss,
    out_dir: str | Path,
    name: str | None = None,
    max_batch_size: int = MAX_BATCH_SIZE,
    gpu: bool = False,
    kernels: str | Sequence[str] = (),
    server_path: str | None = None,
    **how: Any,
) -> list[Path]:
    """Write the models of a loss into a model repository of Triton.

    Models of other names in it are left alone; one of the same name is replaced if it was
    written by this function.

    Args:
        loss: the loss with its programs.
        out_dir: the repository, made if it is not there.
        name: name of the model of the value; the loss's own by default.
        max_batch_size: how many samples Triton may put together, of a loss that keeps them apart
            from the first axis of all inputs to that of all outputs; 0 for no such batches.
        gpu: run on GPUs instead of the CPU.
        kernels: a target to build fused kernels for, ``linux-x86_64`` or ``linux-aarch64``; of
            several, the one of these. None by default.
        server_path: path of the repository where the server runs; by default as it is here.
        **how: ``opset``, ``target_ort`` and ``as_function`` as of ``to_onnx``.

    Returns:
        The files written.

    Raises:
        InputError: for what ``to_onnx`` or Triton refuses, and for a model in the place that is
            not of an earlier export.
        LossgraphError: for a loss that kernels do not take, and if they cannot be built.
    """
    target = _target(kernels, gpu) if kernels else None
    root = server_path or Path(out_dir).resolve().as_posix()
    chosen = _checked_name(loss.block.name if name is None else name)
    programs = {chosen: loss.value}
    if loss.training:
        programs[chosen + TRAINING_SUFFIX] = loss.training
    files: dict[str, bytes] = {}
    for model, program in programs.items():
        _check_place(Path(out_dir) / model)
        files |= model_files(model, program, max_batch_size, gpu, target, root, **how)
    leftovers = [f"{model}/1/{library_file(name)}" for model in programs for name in _TARGETS]
    return write_files(Path(out_dir), files, [name for name in leftovers if name not in files])


def model_files(
    name: str,
    program: Program,
    max_batch_size: int = MAX_BATCH_SIZE,
    gpu: bool = False,
    target: str | None = None,
    root: str = ".",
    **how: Any,
) -> dict[str, bytes]:
    """The files of one model, by path below the repository.

    Args:
        name: the model's name.
        program: its program.
        max_batch_size: as of ``write_repository``.
        gpu: likewise.
        target: what to build a kernel for; None for none.
        root: path of the repository where the server runs.
        **how: as of ``to_onnx``.
    """
    served = _without_scalars(program)
    most = max_batch_size if _is_per_sample(program) else 0
    if target is None:
        model, libraries = served.to_onnx(**how), {}
    else:
        from .fused import fused_model  # needs onnx, which the command line's help does without

        model, content = fused_model(served, target, **how)
        libraries = {f"{name}/1/{library_file(target)}": content}
    text = config(name, served, most, gpu, [f"{root}/{library}" for library in libraries])
    return {
        f"{name}/config.pbtxt": text.encode(),
        f"{name}/1/model.onnx": model.SerializeToString(deterministic=True),
        **libraries,
    }


def config(
    name: str, program: Program, max_batch_size: int, gpu: bool, libraries: Sequence[str] = ()
) -> str:
    """The text of ``config.pbtxt``, for a program that has no scalars.

    Args:
        name: the model's name.
        program: its program.
        max_batch_size: as of ``write_repository``, 0 for a program whose samples depend on others.
        gpu: as there.
        libraries: paths of libraries with its custom operators.

    Raises:
        InputError: for a length of 0, which Triton's dims cannot be.
    """
    inputs = {node.attrs["name"]: node.type for node in program.inputs}
    outputs = {output: node.type for output, node in program.outputs.items()}
    lines = [
        _MARK,
        f'name: "{name}"',
        'backend: "onnxruntime"',
        f"max_batch_size: {max_batch_size}",
        *_tensors("input", inputs, max_batch_size > 0),
        *_tensors("output", outputs, max_batch_size > 0),
        *(["dynamic_batching { }"] if max_batch_size else []),
        *(f"model_operations {{ op_library_filename: {_quoted(path)} }}" for path in libraries),
        f"instance_group [ {{ kind: {'KIND_GPU' if gpu else 'KIND_CPU'} count: 1 }} ]",
    ]
    return "\n".join(lines) + "\n"


def _is_per_sample(program: Program) -> bool:
    """Whether samples of several requests may meet in a batch, with no sample noticing."""
    dim = independent_batch_dim(program.inputs, list(program.outputs.values()))
    return dim is not None and all(dim not in shape_names(pair) for pair in program.constraints)


def _without_scalars(program: Program) -> Program:
    """The same with shape (1,) in the place of (), which Triton has not.

    Derived labels, which only a runner of our own looks at, are left behind.
    """
    vectors = {
        node: variable(node.attrs["name"], node.type.with_shape((1,)))
        for node in program.inputs
        if not node.rank
    }
    scalars = {node: reshape(vector, ()) for node, vector in vectors.items()}
    roots = substitute(list(program.outputs.values()), scalars)
    outputs = with_expressions(
        program.typed_outputs, [root if root.rank else reshape(root, (1,)) for root in roots]
    )
    inputs = tuple(vectors.get(node, node) for node in program.inputs)
    return replace(program, inputs=inputs, typed_outputs=outputs, derived=())


def _tensors(kind: str, types: Mapping[str, TensorType], batched: bool) -> list[str]:
    blocks = [_tensor(name, type_, batched) for name, type_ in types.items()]
    return [f"{kind} [", ",\n".join(blocks), "]"]


def _tensor(name: str, type_: TensorType, batched: bool) -> str:
    """A tensor without the axis of the batch; dims may not be empty, so that a (1,) is a ()."""
    if 0 in type_.shape:
        raise InputError(f"{name} is {type_}: Triton takes no axis of length 0")
    dims = [dim if isinstance(dim, int) else -1 for dim in type_.shape[batched:]]
    lines = [
        f"name: {_quoted(name)}",
        f"data_type: TYPE_{DATATYPES[type_.dtype]}",
        f"dims: [ {', '.join(map(str, dims or [1]))} ]",
        *([] if dims else ["reshape: { shape: [ ] }"]),
    ]
    return "\n".join(["  {", *(f"    {line}" for line in lines), "  }"])


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _target(kernels: str | Sequence[str], gpu: bool) -> str:
    """The one target that is Triton's.

    Raises:
        InputError: if there is none, or several.
    """
    if gpu:
        raise InputError("kernels run on the CPU: leave them or the GPU out")
    found = [name for name in checked_targets(kernels) if name in _TARGETS]
    if len(found) != 1:
        raise InputError(f"kernels for Triton: expected one of {' and '.join(_TARGETS)}")
    return found[0]


def _checked_name(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise InputError(
            f"{name!r} cannot name a model: take letters, digits, '_', '-' and '.', "
            "beginning with none of the last two"
        )
    return name


def _check_place(folder: Path) -> None:
    """Refuse to replace a model that is not ours."""
    page = folder / "config.pbtxt"
    ours = page.is_file() and page.read_bytes().startswith(_MARK.encode())
    if folder.exists() and not ours:
        raise InputError(f"{folder} is there and of no earlier export: give another name")
