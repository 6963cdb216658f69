"""ONNX's own test cases of operators: each read, written, run and differentiated.

A case is a model of one operator with inputs. What is asked of it:

- read into expressions and written again, it has the outputs in ONNX Runtime that it had before, or
  those that ONNX recorded where ONNX Runtime does not run the model as it is;
- the gradients of a weighed sum of its floating outputs by its floating inputs, in float64, are
  those of central differences.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, defs, numpy_helper

from lossgraph.compare.finite_differences import along
from lossgraph.compiler.program import assemble
from lossgraph.compiler.trace import make_traced
from lossgraph.errors import GradientError, LossgraphError, LoweringError
from lossgraph.importer.graph import Graph
from lossgraph.importer.reader import from_onnx
from lossgraph.ir import ops
from lossgraph.ir.dims import product
from lossgraph.ir.expr import Expr, const, toposort
from lossgraph.ir.ops.opaque import is_opaque
from lossgraph.lowering.lower import lower, lower_wide
from lossgraph.lowering.opsets import MAX_OPSET

Arrays = dict[str, Any]

# What ONNX Runtime computes twice by other operators: float32 of sums of some hundred terms.
_EQUAL = {"rtol": 1e-4, "atol": 1e-5}
_EQUAL_HALF = {"rtol": 5e-3, "atol": 5e-3}
# Central differences in float64, of a step of 1e-6 beside values of about one.
_STEP = 1e-6
_SLOPES = {"rtol": 1e-5, "atol": 1e-6}
_MOST_DIRECTIONS = 24
# Floating inputs that say sizes or kinds, which exporters write as constants.
_STRUCTURE = {"Resize": (1, 2), "Upsample": (1,), "Dropout": (1,), "Range": (0, 1, 2)}
_DTYPES = ("to", "dtype", "softmax_precision", "stash_type")  # attributes that are dtypes
# Opsets of the models of gradients: of 20 on, GridSample has float64.
_OPSET = 22
# What engines write for an infinity that forbids.
_HUGE = 1e30
# What gives other numbers in each run, or in each engine.
_RANDOM = ("Bernoulli", "Multinomial", "RandomNormal", "RandomNormalLike", "RandomUniform",
           "RandomUniformLike")  # fmt: skip


@dataclass
class Outcome:
    """What became of a case.

    Attributes:
        operator: the operator that it is about.
        name: the name of the case.
        kept: the reasons for which nodes were kept as they are.
        values: "equal", or why they are not known to be, or how they differ.
        gradients: of each floating input, "equal", "0", a refusal's reason, or how they differ.
    """

    operator: str
    name: str
    kept: list[str] = field(default_factory=list)
    values: str = ""
    gradients: dict[str, str] = field(default_factory=dict)

    @property
    def is_right(self) -> bool:
        """Whether nothing is wrong."""
        found = (self.values, *self.gradients.values())
        return not any(text.startswith("WRONG") for text in found)


@dataclass(frozen=True)
class Case:
    """One of ONNX's cases: its model, inputs and outputs."""

    operator: str
    name: str
    model: onnx.ModelProto
    inputs: tuple[Any, ...]
    outputs: tuple[Any, ...]
    rtol: float
    atol: float


def cases(operators: Collection[str] = ()) -> Iterator[Case]:
    """ONNX's cases of the standard operators up to the newest opset that graphs are written in.

    Args:
        operators: only these, if there are any.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases

        found = collect_testcases(None)
    for test in found:
        operator = _operator_of(test)
        model = _in_a_known_opset(test.model)
        if operator is None or model is None or not test.data_sets:
            continue
        if operators and operator not in operators:
            continue
        inputs, outputs = test.data_sets[0]
        yield Case(operator, test.name, model, tuple(inputs), tuple(outputs), test.rtol, test.atol)


def _operator_of(test: Any) -> str | None:
    """The operator that a case is about; None of one that writes it out in others."""
    nodes = test.model.graph.node
    if "_expanded" in test.name or test.model.functions:
        return None
    return nodes[0].op_type if len({node.op_type for node in nodes}) == 1 else "several"


def _in_a_known_opset(model: onnx.ModelProto) -> onnx.ModelProto | None:
    """The model in an opset that engines know, if its operators mean the same there."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    for entry in made.opset_import:
        if entry.domain not in ("", "ai.onnx"):
            if entry.domain != "ai.onnx.ml":
                return None
        elif entry.version > MAX_OPSET:
            for node in model.graph.node:
                if node.domain in ("", "ai.onnx") and not _same(node.op_type, entry.version):
                    return None
            entry.version = MAX_OPSET
    made.ir_version = min(made.ir_version, 10)
    return made


def _same(operator: str, version: int) -> bool:
    return bool(defs.get_schema(operator, version, "").since_version <= MAX_OPSET)


def outcome(case: Case) -> Outcome:
    """What becomes of a case."""
    made = Outcome(case.operator, case.name)
    arrays = {
        info.name: np.asarray(given) if isinstance(given, np.generic) else given
        for info, given in zip(case.model.graph.input, case.inputs, strict=False)
    }
    fixed = {name: arrays[name] for name in _fixed(case, arrays)}
    for model in (case.model, _with_constants(case.model, fixed)) if fixed else (case.model,):
        try:
            graph = from_onnx(model)
            made.kept = _reasons(graph)
            made.values = _values(case, graph, arrays)
        except LossgraphError as error:
            made.values = f"WRONG: refused: {error}"
        except Exception as error:  # a fault of lossgraph's own, whatever it is
            made.values = f"WRONG: {type(error).__name__}: {error}"
        if made.values.startswith("WRONG"):
            return made
    drops = any(reason.startswith("Dropout") for reason in made.kept)
    if case.operator not in _RANDOM and not drops and made.values == "equal":
        made.gradients = _gradients(case, _with_constants(case.model, fixed), arrays)
    return made


def _reasons(graph: Graph) -> list[str]:
    nodes = toposort(list(graph.outputs.values()))
    return [
        f"{onnx.NodeProto.FromString(node.attrs['proto']).op_type}: {node.attrs['reason']}"
        for node in nodes
        if is_opaque(node)
    ]


# --- values --------------------------------------------------------------------------------------


def _values(case: Case, graph: Graph, arrays: Arrays) -> str:
    expected, source, said = list(case.outputs), "ONNX", ""
    try:
        expected, source = run(case.model, arrays), "ONNX Runtime"
    except Exception as error:
        said = str(error)
    try:
        written = graph.to_onnx()
    except LoweringError as error:
        return f"not written: {error}"
    try:
        found = run(written, arrays)
    except Exception as error:
        if source == "ONNX":
            return f"not run by ONNX Runtime: {said.strip().splitlines()[0][:150]}"
        return f"WRONG: it does not run: {str(error).strip().splitlines()[0][:200]}"
    if case.operator in _RANDOM:
        return "equal" if all(map(_alike, found, expected)) else "WRONG: types"
    for place, (one, other) in enumerate(zip(found, expected, strict=True)):
        difference = _difference(one, other, case)
        if difference:
            return f"WRONG: output {place} is not that of {source}: {difference}"
    return "equal"


def _alike(found: Any, expected: Any) -> bool:
    return bool(found.shape == expected.shape and found.dtype == expected.dtype)


def _difference(found: Any, expected: Any, case: Case) -> str:
    """How two outputs differ; empty if they do not."""
    if isinstance(expected, (list, tuple)):
        pairs = zip(found, expected, strict=True)
        return next(filter(None, (_difference(a, b, case) for a, b in pairs)), "")
    if expected is None or found is None:
        return "" if found is expected else f"{found} instead of {expected}"
    found, expected = np.asarray(found), np.asarray(expected)
    if found.shape != expected.shape or found.dtype != expected.dtype:
        return f"{found.dtype}{found.shape} instead of {expected.dtype}{expected.shape}"
    if expected.dtype.kind not in "fV":
        return "" if (found == expected).all() else "other elements"
    narrow = expected.dtype.itemsize < 4
    limits = _EQUAL_HALF if narrow else _EQUAL
    one, other = (x.astype(np.float64).clip(-_HUGE, _HUGE) for x in (found, expected))
    if np.allclose(one, other, equal_nan=True, **limits):
        return ""
    return f"off by {np.nanmax(np.abs(one - other)):.1e}"


def run(model: onnx.ModelProto, arrays: Mapping[str, Any]) -> list[Any]:
    """The outputs of a model in ONNX Runtime."""
    session = _session(model)
    names = {info.name for info in session.get_inputs()}
    found: list[Any] = session.run(None, {k: v for k, v in arrays.items() if k in names})
    return found


def _session(model: onnx.ModelProto) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    data = model.SerializeToString()
    return onnxruntime.InferenceSession(data, options, providers=["CPUExecutionProvider"])


# --- gradients -----------------------------------------------------------------------------------


def _gradients(case: Case, model: onnx.ModelProto, arrays: Arrays) -> dict[str, str]:
    """By each floating input: how its gradient fares."""
    model = _wide(model)
    wanted = [
        info.name for info in model.graph.input
        if info.type.tensor_type.elem_type == TensorProto.DOUBLE
        and np.asarray(arrays[info.name]).dtype.itemsize > 1
    ]  # fmt: skip
    if not wanted or not any(
        info.type.tensor_type.elem_type in (TensorProto.DOUBLE, 0) for info in model.graph.output
    ):
        return {}
    try:
        graph = from_onnx(model)
    except Exception as error:
        return dict.fromkeys(wanted, f"WRONG: {type(error).__name__}: {error}")
    held = {k: np.asarray(v, np.float64) if k in wanted else v for k, v in arrays.items()}
    value = _weighed(graph)
    if value is None:
        return {}
    return {name: _gradient(graph, value, held, name) for name in wanted}


def _fixed(case: Case, arrays: Arrays) -> list[str]:
    """The inputs that exporters write as constants."""
    node = case.model.graph.node[0]
    structure = [node.input[i] for i in _STRUCTURE.get(case.operator, ()) if i < len(node.input)]
    return [
        name for name, array in arrays.items()
        if name in structure or (isinstance(array, np.ndarray) and array.dtype.kind in "iub")
    ]  # fmt: skip


def _with_constants(model: onnx.ModelProto, arrays: Mapping[str, Any]) -> onnx.ModelProto:
    made = onnx.ModelProto()
    made.CopyFrom(model)
    inputs = [info for info in model.graph.input if info.name not in arrays]
    del made.graph.input[:]
    made.graph.input.extend(inputs)
    made.graph.initializer.extend(numpy_helper.from_array(a, n) for n, a in arrays.items())
    return made


def _wide(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model in float64."""
    made = onnx.ModelProto()
    made.CopyFrom(model)
    _widen(made.graph)
    return made


def _widen(graph: onnx.GraphProto) -> None:
    floats = (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16)
    for info in (*graph.input, *graph.output, *graph.value_info):
        for kind in (info.type.tensor_type, info.type.sequence_type.elem_type.tensor_type):
            if kind.elem_type in floats:
                kind.elem_type = TensorProto.DOUBLE
    for tensor in graph.initializer:
        if tensor.data_type in floats:
            array = numpy_helper.to_array(tensor).astype(np.float64)
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g"):
                _widen(attribute.g)
            if attribute.HasField("t") and attribute.t.data_type in floats:
                array = numpy_helper.to_array(attribute.t).astype(np.float64)
                attribute.t.CopyFrom(numpy_helper.from_array(array, attribute.t.name))
            if attribute.name in _DTYPES and attribute.i in floats:
                attribute.i = TensorProto.DOUBLE


def _weighed(graph: Graph) -> Expr | None:
    """The sum of all outputs in float64, each element with a weight of its own."""
    total: Expr | None = None
    for output, value in enumerate(graph.outputs.values()):
        if value.dtype != "float64":  # statistics in float32, which move in steps
            continue
        count = product(value.shape)
        places = ops.cast(ops.reshape(ops.iota(count), value.shape), value.dtype)
        weights = ops.cos(ops.mul(places, const(0.7 + 0.31 * output, value.dtype)))
        term = ops.reduce_sum(ops.reshape(ops.mul(value, weights), (count,)), axes=(0,))
        term = ops.reshape(term, ())
        total = term if total is None else ops.add(total, term)
    return total


def _gradient(graph: Graph, value: Expr, arrays: Arrays, name: str) -> str:
    inputs = (*graph.inputs.values(), *graph.weights.values())
    try:
        program = assemble(make_traced(inputs, [value], False, {}), grad=(name,))
    except GradientError as error:
        return f"refused: {error}"
    except Exception as error:  # a fault of lossgraph's own, whatever it is
        return f"WRONG: {type(error).__name__}: {error}"
    outputs = dict(zip(["\0value", "\0slope"], program.outputs.values(), strict=True))
    try:
        made = lower(inputs, outputs, opset=_OPSET)
        slopes = _function(made, 1)
        values = _function(lower_wide(inputs, {"\0value": value}, opset=_OPSET), 0)
        return _compared(slopes, values, arrays, name)
    except Exception as error:
        return f"WRONG: it does not run: {type(error).__name__} {str(error).strip()[:300]}"


def _function(model: onnx.ModelProto, output: int) -> Callable[[Mapping[str, Any]], Any]:
    session = _session(model)
    names = {info.name for info in session.get_inputs()}
    return lambda arrays: session.run(
        None, {k: np.asarray(v) for k, v in arrays.items() if k in names}
    )[output]


def _compared(slopes: Any, values: Any, arrays: Arrays, name: str) -> str:
    """Slopes beside differences, at a place where the value is a number and has no kink."""
    rng = np.random.default_rng(0)
    places = (_moved(arrays, factor, rng) for factor in (0.97, 1.03, 1.0))
    place = next((place for place in places if np.isfinite(values(place)).all()), None)
    if place is None:
        return "the value is no number"
    slope, array = slopes(place), place[name]
    if slope.shape != array.shape:
        return f"WRONG: it has the shape {slope.shape} and the input {array.shape}"
    if not array.size:
        return "equal"
    directions = _directions(array, rng)
    found = np.array([(slope * direction).sum() for direction in directions])
    right = np.array([along(values, place, {name: d}, _STEP) for d in directions])
    size = max(1.0, float(np.abs(right).max()))
    if np.allclose(found, right, rtol=_SLOPES["rtol"], atol=_SLOPES["atol"] * size):
        return "equal" if right.any() else "0"
    return f"WRONG: off by {np.abs(found - right).max():.1e} of {size:.1e}"


def _moved(arrays: Arrays, factor: float, rng: np.random.Generator) -> Arrays:
    return {
        name: np.asarray(array * factor + rng.uniform(0.003, 0.02, array.shape))
        if isinstance(array, np.ndarray) and array.dtype == np.float64
        else array
        for name, array in arrays.items()
    }


def _directions(array: Any, rng: np.random.Generator) -> list[Any]:
    """Each element by itself if there are few; some, and some random ones, if there are many."""
    count = array.size
    singles = range(count) if count <= _MOST_DIRECTIONS else rng.choice(count, 8, replace=False)
    directions = [np.eye(1, count, place).reshape(array.shape) for place in singles]
    if count > _MOST_DIRECTIONS:
        directions += [rng.normal(size=array.shape) for _ in range(4)]
    return directions
