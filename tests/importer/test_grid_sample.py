"""GridSample: derivatives by image and places, in every mode, against differences."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import helper

from lossgraph.importer.reader import from_onnx
from model_gradients import check, model_of, run

RNG = np.random.default_rng(2)
PADDINGS = ("zeros", "border", "reflection")


def sampled(mode, padding, aligned, volume=False):
    """A model for a dtype, and its inputs: places inside and outside, away from kinks."""
    lengths, places = ((2, 3, 4), (2, 2, 1)) if volume else ((3, 4), (3, 2))
    arrays = {
        "x": RNG.normal(size=(2, 2, *lengths)),
        "grid": RNG.uniform(-1.6, 1.6, (2, *places, len(lengths))),
    }
    node = helper.make_node(
        "GridSample", ["x", "grid"], ["y"], mode=mode, padding_mode=padding, align_corners=aligned
    )
    return lambda dtype: model_of([node], arrays, ["y"], dtype, opset=20), arrays


CASES = [("linear", p, a) for p in PADDINGS for a in (0, 1)]
CASES += [("nearest", "zeros", 1), ("nearest", "reflection", 0)]
CASES += [("cubic", "zeros", 0), ("cubic", "border", 1), ("cubic", "reflection", 0)]


@pytest.mark.parametrize(("mode", "padding", "aligned"), CASES)
def test_images(mode, padding, aligned):
    make, arrays = sampled(mode, padding, aligned)
    check(make, arrays, ["x", "grid"], opset=20)


@pytest.mark.parametrize("mode", ["linear", "nearest"])
def test_volumes(mode):
    make, arrays = sampled(mode, "zeros", 0, volume=True)
    check(make, arrays, ["x", "grid"], opset=20)


def test_old_names():
    make, arrays = sampled("bilinear", "border", 0)
    old = make("float32")
    old.opset_import[0].version = 16
    values = run(from_onnx(old).to_onnx(), arrays)
    assert np.array_equal(values["y"], run(old, arrays)["y"])
