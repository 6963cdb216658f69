"""Products and convolutions of 16 bits in a training graph."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper, shape_inference
from onnx.reference import ReferenceEvaluator

import lossgraph as lg
from lossgraph.ir import ops
from lossgraph.ir.evaluate import evaluate
from lossgraph.ir.expr import toposort
from lossgraph.passes.mixed_precision import autocast, widen
from lossgraph.training import SGD, LossScale, build
from support import assert_close, symbol

draw = np.random.default_rng(7)
ROUNDED = {"float16": (2e-3, 2e-3), "bfloat16": (2e-2, 2e-2)}  # some roundings of 2^-11, 2^-8


def small_network(dtype=np.float32):
    """A convolution, two layers and activations between."""
    shapes = {"k": (3, 1, 3, 3), "kb": (3,), "w": (3 * 16, 8), "wb": (8,), "v": (8, 2)}
    draw = np.random.default_rng(1)
    held = {name: (draw.standard_normal(s) / 4).astype(dtype) for name, s in shapes.items()}
    code = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    nodes = [
        helper.make_node("Conv", ["x", "k", "kb"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("Flatten", ["r"], ["f"]),
        helper.make_node("Gemm", ["f", "w", "wb"], ["g"]),
        helper.make_node("Tanh", ["g"], ["t"]),
        helper.make_node("MatMul", ["t", "v"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("x", code, ["N", 1, 4, 4])],
        [helper.make_tensor_value_info("y", code, ["N", 2])],
        [numpy_helper.from_array(array, name) for name, array in held.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def built(**options):
    return build(small_network(), lambda F, y, target: F.mean(F.square(y - target)), **options)


BATCH = {
    "x": draw.standard_normal((5, 1, 4, 4)).astype(np.float32),
    "target": draw.standard_normal((5, 2)).astype(np.float32),
}


def stepped(step, **state):
    """One step by onnx.reference, which computes in the dtypes that the graph says."""
    given = {**BATCH, **step.parameters, **step.state, **step.hyper, **state}
    evaluator = ReferenceEvaluator(step.train)
    with np.errstate(over="ignore", invalid="ignore"):
        made = evaluator.run(None, {name: given[name] for name in evaluator.input_names})
    return dict(zip(evaluator.output_names, made, strict=True))


def dtypes_of(model, *operators):
    """The dtypes that operators compute in."""
    inferred = shape_inference.infer_shapes(model).graph
    known = {
        info.name: info.type.tensor_type.elem_type
        for info in (*inferred.value_info, *inferred.output)
    }
    return {known[n.output[0]] for n in inferred.node if n.op_type in operators}


@pytest.mark.parametrize(
    ("precision", "code"),
    [("float16", TensorProto.FLOAT16), ("bfloat16", TensorProto.BFLOAT16)],
)
def test_heavy_operators_are_narrow_and_the_others_are_not(precision, code):
    for model in (built(precision=precision).train, built(precision=precision).evaluate):
        onnx.checker.check_model(model, full_check=True)
        assert dtypes_of(model, "Conv", "ConvTranspose", "Gemm", "MatMul", "Relu") == {code}
        assert code not in dtypes_of(model, "Tanh", "ReduceSum", "Mul", "Add")
        narrow = {
            info.name for info in model.graph.input if info.type.tensor_type.elem_type == code
        }
        assert not narrow


def test_gradients_keep_the_models_precision():
    step = built(precision="float16")
    assert dtypes_of(step.gradients.model, "Conv", "Gemm", "MatMul") == {TensorProto.FLOAT}


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_a_step_is_one_of_single_precision_but_for_rounding(precision):
    exact = stepped(built(optimizer=SGD(1.0)))
    step = built(optimizer=SGD(1.0), precision=precision)
    rounded = stepped(step)
    assert rounded["loss"] != exact["loss"]
    for name, start in step.parameters.items():
        moves = [made[f"next_{name}"] - start for made in (rounded, exact)]
        assert moves[0].dtype == np.float32
        assert_close(*moves, tolerance=ROUNDED[precision])


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_a_step_is_as_exact_as_with_autocast_of_torch(precision):
    torch = pytest.importorskip("torch")
    functional = torch.nn.functional
    step = built(optimizer=SGD(1.0), precision=precision)
    held = {name: torch.nn.Parameter(torch.tensor(a)) for name, a in step.parameters.items()}
    x, target = (torch.tensor(BATCH[name]) for name in ("x", "target"))

    def gradients(dtype):
        with torch.autocast("cpu", dtype, enabled=dtype != torch.float32):
            seen = functional.relu(functional.conv2d(x, held["k"], held["kb"], padding=1))
            hidden = functional.linear(seen.flatten(1), held["w"].T, held["wb"])
            y = functional.linear(torch.tanh(hidden), held["v"].T)
        loss = torch.mean((y.float() - target) ** 2)
        return [g.numpy() for g in torch.autograd.grad(loss, list(held.values()))]

    exact = gradients(torch.float32)
    made = stepped(step)
    ours = [a - made[f"next_{name}"] for name, a in step.parameters.items()]
    for mine, its, right in zip(ours, gradients(getattr(torch, precision)), exact, strict=True):
        errors = [np.linalg.norm(found - right) / np.linalg.norm(right) for found in (mine, its)]
        assert errors[0] < 2 * errors[1]


def test_gradients_too_small_for_float16_are_there():
    """2^-24 is the least that float16 has: the target is so near that gradients are less."""
    options = {"optimizer": SGD(2.0**24), "precision": "float16"}
    scaled, plain = built(**options), built(**options, loss_scale=1.0)
    moved = {}
    for name, step in {"scaled": scaled, "plain": plain}.items():
        weights = {k: v * (1e-4 if k == "v" else 1) for k, v in step.parameters.items()}
        made = stepped(step, **weights, target=np.zeros((5, 2), np.float32))
        moved[name] = np.abs(made["next_kb"] - weights["kb"]).max()
    assert moved["scaled"] > 0 == moved["plain"]


def test_a_scale_that_is_too_large_skips_and_falls():
    step = built(precision="float16", loss_scale=LossScale(2.0**40))
    made = stepped(step)
    assert made["next_loss_scale"] == 2.0**39
    assert made["next_step"] == 0
    assert all(np.array_equal(made[f"next_{n}"], p) for n, p in step.parameters.items())
    found = stepped(built(precision="float16"))
    assert found["next_loss_scale"] == 65536.0
    assert found["next_finite_steps"] == 1


def test_bfloat16_needs_no_scale():
    assert "loss_scale" not in built(precision="bfloat16").state


def test_a_model_of_16_bits_computes_so_if_asked():
    model = small_network(np.float16)
    options = {"inputs": {"target": ("float16", ("N", 2))}}

    def loss(F, y, target):
        return F.mean(F.square(y - target))

    usual = build(model, loss, **options)
    narrow = build(model, loss, precision="float16", **options)
    assert dtypes_of(usual.train, "Gemm", "Conv") == {TensorProto.FLOAT}
    assert dtypes_of(narrow.train, "Gemm", "Conv") == {TensorProto.FLOAT16}
    assert narrow.state["w.master"].dtype == np.float32


def test_what_only_selects_stays_narrow_between_heavy_operations():
    x, w = symbol("x", "float32", (3, 3)), symbol("w", "float32", (3, 3))
    value = ops.matmul(ops.transpose(ops.relu(ops.matmul(x, w)), (1, 0)), w)
    (narrow,) = widen(autocast([value], "float16"), narrow=True)
    casts = [node for node in toposort([narrow]) if node.op is ops.cast.op]
    assert len(casts) == 3  # x, w, and the result
    arrays = {name: draw.standard_normal((3, 3)).astype(np.float32) for name in "xw"}
    assert_close(*(evaluate([e], arrays)[0] for e in (narrow, value)), tolerance=(1e-2, 1e-2))


def test_other_precisions_are_refused():
    with pytest.raises(lg.LossgraphError, match="precision: expected 'float16' or 'bfloat16'"):
        built(precision="int8")
