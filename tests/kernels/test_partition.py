"""Programs of which parts are kernels, against the interpreter and the plain graph."""

import json
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from hand_written import build, needs_cc
from lossgraph import losses, nn
from lossgraph.compiler.outputs import Output
from lossgraph.ir.evaluate import evaluate
from lossgraph.ir.expr import inputs_of, substitute, variable
from lossgraph.ir.ops import cast, concat, exp, matmul, reduce_sum, size_of, tanh, transpose
from lossgraph.ir.types import tensor_type
from lossgraph.kernels.elements import KernelUnsupportedError
from lossgraph.kernels.model import cut, fused
from lossgraph.kernels.partition import partition
from lossgraph.kernels.unit import translation_unit
from lossgraph.runtime.sessions import make_session
from support import assert_close

FLAGS = ("-O0", "-march=native")  # built once, run on little
DOMAIN = "lossgraph.tested"


def _types(dtype, *names):
    return dict.fromkeys(names, (dtype, ("N", "D")))


def _program(name, dtype="float32"):
    labels = {"label": ("int64", ("N",))}
    loss, types, grad = {
        "info_nce": (losses.info_nce, _types(dtype, "query", "key"), ("query", "key")),
        "supcon": (losses.supcon, _types(dtype, "embedding") | labels, ("embedding",)),
        "vicreg": (losses.vicreg, _types(dtype, "x1", "x2"), ("x1", "x2")),
        "lovasz_hinge": (losses.lovasz_hinge, _types(dtype, "logits", "label"), ("logits",)),
        "sparsemax": (
            losses.sparsemax,
            _types(dtype, "scores") | {"labels": labels["label"]},
            ("scores",),
        ),
        "wasserstein_1d": (losses.wasserstein_1d, _types(dtype, "x", "y"), ("x", "y")),
    }[name]
    return loss.program(types, grad=grad)


CASES = [
    ("info_nce", "float32"),
    ("info_nce", "float64"),
    ("info_nce", "float16"),
    ("supcon", "float32"),
    ("vicreg", "float32"),
    ("vicreg", "float64"),
    ("lovasz_hinge", "float32"),
    ("sparsemax", "float32"),
    ("wasserstein_1d", "float32"),
]


@pytest.fixture(scope="module")
def parts():
    """All programs, cut."""
    return {case: cut(_program(*case), checks=True) for case in CASES}


@pytest.fixture(scope="module")
def library(parts, tmp_path_factory):
    """One library with the kernels of all programs: most of building one is its headers."""
    kernels = [kernel for each in parts.values() for kernel in each.kernels]
    path = tmp_path_factory.mktemp("kernels") / "tested.so"
    return build(translation_unit(kernels, DOMAIN).text, path, *FLAGS)


def _arrays(program, rows=9, columns=5, scale=1.0, seed=0):
    rng = np.random.default_rng(seed)
    lengths = {"N": rows, "D": columns}
    arrays = {}
    for node in program.inputs:
        shape = [lengths.get(str(dim), dim) for dim in node.shape]
        drawn = rng.normal(size=shape) * scale
        if not node.type.is_float:
            drawn = rng.integers(0, 3, shape)
        elif node.attrs["name"] == "label":
            drawn = drawn > 0
        arrays[node.attrs["name"]] = drawn.astype(node.dtype)
    return arrays


def _session(parts, library, threads=None):
    return make_session(parts.model(DOMAIN), threads=threads, libraries=[library])


@needs_cc
@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_values_and_gradients_are_those_of_the_graph(case, parts, library):
    program = parts[case].program
    session, graph = _session(parts[case], library), make_session(program.to_onnx())
    for scale in (1.0, 1e4):
        if case[1] == "float16" and scale > 1:
            continue
        arrays = _arrays(program, scale=scale)
        results = session.run(list(program.outputs), arrays)
        expected = evaluate(list(program.outputs.values()), arrays)
        plain = graph.run(list(program.outputs), arrays)
        for result, right, other in zip(results, expected, plain, strict=True):
            assert result.dtype == right.dtype
            # what is left of a difference has the digits of the numbers that it is of
            largest = right.dtype.type(max(np.abs(right).max(), 1))
            assert_close(result / largest, right / largest)
            assert_close(result / largest, other / largest)


@needs_cc
def test_the_number_of_threads_changes_no_bit(parts, library):
    case = "supcon", "float32"
    arrays = _arrays(parts[case].program, 700, 64)
    one, several = (_session(parts[case], library, threads).run(None, arrays) for threads in (1, 3))
    for a, b in zip(one, several, strict=True):
        np.testing.assert_array_equal(a, b)


@needs_cc
def test_sums_down_long_columns_keep_their_digits(parts, library):
    """Of a mean of float32 that were added in order, three digits of the variance were left."""
    arrays = _arrays(parts["vicreg", "float32"].program, 60_000, 3)
    arrays = {name: array / 3 + 100 for name, array in arrays.items()}
    wide = {name: array.astype(np.float64) for name, array in arrays.items()}
    (result,) = _session(parts["vicreg", "float32"], library).run(["loss"], arrays)
    (expected,) = evaluate([parts["vicreg", "float64"].program.outputs["loss"]], wide)
    np.testing.assert_allclose(result, expected, rtol=1e-5)


@needs_cc
def test_a_cut_model_with_bodies_runs_without_its_library(parts, library):
    each = parts["info_nce", "float32"]
    model = each.model(DOMAIN, bodies=True)
    onnx.checker.check_model(model, full_check=True)
    arrays = _arrays(each.program)
    by_kernel = make_session(model, libraries=[library]).run(None, arrays)
    for a, b in zip(by_kernel, make_session(model).run(None, arrays), strict=True):
        assert_close(a, b)


@needs_cc
def test_labels_that_are_none_are_counted(parts, library):
    session = _session(parts["sparsemax", "float32"], library)
    arrays = _arrays(parts["sparsemax", "float32"].program)
    (check,) = session.run(["_invalid_label"], arrays)
    assert check <= 0
    arrays["labels"][2] = 7
    (check,) = session.run(["_invalid_label"], arrays)
    assert check > 0


@needs_cc
def test_kernels_are_nodes_of_a_profile(parts, library, tmp_path):
    each = parts["info_nce", "float32"]
    options = ort.SessionOptions()
    options.register_custom_ops_library(str(library))
    options.enable_profiling = True
    options.profile_file_prefix = str(tmp_path / "profile")
    model = each.model(DOMAIN).SerializeToString()
    session = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    session.run(None, _arrays(each.program))
    with open(session.end_profiling()) as file:
        ran = {e["args"]["op_name"] for e in json.load(file) if "op_name" in e.get("args", {})}
    assert {kernel.name for kernel in each.kernels} <= ran
    assert "Exp" not in ran


# --- where it is cut ---


def _x(name="x", shape=("N", "D"), dtype="float32"):
    return variable(name, tensor_type(dtype, shape))


def _regions(*roots):
    return partition(inputs_of(roots), roots).regions


def test_info_nce_is_kernels_between_products_of_matrices(parts):
    each = parts["info_nce", "float32"]
    assert len(each.kernels) == 3
    found = {node.op_type for node in each.model(DOMAIN).graph.node}
    assert found - {kernel.name for kernel in each.kernels} == {"Transpose", "MatMul"}


def test_a_program_that_is_a_kernel_is_one_node():
    types = {"input": ("float32", ("N", "C")), "target": ("int64", ("N",))}
    made = fused(nn.CrossEntropyLoss().program(types, grad=("input",)), checks=True)
    (kernel,) = made.kernels
    assert [node.op_type for node in made.model.graph.node] == [kernel.name]
    assert [info.name for info in made.model.graph.output] == [
        "loss",
        "grad_input",
        "_invalid_label",
    ]


def test_no_region_waits_for_what_needs_it():
    x = _x(shape=("N", "N"))
    y = tanh(x * 2.0)
    z = matmul(y, y)
    roots = [exp(z) * y * tanh(z)]
    found = partition([x], roots)
    first, second = found.regions
    assert z in second.inputs
    assert first.outputs == (y,)
    assert z not in first.inside
    arrays = {"x": np.random.default_rng(0).normal(size=(4, 4)).astype(np.float32)}
    calls = [lambda args, region=region: _substituted(region, args) for region in found.regions]
    (expected,), (actual,) = evaluate(roots, arrays), evaluate(found.with_calls(calls), arrays)
    assert_close(actual, expected)


def _substituted(region, args):
    return substitute(region.outputs, dict(zip(region.inputs, args, strict=True)))


def test_one_operator_is_no_kernel():
    x = _x(shape=("N", "N"))
    assert _regions(matmul(exp(x), x)) == ()
    assert len(_regions(matmul(exp(x) * 2.0 + x, x))) == 1


def test_what_only_moves_elements_is_no_result_of_a_kernel():
    x = _x(shape=("N", "N"))
    y = tanh(exp(x))
    (region,) = _regions(matmul(transpose(y, (1, 0)), x))
    assert region.outputs == (y,)


def test_what_is_cheap_is_computed_again_and_not_written():
    x = _x(shape=("N", "N"))
    mask = x + 1.0
    early, late = tanh(mask) * mask, matmul(tanh(mask) * mask, x)
    roots = [reduce_sum(early, (1,)), exp(late) * mask]
    _, second = _regions(*roots)
    assert mask in second.inside
    assert set(second.inputs) == {x, late}


def test_what_only_a_later_kernel_uses_is_computed_there():
    x = _x(shape=("N", "N"))
    costly = tanh(exp(x))
    product = matmul(exp(x) * x, x)
    *_, last = _regions(exp(product) * costly)
    assert costly in last.inside


def test_a_region_is_given_an_input_with_the_sizes_that_it_lacks():
    x = _x(shape=("N", "D"))
    doubled = concat((x, x), 0)
    similar = matmul(doubled, transpose(doubled, (1, 0)))
    rows = tanh(exp(similar)) * cast(size_of(x.shape[0]), "float32")
    *_, region = _regions(rows)
    assert x in region.inputs  # its own array has 2*N rows
    assert x not in region.inside


def test_kernels_of_two_widths_are_not_one():
    x = _x()
    wide = tanh(exp(cast(x * 2.0 + 1.0, "float64")))
    for region in _regions(tanh(exp(x)), wide):
        widths = {node.dtype == "float64" for node in region.inside if node.type.is_float}
        assert len(widths) == 1
        translation_unit([region.kernel])


def test_a_program_without_what_kernels_take_is_refused_by_the_operation():
    x = _x(shape=("N", "N"))
    program = replace(_program("info_nce"), typed_outputs=(Output("value", "loss", matmul(x, x)),))
    with pytest.raises(KernelUnsupportedError, match="no form of MatMul"):
        cut(program)
