"""Models with a loss attached: the loss goes on where the model ends."""

from __future__ import annotations

import itertools
import json
import re
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..authoring.block import Block
from ..authoring.functions import as_loss
from ..authoring.input_types import InputTypes
from ..compiler.outputs import gradient_name
from ..compiler.program import Program
from ..errors import GradientError, InputError, LossgraphWarning, ValidationError
from ..ir.dims import Dim
from ..ir.types import TensorType
from ..lowering import releases
from ..lowering.opsets import DEFAULT_OPSET, MAX_OPSET, MIN_OPSET
from ..symbolic.arguments import checked
from .loss_types import bound_places, guesses, program_of_guess, stated_types

if TYPE_CHECKING:
    import onnx

    from .signature import ModelSignature

_PARTS = ("node", "input", "output")  # of a graph, which a loss is added to at their ends

Types = dict[str, TensorType]
Shape = tuple[Dim, ...]


@checked
def attach(
    model: onnx.ModelProto | str | Path,
    loss: Any,
    output: str | None = None,
    *,
    bind: Mapping[str, str] | None = None,
    inputs: InputTypes | None = None,
    grad: Sequence[str] = (),
    rename: Mapping[str, str] | None = None,
    as_function: bool = False,
    target_ort: str | None = None,
) -> onnx.ModelProto:
    """A model that also computes a loss of its outputs.

    It has the inputs of the model and those of the loss that the model does not give, the outputs
    of the model and those of the loss, named as by ``to_onnx``. What the model computed is not
    touched: operators of other domains, functions, metadata and weights in other files stay as
    they are. The loss is made of operators of the model's opset; a model of an opset before 13
    is converted by ONNX's version converter.

    Dims of the loss's inputs have the names that they have in the model. Types of those that are
    not given are the typical ones of the catalogue, for the shapes and floats of the model.

    Args:
        model: a model or its file; it is not changed.
        loss: a loss, or a function of F.
        output: the output that is the loss's first input, or a value inside of the model, like
            the logits before a softmax; the only output by default.
        bind: further inputs of the loss, with the outputs, inputs or inner values of the model
            that they are, ``{"positive": "embedding_2"}``.
        inputs: types of the loss's inputs, where the typical ones are not meant, and of bound ones
            where the model does not say them, or says what is wrong, which warns:
            ``{"label": ("int64", ("N",))}``. Dims may have the names that the model has for them.
        grad: names of outputs and inputs whose gradients are outputs too, as ``grad_<name>``;
            they are those of the sum of the loss.
        rename: other names for inputs and outputs of the loss, ``{"label": "target"}``.
        as_function: add the loss as one node, as ``to_onnx`` does.
        target_ort: release of ONNX Runtime that is to load the model, like ``1.16``; a model of a
            newer opset is converted too.

    Returns:
        A model that ONNX's checker has passed.

    Raises:
        InputError: for names and types that do not fit, and a model that cannot be converted.
    """
    from . import conversion, merging
    from .declared_types import identifier
    from .loading import load_model, require_model, require_utf8
    from .signature import signature_of
    from .walk import opset_of

    require_model("model", model)
    block, stated, names = as_loss(loss), stated_types(inputs or {}), dict(rename or {})
    source = load_model(Path(model)) if isinstance(model, (str, Path)) else model
    require_utf8(source, "the model")
    newest = min(releases.release(target_ort).opset, MAX_OPSET) if target_ort else MAX_OPSET
    result = conversion.convert(source, MIN_OPSET, newest, min(DEFAULT_OPSET, newest))
    asked = {*(bind or {}).values(), *([] if output is None else [output])}
    signature = signature_of(result, asked)
    outputs, givens = list(signature.outputs), list(signature.inputs)
    bound = bound_places(block, outputs, givens, signature, output, bind or {})
    types = {
        name: _type_of(name, signature[value], stated.get(name)) for name, value in bound.items()
    }
    first = block.arguments[0]
    if not types[first].is_float:
        raise InputError(f"{first}: {bound[first]!r} is {types[first]}, predictions are floats")
    spelled = {identifier(name): name for name in signature.dims}
    _require_differentiable(result, signature, grad, bound)
    wrt = _arguments(block, grad, bound, names)
    choices = guesses(block, types, stated, spelled)
    program = program_of_guess(block, choices, wrt, option="--input")
    part = program.to_onnx(opset_of(result), as_function=as_function, target_ort=target_ort)
    merging.name_dims((*part.graph.input, *part.graph.output), spelled)
    declared = {name: info.type for name, info in signature.outputs.items()}
    declared |= {bound[i.name]: i.type for i in part.graph.input if i.name in bound}
    wrong = [name for name in {*stated} & {*bound} if _errs(signature, bound, name, types)]
    merging.declare(result, declared, [bound[name] for name in wrong])
    merging.append(result, part, _public(program, bound, names, signature), signature.inner)
    _describe(result, program, bound, source)
    _set_ir(result, part.ir_version, target_ort)
    problem = conversion.check(result)
    if problem and conversion.check(source):
        raise InputError(f"ONNX's checker refuses the model as it is given: {problem}")
    if problem:
        raise ValidationError(f"ONNX's checker refuses the model with the loss: {problem}")
    return result


@dataclass(frozen=True)
class Attached:
    """What ``attach_file`` wrote.

    Attributes:
        model: the model with the loss.
        inputs: types of the inputs that the model had not.
        outputs: types of the outputs that it had not.
        files: the files written.
    """

    model: onnx.ModelProto
    inputs: Types
    outputs: Types
    files: list[Path]

    @property
    def opset(self) -> int | None:
        """The version of the standard operators."""
        from .walk import opset_of

        return opset_of(self.model)


def attach_file(model: Path, target: Path, loss: Any, force: bool = False, **how: Any) -> Attached:
    """Write the model of a file with a loss attached; ``attach`` says how.

    Weights in files beside the model are not read, but copied beside the new file, under other
    names where other files have theirs. Nothing is replaced before everything is written.

    Args:
        model: the file of the model.
        target: the file to write.
        loss: a loss, or a function of F.
        force: replace the model's own file, if that is the target.
        **how: further arguments of ``attach``.

    Raises:
        InputError: for what ``attach`` refuses, and files that cannot be read or written.
    """
    from .declared_types import declared_type
    from .files import write_files
    from .loading import load_model
    from .weights import move_weights

    if target.is_dir():
        raise InputError(f"{target} is a folder: give the name of a file to write")
    if not force and target.exists() and model.exists() and target.samefile(model):
        raise InputError(
            f"{target} is the model that the loss is attached to: write another file, or say "
            "--force to replace it"
        )
    source = load_model(model, weights=False)
    made = attach(source, loss, **how)
    files: dict[str, bytes | Path] = {**move_weights(made, model.parent, target)}
    files[target.name] = made.SerializeToString(deterministic=True)
    inputs, outputs = len(source.graph.input), len(source.graph.output)
    return Attached(
        made,
        {info.name: declared_type(info) for info in made.graph.input[inputs:]},
        {info.name: declared_type(info) for info in made.graph.output[outputs:]},
        write_files(target.parent, files),
    )


# --- which values of the model are inputs of the loss, and of what types ---


def _type_of(name: str, info: onnx.ValueInfoProto, stated: TensorType | None) -> TensorType:
    """The type of a bound input: the model's, and where that says nothing the one stated."""
    from .declared_types import declared_type

    kind = info.type.WhichOneof("value") or "tensor_type"
    if kind != "tensor_type":
        raise InputError(f"{name}: {info.name!r} is a {kind.removesuffix('_type')}, not a tensor")
    tensor = info.type.tensor_type
    if tensor.elem_type and tensor.HasField("shape"):
        found = declared_type(info)
    elif stated is None:
        raise InputError(
            f"{name}: the model does not say the {'rank' if tensor.elem_type else 'dtype'} of "
            f"{info.name!r}: say it, as in --input {name}:float32:N,10"
        )
    else:
        return stated
    return found if stated is None else _agreed(name, found, stated)


def _agreed(name: str, found: TensorType, stated: TensorType) -> TensorType:
    """A type that both say; names of dims are those stated, and so is a shape that differs."""
    if found.dtype != stated.dtype:
        raise InputError(f"{name}: {stated} was given, the model says {found}")
    if _shapes_differ(found, stated):
        warnings.warn(
            f"{name}: the model says {found}, {stated} is taken", LossgraphWarning, stacklevel=4
        )
        return stated
    pairs = zip(found.shape, stated.shape, strict=True)
    return stated.with_shape([a if isinstance(a, int) else b for a, b in pairs])


def _shapes_differ(found: TensorType, stated: TensorType) -> bool:
    pairs = zip(found.shape, stated.shape, strict=False)
    sizes_differ = any(a != b for a, b in pairs if isinstance(a, int) and isinstance(b, int))
    return found.rank != stated.rank or sizes_differ


def _errs(signature: ModelSignature, bound: Mapping[str, str], name: str, types: Types) -> bool:
    """Whether the model declares an output in another shape than was stated."""
    from .declared_types import declared_type

    info = signature.outputs.get(bound[name])
    if info is None or not info.type.tensor_type.HasField("shape"):
        return False
    return _shapes_differ(declared_type(info), types[name])


def _require_differentiable(
    model: onnx.ModelProto,
    signature: ModelSignature,
    grad: Sequence[str],
    bound: Mapping[str, str],
) -> None:
    """Refuse gradients through the model, which is not differentiated.

    Raises:
        GradientError: naming what is meant.
    """
    weights = {tensor.name for tensor in model.graph.initializer}
    for name in grad if not isinstance(grad, str) else (grad,):
        if name in bound.values() or not (name in weights or name in signature.inputs):
            continue
        what = "a parameter" if name in weights else "an input"
        raise GradientError(
            f"no gradient for {name!r}, {what} of the model: attach differentiates the loss, by "
            "outputs and inner values of the model that the loss takes, and leaves the model as it "
            "is; lossgraph.training.build has the gradients by parameters of the model"
        )


# --- names ---


def _arguments(
    block: Block, grad: Sequence[str], bound: Mapping[str, str], rename: Mapping[str, str]
) -> tuple[str, ...]:
    """The inputs of the loss that have these names in the model with the loss."""
    places: dict[str, list[str]] = {}
    for name in dict.fromkeys((*bound, *block.arguments)):
        places.setdefault(bound.get(name) or rename.get(name, name), []).append(name)
    for name in grad:
        if name not in places:
            raise InputError(f"no gradient for {name!r}: expected one of {list(places)}")
        if len(places[name]) > 1:
            raise InputError(f"no gradient for {name!r}: it is bound to {places[name]}")
    return tuple(places[name][0] for name in grad)


def _public(
    program: Program, bound: Mapping[str, str], rename: Mapping[str, str], signature: ModelSignature
) -> dict[str, str]:
    """The names that inputs and outputs of the loss have in the model, by those in the loss."""
    inputs = [node.attrs["name"] for node in program.inputs]
    names = {name: bound.get(name) or rename.get(name, name) for name in inputs}
    usual = {name: name for name in inputs if name not in bound}
    for output in program.typed_outputs:
        name = output.name
        is_gradient = output.kind == "gradient"
        usual[name] = gradient_name(names[output.key]) if is_gradient else name
        names[name] = rename.get(usual[name], usual[name])
    for name in rename:
        if name not in usual.values():
            raise InputError(f"--rename {name}: the loss has {list(usual.values())}")
    new = [names[name] for name in usual]
    for name, own in usual.items():
        if names[name] in signature.names or new.count(names[name]) > 1:
            raise InputError(
                f"the model has an input or output {names[name]!r} already: give the loss's "
                f"another name, as in --rename {own}={own}_2"
            )
    return names


# --- what the model says of itself ---


def _describe(
    model: onnx.ModelProto, program: Program, bound: Mapping[str, str], source: onnx.ModelProto
) -> None:
    """Say in the metadata what was attached, and after what."""
    there = {prop.key for prop in model.metadata_props}
    numbered = (f"lossgraph_{number}" for number in itertools.count(2))
    key = next(key for key in itertools.chain(["lossgraph"], numbered) if key not in there)
    said = {"loss": program.name, "options": dict(program.options), "bound": dict(bound)}
    said["model"] = {kind: len(getattr(source.graph, kind)) for kind in _PARTS}
    model.metadata_props.add(key=key, value=json.dumps(said, sort_keys=True, default=str))


def without_loss(model: onnx.ModelProto) -> onnx.ModelProto | None:
    """The model that a loss was attached to, by what ``attach`` wrote down; None if it did not.

    Of several losses the last one is taken away. Weights are shared, not copied.
    """
    from .light_copy import copy_of

    keys = [p for p in model.metadata_props if re.fullmatch(r"lossgraph(_\d+)?", p.key)]
    try:
        counts = json.loads(keys[-1].value)["model"] if keys else {}
    except (ValueError, TypeError, KeyError):
        return None  # another tool's metadata of the same name, or of a model that was exported
    if set(counts) != set(_PARTS):
        return None
    original = copy_of(model)
    for kind, count in counts.items():
        del getattr(original.graph, kind)[count:]
    original.metadata_props.remove(keys[-1])
    return original


def _set_ir(model: onnx.ModelProto, needed: int, target_ort: str | None) -> None:
    """The version of the IR: the model's, or what is needed if that is newer."""
    if any(function.overload for function in model.functions):
        needed = max(needed, 10)
    model.ir_version = max(model.ir_version, needed)
    if target_ort is not None:
        releases.require_ir(target_ort, needed, "a function with overloads")
        model.ir_version = min(model.ir_version, releases.release(target_ort).ir)
