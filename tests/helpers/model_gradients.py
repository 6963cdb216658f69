"""Gradients of models: those of the graphs that are made, and differences of the model's values."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper

from lossgraph.compare.finite_differences import gradient as differences
from lossgraph.compiler.program import assemble
from lossgraph.compiler.trace import make_traced
from lossgraph.importer.reader import from_onnx
from lossgraph.ir import ops
from lossgraph.ir.dims import product
from lossgraph.ir.expr import const
from lossgraph.lowering.lower import lower
from support import needs_opset

# Of float64: central differences are off by a millionth, beside values that are about one.
DIFFERENCES = {"rtol": 1e-5, "atol": 1e-7}
# Of float32 beside float64: sums of some hundred products.
SINGLE = {"rtol": 2e-4, "atol": 2e-5}

_CODES = {"float32": TensorProto.FLOAT, "float64": TensorProto.DOUBLE, "int64": TensorProto.INT64,
          "int32": TensorProto.INT32, "bool": TensorProto.BOOL}  # fmt: skip


def info(name, dtype, shape):
    return helper.make_tensor_value_info(name, _CODES[dtype], shape)


def model_of(nodes, arrays, outputs, dtype="float32", opset=18, shapes=None, **more):
    """A model of nodes, of inputs with the dtypes and ranks of arrays; floats get ``dtype``.

    ``outputs`` has names, or names with dtypes and ranks where they are no floats.
    """
    needs_opset(opset)
    inputs = [
        info(
            name,
            dtype if array.dtype.kind == "f" else array.dtype.name,
            (shapes or {}).get(name, array.shape),
        )
        for name, array in arrays.items()
    ]
    results = [
        helper.make_tensor_value_info(o, _CODES[dtype], None) if isinstance(o, str) else o
        for o in outputs
    ]
    initializers = more.pop("initializer", [])
    graph = helper.make_graph(nodes, "g", inputs, results, initializers)
    opsets = more.pop("opset_imports", [helper.make_opsetid("", opset)])
    return helper.make_model(graph, opset_imports=opsets, ir_version=9, **more)


def run(model, arrays):
    """The outputs of a model in ONNX Runtime, by name."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    types = {i.name: i.type for i in session.get_inputs()}
    floats = {"tensor(float)": "float32", "tensor(double)": "float64"}
    feeds = {n: arrays[n].astype(floats.get(t, arrays[n].dtype)) for n, t in types.items()}
    names = [o.name for o in session.get_outputs()]
    return dict(zip(names, session.run(None, feeds), strict=True))


def weighing(graph, seed=0):
    """The sum of all floating outputs, each element with a fixed weight."""
    rng = np.random.default_rng(seed)
    total = None
    for value in graph.outputs.values():
        if not value.type.is_float:
            continue
        count = product(value.shape)
        places = ops.cast(ops.reshape(ops.iota(count), value.shape), value.dtype)
        weights = ops.cos(ops.mul(places, const(rng.uniform(0.5, 1.5), value.dtype)))
        term = ops.reduce_sum(ops.reshape(ops.mul(value, weights), (count,)), axes=(0,))
        total = term if total is None else ops.add(total, term)
    return ops.reshape(total, ())


def gradient_model(graph, wrt, opset=18):
    """The weighed sum and its gradients by inputs, as a model."""
    value = weighing(graph)
    inputs = (*graph.inputs.values(), *graph.weights.values())
    traced = make_traced(inputs, [value], False, {})
    program = assemble(traced, grad=tuple(wrt))
    names = ["value", *wrt]
    outputs = dict(zip(names, program.outputs.values(), strict=True))
    outputs = {"value" if k == "value" else f"grad_{k}": v for k, v in outputs.items()}
    model = lower(inputs, outputs, opset=opset)
    onnx.checker.check_model(model)
    return model


def close(actual, expected, what, rtol, atol):
    if actual.size == expected.size == 0:  # the engine does not know how long nothing is
        return
    assert actual.shape == expected.shape, what
    size = max(1.0, float(np.abs(expected).max())) if expected.size else 1.0
    np.testing.assert_allclose(actual, expected, rtol=rtol, atol=atol * size, err_msg=what)


def check(make, arrays, wrt, original=True, opset=18, float32=True):
    """A model is read, written and differentiated right.

    Args:
        make: the model for a dtype.
        arrays: its inputs, in float64.
        wrt: inputs by which it is differentiated.
        original: whether ONNX Runtime runs the model in float32 as it is.
        opset: of the models that are made.
        float32: whether float32 is asked for at all.
    """
    narrow, wide = (from_onnx(make(dtype)) for dtype in ("float32", "float64"))
    written = wide.to_onnx(opset=opset)
    values = run(written, arrays)
    if float32:
        again = run(narrow.to_onnx(opset=opset), arrays)
        first = run(make("float32"), arrays) if original else again
        for name, value in first.items():
            close(again[name], value, name, rtol=1e-6, atol=1e-6)
            close(values[name].astype(value.dtype), value, name, **SINGLE)
    made = run(gradient_model(wide, wrt, opset), arrays)
    single = run(gradient_model(narrow, wrt, opset), arrays) if float32 else None
    summed = onnxruntime_value(wide, opset)
    for name in wrt:
        expected = differences(summed, arrays, name)
        close(made[f"grad_{name}"], expected, name, **DIFFERENCES)
        if single is not None:
            close(single[f"grad_{name}"], expected, name, **SINGLE)


def onnxruntime_value(graph, opset):
    """The weighed sum as a function of arrays."""
    inputs = (*graph.inputs.values(), *graph.weights.values())
    model = lower(inputs, {"value": weighing(graph)}, opset=opset)
    session = onnxruntime.InferenceSession(
        model.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    names = {i.name for i in session.get_inputs()}
    return lambda arrays: session.run(None, {n: a for n, a in arrays.items() if n in names})[0]
