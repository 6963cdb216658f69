"""Normalizations: read, written and differentiated, beside ONNX Runtime and differences."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import helper, numpy_helper

from lossgraph.importer.reader import from_onnx
from model_gradients import check, info, model_of, run

RNG = np.random.default_rng(0)
SIGNAL = (3, 4, 5)  # samples, channels, places


def case(operator, inputs, outputs=("y",), opset=18, **attributes):
    node = helper.make_node(operator, list(inputs), list(outputs), **attributes)
    return lambda dtype: model_of([node], inputs, list(outputs), dtype, opset=opset)


def numbers(*shape):
    return RNG.normal(size=shape)


def positive(*shape):
    return RNG.uniform(0.5, 2.0, size=shape)


@pytest.mark.parametrize("opset", [13, 15, 18])
@pytest.mark.parametrize("shape", [SIGNAL, (3, 4), (2, 4, 3, 2)])
def test_batch_normalization_by_given_statistics(shape, opset):
    arrays = {"x": numbers(*shape), "s": numbers(4), "b": numbers(4), "m": numbers(4),
              "v": positive(4)}  # fmt: skip
    check(case("BatchNormalization", arrays, opset=opset, epsilon=0.01), arrays, list(arrays),
          opset=opset)  # fmt: skip


@pytest.mark.parametrize("shape", [SIGNAL, (6, 4)])
def test_batch_normalization_by_statistics_of_its_own(shape):
    arrays = {"x": numbers(*shape), "s": numbers(4), "b": numbers(4), "m": numbers(4),
              "v": positive(4)}  # fmt: skip
    make = case("BatchNormalization", arrays, ("y", "after_m", "after_v"), training_mode=1)
    check(make, arrays, list(arrays))


@pytest.mark.parametrize("axis", [-1, 1, 0])
@pytest.mark.parametrize("bias", [True, False])
def test_layer_normalization(axis, bias):
    axes = SIGNAL[axis:] if axis else SIGNAL
    arrays = {"x": numbers(*SIGNAL), "s": numbers(*axes)}
    arrays |= {"b": numbers(*axes)} if bias else {}
    check(case("LayerNormalization", arrays, axis=axis), arrays, list(arrays))


def test_layer_normalization_with_its_statistics():
    arrays = {"x": numbers(*SIGNAL), "s": numbers(5)}
    statistics = [info(name, "float32", (3, 4, 1)) for name in ("mean", "inverse")]
    node = helper.make_node("LayerNormalization", ["x", "s"], ["y", "mean", "inverse"])
    model = model_of([node], arrays, ["y", *statistics])
    again = from_onnx(model).to_onnx()
    for name, array in run(model, arrays).items():
        np.testing.assert_allclose(run(again, arrays)[name], array, rtol=1e-5, atol=1e-6)
    assert [node.op_type for node in again.graph.node].count("LayerNormalization") == 1


def test_layer_normalization_of_a_scale_that_is_broadcast():
    arrays = {"x": numbers(*SIGNAL), "s": numbers(4, 1)}
    check(case("LayerNormalization", arrays, axis=1), arrays, list(arrays), original=False)


@pytest.mark.parametrize("opset", [18, 21])
def test_group_normalization_has_scales_of_groups_and_later_of_channels(opset):
    count = 2 if opset < 21 else 4
    arrays = {"x": numbers(*SIGNAL), "s": numbers(count), "b": numbers(count)}
    check(case("GroupNormalization", arrays, opset=opset, num_groups=2), arrays, list(arrays),
          opset=opset)  # fmt: skip


def test_instance_normalization():
    arrays = {"x": numbers(*SIGNAL), "s": numbers(4), "b": numbers(4)}
    check(case("InstanceNormalization", arrays, epsilon=0.1), arrays, list(arrays))


@pytest.mark.parametrize("size", [1, 2, 3, 5])
def test_local_response_normalization(size):
    arrays = {"x": numbers(2, 6, 3, 2)}
    options = {"size": size, "alpha": 0.3, "beta": 0.6, "bias": 1.5}
    # ONNX Runtime takes odd windows alone.
    check(case("LRN", arrays, **options), arrays, ["x"], original=size % 2 == 1)


@pytest.mark.parametrize("p", [1, 2])
def test_lp_normalization(p):
    arrays = {"x": numbers(*SIGNAL)}
    check(case("LpNormalization", arrays, p=p, axis=1), arrays, ["x"])


def test_batches_of_a_named_size_have_statistics_of_their_own():
    arrays = {"x": numbers(*SIGNAL)}
    held = [
        numpy_helper.from_array(array.astype(np.float32), name)
        for name, array in zip("sbmv", (positive(4), numbers(4), numbers(4), positive(4)),
                               strict=True)
    ]  # fmt: skip
    node = helper.make_node(
        "BatchNormalization", ["x", *"sbmv"], ["y", "m2", "v2"], training_mode=1
    )
    model = model_of([node], arrays, ["y"], initializer=held, shapes={"x": ("N", 4, "T")})
    again = from_onnx(model).to_onnx()
    for shape in (SIGNAL, (2, 4, 7)):
        given = {"x": numbers(*shape)}
        first, second = run(model, given)["y"], run(again, given)["y"]
        np.testing.assert_allclose(second, first, rtol=1e-5, atol=1e-5)
