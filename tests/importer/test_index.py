"""Operators that move, take and put elements: each variant, in values and derivatives."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import helper, numpy_helper

from lossgraph.importer.reader import from_onnx
from lossgraph.ir.expr import toposort
from lossgraph.ir.ops.opaque import is_opaque
from model_gradients import check, model_of, run

RNG = np.random.default_rng(3)


def floats(*shape):
    """Numbers of which none is near another one."""
    count = int(np.prod(shape))
    return (RNG.permutation(count).reshape(shape) - count / 2) * 0.3 + 0.1


def node(operator, *constants, opset=18, fixed=True, wrt=None, outputs=1, **attributes):
    """A case: the first argument is x, the others constants, or inputs if not ``fixed``."""
    return operator, constants, opset, fixed, wrt, outputs, attributes


def ints(*values, dtype=np.int64):
    return np.array(values, dtype)


X = floats(3, 4)
CASES = {
    "gather": node("Gather", X, ints([0, -1], [2, 2]), axis=1),
    "gather-scalar": node("Gather", X, ints(1)[0], axis=-2),
    "gather-int32": node("Gather", X, ints(1, 1, -3, dtype=np.int32), fixed=False),
    "gather-old": node("Gather", X, ints(1, 1, 3), opset=13, axis=1, fixed=False),
    "gather_elements": node("GatherElements", X, ints([0, -1, 2], [2, 2, 2]), axis=1),
    "gather_elements-input": node("GatherElements", X, ints([0, -1], [2, 2]), fixed=False),
    "gather_nd": node("GatherND", X, ints([0, 1], [2, -1], [0, 1])),
    "gather_nd-rows": node("GatherND", X, ints([[0], [-1]], [[0], [0]]), fixed=False),
    "gather_nd-batch": node(
        "GatherND", floats(2, 3, 4), ints([[0], [2]], [[-1], [-1]]), batch_dims=1
    ),
    "gather_nd-batches": node(
        "GatherND", floats(2, 3, 4), RNG.integers(-4, 4, (2, 3, 1)), batch_dims=2, fixed=False
    ),
    "scatter_elements": node("ScatterElements", X, ints([0, 3], [-1, 1]), floats(2, 2), axis=1),
    "scatter_elements-again": node("ScatterElements", X, ints([1, 1, 1]), floats(1, 3), axis=1),
    "scatter_elements-input": node(
        "ScatterElements", X, ints([1, 1], [1, -2]), floats(2, 2), axis=0, fixed=False
    ),
    **{
        f"scatter_elements-{reduction}": node(
            "ScatterElements", X, ints([1, 1, -2], [3, 3, 3]), floats(2, 3), axis=1,
            reduction=reduction,
        )
        for reduction in ("add", "mul", "max", "min")
    },
    "scatter_elements-zero": node(
        "ScatterElements", np.array([[0.0, 2.0, 0.0]]), ints([0, 0, 2]),
        np.array([[3.0, 4.0, 0.0]]), axis=1, reduction="mul",
    ),
    "scatter_elements-13": node("ScatterElements", X, ints([0], [2]), floats(2, 1), opset=13),
    "scatter": node("Scatter", X, ints([0], [2]), floats(2, 1), opset=10, axis=1),
    "scatter_nd": node("ScatterND", X, ints([0], [-1]), floats(2, 4)),
    "scatter_nd-elements": node("ScatterND", X, ints([0, -1], [1, 1]), floats(2), fixed=False),
    "scatter_nd-again": node("ScatterND", X, ints([1], [1], [0]), floats(3, 4)),
    **{
        f"scatter_nd-{reduction}": node(
            "ScatterND", X, ints([1], [1], [-3]), floats(3, 4), reduction=reduction
        )
        for reduction in ("add", "mul", "max", "min")
    },
    "slice": node("Slice", X, ints(1, 0), ints(3, 100)),
    "slice-negative": node("Slice", X, ints(-2), ints(-1), ints(-1)),
    "slice-steps": node("Slice", floats(7, 6), ints(1, 5), ints(7, -100), ints(0, 1), ints(3, -2)),
    "slice-end": node("Slice", X, ints(0), ints(2**63 - 1), ints(1), ints(2)),
    "slice-empty": node("Slice", X, ints(3), ints(1), ints(1)),
    "slice-input": node("Slice", X, ints(1, 3), ints(3, -9), ints(0, 1), ints(1, -1), fixed="tail"),
    "slice-1": node("Slice", X, opset=9, starts=[1, -2], ends=[2, 9], axes=[0, 1]),
    "pad": node("Pad", X, ints(1, 0, 2, 1), np.array(0.7)),
    "pad-value": node("Pad", X, ints(1, 0, 2, 1), np.array(0.7), fixed="1"),
    "pad-negative": node("Pad", X, ints(-1, 2, 0, -1), np.array(-3.0)),
    "pad-axes": node("Pad", X, ints(2, 1), np.array(0.0), ints(-1)),
    "pad-axes-no-value": node("Pad", X, ints(2, 1), None, ints(-1)),
    "pad-reflect": node("Pad", X, ints(2, 3, 1, 2), mode="reflect"),
    "pad-edge": node("Pad", X, ints(2, 3, 4, 5), mode="edge"),
    "pad-wrap": node("Pad", X, ints(2, 3, 1, 4), opset=19, mode="wrap"),
    "pad-wrap-often": node("Pad", X, ints(7, 0, 0, 9), opset=19, mode="wrap"),
    "pad-edge-negative": node("Pad", X, ints(-1, 2, 1, -2), mode="edge"),
    "pad-reflect-4d": node("Pad", floats(1, 2, 3, 3), ints(0, 0, 1, 2, 0, 0, 2, 1), mode="reflect"),
    "pad-2": node("Pad", X, opset=10, pads=[1, 0, 0, 2], value=0.5),
    "tile": node("Tile", X, ints(2, 3)),
    "tile-once": node("Tile", X, ints(1, 2)),
    "tile-none": node("Tile", X, ints(0, 2)),
    "expand": node("Expand", floats(3, 1), ints(2, 1, 4)),
    "expand-less": node("Expand", X, ints(1)),
    "expand-input": node("Expand", floats(3, 1), ints(2, 1, 4), fixed=False),
    "expand-input-more": node("Expand", floats(2, 3, 1), ints(3, 4), fixed=False),
    "reshape-input": node("Reshape", X, ints(2, 6), fixed=False),
    "reshape-rest": node("Reshape", X, ints(0, -1, 2), fixed=False),
    "reshape-flat": node("Reshape", X, ints(-1), fixed=False),
    "reshape-zero": node("Reshape", floats(0, 4), ints(2, 0, 3), allowzero=1, fixed=False),
    "tile-input": node("Tile", X, ints(2, 3), fixed=False),
    "split-input": node("Split", floats(6, 2), ints(1, 2, 3), outputs=3, fixed=False),
    "pad-input": node("Pad", X, ints(1, -1, 2, 3), np.array(0.7), fixed=False),
    "pad-reflect-input": node("Pad", X, ints(1, 2, 2, 0), mode="reflect", fixed=False),
    "range-input": node("Range", np.array(0.5), np.array(4.0), np.array(0.6)),
    "one_hot": node("OneHot", ints(1, -1, 7, 2), ints(4), np.array([0.5, 2.0]), axis=0),
    "one_hot-floats": node(
        "OneHot", np.array([[1.0, 2.0]]), np.array(3.0), np.array([0.0, 2.0]), wrt=["x2"]
    ),
    "one_hot-input": node("OneHot", ints([1, -4]), np.int64(4), np.array([0.5, 2.0]), fixed=False),
    "eye_like": node("EyeLike", X, k=1),
    "constant_of_shape": node("ConstantOfShape", ints(2, 3), fixed=False),
    "reshape": node("Reshape", X, ints(0, 2, -1)),
    "trilu": node("Trilu", floats(2, 3, 4)),
    "trilu-lower": node("Trilu", X, np.int64(-1), upper=0),
    "trilu-input": node("Trilu", X, np.int64(1), fixed=False),
    "depth_to_space": node("DepthToSpace", floats(2, 8, 2, 3), blocksize=2),
    "depth_to_space-crd": node("DepthToSpace", floats(1, 4, 2, 1), blocksize=2, mode="CRD"),
    "space_to_depth": node("SpaceToDepth", floats(2, 2, 4, 6), blocksize=2),
    "top_k": node("TopK", X, ints(2), outputs=2),
    "top_k-smallest": node("TopK", X, ints(2), outputs=2, axis=0, largest=0, sorted=0),
    "top_k-input": node("TopK", X, ints(3), outputs=2, fixed=False),
    "top_k-1": node("TopK", X, opset=9, outputs=2, k=2),
    "compress": node("Compress", X, np.array([True, False, True]), axis=0),
    "compress-flat": node("Compress", X, np.array([False, True, True]), fixed=False),
    "unique": node("Unique", np.array([2.0, 1.0, 3.0, 5.0]), outputs=4),
    "unique-axis": node("Unique", floats(3, 2), outputs=4, axis=1),
    "reverse_sequence": node("ReverseSequence", floats(4, 3, 2), ints(1, 4, 2), fixed=False),
    "reverse_sequence-batch": node(
        "ReverseSequence", floats(3, 4), ints(1, 4, 2), batch_axis=0, time_axis=1
    ),
    "split": node("Split", floats(6, 2), ints(1, 2, 3), outputs=3),
    "split-last": node("Split", floats(2, 7), outputs=3, axis=1, num_outputs=3),
    "split-even": node("Split", floats(2, 6), opset=13, outputs=3, axis=-1),
    "split-attribute": node("Split", floats(2, 6), opset=11, outputs=2, axis=1, split=[4, 2]),
    "squeeze": node("Squeeze", floats(1, 3, 1), ints(-1)),
    "squeeze-all": node("Squeeze", floats(1, 3, 1)),
    "unsqueeze": node("Unsqueeze", X, ints(0, -1)),
    "center_crop_pad": node("CenterCropPad", floats(4, 3), ints(2, 6)),
    "center_crop_pad-axes": node("CenterCropPad", floats(2, 5, 3), ints(2), axes=[1]),
    "col2im": node("Col2Im", floats(1, 8, 6), ints(3, 4), ints(2, 2)),
    "col2im-window": node(
        "Col2Im", floats(2, 6, 12), ints(5, 4), ints(3, 1), strides=[2, 1], dilations=[1, 2],
        pads=[1, 0, 1, 0],
    ),
    "tensor_scatter": node(
        "TensorScatter", floats(2, 4, 3), floats(2, 2, 3), ints(1, 2), opset=24, fixed=False
    ),
    "tensor_scatter-circular": node(
        "TensorScatter", floats(2, 4, 3), floats(2, 2, 3), ints(3, 1), opset=24, mode="circular"
    ),
    "tensor_scatter-from_zero": node("TensorScatter", floats(2, 4, 3), floats(2, 2, 3), opset=24),
    "transpose": node("Transpose", floats(2, 3, 4), perm=[1, 2, 0]),
    "concat": node("Concat", X, floats(3, 2), axis=-1, fixed="tail"),
}  # fmt: skip


def made(operator, constants, opset, fixed, wrt, outputs, attributes):
    """The model of a case for a dtype, and its inputs; constants become initializers."""
    names = ["" if value is None else f"x{place}" for place, value in enumerate(constants)]
    given = dict(zip(names, constants, strict=True))
    given.pop("", None)
    kept = {
        name: np.asarray(value)
        for name, value in given.items()
        if name == "x0" or fixed in (False, "tail") or value.dtype.kind == "f"
    }
    if fixed == "tail":  # axes and steps are constants always
        kept = {name: value for name, value in kept.items() if name not in ("x3", "x4")}
    others = {name: np.asarray(value) for name, value in given.items() if name not in kept}
    results = [f"y{place}" for place in range(outputs)]
    infos = [
        result
        if place == 0 or operator in ("Split",)
        else helper.make_tensor_value_info(result, 7, None)
        for place, result in enumerate(results)
    ]
    while names and not names[-1]:
        names.pop()
    call = helper.make_node(operator, names, results, **attributes)
    initializer = [numpy_helper.from_array(value, name) for name, value in others.items()]

    def make(dtype):
        return model_of([call], kept, infos, dtype, opset=opset, initializer=list(initializer))

    return make, kept, opset


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_variants(case):
    make, arrays, opset = made(*case)
    floats_given = [name for name, array in arrays.items() if array.dtype.kind == "f"]
    wrt = case[4] or floats_given
    check(make, arrays, wrt, opset=max(opset, 13))
    assert not [
        n for n in toposort(list(from_onnx(make("float32")).outputs.values()))
        if is_opaque(n) and not n.attrs["reason"].endswith("has no derivative")
    ]  # fmt: skip


def test_what_one_mask_selects_has_one_length():
    """PyTorch's exporters ask where a mask is true again for each array."""
    arrays = {"x0": floats(3, 4), "x1": floats(3, 4), "mask": np.eye(3, 4) > 0}
    nodes = [
        helper.make_node("NonZero", ["mask"], ["there"]),
        helper.make_node("NonZero", ["mask"], ["again"]),
        helper.make_node("Transpose", ["there"], ["places"]),
        helper.make_node("Transpose", ["again"], ["others"]),
        helper.make_node("GatherND", ["x0", "places"], ["left"]),
        helper.make_node("GatherND", ["x1", "others"], ["right"]),
        helper.make_node("Mul", ["left", "right"], ["y"]),
    ]

    def make(dtype):
        shapes = dict.fromkeys(arrays, ("N", 4))
        return model_of(nodes, arrays, ["y"], dtype, shapes=shapes)

    check(make, arrays, ["x0", "x1"])


def test_a_dim_of_the_input_keeps_its_name():
    arrays = {"x0": floats(3, 4), "k": ints(2)}
    nodes = [
        helper.make_node("TopK", ["x0", "k"], ["y", "places"]),
        helper.make_node("Shape", ["x0"], ["shape"], end=1),
        helper.make_node("Concat", ["shape", "k"], ["sizes"], axis=0),
        helper.make_node("Reshape", ["y", "sizes"], ["z"]),
    ]
    model = model_of(nodes, arrays, ["z"], shapes={"x0": ("N", "M")})
    graph = from_onnx(model)
    assert list(map(str, graph.inputs["x0"].shape)) == ["N", "M"]
    assert str(graph.outputs["z"].shape[0]) == "N"
    assert run(graph.to_onnx(), arrays)["z"].shape == (3, 2)
