"""The reader: a model's nodes in order, each translated, else inlined, else kept as it is.

======================== =======================================================================
what a node is           what becomes of it
======================== =======================================================================
an operator that has     expressions, by ``operators``; its translation may refuse a variant
a translation
a function of the model  its body is read in its place
an operator that ONNX    the body that ONNX's own schema has is read in its place
defines by others
anything else            a node of ONNX as it was, which has no derivative
======================== =======================================================================

Types are those of the inputs and of the operators. What a model declares of its outputs is not
believed: exporters declare wrong dims.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import defs, shape_inference

from ..errors import InputError, SpecializationError, UnequalDimsError
from ..ir import ops
from ..ir.dims import Dim, assuming, differences_if_equal, named
from ..ir.expr import Expr, const, foreign_variable, toposort
from ..ir.ops.opaque import opaque
from ..ir.types import OpaqueType, TensorType
from ..lowering.onnx_api import helper, numpy_helper
from ..lowering.opsets import MIN_OPSET
from ..models.light_copy import without_weights
from ..models.loading import load_model, require_model, require_weights
from ..models.walk import STANDARD
from . import operators  # noqa: F401  (declares the translations)
from .attributes import attributes_of, bound
from .graph import Graph
from .known import Known
from .node import Node
from .opaque_nodes import read_as_it_is
from .translations import NotTranslatedError, Translation, takes_any_value, translation_of
from .types import DTYPE_NAMES, Dims, proto_of, type_of

_SMALL = 1024  # elements of a constant that is part of the expressions
_ATTEMPTS = 64  # dims that are found to be equal one by one

_LEFT_OUT = const(0, "int64")  # an output that nobody reads
FunctionKey = tuple[str, str, str]


def from_onnx(model: onnx.ModelProto | str | Path, variables: Collection[str] = ()) -> Graph:
    """A model as expressions of its inputs.

    Args:
        model: a model or its file; it is not changed.
        variables: initializers that stay inputs of the expressions however small they are, as those
            that are trained; large ones always do.

    Returns:
        The ``Graph``; ``to_onnx`` makes a model of it again.

    Raises:
        InputError: for a file that is no model, and for shapes that cannot be.
    """
    require_model("model", model)
    read = load_model(Path(model)) if isinstance(model, (str, Path)) else model
    require_weights(read)
    sizes: dict[str, Dim] = {}
    limits: set[Dim] = set()
    for _ in range(_ATTEMPTS):
        dims = Dims(dict(sizes))
        try:
            with assuming(limits):
                graph = _read(read, frozenset(variables), dims)
        except (UnequalDimsError, SpecializationError) as error:
            _take_for_equal(sizes, error, dims)
            continue
        new = _limits(graph) - limits
        if not new:
            return graph
        limits |= new
    raise InputError("the model's dims do not settle: too many of them have to be equal")


def _limits(graph: Graph) -> set[Dim]:
    """What the operators of a model demand of its dims: ``12 - T`` for ``min(T, 12) = T``.

    A table of 12 positions that is cut to T, and added to T values, is an example.
    """
    demands = {pair for node in toposort(graph.values.values()) for pair in node.constraints}
    return {limit for pair in demands for limit in differences_if_equal(*pair)}


def _take_for_equal(
    sizes: dict[str, Dim], error: UnequalDimsError | SpecializationError, dims: Dims
) -> None:
    """Note what a dim has to be, where its name and another's were given by chance."""
    if isinstance(error, UnequalDimsError):
        name, stays = dims.older_first(*error.dims)
        sizes[name] = stays  # type: ignore[assignment]
    elif error.number is not None and error.names[0] not in sizes:
        sizes[error.names[0]] = error.number
    else:
        raise error
    for name, dim in list(sizes.items()):
        if str(dim) in sizes and str(dim) != name:
            sizes[name] = sizes[str(dim)]


def _read(model: onnx.ModelProto, variables: frozenset[str], dims: Dims) -> Graph:
    graph = model.graph
    given = {tensor.name for tensor in graph.initializer}
    given |= {sparse.values.name for sparse in graph.sparse_initializer}
    inputs = {
        info.name: foreign_variable(
            info.name, type_of(info.type, dims, info.name, is_input=True)[0]
        )
        for info in graph.input
        if info.name not in given
    }
    reader = Reader(
        {entry.domain or "": entry.version for entry in model.opset_import},
        {(f.domain, f.name, f.overload): f for f in model.functions},
        dims,
        model,
        dict(inputs),
    )
    reader.weights(graph, variables)
    reader.nodes(graph.node)
    outputs = {info.name: reader.value(info.name) for info in graph.output}
    return Graph(
        inputs,
        reader.shared.weights,
        outputs,
        {name: value for name, value in reader.scope.items() if value is not None},
        reader.shared.labels,
        dims.spelled,
        model,
    )


@dataclass
class Shared:
    """What the readers of a model and of the graphs in it have in common."""

    known: Known = field(default_factory=Known)
    weights: dict[str, Expr] = field(default_factory=dict)
    labels: dict[Expr, str] = field(default_factory=dict)
    count: int = 0
    measured: dict[Expr, str] = field(default_factory=dict)  # names of dims that integers are
    native: dict[tuple[Any, ...], list[Expr]] = field(default_factory=dict)  # nodes made once


@dataclass
class Reader:
    """Reads the nodes of one graph.

    Attributes:
        opsets: the versions of domains; "" for the standard one.
        functions: the functions of the model.
        dims: the dims of the model.
        model: the model.
        scope: the values of this graph, by name.
        outer: the reader of the graph around it, whose values it may read.
        shared: what all readers of the model have in common.
    """

    opsets: Mapping[str, int]
    functions: Mapping[FunctionKey, onnx.FunctionProto]
    dims: Dims
    model: onnx.ModelProto
    scope: dict[str, Expr | None]
    outer: Reader | None = None
    shared: Shared = field(default_factory=Shared)
    _lengths: dict[str, Expr] = field(default_factory=dict)  # that a translation has asked for

    def value(self, name: str) -> Expr:
        """The expression of a value.

        Raises:
            InputError: if the model has none of this name before the node that reads it.
        """
        found = self.optional(name)
        if found is None:
            raise InputError(f"the model reads {name!r}, which nothing before makes")
        return found

    def optional(self, name: str) -> Expr | None:
        """The expression of a value; None of one that is left out, and of a name without one."""
        if name in self.scope:
            return self.scope[name]
        return self.outer.optional(name) if self.outer is not None and name else None

    def labelled(self, value: Expr) -> str:
        """What an error calls the node that a value came of."""
        return self.shared.labels.get(value, "a graph")

    def inside(self, scope: Mapping[str, Expr]) -> Reader:
        """A reader for a graph inside a node, which may read what is outside."""
        return Reader(
            self.opsets, self.functions, self.dims, self.model, dict(scope), self, self.shared
        )

    def graph(
        self,
        graph: onnx.GraphProto,
        inputs: Sequence[Expr],
        captured: Mapping[str, Expr] | None = None,
    ) -> list[Expr]:
        """The outputs of a graph inside a node, of its inputs.

        Args:
            graph: the graph.
            inputs: what its inputs are.
            captured: what values outside are that it reads; their own expressions by default.
        """
        names = [info.name for info in graph.input]
        inner = self.inside({**(captured or {}), **dict(zip(names, inputs, strict=True))})
        for tensor in graph.initializer:  # constants, however large: no weights of the model
            inner.scope[tensor.name] = inner.constant(tensor)
        for sparse in graph.sparse_initializer:
            inner.scope[sparse.values.name] = const(_dense(sparse))
        inner.nodes(graph.node)
        return [inner.value(info.name) for info in graph.output]

    def weights(self, graph: onnx.GraphProto, variables: Collection[str]) -> None:
        """Read the initializers of a graph."""
        for tensor in graph.initializer:
            self.scope[tensor.name] = self._weight(tensor, tensor.name in variables)
        for sparse in graph.sparse_initializer:
            self.scope[sparse.values.name] = const(_dense(sparse))

    def nodes(self, nodes: Iterable[onnx.NodeProto]) -> None:
        """Read nodes, which stand in an order in which they can run."""
        for node in nodes:
            results = self._node(node)
            for name, value in zip(node.output, results, strict=False):
                if name:
                    self.scope[name] = value
                    self.shared.labels.setdefault(value, self._label(node))

    def constant(self, tensor: onnx.TensorProto) -> Expr:
        """A tensor that stands in the model, as part of the expressions."""
        dtype = DTYPE_NAMES.get(tensor.data_type)
        if dtype is not None:
            return const(numpy_helper.to_array(tensor), dtype)
        holder = helper.make_node("Constant", [], [tensor.name], value=tensor)
        return self._as_it_is(holder, "is no number")[0]

    def _weight(self, tensor: onnx.TensorProto, is_variable: bool) -> Expr:
        dtype = DTYPE_NAMES.get(tensor.data_type)
        if dtype is None or (math.prod(tensor.dims) <= _SMALL and not is_variable):
            return self.constant(tensor)
        made = foreign_variable(tensor.name, TensorType(dtype, tuple(tensor.dims)))
        self.shared.weights[tensor.name] = made
        return made

    def _node(self, node: onnx.NodeProto) -> Sequence[Expr]:
        domain = "" if node.domain in STANDARD else node.domain
        function = self.functions.get((node.domain, node.op_type, node.overload))
        inputs = [self.optional(name) for name in node.input]
        if function is not None:
            return self._inlined(function, node, inputs, self.opsets_of(function))
        version = self.opsets.get(node.domain, 0)
        translation = translation_of(domain, node.op_type, version)
        are_tensors = not any(isinstance(x.type, OpaqueType) for x in inputs if x is not None)
        if not are_tensors and not takes_any_value(translation):
            return self._as_it_is(node, "it takes what is no tensor of numbers of a known rank")
        reason = "lossgraph has no derivative of it"
        if translation is not None:
            try:
                return self._translated(translation, self._described(node, inputs, version))
            except (UnequalDimsError, SpecializationError) as error:
                if not self.dims.at_run_time(error):
                    raise
                reason = str(error)
            except NotTranslatedError as error:
                reason = str(error)
            except InputError as error:
                reason = str(error)
        body = None if domain or not are_tensors else _body_of(node, inputs, version, self.dims)
        if body is not None:
            return self._inlined(body, node, inputs, self.opsets_of(body))
        return self._as_it_is(node, reason)

    def _translated(self, translation: Translation, node: Node) -> list[Expr]:
        """The results of a translation, which carry the lengths that it asked for."""
        before, self._lengths = self._lengths, {}
        try:
            made = translation(node)
            results = [made] if isinstance(made, Expr) else made
            return [ops.measured(result, self._lengths) for result in results]
        finally:
            self._lengths = before

    def length(self, value: Expr, name: str) -> Dim:
        """The dim that an int64 is when the model runs, for a value of a name."""
        if value not in self.shared.measured:
            self.shared.measured[value] = self.dims.fresh(name, len(self._lengths))
        called = self.shared.measured[value]
        dim = self.dims.named(called)
        if dim == named(called):
            self._lengths[called] = value
        return dim

    def _described(self, node: onnx.NodeProto, inputs: Sequence[Expr | None], version: int) -> Node:
        return Node(
            node.op_type,
            version,
            tuple(inputs),
            attributes_of(node),
            tuple(bool(name) for name in node.output),
            self._label(node),
            node.output[0] if node.output else "",
            self.shared.known,
            self,
        )

    def _inlined(
        self,
        function: onnx.FunctionProto,
        node: onnx.NodeProto,
        inputs: Sequence[Expr | None],
        opsets: Mapping[str, int],
    ) -> list[Expr]:
        """The results of a function's body, read in the place of its call."""
        given = {attribute.name: attribute for attribute in function.attribute_proto}
        given |= {attribute.name: attribute for attribute in node.attribute}
        scope: dict[str, Expr | None] = dict.fromkeys(function.input)  # None for what is left out
        scope |= zip(function.input, inputs, strict=False)
        inner = Reader(opsets, self.functions, self.dims, self.model, scope, None, self.shared)
        inner.nodes(bound(inner_node, given) for inner_node in function.node)
        # The body of an operator need not make the outputs that are left out.
        pairs = zip(function.output, node.output, strict=False)
        return [inner.value(name) if wanted else _LEFT_OUT for name, wanted in pairs]

    @staticmethod
    def opsets_of(function: onnx.FunctionProto) -> dict[str, int]:
        """The versions of domains in a function."""
        return {entry.domain or "": entry.version for entry in function.opset_import}

    def native(
        self,
        operator: str,
        args: Sequence[Expr],
        outputs: int,
        attrs: Mapping[str, Any],
        label: str,
        types: Sequence[TensorType] = (),
    ) -> list[Expr]:
        """The outputs of a node that a translation is made of; equal ones are made once."""
        names = [str(place) for place in range(len(args))]
        made = [f"{operator.lower()}_{place}" for place in range(outputs)]
        node = helper.make_node(operator, names, made, **attrs)
        opsets = {**self.opsets, "": max(self.opsets.get("", 0), MIN_OPSET)}
        proto, version = node.SerializeToString(deterministic=True), opsets[""]
        key, reason = (tuple(args), proto, version), f"{operator} has no derivative"
        if types:
            return opaque(
                tuple(args), proto, tuple(types), version=version, label=label, reason=reason
            )
        if key not in self.shared.native:  # lengths that are new have one name then
            self.shared.native[key] = read_as_it_is(
                node,
                dict(zip(names, args, strict=True)).__getitem__,
                self.dims,
                opsets=opsets,
                declared={},
                label=label,
                reason=reason,
            )
        return self.shared.native[key]

    def _as_it_is(self, node: onnx.NodeProto, reason: str) -> list[Expr]:
        self.shared.count += 1
        return read_as_it_is(
            node,
            self.value,
            self.dims,
            opsets=self.opsets,
            declared=self._declared,
            label=f"{self._label(node)} #{self.shared.count}",
            reason=reason,
        )

    @cached_property
    def _declared(self) -> Mapping[str, onnx.TypeProto]:
        """The types of values that inference over the whole model finds, or that it declares."""
        light = without_weights(self.model)
        with suppress(Exception):  # it raises whatever it runs into; then declarations have to do
            light = shape_inference.infer_shapes(light)
        infos = (*light.graph.value_info, *light.graph.output)
        return {info.name: info.type for info in infos}

    @staticmethod
    def _label(node: onnx.NodeProto) -> str:
        operator = f"{node.domain}.{node.op_type}" if node.domain not in STANDARD else node.op_type
        name = node.name or (node.output[0] if node.output else "")
        return f"{operator} (node {name!r})"


def _body_of(
    node: onnx.NodeProto, inputs: Sequence[Expr | None], version: int, dims: Dims
) -> onnx.FunctionProto | None:
    """The definition of an operator by others in ONNX's own schema, if it has one."""
    if not version or not defs.has(node.op_type, version, ""):
        return None
    schema: Any = defs.get_schema(node.op_type, version, "")  # its stubs lack methods
    data = None
    if schema.has_function:
        since = [v for v in schema.function_opset_versions if v <= version]
        if since:
            data = schema.get_function_with_opset_version(max(since))
    if data is None and schema.has_context_dependent_function:
        types = [
            (onnx.TypeProto() if x is None else proto_of(x.type, dims)).SerializeToString()
            for x in inputs
        ]
        since = [v for v in schema.context_dependent_function_opset_versions if v <= version]
        if since:
            data = schema.get_context_dependent_function_with_opset_version(
                max(since), node.SerializeToString(), types
            )
    if not data:
        return None
    function = onnx.FunctionProto()
    function.ParseFromString(data)
    stated = {attribute.name for attribute in function.attribute_proto}
    defaults = (attribute.default_value for attribute in schema.attributes.values())
    function.attribute_proto.extend(a for a in defaults if a.name and a.name not in stated)
    return function


def _dense(sparse: onnx.SparseTensorProto) -> Any:
    values, indices = numpy_helper.to_array(sparse.values), numpy_helper.to_array(sparse.indices)
    array = np.zeros(tuple(sparse.dims), values.dtype)
    if indices.ndim == 1:
        array.reshape(-1)[indices] = values
    else:
        array[tuple(indices.T)] = values
    return array
