"""Models of others, changed in place without touching what they compute.

Values keep their names where they can. Everything works on a model whose weights are in other
files too, and never serializes the weights.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping

import onnx

from .signature import dims_of, has_no_rank
from .walk import STANDARD, graphs, value_names


def append(
    model: onnx.ModelProto,
    other: onnx.ModelProto,
    public: Mapping[str, str],
    inner: Iterable[str] = (),
) -> None:
    """Let the graph of a model go on with the graph of another, of the same opset.

    Args:
        model: what is changed. Its inner values that have a name which becomes public get
            another.
        other: what is added. Its inner values and nodes get a prefix.
        public: the names in ``model`` of the inputs and outputs of ``other``; an input that has
            the name of an input or output there is that value.
        inner: names of inner values of ``model`` that inputs of ``other`` are too.
    """
    graph, added = model.graph, onnx.GraphProto()
    added.CopyFrom(other.graph)
    there = {info.name for info in (*graph.input, *graph.output)} | set(inner)
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
    imported |= set(STANDARD) if imported & set(STANDARD) else set()
    model.opset_import.extend(e for e in other.opset_import if e.domain not in imported)


def declare(
    model: onnx.ModelProto, types: Mapping[str, onnx.TypeProto], anew: Iterable[str] = ()
) -> None:
    """Declare the outputs that have no rank, and those of some names anew, by types by name."""
    wrong = set(anew)
    for output in model.graph.output:
        if has_no_rank(output) or output.name in wrong:
            output.type.CopyFrom(types[output.name])


def name_dims(infos: Iterable[onnx.ValueInfoProto], names: Mapping[str, str]) -> None:
    """Let the dims of declared values have other names."""
    for dim in (dim for info in infos for dim in dims_of(info)):
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


def _rename(graph: onnx.GraphProto, name_of: Callable[[str], str]) -> None:
    """Give the values of a graph other names, in the graphs in it too.

    That is right as no graph has a value of a name that one around it has.
    """

    def renamed(name: str) -> str:
        return name and name_of(name)

    for inner in graphs(graph):
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
