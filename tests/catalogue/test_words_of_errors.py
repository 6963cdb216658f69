"""Shapes that do not fit are named in the words of who calls a loss, for every loss."""

from __future__ import annotations

import re

import numpy as np
import pytest

import lossgraph as lg
from lossgraph import gluon, losses, nn, optax
from lossgraph.catalogue import entries
from lossgraph.deploy.example_inputs import draw_inputs

# A dim that has no name, an operator with types, a function of the language.
COMPILER = re.compile(
    r"\b\w+_\d+\b|\b[A-Z]\w+\(\w*\d+\[|BroadcastTo|\bpick: |\breshape\b|\bdims? '"
)
PRED = np.array([[1.0, 2, 3], [4, 5, 6]], np.float32)

CHANGES = {
    "longer": lambda a: np.concatenate([a, a[:1]]) if a.ndim else None,
    "wider": lambda a: np.concatenate([a, a[..., :1]], -1) if a.ndim > 1 else None,
    "flat": lambda a: a.ravel()[:-1] if a.ndim > 1 else None,
    "another axis": lambda a: a[..., None],
    "one number": lambda a: a.ravel()[0].reshape(()) if a.ndim else None,
}


def refusals(loss, arrays):
    """What a loss says of each of its inputs in another shape, where it is refused."""
    for name, array in arrays.items():
        for change in CHANGES.values():
            changed = change(array)
            if changed is not None:
                try:
                    loss(**{**arrays, name: changed})
                except lg.LossgraphError as error:
                    yield str(error)


@pytest.mark.filterwarnings("ignore::lossgraph.LossgraphWarning")
@pytest.mark.parametrize("entry", entries(), ids=lambda e: e.name)
def test_shapes_that_do_not_fit_are_said_of_inputs(entry):
    loss = entry.make()
    arrays = draw_inputs(loss, loss.program(entry.example_types(loss)))
    for said in refusals(loss, arrays):
        assert not COMPILER.search(said), said
        assert any(re.search(rf"\b{re.escape(name)}\b", said) for name in arrays), said
        assert re.search(r"\(.*\)|axes|one number|\[\d| \d+ targets", said), (
            said
        )  # shapes, or an entry


CASES = {
    "labels of other rows": (
        lambda: gluon.SoftmaxCELoss()(PRED, np.array([0, 1, 2])),
        r"label: .* \(2,\), as pred has shape \(2, 3\); got shape \(3,\)"),
    "distributions": (
        lambda: gluon.SoftmaxCELoss()(PRED, np.eye(3)[:2]), "sparse_label=False"),
    "classes": (
        lambda: gluon.SoftmaxCELoss(sparse_label=False)(PRED, np.array([0, 1])),
        r"\(2, 3\), has; got shape \(2,\): class indices are for sparse_label=True"),
    "fewer elements": (
        lambda: gluon.L2Loss()(PRED, np.ones(2)),
        r"label: expected as many elements as pred, of shape \(2, 3\), has; got shape \(2,\)"),
    "more labels": (
        lambda: optax.sigmoid_focal_loss(PRED, np.ones((4, 3))),
        r"sigmoid_focal_loss does not take logits of shape \(2, 3\), labels of shape \(4, 3\): "
        "sizes 4 and 2 differ"),
    "no broadcast": (
        lambda: losses.charbonnier(PRED, np.ones((2, 4))),
        r"charbonnier does not take pred of shape \(2, 3\), target of shape \(2, 4\)"),
    "pytorch's": (
        lambda: nn.PoissonNLLLoss()(PRED, np.ones(4)),
        r"PoissonNLLLoss does not take input of shape \(2, 3\), target of shape \(4,\)"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_misfit_says_which_inputs_and_their_shapes(case):
    call, says = CASES[case]
    with pytest.raises(lg.InputError, match=says):
        call()


def test_names_of_dims_are_the_user_s():
    types = {"pred": ("float32", ("N", 3)), "label": ("float32", ("M", 3))}
    with pytest.raises(lg.InputError, match=r"pred, of shape \(N,\), has; got shape \(M,\)"):
        lg.compile(gluon.L2Loss(), {"pred": ("float32", ("N",)), "label": ("float32", ("M",))})
    with pytest.raises(
        lg.InputError, match=r"of shape \(N, 3\), target of shape \(M, 3\): dims 'M'"
    ):
        lg.compile(nn.MSELoss(), {"input": types["pred"], "target": types["label"]})


def test_a_body_of_one_s_own_is_told_the_operator():
    class Own(gluon.Loss):
        def __init__(self):
            super().__init__(None, 0)

        def hybrid_forward(self, F, pred, label):
            return F.dot(pred, label)

    with pytest.raises(lg.InputError, match=r"MatMul\(float32\[2,3\], float32\[2,3\]\)"):
        Own()(PRED, PRED)
    types = {"pred": ("float64", (2,)), "label": ("float64", (3,))}
    with pytest.raises(lg.InputError, match=r"^Sub\(float64\[2\], float64\[3\]\)"):
        lg.compile(lambda F, pred, label: pred - label, types)
    renamed = lg.renamed(lambda F, pred, label: pred - label, label="y")
    with pytest.raises(lg.InputError, match=r"^Sub\(float64\[2\], float64\[3\]\)"):
        renamed(np.ones(2), np.ones(3))


# --- warnings ---

COLUMN, ROW = np.zeros((6, 1)), np.zeros(6)
WARNED = {
    **{name: (getattr(nn, name)(), "input", "target") for name in (
        "L1Loss", "MSELoss", "SmoothL1Loss", "HuberLoss", "PoissonNLLLoss", "KLDivLoss",
        "SoftMarginLoss", "HingeEmbeddingLoss", "MultiLabelSoftMarginLoss")},
    **{f"functional.{name}": (getattr(nn.functional, name), "input", "target") for name in (
        "l1_loss", "mse_loss", "huber_loss")},
    "optax.huber_loss": (optax.huber_loss, "predictions", "targets"),
    "optax.log_cosh": (optax.log_cosh, "predictions", "targets"),
    "optax.hinge_loss": (optax.hinge_loss, "predictor_outputs", "targets"),
    "optax.bce": (optax.sigmoid_binary_cross_entropy, "logits", "labels"),
    "losses.charbonnier": (losses.charbonnier, "pred", "target"),
    "losses.quantile": (losses.quantile, "pred", "target"),
}  # fmt: skip


@pytest.mark.parametrize("name", WARNED)
def test_a_column_against_a_row_is_warned_of_once(name):
    loss, pred, target = WARNED[name]
    loss = loss.with_options()  # which has compiled nothing
    said = (
        rf"{target} of shape \(6,\) differs from {pred} of shape \(6, 1\): they broadcast to "
        r"\(6, 6\)"
    )
    with pytest.warns(lg.LossgraphWarning, match=said) as caught:
        loss(COLUMN, ROW)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    loss(COLUMN, ROW)
    loss(np.zeros((7, 1)), np.zeros(7))  # the same graph
    loss(ROW, ROW)
    types = {pred: ("float32", ("N", 1)), target: ("float32", ("N",))}
    with pytest.warns(lg.LossgraphWarning, match=rf"{target} of shape \(N,\) differs from"):
        loss.to_onnx(types)


def test_pytorch_s_four_warn_of_any_other_shape():
    for loss in (nn.MSELoss(), nn.L1Loss(), nn.SmoothL1Loss(), nn.HuberLoss()):
        with pytest.warns(
            lg.LossgraphWarning, match=r"\(3,\) differs from input of shape \(2, 3\)"
        ):
            loss(PRED, np.zeros(3))


def test_what_broadcasts_as_documented_is_not_warned_of():
    nn.MSELoss()(PRED, 1.0)
    nn.MSELoss()(PRED, np.array(1.0))
    optax.huber_loss(PRED, np.zeros(3))
    optax.softmax_cross_entropy(PRED, np.full(3, 1 / 3))
    optax.softmax_cross_entropy_with_integer_labels(COLUMN, np.zeros(6, int))
    losses.quantile(ROW, ROW, q=np.array([[0.1], [0.9]]))
    losses.giou(np.zeros((2, 1, 4)), np.ones((1, 3, 4)))


def test_losses_inside_others_warn_too():
    def both(F, pred, label):
        return nn.MSELoss()(pred, label) + nn.L1Loss()(label, label)

    with pytest.warns(lg.LossgraphWarning, match="target of shape"):
        lg.compile(both, {"pred": ("float64", (6, 1)), "label": ("float64", (6,))})
