"""torch.nn's CTC: layouts, lengths, and what is refused."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
import pytest

import lossgraph as lg
from ctc_oracle import draw, log_softmax, oracle
from golden_cases import by_logits
from lossgraph import nn
from support import assert_close


def ctc_inputs(seed=0, dtype="float64"):
    """Log-probabilities and targets, in torch's layouts, blank last as the oracle has it."""
    logits, label = draw((3, 7, 5), 3, seed=seed, dtype=dtype)
    log_probs = log_softmax(np.swapaxes(logits, 0, 1)).astype(dtype)
    lengths = (label != -1).sum(1)
    targets = np.where(label == -1, 0, label).astype(np.int64)
    return logits, log_probs, targets, np.array([7, 5, 6]), lengths


TYPES = {
    "log_probs": ("float64", ("T", "N", "C")),
    "targets": ("int64", ("N", "S")),
    "input_lengths": ("int64", ("N",)),
    "target_lengths": ("int64", ("N",)),
}


def test_the_oracle_of_all_alignments():
    logits, log_probs, targets, ends, lengths = ctc_inputs()
    loss = nn.CTCLoss(blank=4, reduction="none")
    value, grads = loss.value_and_grad(log_probs, targets, ends, lengths)
    expected = oracle(logits, targets, ends, lengths)
    assert_close(value, expected[0])
    by_logit = np.swapaxes(by_logits(grads["log_probs"], log_probs), 0, 1)
    assert_close(by_logit, expected[1])
    for sample, end in enumerate(ends):
        assert (grads["log_probs"][end:, sample] == 0).all()


def test_targets_one_after_the_other():
    _, log_probs, targets, ends, lengths = ctc_inputs(seed=3)
    packed = np.concatenate([row[:n] for row, n in zip(targets, lengths, strict=True)])
    loss = nn.CTCLoss(blank=4)
    expected, grads = loss.value_and_grad(log_probs, targets, ends, lengths)
    value, packed_grads = loss.value_and_grad(log_probs, packed, ends, lengths)
    assert_close(value, expected)
    assert_close(packed_grads["log_probs"], grads["log_probs"])
    in_graph = lg.compile(loss, {**TYPES, "targets": ("int64", ("S",))}, grad=("log_probs",))
    value, graph_grads = in_graph(log_probs, packed, ends, lengths)
    assert_close(value, expected)
    assert_close(graph_grads["log_probs"], grads["log_probs"])


def test_one_sample_without_a_batch():
    _, log_probs, targets, ends, lengths = ctc_inputs(seed=5)
    for reduction in nn.base.REDUCTIONS:
        loss = nn.CTCLoss(blank=4, reduction=reduction)
        n = int(lengths[1])
        expected = loss(log_probs[:, 1:2], targets[1:2, :n], ends[1:2], lengths[1:2])
        for length in (n, np.array(n), np.array([n])):
            value = loss(log_probs[:, 1], targets[1, :n], int(ends[1]), length)
            assert value.shape == ()
            assert_close(value, expected.reshape(()))


def test_a_graph_gives_nan_for_what_it_cannot_refuse():
    model = nn.CTCLoss(blank=4, reduction="none").to_onnx(TYPES, grad=("log_probs",))
    session = ort.InferenceSession(model.SerializeToString())
    _, log_probs, targets, ends, lengths = ctc_inputs()
    lengths = np.array([2, 3, 1])
    good = {
        "log_probs": log_probs,
        "targets": targets,
        "input_lengths": ends,
        "target_lengths": lengths,
    }
    right, right_grad = session.run(None, good)
    assert np.isfinite(right).all()
    for name, place, bad in [
        ("targets", (1, 0), 9),
        ("targets", (1, 0), -1),
        ("input_lengths", 1, 8),
        ("input_lengths", 1, -1),
        ("target_lengths", 1, 4),
    ]:
        spoiled = {**good, name: good[name].copy()}
        spoiled[name][place] = bad
        value, grad = session.run(None, spoiled)
        assert np.isnan(value[1])
        assert np.isnan(grad[:, 1]).all()
        assert_close(value[[0, 2]], right[[0, 2]])
        assert_close(grad[:, [0, 2]], right_grad[:, [0, 2]])
    (few,) = (nn.CTCLoss(blank=7, reduction="none").to_onnx(TYPES),)
    session = ort.InferenceSession(few.SerializeToString())
    assert np.isnan(session.run(None, good)[0]).all()


X = np.log(np.full((6, 2, 5), 0.2))
ROWS = np.array([[1, 2], [3, 4]])


@pytest.mark.parametrize(
    ("args", "options", "message"),
    [
        ((X, ROWS, (6, 6), (2, 2)), {"blank": 5}, "blank: 5 is not one of the 5 classes"),
        ((X, [[1, 2], [3, 9]], (6, 6), (2, 2)), {}, r"targets\[1, 1\] is 9"),
        ((X, [1, 2, 9], (6, 6), (2, 1)), {}, r"targets\[2\] is 9"),
        ((X, [1, 2, 3, 4], (6, 6), (2, 1)), {}, "their sum is 3, but there are 4 targets"),
        ((X, [1, 2], (6, 6), (3, -1)), {}, "target_lengths: their sum is 2"),
        ((X, ROWS, (6, 7), (2, 2)), {}, r"input_lengths\[1\] is 7"),
        ((X, ROWS, (6, 6), (2, 3)), {}, r"target_lengths\[1\] is 3"),
        ((X, ROWS, 6, 2), {}, r"input_lengths: expected one for each sample, \(2,\), got \(\)"),
        ((X, ROWS[:1], (6, 6), (2, 2)), {}, r"targets: expected one for each sample"),
        ((X[:, 0], ROWS, 6, 2), {}, r"CTCLoss takes log_probs \(T, N, C\)"),
        ((X[0, 0], [1], 1, 1), {}, r"CTCLoss takes log_probs \(T, N, C\)"),
    ],
)
def test_bad_arguments(args, options, message):
    args = [np.asarray(a) if isinstance(a, (list, tuple)) else a for a in args]
    with pytest.raises(lg.InputError, match=message):
        nn.CTCLoss(**options)(*args)


@pytest.mark.parametrize("options", [
    {"blank": -1}, {"blank": 1.0}, {"blank": True}, {"reduction": "avg"},
])  # fmt: skip
def test_bad_options(options):
    with pytest.raises(lg.InputError, match=next(iter(options))):
        nn.CTCLoss(**options)


def test_no_gradient_by_lengths():
    _, *args = ctc_inputs()
    with pytest.raises(lg.GradientError, match="'input_lengths' is a class label or a length"):
        nn.CTCLoss(blank=4).value_and_grad(*args, wrt=("input_lengths",))


def test_what_it_says_of_itself():
    assert repr(nn.CTCLoss(2)) == "CTCLoss(blank=2, reduction='mean', zero_infinity=False)"
