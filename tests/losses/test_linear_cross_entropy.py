"""nn.LinearCrossEntropyLoss: the numbers, in chunks of any length, and what is never stored."""

from __future__ import annotations

import itertools

import numpy as np
import onnxruntime as ort
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import golden_cases
import lossgraph as lg
from golden_cases import close
from lossgraph import nn, reference, symbolic
from lossgraph.ir.dims import evaluate, product
from lossgraph.ir.expr import toposort
from support import assert_close, difference_quotient, newest_opset, reference_evaluator
from tolerances import DIFFERENCE

CASES = [c for c in golden_cases.cases("torch") if c["loss"] == "LinearCrossEntropyLoss"]
FLOATS = ("input", "linear_weight", "linear_bias", "weight")
TYPES = {
    "input": ("float32", ("N", "D")),
    "linear_weight": ("float32", ("C", "D")),
    "target": ("int64", ("N",)),
    "linear_bias": ("float32", ("C",)),
    "weight": ("float32", ("C",)),
}


def arrays(rows=7, classes=5, features=3, outer=(), *, dense=False, seed=0, dtype="float64"):
    """Everything that the loss takes, some of the labels ignored."""
    rng = np.random.default_rng(seed)
    target = rng.integers(0, classes, (rows, *outer))
    target[::3] = -100
    if dense:
        target = np.moveaxis(rng.dirichlet(np.ones(classes), (rows, *outer)), -1, 1)
        target = target.astype(dtype)
    made = {
        "input": rng.normal(size=(rows, features)).astype(dtype),
        "linear_weight": rng.normal(size=(classes, *outer, features)).astype(dtype),
        "target": target,
        "linear_bias": rng.normal(size=(classes, *outer)).astype(dtype),
        "weight": rng.uniform(0.2, 2, classes).astype(dtype),
    }
    return made


def differentiable(given):
    return tuple(name for name, array in given.items() if array.dtype.kind == "f")


# --- the numbers ------------------------------------------------------------------------------


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_recorded_cases_in_chunks(case):
    """torch's numbers, two rows at a time."""
    recorded = golden_cases.Case("torch", case)
    loss = nn.LinearCrossEntropyLoss(**recorded.options, batch_chunk_size=2)
    value, grads = loss.value_and_grad(**recorded.inputs, wrt=case["grads"])
    close(value, recorded.out, recorded.dtype)
    for name in case["grads"]:
        close(grads[name], recorded.grads[name], recorded.dtype)


configurations = st.fixed_dictionaries(
    {
        "rows": st.integers(0, 9),
        "classes": st.integers(2, 6),
        "features": st.integers(1, 4),
        "outer": st.sampled_from([(), (), (2,), (3, 2)]),
        "dense": st.booleans(),
        "seed": st.integers(0, 99),
    }
)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    configurations,
    st.sampled_from(nn.base.REDUCTIONS),
    st.sampled_from([0.0, 0.0, 0.1, 1.0]),
    st.sampled_from([None, 1, 3, 4]),
    st.sets(st.sampled_from(["linear_bias", "weight"])),
)
def test_torch_agrees(sizes, reduction, smoothing, chunk, left_out):
    torch = pytest.importorskip("torch")
    made = {k: v for k, v in arrays(**sizes).items() if k not in left_out}
    wrt = tuple(n for n in differentiable(made) if n != "weight")  # which torch does not give
    loss = nn.LinearCrossEntropyLoss(reduction, label_smoothing=smoothing, batch_chunk_size=chunk)
    tensors = {k: torch.tensor(v, requires_grad=k in wrt) for k, v in made.items()}
    positional = [tensors.pop(name) for name in ("input", "linear_weight", "target")]
    expected = torch.nn.functional.linear_cross_entropy(
        *positional, **tensors, reduction=reduction, label_smoothing=smoothing
    )
    ct = np.random.default_rng(1).normal(size=tuple(expected.shape))
    value, grads = loss.value_and_grad(**made, wrt=wrt, ct=ct)
    assert_close(value, expected.detach().numpy(), tolerance=(1e-9, 1e-11))
    if sizes["rows"] and np.isfinite(value).all():  # torch's mean over nothing has NaN gradients
        expected.backward(torch.tensor(ct))
        by_name = {**dict(zip(("input", "linear_weight", "target"), positional, strict=True)),
                   **tensors}  # fmt: skip
        for name in wrt:
            assert_close(grads[name], by_name[name].grad.numpy(), tolerance=(1e-9, 1e-11))


@pytest.mark.parametrize(
    ("reduction", "dense", "smoothing"),
    list(itertools.product(nn.base.REDUCTIONS, (False, True), (0.0, 0.3))),
)
def test_finite_differences(reduction, dense, smoothing):
    """By everything that has a gradient, the weights of the classes included."""
    made = arrays(outer=(2,), dense=dense, seed=3)
    loss = nn.LinearCrossEntropyLoss(reduction, label_smoothing=smoothing, batch_chunk_size=3)
    wrt = differentiable(made)
    rng = np.random.default_rng(5)
    ct = rng.normal(size=loss(**made).shape)
    _, grads = loss.value_and_grad(**made, wrt=wrt, ct=ct)
    for name in wrt:
        along = rng.normal(size=made[name].shape)
        expected = difference_quotient(lambda **at: (loss(**at) * ct).sum(), made, name, along)
        assert_close((grads[name] * along).sum(), expected, tolerance=DIFFERENCE)


def test_the_second_derivative():
    made = arrays(rows=5, seed=7)
    loss = nn.LinearCrossEntropyLoss(batch_chunk_size=2)
    names = ("input", "linear_weight")
    symbols = {name: lg.symbol(name, array.dtype.name, array.shape) for name, array in made.items()}
    slopes = lg.grad(loss(**symbols), [symbols[name] for name in names])
    rng = np.random.default_rng(8)
    along = {name: rng.normal(size=made[name].shape) for name in names}
    total = sum(
        symbolic.sum(slope * symbolic.array(along[name], dtype="float64"))
        for name, slope in zip(names, slopes, strict=True)
    )
    run = lg.compile([*lg.grad(total, [symbols[name] for name in names])])
    found = run(**{node: made[node] for node in made})

    def slope_at(step):
        moved = {**made, **{name: made[name] + step * along[name] for name in names}}
        return loss.value_and_grad(**moved, wrt=names)[1]

    ahead, behind = slope_at(1e-6), slope_at(-1e-6)
    for name, value in zip(names, found, strict=True):
        expected = (ahead[name] - behind[name]) / 2e-6
        assert_close(value, expected, tolerance=(1e-5, 1e-6))


@pytest.mark.parametrize("reduction", nn.base.REDUCTIONS)
def test_a_chunk_of_any_length_gives_the_same(reduction):
    made = arrays(rows=8)
    whole = nn.LinearCrossEntropyLoss(reduction).value_and_grad(**made, wrt=FLOATS)
    for chunk in (1, 2, 3, 7, 8, 9, 1000):
        loss = nn.LinearCrossEntropyLoss(reduction, batch_chunk_size=chunk)
        value, grads = loss.value_and_grad(**made, wrt=FLOATS)
        assert_close(value, whole[0])
        for name in FLOATS:
            assert_close(grads[name], whole[1][name])


@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("reduction", nn.base.REDUCTIONS)
def test_the_same_body_on_numpy(reduction, dense):
    made = arrays(outer=(2,), dense=dense)
    for smoothing in (0.0, 0.2):
        loss = nn.LinearCrossEntropyLoss(reduction, label_smoothing=smoothing, batch_chunk_size=3)
        given = {name: reference.Array(array) for name, array in made.items()}
        assert_close(loss(**given).asnumpy(), loss(**made))


# --- extremes ---------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("reduction", ["sum", "none"])
def test_logits_of_ten_thousand(reduction, dtype):
    eye = np.eye(3, dtype=dtype)
    loss = nn.LinearCrossEntropyLoss(reduction)
    value, grads = loss.value_and_grad(
        1e4 * eye[[0, 0]], eye, np.array([0, 1]), wrt=("input", "linear_weight")
    )
    assert_close(np.sum(value), np.asarray(1e4, dtype))
    assert_close(grads["input"], np.array([[0, 0, 0], [1, -1, 0]], dtype))
    assert_close(grads["linear_weight"], np.array([[1e4, 0, 0], [-1e4, 0, 0], [0, 0, 0]], dtype))


@pytest.mark.parametrize("dense", [False, True])
def test_a_class_that_is_impossible(dense):
    """A bias of -inf takes a class out, whatever it weighs, if no target asks for it."""
    made = arrays(rows=4, dense=dense)
    made["target"][:] = np.eye(5)[[0, 1, 2, 1]] if dense else [0, 1, 2, 1]
    made["linear_bias"][4] = -np.inf
    value, grads = nn.LinearCrossEntropyLoss().value_and_grad(**made, wrt=FLOATS)
    without = {
        name: array[:4] if name in ("linear_weight", "linear_bias", "weight") else array
        for name, array in made.items()
    }
    if dense:
        without["target"] = made["target"][:, :4]
    expected, slopes = nn.LinearCrossEntropyLoss().value_and_grad(**without, wrt=FLOATS)
    assert_close(value, expected)
    assert_close(grads["input"], slopes["input"])
    assert_close(grads["linear_weight"], np.pad(slopes["linear_weight"], ((0, 1), (0, 0))))
    assert_close(grads["weight"], np.pad(slopes["weight"], (0, 1)))


def test_what_is_nearly_certain_keeps_its_digits():
    """1 - p of 5e-7, of which a subtraction in float32 would leave one digit."""
    x = np.array([[14.5]], np.float32)
    w = np.array([[1.0], [0.0]], np.float32)
    _, grads = nn.LinearCrossEntropyLoss().value_and_grad(x, w, [0], wrt=("linear_weight",))
    missing = 1 / (1 + np.exp(14.5))
    assert_close(grads["linear_weight"][1, 0], 14.5 * missing, tolerance=(1e-5, 0))
    assert_close(grads["linear_weight"][0, 0], -14.5 * missing, tolerance=(0.15, 0))


def test_ignored_rows_and_none_at_all():
    made = {k: v for k, v in arrays().items() if k != "weight"}
    made["target"][:] = 255
    for reduction, expected in (("mean", np.nan), ("sum", 0.0)):
        loss = nn.LinearCrossEntropyLoss(reduction, ignore_index=255)
        value, grads = loss.value_and_grad(**made, wrt=FLOATS[:3])
        assert_close(value, expected)
        assert all((grad == 0).all() for grad in grads.values())
    empty = {**made, "input": made["input"][:0], "target": made["target"][:0]}
    for reduction, expected in (("mean", np.nan), ("sum", 0.0), ("none", np.zeros(0))):
        value, grads = nn.LinearCrossEntropyLoss(reduction).value_and_grad(**empty, wrt=FLOATS[:3])
        assert_close(value, expected)
        assert grads["input"].shape == (0, 3)
        assert (grads["linear_weight"] == 0).all()


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_narrow_dtypes_are_rounded_once(dtype):
    made = arrays(rows=300, dtype=dtype)
    exact = {k: v.astype("float64") if v.dtype.kind == "f" else v for k, v in made.items()}
    loss = nn.LinearCrossEntropyLoss(batch_chunk_size=64)
    value, grads = loss.value_and_grad(**made, wrt=FLOATS)
    expected, slopes = loss.value_and_grad(**exact, wrt=FLOATS)
    assert value.dtype == dtype
    assert_close(value, expected, dtype)
    for name in FLOATS:
        assert grads[name].dtype == dtype
        assert_close(grads[name], slopes[name], dtype, (2e-3, 1e-5))


# --- graphs -----------------------------------------------------------------------------------


@pytest.mark.parametrize("opset", [13, 18, 26])
@pytest.mark.parametrize("reduction", ["mean", "none"])
def test_exported_models(reduction, opset):
    """One model for all sizes, in ONNX Runtime and in ONNX's own evaluator."""
    if opset > newest_opset():
        pytest.skip(f"this ONNX Runtime loads up to opset {newest_opset()}")
    loss = nn.LinearCrossEntropyLoss(reduction, batch_chunk_size=4)
    model = loss.to_onnx(TYPES, grad=FLOATS[:3], opset=opset)
    session = ort.InferenceSession(model.SerializeToString())
    for rows in (0, 1, 3, 4, 11):
        made = arrays(rows, seed=rows, dtype="float32")
        made["target"][made["target"] == -100] = 1
        value, grads = loss.value_and_grad(**made, wrt=FLOATS[:3])
        expected = [value, *(grads[name] for name in FLOATS[:3])]
        for found in (session.run(None, made), reference_evaluator(model).run(None, made)):
            for a, b in zip(found, expected, strict=True):
                assert_close(a, b)


def test_a_graph_gives_nan_for_what_it_cannot_refuse():
    made = arrays(rows=4, dtype="float32")
    made["target"][:] = [0, 5, -1, 2]
    model = nn.LinearCrossEntropyLoss("none").to_onnx(TYPES, grad=("input",))
    session = ort.InferenceSession(model.SerializeToString())
    value, grad = session.run(None, made)
    np.testing.assert_array_equal(np.isnan(value), [False, True, True, False])
    np.testing.assert_array_equal(np.isnan(grad).all(axis=1), [False, True, True, False])
    assert np.isfinite(grad[[0, 3]]).all()


def sizes_of(roots):
    """The numbers of elements of everything that is computed, inside loops too."""
    for node in toposort(roots):
        types = getattr(node.type, "items", None) or (node.type,)
        yield from (product(type_.shape) for type_ in types)
        if "body" in node.attrs:
            yield from sizes_of(node.attrs["body"].outputs)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
@pytest.mark.parametrize("reduction", nn.base.REDUCTIONS)
def test_no_array_is_as_large_as_the_logits(reduction, smoothing):
    loss = nn.LinearCrossEntropyLoss(reduction, label_smoothing=smoothing)
    program = loss.program(TYPES, grad=FLOATS)
    sizes = {"N": 8192, "C": 64000, "D": 512}
    largest = max(evaluate(size, sizes) for size in sizes_of(program.outputs.values()))
    assert largest == sizes["C"] * sizes["D"]  # as large as the layer's weight


def products(loss, grad):
    """How many products of matrices a graph has, and how many states."""
    nodes = list(toposort(loss.program(TYPES, grad=grad).outputs.values()))
    bodies = [n.attrs["body"].outputs for n in nodes if n.op.name == "Scan"]
    inner = [node for outputs in bodies for node in toposort(outputs)]
    states = sum(n.attrs["num_carry"] for n in nodes if n.op.name == "Scan")
    return sum(node.op.name == "Gemm" for node in inner), states


@pytest.mark.parametrize(
    ("grad", "expected"),
    [((), (1, 0)), (("input",), (2, 0)), (("linear_weight",), (2, 1)),
     (("linear_bias",), (1, 1)), (("input", "linear_weight"), (3, 1))],
)  # fmt: skip
def test_only_what_is_wanted_is_computed(grad, expected):
    """One pass, and in it no product and no sum for a gradient that nobody asked for."""
    assert products(nn.LinearCrossEntropyLoss(), grad) == expected


def test_scans_drop_what_only_a_dropped_result_needs():
    """A state lives if a result or another living state is made of it."""

    def body(F, x):
        def step(row, states):
            a, b, c = states
            return [row * a, row * c], [a + b, b + 1, c + row]

        (first, _), _ = F.contrib.foreach(step, x, [x[0], x[1], x[2]])
        return first

    x = np.arange(12.0).reshape(4, 3)
    run = lg.compile(body, {"x": ("float64", ("N", 3))})
    (scan,) = (n for n in toposort(run.program.outputs.values()) if n.op.name == "Scan")
    assert scan.attrs["num_carry"] == 2
    assert len(scan.type.items) == 3
    a, b = x[0], x[1]
    expected = [x[0] * a, x[1] * (a + b), x[2] * (a + 2 * b + 1), x[3] * (a + 3 * b + 3)]
    assert_close(run(x), np.array(expected))


# --- mistakes ---------------------------------------------------------------------------------

MADE = arrays(rows=4)


@pytest.mark.parametrize(
    ("changed", "options", "message"),
    [
        ({"target": np.array([0, 5, 1, 2])}, {}, r"target\[1\] is 5, which is not one of the 5"),
        ({"target": np.array([0, 1, -1, 2])}, {}, r"target\[2\] is -1"),
        ({"target": np.array([0, 1, 1])}, {}, r"target: expected \(4,\) or \(4, 5\), got \(3,\)"),
        ({"target": np.ones((4, 5), int)}, {}, "target: probabilities are floats, got dtype int"),
        ({"target": np.ones((4, 5))}, {"ignore_index": 1}, "ignore_index: there is none"),
        ({"linear_bias": np.ones(4)}, {}, r"linear_bias: expected \(5,\), got \(4,\)"),
        ({"weight": np.ones((5, 1))}, {}, r"weight: expected \(5,\), got \(5, 1\)"),
        ({"linear_weight": np.ones((5, 2))}, {}, "linear_weight: expected 3 features"),
        ({"input": np.ones((1, 4, 3))}, {}, r"takes input \(N, D\) with linear_weight"),
        ({"input": np.ones(3), "linear_weight": np.ones((5, 2, 3))}, {}, "takes input"),
    ],
)
def test_bad_arguments(changed, options, message):
    with pytest.raises(lg.InputError, match=message):
        nn.LinearCrossEntropyLoss(**options)(**{**MADE, **changed})


@pytest.mark.parametrize("options", [
    {"reduction": "avg"}, {"ignore_index": 1.0}, {"ignore_index": True}, {"label_smoothing": 1.1},
    {"batch_chunk_size": 0}, {"batch_chunk_size": 2.0},
])  # fmt: skip
def test_bad_options(options):
    with pytest.raises(lg.InputError, match=next(iter(options))):
        nn.LinearCrossEntropyLoss(**options)


def test_one_sample_without_a_batch():
    made = {name: MADE[name] for name in ("input", "linear_weight", "linear_bias")}
    batch = nn.LinearCrossEntropyLoss("none")(**made, target=np.array([3, 3, 3, 3]))
    made["input"] = made["input"][2]
    for reduction in nn.base.REDUCTIONS:
        value = nn.LinearCrossEntropyLoss(reduction)(**made, target=3)
        assert value.shape == ()
        assert_close(value, batch[2])
    dense = nn.LinearCrossEntropyLoss("none")(**made, target=np.eye(5)[3])
    assert_close(dense, batch[2])


# --- functions of F ---------------------------------------------------------------------------


@pytest.mark.parametrize("turned", list(itertools.product((False, True), repeat=2)))
@pytest.mark.parametrize("scales", [{}, {"alpha": 0.5, "beta": -2.0}])
@pytest.mark.parametrize("stack", [(), (2,)])
def test_gemm(turned, scales, stack):
    rng = np.random.default_rng(0)
    a, b, c = (rng.normal(size=(*stack, *shape)) for shape in ((3, 4), (4, 2), (3, 2)))
    expected = scales.get("alpha", 1) * (a @ b) + scales.get("beta", 1) * c
    a, b = (
        np.swapaxes(x, -1, -2).copy() if turn else x for x, turn in zip((a, b), turned, strict=True)
    )
    types = {name: ("float64", x.shape) for name, x in {"a": a, "b": b, "c": c}.items()}

    def body(F, a, b, c):
        return F.linalg_gemm(a, b, c, *turned, **scales)

    assert_close(lg.compile(body, types)(a, b, c), expected)
    assert_close(body(reference, *map(reference.Array, (a, b, c))).asnumpy(), expected)


def test_put_along_axis():
    x, index = np.arange(12.0).reshape(3, 4), np.array([[0], [9], [-1]])
    values = np.array([[-1.0], [-2.0], [-3.0]])

    def body(F, x, index, values):
        return F.put_along_axis(x, index, values, axis=1)

    expected = x.copy()
    np.put_along_axis(expected, np.clip(index, 0, 3), values, 1)
    types = {"x": ("float64", ("N", 4)), "index": ("int64", ("N", 1)),
             "values": ("float64", ("N", 1))}  # fmt: skip
    run = lg.compile(body, types, grad=("x", "values"))
    value, grads = run(x, index, values)
    assert_close(value, expected)
    assert_close(grads["x"], (value == x).astype(float))
    assert_close(grads["values"], np.ones((3, 1)))
    given = map(reference.Array, (x, index, values))
    assert_close(body(reference, *given).asnumpy(), expected)


def test_tensors_of_the_constructor():
    """As in torch; a call's own come first, and a graph has them as constants."""
    rng = np.random.default_rng(0)
    rows, layer, bias = rng.normal(size=(5, 3)), rng.normal(size=(4, 3)), rng.normal(size=4)
    weight, labels = rng.uniform(0.5, 2, 4), np.array([0, 3, 1, 2, 2])
    at_the_call = nn.LinearCrossEntropyLoss()(rows, layer, labels, linear_bias=bias, weight=weight)
    loss = nn.LinearCrossEntropyLoss(weight=weight, linear_bias=bias * 7)
    np.testing.assert_allclose(loss(rows, layer, labels, linear_bias=bias), at_the_call)
    types = {
        "input": ("float64", ("N", 3)),
        "linear_weight": ("float64", (4, 3)),
        "target": ("int64", ("N",)),
    }
    assert len(loss.to_onnx(types).graph.input) == 3
