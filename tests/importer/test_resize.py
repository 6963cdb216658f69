"""Resize: values as ONNX Runtime has them, by its operator and by matrices, and derivatives."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from onnx import helper, numpy_helper

from lossgraph.importer.reader import from_onnx
from lossgraph.ir.expr import toposort
from lossgraph.ir.ops.opaque import is_opaque
from model_gradients import check, model_of

RNG = np.random.default_rng(5)


def resized(shape, scales=None, sizes=None, *, opset=19, roi=None, axes=None, **attributes):
    """A model of Resize for a dtype, and its input."""
    arrays = {"x": RNG.normal(size=shape)}
    given = {"roi": roi, "scales": scales, "sizes": sizes}
    dtypes = {"roi": np.float32, "scales": np.float32, "sizes": np.int64}
    held = [
        numpy_helper.from_array(np.asarray(value, dtypes[name]), name)
        for name, value in given.items()
        if value is not None
    ]
    names = ["x", *(name if value is not None else "" for name, value in given.items())]
    while not names[-1]:
        names.pop()
    if axes is not None:
        attributes["axes"] = axes
    node = helper.make_node("Resize", names, ["y"], **attributes)
    return lambda dtype: model_of(
        [node], arrays, ["y"], dtype, opset=opset, initializer=list(held)
    ), arrays


def held(make, arrays, opset=19):
    check(make, arrays, ["x"], opset=opset)
    outputs = list(from_onnx(make("float32")).outputs.values())
    assert not any(map(is_opaque, toposort(outputs)))


COORDINATES = (
    "half_pixel",
    "pytorch_half_pixel",
    "align_corners",
    "asymmetric",
    "half_pixel_symmetric",
)
LENGTHS = {
    "scales": {"scales": [1, 1, 2, 3]},
    "sizes": {"sizes": [1, 2, 2, 5]},
    "mixed": {"scales": [1, 1, 0.6, 1.7]},
}
CASES = [("linear", c, "mixed") for c in COORDINATES] + [("cubic", c, "sizes") for c in COORDINATES]
CASES += [("nearest", c, "mixed") for c in COORDINATES[:4]]
CASES += [(mode, "half_pixel", "scales") for mode in ("linear", "cubic", "nearest")]
CASES += [("linear", "align_corners", "sizes"), ("nearest", "asymmetric", "scales")]


@pytest.mark.parametrize(("mode", "coordinates", "lengths"), CASES)
def test_coordinates(mode, coordinates, lengths):
    options = {"mode": mode, "coordinate_transformation_mode": coordinates}
    held(*resized((1, 2, 3, 4), **LENGTHS[lengths], **options))


@pytest.mark.parametrize("nearest", ["round_prefer_floor", "round_prefer_ceil", "floor", "ceil"])
@pytest.mark.parametrize("coordinates", ["half_pixel", "asymmetric", "align_corners"])
def test_which_is_nearest(nearest, coordinates):
    held(
        *resized(
            (1, 1, 4, 6), sizes=[1, 1, 8, 3], mode="nearest", nearest_mode=nearest,
            coordinate_transformation_mode=coordinates,
        )
    )  # fmt: skip


OTHERS = {
    "cubic-inside": {"scales": [1, 1, 2, 0.5], "mode": "cubic", "exclude_outside": 1},
    "cubic-coefficient": {"scales": [1, 1, 2, 2], "mode": "cubic", "cubic_coeff_a": -0.5},
    "antialias-linear": {"scales": [1, 1, 0.5, 0.6], "mode": "linear", "antialias": 1},
    "antialias-larger": {"scales": [1, 1, 2, 1.5], "mode": "linear", "antialias": 1},
    "antialias-cubic": {
        "scales": [1, 1, 0.5, 0.6], "mode": "cubic", "antialias": 1, "exclude_outside": 1,
    },
    "crop": {
        "sizes": [1, 1, 3, 3], "mode": "linear", "roi": [0, 0, 0.4, 0.6, 1, 1, 0.6, 0.8],
        "coordinate_transformation_mode": "tf_crop_and_resize",
    },
    "crop-outside": {
        "sizes": [1, 1, 3, 3], "mode": "linear", "roi": [0, 0, 0.4, 0.6, 1, 1, 1.2, 1.7],
        "coordinate_transformation_mode": "tf_crop_and_resize", "extrapolation_value": 10.0,
    },
    "axes": {"scales": [2.0, 3.0], "axes": [2, 3], "mode": "nearest"},
    "axes-turned": {"sizes": [5, 9], "axes": [3, 2], "mode": "linear"},
    "not-larger": {
        "sizes": [7, 8], "axes": [2, 3], "mode": "nearest",
        "keep_aspect_ratio_policy": "not_larger",
    },
    "not-smaller": {
        "sizes": [7, 8], "axes": [2, 3], "mode": "nearest",
        "keep_aspect_ratio_policy": "not_smaller",
    },
}  # fmt: skip


@pytest.mark.parametrize("options", OTHERS.values(), ids=OTHERS)
def test_others(options):
    held(*resized((1, 1, 4, 6), **options))


@pytest.mark.parametrize("opset", [11, 13, 18])
def test_opsets(opset):
    held(*resized((1, 2, 3, 4), [1, 1, 2, 2], roi=[], opset=opset, mode="linear"), max(opset, 13))


@pytest.mark.parametrize("rank", [1, 3, 5])
def test_signals_and_volumes(rank):
    shape = (1, 2, 3, 4, 2)[-rank:] if rank > 1 else (4,)
    scales = ([1, 1] if rank > 2 else []) + [2] * (rank - 2 if rank > 2 else rank)
    held(*resized(shape, scales, mode="nearest"))
    if rank > 1:
        held(*resized(shape, scales, mode="linear"))


@pytest.mark.parametrize("opset", [7, 9])
@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_upsample(opset, mode):
    arrays, scales = {"x": RNG.normal(size=(1, 2, 3, 4))}, np.array([1, 1, 2, 3], np.float32)
    given = {"scales": list(scales)} if opset == 7 else {}
    names = ["x"] if opset == 7 else ["x", "scales"]
    node = helper.make_node("Upsample", names, ["y"], mode=mode, **given)
    tensors = [] if opset == 7 else [numpy_helper.from_array(scales, "scales")]

    def make(dtype):
        return model_of([node], arrays, ["y"], dtype, opset=opset, initializer=list(tensors))

    held(make, arrays, 18)


@pytest.mark.parametrize(
    ("mode", "scale"), list(itertools.product(["nearest", "linear"], [2, 0.5]))
)
def test_before_coordinates_had_names(mode, scale):
    arrays, scales = (
        {"x": RNG.normal(size=(1, 2, 5, 4))},
        np.array([1, 1, scale, scale], np.float32),
    )
    node = helper.make_node("Resize", ["x", "scales"], ["y"], mode=mode)
    tensor = numpy_helper.from_array(scales, "scales")

    def make(dtype):
        return model_of([node], arrays, ["y"], dtype, opset=10, initializer=[tensor])

    held(make, arrays, 18)


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
@pytest.mark.parametrize("kind", ["scales", "sizes", "computed", "no quotient"])
def test_lengths_may_be_known_at_run_time(mode, kind):
    arrays = {"x": RNG.normal(size=(2, 1, 3, 4))}
    if kind == "sizes":
        arrays["sizes"] = np.array([2, 1, 6, 5])
    factors = [1, 1, 1.3, 0.7] if kind == "no quotient" else [1, 1, 2, 1.5]
    scales = numpy_helper.from_array(np.array(factors, np.float32), "scales")
    nodes = [helper.make_node("Resize", ["x", "", "scales"], ["y"], mode=mode)]
    if kind == "sizes":
        nodes = [helper.make_node("Resize", ["x", "", "", "sizes"], ["y"], mode=mode)]
    if kind == "computed":  # as PyTorch's exporter writes a scale
        nodes = [
            helper.make_node("Shape", ["x"], ["shape"]),
            helper.make_node("Cast", ["shape"], ["lengths"], to=1),
            helper.make_node("Mul", ["lengths", "scales"], ["products"]),
            helper.make_node("Floor", ["products"], ["floors"]),
            helper.make_node("Cast", ["floors"], ["sizes"], to=7),
            helper.make_node("Resize", ["x", "", "", "sizes"], ["y"], mode=mode),
        ]

    def make(dtype):
        shapes = {"x": ("N", 1, "H", "W")}
        return model_of(nodes, arrays, ["y"], dtype, initializer=[scales], shapes=shapes)

    held(make, arrays, 18)
