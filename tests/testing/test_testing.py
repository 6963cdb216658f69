"""``lg.testing``: mutants are found, and what is right passes."""

from __future__ import annotations

import subprocess
import sys
import types

import numpy as np
import pytest

import lossgraph as lg
from lossgraph import reference
from lossgraph.catalogue import entries, lookup
from lossgraph.errors import GradientError, InputError
from lossgraph.testing import (
    assert_same,
    check,
    check_dtypes,
    check_extremes,
    check_shapes,
    gradcheck,
)
from lossgraph.testing.functions import framework_of

X = {"x": ("float32", ("N", 3))}
PRED = {"pred": ("float32", ("N", 3)), "label": ("float32", ("N", 3))}


def fails(function, *args, says, **named):
    with pytest.raises(AssertionError) as error:
        function(*args, **named)
    message = str(error.value)
    for each in [says] if isinstance(says, str) else says:
        assert each in message, message
    return message


# --- losses that are right ---


# What a check cannot hold true of, and why.
BY_DEFINITION = {
    ("optax.ctc_loss_with_forward_probs", "check_dtypes"): "-1e5 is one of its own numbers",
}
# All checks pass on all losses but those; other tests hold every gradient and dtype too.
WHOLE = ("gluon",)


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)
def test_losses_of_the_catalogue(entry):
    loss = entry.make()
    checks = [check_extremes]
    if entry.namespace in WHOLE:
        checks += [gradcheck, check_dtypes, check_shapes]
    for each in checks:
        if (entry.name, each.__name__) not in BY_DEFINITION:
            assert each(loss).lines or each is check_extremes


@pytest.mark.parametrize(("name", "which"), BY_DEFINITION)
def test_known_exceptions_are_none_too_many(name, which):
    fails(getattr(lg.testing, which), lookup(name).make(), says="wrong")


@pytest.mark.parametrize("name", ["losses.ciou", "losses.circle"])
def test_constants_of_a_loss_do_not_move(name):
    """Factors that depend on the inputs, and of which their papers take no gradient."""
    assert check(lookup(name).make()).lines


def test_a_body_with_block_grad():
    def body(F, x):
        return F.sum(F.BlockGrad(F.square(x)) * x, axis=-1)

    (line,) = gradcheck(body, X).lines
    assert line.endswith("3 directions")
    assert check(body, X).lines


def test_a_body_that_differentiates():
    """Numpy has no part in the checks, as numbers have no derivatives."""

    def body(F, x):
        slope = lg.grad(F.tanh(x), x)
        return F.sum(F.square(slope), axis=-1)

    assert check(body, X).lines
    with pytest.raises(GradientError, match="a derivative is that of symbols, got Array"):
        body(reference, reference.Array(np.ones((2, 3))))


def test_a_function_speaks_of_what_it_reads_and_not_of_its_attributes():
    torch = types.ModuleType("torch")
    names = {"torch": torch, "nn": lg.nn, "functional": lg.losses}
    code = "def loss(x):\n    return torch.nn.functional.relu(x).nn"
    exec(code, names)
    assert framework_of(names["loss"]) == "torch"
    exec("def both(x):\n    return torch.relu(nn.L1Loss()(x, [lambda: x]))", names)
    with pytest.raises(InputError, match=r"speaks of \['lossgraph', 'torch'\]"):
        framework_of(names["both"])


def test_a_function_speaks_of_what_is_imported_inside(monkeypatch):
    monkeypatch.setitem(sys.modules, "jax", types.ModuleType("jax"))

    def loss(x):
        import jax.nn

        return [jax.nn.relu(y) for y in x]

    assert framework_of(loss) == "jax"


def test_check_is_all_of_them():
    report = check(lg.gluon.HuberLoss(rho=0.3))
    assert report.loss == "HuberLoss"
    assert str(report).startswith("HuberLoss\n  gradient by pred: 20 entries, 3 directions\n")
    assert [line.partition(":")[0] for line in report.lines[1:]] == [
        "float16", "bfloat16", "float32", "logits of 200", "logits of 1e4", "logits of 0",
        "0 samples", "1 samples", "2 samples", "7 samples", "samples are independent",
    ]  # fmt: skip


def test_naive_formulas_pass_if_the_compiler_makes_them_stable():
    def naive(F, x):
        return -F.log(1 / (1 + F.exp(-x)))

    assert check(naive, X).lines


def test_kinks_are_reported_and_bracketed():
    zero = {"x": np.zeros((2, 3), np.float32)}
    assert "6 at a kink" in str(gradcheck(lambda F, x: F.abs(x), zero))

    def twice(F, x):
        return F.with_gradient(F.abs(x), [x], [2 * F.ones_like(x)])

    fails(gradcheck, twice, zero, says="the slope is -1 to 1")


def test_a_jump_is_no_slope():
    def step(F, x):
        return (x > 0) * 1.0 + x

    assert gradcheck(step, {"x": np.array([0.0, 1.0])}).lines


# --- mutants ---


def test_a_wrong_gradient_is_found():
    def wrong(F, x):
        return F.mean(F.with_gradient(F.square(x), [x], [x]), axis=1)

    message = fails(gradcheck, wrong, X, says=["grad_x[0, 0] is -0.0656", "the slope is -0.131"])
    assert "x[0, 0] = -0.197" in message
    assert "inputs = {\n      'x': np.array([[" in message


def test_one_wrong_entry_of_a_large_input_is_found():
    mask = np.zeros((40, 50))
    mask[17, 31] = 1.0

    def wrong(F, x):
        return F.with_gradient(F.square(x), [x], [2 * x + F.array(mask, dtype=x.dtype)])

    fails(gradcheck, wrong, {"x": ("float64", (40, 50))}, says="along a random direction")


def test_an_unstable_formula_is_found():
    def unstable(F, x):
        return -F.log(F.maximum(F.exp(x) / (F.exp(x) + F.exp(-x)), 0))

    message = fails(check_extremes, unstable, X, says=["wrong at logits of 200", "is inf instead"])
    assert "grad_x[0, 0] is nan" in message


def test_a_gradient_that_is_lost_at_extremes_is_found():
    def lost(F, x):
        e = F.exp(x)
        return F.with_gradient(F.log(1 + F.exp(x)), [x], [e / (1 + e) * F.ones_like(x)])

    def by_hand(F, x):
        return F.with_gradient(F.abs(x), [x], [x / F.abs(x)])

    assert gradcheck(lost, X)
    assert gradcheck(by_hand, X)
    fails(check_extremes, by_hand, X, says=["wrong at logits of 0", "grad_x[0, 0] is nan"])


def test_cancellation_is_found():
    def cancels(F, x):
        return F.mean((x + 1e6) - 1e6, axis=1)

    fails(check_dtypes, cancels, X, says="wrong in float")


def test_a_sum_over_the_batch_is_found():
    def summed(F, x):
        return F.sum(F.square(x))

    def centered(F, x):
        return F.mean(F.square(x - F.mean(x, axis=0, keepdims=True)), axis=1)

    says = "loss of shape (1,) has not a number for each sample"
    fails(check_shapes, summed, X, independent=True, says=says)
    fails(check_shapes, centered, X, independent=True, says="sample 0 in its batch and alone: loss")
    assert check_shapes(centered, X).lines  # which does not say so
    assert check_shapes(summed, X).lines


def test_a_batch_of_one_that_divides_by_nothing_is_found():
    def of_others(F, x):
        others = F.sum(x, axis=0, keepdims=True) - x
        return F.sqrt(F.sum(F.square(F.broadcast_div(others, x)), axis=1))

    def with_nan(F, x):
        return F.mean(F.with_gradient(F.square(x), [x], [x * 0 / (x - x)]), axis=1)

    assert check_shapes(of_others, X).lines
    fails(check_shapes, with_nan, X, says="1 samples: NaN in grad_x")


# --- against another function ---


def mean_square(pred, label):
    return ((pred - label) ** 2).mean(axis=1) / 2


def test_a_function_of_numpy():
    report = assert_same(lg.gluon.L2Loss, mean_square, PRED)
    assert [line.partition(":")[0] for line in report.lines] == ["loss", "grad_pred"]
    assert assert_same(lg.gluon.L2Loss(), mean_square, dtype="float64", rtol=1e-6).lines


def test_a_sum_instead_of_a_mean_is_found():
    def summed(pred, label):
        return ((pred - label) ** 2).sum(axis=1) / 2

    message = fails(
        assert_same, lg.gluon.L2Loss, summed, PRED,
        says=["L2Loss and summed (numpy) differ", "loss[0] is", "(4 of 4 elements)", "ULP"],
    )  # fmt: skip
    assert "loss[0]: lossgraph " in message
    assert ", pred[0] = [" in message
    code = message.partition("inputs = {")[2].rpartition("}")[0]
    again = eval("{" + code + "}", {"np": np})
    fails(assert_same, lg.gluon.L2Loss, summed, again, says="loss[0] is")  # reproduced


def test_a_wrong_gradient_of_numpy_is_found():
    def by_hand(pred, label):
        return mean_square(pred, label), {"pred": pred - label}

    fails(assert_same, lg.gluon.L2Loss, by_hand, PRED, says="grad_pred[0, 0] is")


def test_losses_functions_of_f_and_compiled_losses():
    def body(F, pred, label):
        return F.mean(F.square(pred - label), axis=1) / 2

    types = {"pred": ("float32", ("N", 3)), "label": ("float32", ("N", 3))}
    compiled = lg.compile(body, types, grad=("pred",))
    for other in (body, lg.gluon.L2Loss, lg.gluon.L2Loss(), compiled):
        assert assert_same(lg.gluon.L2Loss, other, PRED).lines
        assert assert_same(compiled, other, PRED).lines
    with pytest.raises(lg.InputError, match="compiled with grad"):
        assert_same(compiled, body, PRED, grad=["label"])
    fails(assert_same, body, lg.gluon.L2Loss(weight=2.0), PRED, says="body and L2Loss")


def test_tolerances_seeds_and_inputs():
    def nearly(pred, label):
        return mean_square(pred, label) * np.float32(1 + 3e-5)

    assert assert_same(lg.gluon.L2Loss, nearly, PRED).lines
    fails(assert_same, lg.gluon.L2Loss, nearly, PRED, ulp=4, says="loss")
    fails(assert_same, lg.gluon.L2Loss, nearly, PRED, rtol=1e-6, atol=0, grad=(), says="loss")
    seen = []

    def look(pred, label):
        seen.append(pred.copy())
        return mean_square(pred, label)

    for seed in (0, 0, 1):
        assert_same(lg.gluon.L2Loss, look, PRED, seed=seed, grad=())
    np.testing.assert_array_equal(seen[0], seen[1])
    assert not np.array_equal(seen[0], seen[2])
    arrays = {"pred": [[1.0, 2.0]], "label": np.zeros((1, 2))}
    assert assert_same(lg.gluon.L2Loss, mean_square, arrays).lines


def test_what_is_wrong_use():
    with pytest.raises(lg.InputError, match="which inputs"):
        check(lambda F, x: x)
    with pytest.raises(lg.InputError, match="there is no input 'y'"):
        gradcheck(lambda F, x: x, X, ["y"])
    with pytest.raises(lg.InputError, match="expected one of"):
        assert_same(lg.gluon.L2Loss, mean_square, framework="keras")
    with pytest.raises(lg.InputError, match="not a compiled one"):
        gradcheck(lg.compile(lambda F, x: x, X), X)


def test_importing_it_needs_neither_pytest_nor_anything_else():
    code = (
        "import sys, lossgraph; assert 'lossgraph.testing' not in sys.modules;"
        "lossgraph.testing.check; assert not {'pytest', 'torch', 'jax'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


# --- frameworks ---


def test_functions_of_torch():
    torch = pytest.importorskip("torch")
    assert_same(lg.nn.CrossEntropyLoss, torch.nn.functional.cross_entropy)
    assert_same(lg.nn.HuberLoss(delta=0.5), torch.nn.HuberLoss(delta=0.5))
    inputs = {"input": ("float16", ("N", 5)), "target": ("int64", ("N",))}
    assert_same(lg.nn.CrossEntropyLoss, torch.nn.CrossEntropyLoss(), inputs)

    def naive(pred, label):
        return -torch.softmax(pred, -1)[torch.arange(len(pred)), label].log()

    assert_same(lg.gluon.SoftmaxCELoss, naive)
    large = {"pred": np.array([[200, 0], [0, 0]], np.float32), "label": np.array([1, 0])}
    message = fails(
        assert_same, lg.gluon.SoftmaxCELoss, naive, large,
        says=["SoftmaxCrossEntropyLoss and naive (torch) differ", "loss[0] is 200 instead of inf"],
    )  # fmt: skip
    assert "grad_pred[0, 0] is 1 instead of nan" in message


def test_functions_of_jax():
    jax = pytest.importorskip("jax")
    optax = pytest.importorskip("optax")
    assert_same(lg.optax.log_cosh, optax.losses.log_cosh, dtype="float64")

    def squared(pred, label):
        return jax.numpy.square(pred - label).mean(1) / 2

    assert_same(lg.gluon.L2Loss, squared)
    assert_same(lg.gluon.L2Loss, lambda a, b: ((a - b) ** 2).mean(1) / 2, framework="jax")


def test_a_function_of_two_frameworks_has_to_say_which():
    jax, torch = pytest.importorskip("jax"), pytest.importorskip("torch")

    def both(pred, label):
        return jax.numpy.square(torch.zeros(1))

    with pytest.raises(lg.InputError, match="say framework="):
        assert_same(lg.gluon.L2Loss, both)
