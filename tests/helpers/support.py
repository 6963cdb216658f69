"""What the tests share: engines, samples, tools."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx.reference import ReferenceEvaluator

from lossgraph.compare.finite_differences import along
from lossgraph.ir.expr import inputs_of, variable
from lossgraph.ir.types import numpy_dtype, tensor_type
from lossgraph.lowering.lower import lower
from lossgraph.lowering.opsets import MAX_OPSET
from lossgraph.lowering.releases import release
from tolerances import TOLERANCE

ROOT = Path(__file__).parents[2]  # of the checkout
TOOLS = ROOT / "tools"
GOLDEN = ROOT / "tests" / "golden"

SPECIAL = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    np.inf,
    -np.inf,
    np.nan,
    1e4,
    -1e4,
    1e-30,
    -1e-30,
    50.0,
    -50.0,
    0.5,
]

# Kernels of old releases that are wrong where lossgraph's own lowering is plain ONNX.
OLD_ENGINE = {"Erf": np.nan, "Sqrt": np.inf}  # erf(NaN) is 1, sqrt(inf) is NaN


def operators_in(graph):
    """How many operators a graph of ONNX has, with those of its subgraphs."""
    inner = (a.g for node in graph.node for a in node.attribute if a.HasField("g"))
    return len(graph.node) + sum(map(operators_in, inner))


def assert_close(actual, expected, dtype=None, tolerance=None):
    """Equal within the table's tolerance; NaN equals NaN, shapes are equal."""
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape
    rtol, atol = tolerance or TOLERANCE.get(dtype or actual.dtype.name, (0, 0))
    np.testing.assert_allclose(
        actual.astype(np.float64), expected.astype(np.float64), rtol=rtol, atol=atol
    )


def difference_quotient(value, arrays, name, direction):
    """The central difference of ``value(**arrays)`` where one array moves in a direction."""
    return along(lambda at: value(**at), arrays, {name: direction})


def symbol(name, dtype, shape):
    """An input expression."""
    return variable(name, tensor_type(dtype, shape))


def to_model(roots, opset=18, inputs=None):
    """A model of expressions with outputs out_0, out_1, .."""
    inputs = inputs_of(roots) if inputs is None else inputs
    return lower(inputs, {f"out_{i}": root for i, root in enumerate(roots)}, opset=opset)


def run_ort(roots, arrays, opset=18):
    """The values of expressions by ONNX Runtime."""
    return run_model(to_model(roots, opset), arrays)


def run_model(model, arrays):
    """The outputs of a model by ONNX Runtime."""
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    feeds = {i.name: arrays[i.name] for i in session.get_inputs()}
    return session.run(None, feeds)


class QuietEvaluator(ReferenceEvaluator):
    """Without NumPy's warnings: the evaluator computes what it then does not choose."""

    def run(self, *args, **kwargs):
        with np.errstate(all="ignore"):
            return super().run(*args, **kwargs)


def reference_evaluator(model):
    """ONNX's own interpreter, for models with scans too."""
    version = tuple(int(part) for part in onnx.__version__.split(".")[:2])
    if version < (1, 22):
        pytest.skip("onnx before 1.22 takes as many states of a Scan as it has sequences")
    return QuietEvaluator(model)


def run_reference(roots, arrays, opset=18):
    """The values of expressions by ONNX's reference evaluator."""
    model = to_model(roots, opset)
    names = {i.name for i in model.graph.input}
    return QuietEvaluator(model).run(None, {n: a for n, a in arrays.items() if n in names})


def sample(rng, type_, domain=(-3.0, 3.0)):
    """A random array of a static type, floats from a domain."""
    shape = type_.shape
    dtype = numpy_dtype(type_.dtype)
    if type_.dtype == "bool":
        return rng.random(shape) < 0.5
    if type_.is_float:
        return rng.uniform(*domain, shape).astype(dtype)
    return rng.integers(0, 4, shape).astype(dtype)


def newest_opset():
    """The newest opset that lossgraph writes and the installed ONNX Runtime loads."""
    return min(release(ort.__version__).opset, MAX_OPSET)


def needs_opset(opset):
    """Skip a test whose models the installed ONNX Runtime does not load."""
    if opset > newest_opset():
        pytest.skip(f"this ONNX Runtime loads no opset {opset}")


def tool_path(path):
    """A file of ``tools/``; the tests that need it are skipped where it is not."""
    file = TOOLS / path
    if not file.exists():
        pytest.skip("the tools are not in this copy of the sources", allow_module_level=True)
    return file


def load_from(package, name):
    """A module of a package in ``tools/``, which is not installed."""
    own = f"lossgraph_{package}"
    if own not in sys.modules:
        spec = importlib.util.spec_from_file_location(own, tool_path(f"{package}/__init__.py"))
        sys.modules[own] = importlib.util.module_from_spec(spec)
    return importlib.import_module(f"{own}.{name}")


def load_tool(path):
    """A file of ``tools/`` as a module."""
    file = tool_path(path)
    spec = importlib.util.spec_from_file_location(f"lossgraph_{file.stem}", file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look up their annotations
    spec.loader.exec_module(module)
    return module
