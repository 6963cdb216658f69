"""Every operation as kernels have it: against its reference, in value and gradient."""

from __future__ import annotations

import numpy as np
import pytest

from hand_written import build_kernels, needs_cc
from lossgraph.errors import GradientError
from lossgraph.ir import ops
from lossgraph.ir.dims import named
from lossgraph.ir.evaluate import bind_sizes, evaluate
from lossgraph.ir.expr import inputs_of, is_input, is_literal, toposort
from lossgraph.kernels.integers import KernelUnsupportedError
from lossgraph.kernels.kernel import Kernel
from lossgraph.kernels.library import Library
from lossgraph.passes import autodiff
from operator_examples import (
    BINARY_FLOAT,
    EXAMPLES,
    OPS,
    UNARY_FLOAT,
    in_float64,
    instantiate,
)
from support import sample, symbol

pytestmark = needs_cc

# Operations that no kernel has, and why: a new one has a form, or stands here.
WITHOUT = {
    "Input": "no operation",
    "Const": "no operation",
    "Opaque": "a node of ONNX, which the engine runs",
    "ArgSort": "sorting",
    "ScatterRows": "any number of rows may have one index",
    **dict.fromkeys(
        (
            "GatherND",
            "ScatterND",
            "ScatterElements",
            "PadWith",
            "PadEdges",
            "Resize",
            "Measured",
            "Split",
            "AveragePool",
            "BatchNormalization",
            "LayerNormalization",
            "MaxPool",
            "MaxUnpool",
            "PoolSpread",
            "RandomUniform",
            "Recurrent",
        ),
        "an operation of networks, which run as graphs",
    ),
    **dict.fromkeys(("CustomVjp", "DerivedAs", "OwnGradient"), "resolved before kernels are made"),
    **dict.fromkeys(("Cond", "While"), "control flow that data decide"),
    **dict.fromkeys(("MatMul", "Gemm"), "a product of matrices"),
    **dict.fromkeys(
        ("Convolution", "ConvolutionTransposed", "ConvolutionByWeights"), "a convolution"
    ),
    **dict.fromkeys(
        ("Cholesky", "SolveLower", "Solve", "Cofactor", "Determinant", "LogAbsDet", "DetSign"),
        "an algorithm on matrices",
    ),
}
# Examples that give integers which may need more bits than lanes have.
LARGE = {
    ("ClassIndex-1", "float32"),
    ("Cast-3", "float32"),
}
FINITE = {"LogAdd"}  # of finite numbers, as its graph
DTYPES = ("float32", "float64")
FLAGS = ("-O1", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast", "-w")
# Of the largest number of a result, and of each: float32 keeps sums of some hundred terms, and
# functions are right to a few units in the last place.
TOLERANCE = {"float32": (1e-6, 1e-5), "float64": (2e-15, 4e-14)}
ROWS = (0, 1, 3, 17, 50, 1000)
MOST = 10  # functions of a kernel
EDGES = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.5, np.inf, -np.inf, np.nan, 1e-3, 30.0, -30.0, 1e4]


def edges(dtype):
    """Special numbers of a dtype, the smallest and the largest among them."""
    info = np.finfo(dtype)
    ends = [info.smallest_subnormal, info.tiny, info.max, info.eps]
    return np.array([*EDGES, *ends, *(-x for x in ends)], dtype)


def test_every_operation_has_a_form_or_a_reason():
    assert {name for name, op in OPS.items() if op.kernel is None} == set(WITHOUT)


@pytest.mark.parametrize("name", sorted(set(WITHOUT) & set(EXAMPLES) - {"CustomVjp"}))
def test_what_has_no_form_is_refused_by_name(name):
    types, build = EXAMPLES[name][0]
    inputs, node, _ = instantiate(name, types, build)
    with pytest.raises(KernelUnsupportedError, match=name):
        Kernel(inputs, {"y": node})


@pytest.mark.parametrize(("case", "dtype"), sorted(LARGE))
def test_integers_that_may_be_too_large_are_refused(case, dtype):
    name, _, number = case.partition("-")
    inputs, node, _ = instantiate(name, *EXAMPLES[name][int(number)], dtype)
    with pytest.raises(KernelUnsupportedError, match="integers"):
        Kernel(inputs, {"y": node})


# --- functions of each element ------------------------------------------------------------


def has_forms(node):
    """Whether kernels have all that it is made of."""
    return all(x.op.kernel or is_input(x) or is_literal(x) for x in toposort([node]))


def gradients(node):
    """The gradients of the sum of a result."""
    inputs = [x for x in inputs_of([node]) if x.type.is_float]
    try:
        return autodiff.grad(node, inputs) if node.type.is_float else []
    except GradientError:
        return []


def functions(dtype):
    """Kernels of functions of one array, and of two, by number: the names in each."""
    x, y = (symbol(name, dtype, (named("N"),)) for name in "xy")
    groups = []
    for names, args in ((UNARY_FLOAT, (x,)), (BINARY_FLOAT, (x, y))):
        taken = [name for name in names if name not in WITHOUT]
        groups += [(taken[i : i + MOST], args) for i in range(0, len(taken), MOST)]
    made = []
    for names, args in groups:
        outputs = {}
        for name in names:
            node = OPS[name](*args)
            outputs[name] = node
            outputs |= {f"{name} by {i}": g for i, g in enumerate(gradients(node))}
        made.append(Kernel(args, outputs))
    return made


def examples(dtype):
    """Kernels of the other operations, an example each, with its arrays.

    The gradients are of squares: the sum of a softmax has none.
    """
    made = []
    for name, listed in EXAMPLES.items():
        if name in WITHOUT or name in UNARY_FLOAT or name in BINARY_FLOAT:
            continue
        for i, (types, build) in enumerate(listed):
            _, node, arrays = instantiate(name, types, build, dtype)
            outputs = {"y": node}
            squares = node * node if node.type.is_float else node
            outputs |= {f"by {j}": g for j, g in enumerate(gradients(squares)) if has_forms(g)}
            used = [x for x in toposort(outputs.values()) if is_input(x)]
            if (f"{name}-{i}", dtype) not in LARGE:
                made.append((f"{name}-{i}", Kernel(used, outputs), arrays))
    return made


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """All kernels in one library, which is called by kernel and arrays."""
    kernels = {dtype: (functions(dtype), examples(dtype)) for dtype in DTYPES}
    flat = [k for f, e in kernels.values() for k in (*f, *(kernel for _, kernel, _ in e))]
    path, _ = build_kernels(flat, tmp_path_factory.mktemp("built"), None, *FLAGS)
    library = Library(path)
    places = {signature.name: number for number, signature in enumerate(library.kernels)}

    def run(kernel, arrays):
        given = [arrays[node.attrs["name"]] for node in kernel.inputs]
        return dict(zip(kernel.outputs, library.run(places[kernel.name], *given), strict=True))

    return kernels, run


def exact(kernel, node, arrays):
    """The reference value of an output, in float64 if it is a float."""
    sizes = bind_sizes(kernel.inputs, arrays)
    if not node.type.is_float:
        return evaluate([node], arrays, sizes)[0]
    with np.errstate(all="ignore"):
        return in_float64(node, arrays, sizes)


def assert_equal(found, wanted, dtype, what):
    """Equal but for roundings; NaN and infinities in the same places."""
    assert found.shape == np.shape(wanted), what
    found, wanted = found.astype(np.float64), np.asarray(wanted).astype(np.float64)
    np.testing.assert_array_equal(np.isnan(found), np.isnan(wanted), what)
    ends = np.isinf(found) | np.isinf(wanted)
    np.testing.assert_array_equal(found[ends], wanted[ends], what)
    absolute, relative = TOLERANCE[dtype]
    finite = np.isfinite(wanted)
    size = min(np.abs(wanted[finite]).max(initial=0), 1.0)
    np.testing.assert_allclose(
        found[finite], wanted[finite], relative, absolute * size, err_msg=what
    )


@pytest.mark.parametrize("rows", ROWS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_functions_of_numbers_in_their_domain(dtype, rows, built):
    kernels, run = built
    rng = np.random.default_rng(rows)
    for kernel in kernels[dtype][0]:
        found = None
        for name, node in kernel.outputs.items():
            domains = OPS[name.split(" by ")[0]].domain
            arrays = {
                x.attrs["name"]: sample(rng, x.type.with_shape((rows,)), domains[i])
                for i, x in enumerate(kernel.inputs)
            }
            found = run(kernel, arrays)[name]
            assert_equal(found, exact(kernel, node, arrays), dtype, name)


@pytest.mark.parametrize("dtype", DTYPES)
def test_functions_of_special_numbers(dtype, built):
    kernels, run = built
    for kernel in kernels[dtype][0]:
        if len(kernel.inputs) == 1:
            arrays = {"x": edges(dtype)}
        else:
            pair = np.meshgrid(edges(dtype), edges(dtype))
            arrays = {"x": pair[0].ravel(), "y": pair[1].ravel()}
        found = run(kernel, arrays)
        for name, node in kernel.outputs.items():
            if " by " in name or name in FINITE:
                continue
            (wanted,) = evaluate([node], arrays)
            assert_equal(found[name], wanted, dtype, name)


@pytest.mark.parametrize("dtype", DTYPES)
def test_operations_on_arrays(dtype, built):
    kernels, run = built
    for name, kernel, arrays in kernels[dtype][1]:
        found = run(kernel, arrays)
        for output, node in kernel.outputs.items():
            assert_equal(found[output], exact(kernel, node, arrays), dtype, f"{name} {output}")


def test_half_precision_is_computed_in_32_bits(tmp_path):
    x = symbol("x", "float16", (named("N"), 3))
    node = ops.reduce_sum(ops.exp(x), (1,))
    kernel = Kernel([x], {"y": node, "rounded": ops.cast(ops.cast(x, "float32") * 1.1, "float16")})
    path, _ = build_kernels([kernel], tmp_path, None, *FLAGS)
    array = np.array([[11, 1, 2], [0.1, 0.2, 0.3]], np.float16)
    total, rounded = Library(path).run(0, array)
    np.testing.assert_array_equal(
        total, np.exp(array.astype(np.float32)).sum(1, keepdims=True).astype(np.float16)
    )
    np.testing.assert_array_equal(
        rounded, (array.astype(np.float32) * np.float32(1.1)).astype("f2")
    )
