"""Models of others, changed in place without touching what they compute.

Values keep their names where they can. Everything works on a model whose weights are in other
files too, and never serializes the weights.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import onnx
from onnx import TensorProto, checker, shape_inference, version_converter

from ..errors import InputError

_STANDARD = ("", "ai.onnx")  # two names of the domain of the standard operators
_DEFAULTS_SINCE = 4  # the IR in which an input may have a default; before, weights were listed
_LARGE = 1024  # elements of a constant on which no shape depends

Dimension = onnx.TensorShapeProto.Dimension
Graphs = Iterator[onnx.GraphProto]


# --- looking around ---


def opset_of(model: onnx.ModelProto) -> int | None:
    """The version of the standard operators, None if a model has none of them."""
    return next((o.version for o in model.opset_import if o.domain in _STANDARD), None)


def tensors(model: onnx.ModelProto) -> Iterator[TensorProto]:
    """Every tensor of a model: initializers and attributes, in subgraphs and functions too."""
    outside = (function.node for function in model.functions)
    graphs = [*_graphs(model.graph)]
    graphs += [inner for nodes in outside for node in nodes for inner in _inner_graphs(node)]
    for graph in graphs:
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield from (sparse.values, sparse.indices)
    for holder in (*graphs, *model.functions):
        for attribute in (attribute for node in holder.node for attribute in node.attribute):
            yield from attribute.tensors
            if attribute.HasField("t"):
                yield attribute.t


def value_names(graph: onnx.GraphProto) -> set[str]:
    """The names of all values of a graph and of the graphs in it."""
    names: set[str] = set()
    for inner in _graphs(graph):
        for node in inner.node:
            names |= {*node.input, *node.output}
        names |= {info.name for info in (*inner.input, *inner.output)}
        names |= {tensor.name for tensor in inner.initializer}
        names |= {sparse.values.name for sparse in inner.sparse_initializer}
    return names - {""}


@dataclass(frozen=True)
class ModelSignature:
    """The inputs and outputs of a model.

    Attributes:
        inputs: those that must be given, by name.
        outputs: the outputs, their types inferred where they are not declared.
        names: the names of all, of inputs with a default too.
    """

    inputs: dict[str, onnx.ValueInfoProto]
    outputs: dict[str, onnx.ValueInfoProto]
    names: frozenset[str]

    def __contains__(self, name: str) -> bool:
        return name in self.inputs or name in self.outputs

    def __getitem__(self, name: str) -> onnx.ValueInfoProto:
        return self.outputs.get(name) or self.inputs[name]

    @property
    def dims(self) -> set[str]:
        """The names of dims."""
        infos = (*self.inputs.values(), *self.outputs.values())
        return {dim.dim_param for info in infos for dim in _dims(info)} - {""}


def signature_of(model: onnx.ModelProto) -> ModelSignature:
    """The inputs and outputs of a model, with types as far as these can be known."""
    graph = model.graph
    outputs = list(graph.output)
    if not all(map(_is_complete, outputs)):
        inferred = shape_inference.infer_shapes(_without_weights(model), data_prop=True)
        outputs = list(inferred.graph.output)
    optional = {tensor.name for tensor in graph.initializer}
    return ModelSignature(
        {info.name: info for info in graph.input if info.name not in optional},
        {info.name: info for info in outputs},
        frozenset(info.name for info in (*graph.input, *graph.output)),
    )


def check(model: onnx.ModelProto) -> str:
    """What ONNX's checker and strict shape inference have against a model; empty for nothing.

    Large weights are left out: what is checked of them is that they are there.
    """
    try:
        checker.check_model(_without_weights(model), full_check=True)
    except (checker.ValidationError, shape_inference.InferenceError) as error:
        return str(error).strip() or type(error).__name__
    return ""


# --- versions ---


def convert(model: onnx.ModelProto, low: int, high: int, usual: int) -> onnx.ModelProto:
    """A copy whose standard operators are of a version from ``low`` to ``high``.

    A model that has none of them imports the ``usual`` version.

    Raises:
        InputError: if ONNX's version converter cannot bring it there.
    """
    copy = _copy(model)
    if copy.ir_version < _DEFAULTS_SINCE:
        _drop_defaults(copy)
    found = opset_of(model)
    if found is None:
        copy.opset_import.add(version=usual)
        return copy
    if low <= found <= high:
        return copy
    wanted = min(max(found, low), high)
    failed = f"onnx.version_converter cannot bring the model from opset {found} to {wanted}"
    if model.functions:
        raise InputError(f"{failed}: it drops functions; inline them with onnx.inliner first")
    try:
        converted = version_converter.convert_version(_without_weights(copy), wanted)
    except Exception as error:  # it raises whatever it runs into
        raise InputError(f"{failed}: {error}") from error
    _restore_weights(converted, copy)
    converted.ClearField("metadata_props")  # which not every release of the converter keeps
    converted.metadata_props.extend(model.metadata_props)
    problem = check(converted)
    if problem:
        raise InputError(f"{failed}: {problem}")
    return converted


# --- adding a graph ---


def append(model: onnx.ModelProto, other: onnx.ModelProto, public: Mapping[str, str]) -> None:
    """Let the graph of a model go on with the graph of another, of the same opset.

    Args:
        model: what is changed. Its inner values that have a name which becomes public get
            another.
        other: what is added. Its inner values and nodes get a prefix.
        public: the names in ``model`` of the inputs and outputs of ``other``; an input that has
            the name of an input or output there is that value.
    """
    graph, added = model.graph, onnx.GraphProto()
    added.CopyFrom(other.graph)
    there = {info.name for info in (*graph.input, *graph.output)}
    new = set(public.values()) - there
    taken = value_names(graph) | new
    moved = {name: _fresh(name, taken) for name in sorted(new & value_names(graph))}
    _rename(graph, lambda name: moved.get(name, name))
    prefix = _prefix(taken | {node.name for node in graph.node})
    _rename(added, lambda name: public.get(name) or f"{prefix}{name}")
    for node in added.node:
        node.name = f"{prefix}{node.name}"
    operators = _add_functions(model, other)
    for node in added.node:
        node.op_type = operators.get((node.domain, node.op_type), node.op_type)
    graph.node.extend(added.node)
    graph.initializer.extend(added.initializer)
    graph.input.extend(info for info in added.input if info.name not in there)
    graph.output.extend(added.output)
    imported = {entry.domain for entry in model.opset_import}
    imported |= set(_STANDARD) if imported & set(_STANDARD) else set()
    model.opset_import.extend(e for e in other.opset_import if e.domain not in imported)


def declare(model: onnx.ModelProto, types: Mapping[str, onnx.TypeProto]) -> None:
    """Declare the outputs that have no rank, by types by name."""
    for output in model.graph.output:
        if _has_no_rank(output):
            output.type.CopyFrom(types[output.name])


def name_dims(infos: Iterable[onnx.ValueInfoProto], names: Mapping[str, str]) -> None:
    """Let the dims of declared values have other names."""
    for dim in (dim for info in infos for dim in _dims(info)):
        if dim.dim_param in names:
            dim.dim_param = names[dim.dim_param]


def _add_functions(model: onnx.ModelProto, other: onnx.ModelProto) -> dict[tuple[str, str], str]:
    """Add functions, and say which have another name there, as theirs is that of another."""
    there = {(f.domain, f.name): f for f in model.functions}
    names: dict[tuple[str, str], str] = {}
    for function in other.functions:
        key = (function.domain, function.name)
        if there.get(key, function) != function:
            names[key] = _fresh(function.name, {name for _, name in there})
        if names.get(key) or key not in there:
            added = model.functions.add()
            added.CopyFrom(function)
            added.name = names.get(key, function.name)
    return names


def _drop_defaults(model: onnx.ModelProto) -> None:
    """Bring a model to an IR in which a weight that is listed as an input could be replaced.

    Engines take weights that cannot for constants, and so do other arithmetic with them.
    """
    weights = {tensor.name for tensor in model.graph.initializer}
    inputs = [info for info in model.graph.input if info.name not in weights]
    model.graph.ClearField("input")
    model.graph.input.extend(inputs)
    model.ir_version = _DEFAULTS_SINCE


def _graphs(graph: onnx.GraphProto) -> Graphs:
    """A graph and those in it."""
    yield graph
    for node in graph.node:
        yield from _inner_graphs(node)


def _inner_graphs(node: onnx.NodeProto) -> Graphs:
    for attribute in node.attribute:
        for inner in (attribute.g, *attribute.graphs):
            if attribute.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS):
                yield from _graphs(inner)


def _rename(graph: onnx.GraphProto, name_of: Callable[[str], str]) -> None:
    """Give the values of a graph other names, in the graphs in it too.

    That is right as no graph has a value of a name that one around it has.
    """

    def renamed(name: str) -> str:
        return name and name_of(name)

    for inner in _graphs(graph):
        for node in inner.node:
            node.input[:] = map(renamed, node.input)
            node.output[:] = map(renamed, node.output)
        for named in (*inner.input, *inner.output, *inner.value_info, *inner.initializer):
            named.name = renamed(named.name)
        for sparse in inner.sparse_initializer:
            sparse.values.name = renamed(sparse.values.name)
        for annotation in inner.quantization_annotation:
            annotation.tensor_name = renamed(annotation.tensor_name)
            for entry in annotation.quant_parameter_tensor_names:
                entry.value = renamed(entry.value)


def _without_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with inputs in the place of its weights.

    Sparse ones too: engines make them dense, which ONNX's inference knows nothing of.
    """
    light = _bare(model)
    light.graph.initializer.extend(t for t in model.graph.initializer if not _is_weight(t))
    weights = [(t.name, t.data_type, t.dims) for t in filter(_is_weight, model.graph.initializer)]
    weights += [(s.values.name, s.values.data_type, s.dims) for s in model.graph.sparse_initializer]
    inputs = {info.name for info in model.graph.input}
    for name, code, dims in weights:
        if name not in inputs:
            type_ = light.graph.input.add(name=name).type.tensor_type
            type_.elem_type = code
            type_.shape.dim.extend(Dimension(dim_value=size) for size in dims)
            type_.shape.SetInParent()
    return light


def _restore_weights(light: onnx.ModelProto, model: onnx.ModelProto) -> None:
    """Undo ``_without_weights``."""
    declared = {info.name for info in model.graph.input}
    inputs = [info for info in light.graph.input if info.name in declared]
    light.graph.ClearField("input")
    light.graph.input.extend(inputs)
    _add_tensors(light, filter(_is_weight, model.graph.initializer))
    light.graph.sparse_initializer.extend(model.graph.sparse_initializer)


def _copy(model: onnx.ModelProto) -> onnx.ModelProto:
    """What ``CopyFrom`` would do, which fails for messages of more than 2 GiB."""
    copy = _bare(model)
    _add_tensors(copy, model.graph.initializer)
    copy.graph.sparse_initializer.extend(model.graph.sparse_initializer)
    return copy


def _bare(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy without initializers."""
    bare = onnx.ModelProto()
    _set_fields(bare, model, "graph")
    _set_fields(bare.graph, model.graph, "initializer", "sparse_initializer")
    return bare


def _add_tensors(model: onnx.ModelProto, tensors: Iterable[TensorProto]) -> None:
    for tensor in tensors:
        _set_fields(model.graph.initializer.add(), tensor)


def _is_weight(tensor: TensorProto) -> bool:
    """Whether a tensor is large or in another file; no shape depends on it."""
    return tensor.data_location == TensorProto.EXTERNAL or math.prod(tensor.dims) > _LARGE


def _set_fields(message: Any, other: Any, *without: str) -> None:
    """Set the fields of a message to those of another, one by one."""
    for field, value in other.ListFields():
        if field.name in without:
            continue
        if isinstance(value, (int, float, str, bytes)):
            setattr(message, field.name, value)
        else:
            getattr(message, field.name).MergeFrom(value)


def _dims(info: onnx.ValueInfoProto) -> Sequence[Dimension]:
    return list(info.type.tensor_type.shape.dim)


def _is_complete(info: onnx.ValueInfoProto) -> bool:
    """Whether inference can tell nothing new."""
    if info.type.WhichOneof("value") not in (None, "tensor_type"):
        return True
    has_type = info.type.tensor_type.elem_type != 0 and not _has_no_rank(info)
    return has_type and all(dim.dim_param or dim.HasField("dim_value") for dim in _dims(info))


def _has_no_rank(info: onnx.ValueInfoProto) -> bool:
    kind = info.type.WhichOneof("value")
    return kind in (None, "tensor_type") and not info.type.tensor_type.HasField("shape")


def _fresh(name: str, taken: set[str]) -> str:
    """A name like another; it is taken from now on."""
    number = 0
    while f"{name}_{number}" in taken:
        number += 1
    taken.add(f"{name}_{number}")
    return f"{name}_{number}"


def _prefix(taken: set[str]) -> str:
    """What the names of a loss's inner values begin with, and no other's."""
    used = {name.partition("/")[0] for name in taken if "/" in name}
    numbered = (f"loss_{number}" for number in itertools.count(2))
    return next(stem for stem in itertools.chain(["loss"], numbered) if stem not in used) + "/"
