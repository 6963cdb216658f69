"""The stages of kernels: what is fused, kept, and written."""

from __future__ import annotations

import pytest

from lossgraph import gluon, nn
from lossgraph.ir import ops
from lossgraph.ir.expr import variable
from lossgraph.ir.types import tensor_type
from lossgraph.kernels.integers import KernelUnsupportedError
from lossgraph.kernels.kernel import Kernel, kernel_of
from lossgraph.kernels.loops import Loop, loops_of, statements
from lossgraph.kernels.storage import Place, storage_of
from lossgraph.kernels.text import stages
from lossgraph.kernels.vectorize import variants

ROWS = ("float32", ("N", "C"))
CLASSES = ("int64", ("N",))


def kernel(loss, types, grad=()):
    return kernel_of(loss.program(types, grad=grad))


def depths(blocks):
    """How deep each innermost loop is, in the order of execution."""
    return [len(next(statements([loop])).loops) for loop in loops_of(blocks) if loop.is_leaf]


def test_elementwise_losses_are_one_loop_over_rows_and_one_inside():
    made = kernel(gluon.L2Loss(), {"pred": ROWS, "label": ROWS}, ("pred",))
    (sweep,) = made.blocks
    assert isinstance(sweep, Loop)
    assert depths(made.blocks) == [2]


def test_softmax_needs_three_loops_a_row_and_keeps_its_exponentials():
    made = kernel(gluon.SoftmaxCELoss(), {"pred": ROWS, "label": CLASSES}, ("pred",))
    assert depths(made.blocks) == [2, 2, 2]
    kept = [storage.place for storage in storage_of(made.blocks).values()]
    assert kept.count(Place.SCRATCH) == 1
    assert made.text(0).count("lg_exp_nonpositive(") == 8  # four vectors at once, one, and the rest


def test_a_gradient_that_needs_a_sum_over_all_rows_is_a_second_sweep():
    types = {"input": ROWS, "target": CLASSES, "weight": ("float32", ("C",))}
    made = kernel(nn.CrossEntropyLoss(), types, ("input",))
    assert len([block for block in made.blocks if isinstance(block, Loop)]) == 2


def test_lanes_go_along_pixels_where_classes_lie_in_the_middle():
    types = {"pred": ("float32", ("N", "C", "H", "W")), "label": ("int64", ("N", "H", "W"))}
    made = kernel(gluon.SoftmaxCELoss(axis=1), types, ("pred",))
    (sweep,) = made.blocks
    pixels = {
        var.size for variant in variants(sweep) if not variant.rows for var in variant.vectors
    }
    assert [str(size) for size in pixels] == ["W"]


def test_names_of_users_are_not_in_the_source():
    class MyStrangeLoss(gluon.Loss):
        def hybrid_forward(self, F, my_strange_name, another_odd_name):
            return F.mean(F.square(my_strange_name - another_odd_name), axis=0, exclude=True)

    rows = ("float32", ("Xylophones", "C"))
    types = {"my_strange_name": rows, "another_odd_name": rows}
    text = kernel(MyStrangeLoss(1.0, 0), types, ("my_strange_name",)).text(0)
    for name in ("my_strange_name", "another_odd_name", "Xylophones", "MyStrangeLoss"):
        assert name not in text


def test_the_name_follows_from_what_is_computed():
    types = {"pred": ROWS, "label": ROWS}
    names = [
        kernel(loss, types).name
        for loss in (gluon.L2Loss(), gluon.L2Loss(), gluon.L2Loss(weight=2.0))
    ]
    assert names[0] == names[1] != names[2]


def test_an_operation_without_a_form_is_named():
    x = variable("x", tensor_type("float32", ("N", "C")))
    with pytest.raises(KernelUnsupportedError, match="ArgSort"):
        Kernel([x], {"order": ops.arg_sort(x, 1, 2, largest=True)}).text(0)


def test_stages_can_be_printed():
    made = kernel(gluon.HuberLoss(), {"pred": ROWS, "label": ROWS}, ("pred",))
    found = dict(stages(made))
    assert list(found) == ["decomposed", "loops", "C"]
    assert found["loops"][0].startswith("for i0 < N:")
    assert "static const LgKernel lg_kernel_0 = {" in found["C"]
