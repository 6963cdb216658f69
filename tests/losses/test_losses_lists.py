"""Losses of lists, of preferences and of softened distributions."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, log_softmax, logsumexp, rel_entr, softmax
from scipy.stats import rankdata

from loss_cases import Case, laws
from lossgraph import losses
from lossgraph.errors import GradientError, InputError
from support import assert_close

RNG = np.random.default_rng(4)
N, L = 5, 6
SCORE = RNG.normal(size=(N, L))
GRADE = RNG.integers(0, 4, (N, L)).astype(float)
MASK = np.arange(L) < np.array([[6], [4], [1], [0], [5]])
LOGP = -RNG.exponential(1.0, (4, N))


# --- oracles: item after item, on the items that are there ---


def by_list(formula):
    def oracle(score, relevance, mask=None, **options):
        there = np.ones_like(score, bool) if mask is None else mask != 0
        rows = [(s[m], y[m]) for s, y, m in zip(score, relevance, there, strict=True)]
        return np.array([formula(s, y, **options) for s, y in rows])

    return oracle


@by_list
def rank_net(s, y, sigma=1.0):
    pairs = itertools.product(range(len(s)), repeat=2)
    return sum(np.log1p(np.exp(-sigma * (s[i] - s[j]))) for i, j in pairs if y[i] > y[j])


@by_list
def list_net(s, y):
    return -(softmax(y) * log_softmax(s)).sum() if len(s) else 0.0


@by_list
def list_mle(s, y):
    ordered = s[np.argsort(-y, kind="stable")]
    return sum(logsumexp(ordered[i:]) - ordered[i] for i in range(len(s)))


@by_list
def approx_ndcg(s, y, alpha=10.0):
    ranks = 0.5 + np.array([expit(alpha * (s - own)).sum() for own in s])
    ideal = rankdata(-y, method="ordinal")
    found, best = (((2**y - 1) / np.log2(1 + r)).sum() for r in (ranks, ideal))
    return 1 - found / best if best > 0 else 0.0


def dpo(policy_chosen, policy_rejected, reference_chosen, reference_rejected,
        beta=0.1, label_smoothing=0.0):  # fmt: skip
    h = beta * (policy_chosen - reference_chosen - policy_rejected + reference_rejected)
    return -(1 - label_smoothing) * np.log(expit(h)) - label_smoothing * np.log(expit(-h))


def ipo(policy_chosen, policy_rejected, reference_chosen, reference_rejected, beta=0.1):
    h = policy_chosen - reference_chosen - policy_rejected + reference_rejected
    return (h - 1 / (2 * beta)) ** 2


def orpo(chosen, rejected, weight=0.1):
    odds = [np.exp(x) / (1 - np.exp(x)) for x in (chosen, rejected)]
    return -chosen - weight * np.log(expit(np.log(odds[0]) - np.log(odds[1])))


def distillation(student, teacher, temperature=2.0):
    p, q = softmax(teacher / temperature, -1), softmax(student / temperature, -1)
    return rel_entr(p, q).sum(-1) * temperature**2


LISTS = {"score": SCORE, "relevance": GRADE}
MASKED = {**LISTS, "mask": MASK}
ANSWERS = dict(zip(
    ("policy_chosen", "policy_rejected", "reference_chosen", "reference_rejected"), LOGP,
    strict=True,
))  # fmt: skip
BOTH = ("score", "relevance")
CASES = [
    Case("rank_net", losses.rank_net, LISTS, rank_net, {"sigma": 2.0}, ("score",), ("sigma",)),
    Case("rank_net masked", losses.rank_net, MASKED, rank_net, wrt=("score",)),
    Case("list_net", losses.list_net, LISTS, list_net),
    Case("list_net masked", losses.list_net, MASKED, list_net),
    Case("list_mle", losses.list_mle, LISTS, list_mle, wrt=("score",)),
    Case("list_mle masked", losses.list_mle, MASKED, list_mle, wrt=("score",)),
    Case("approx_ndcg", losses.approx_ndcg, {**LISTS, "relevance": RNG.uniform(0, 3, (N, L))},
         approx_ndcg, {"alpha": 3.0}, scalars=("alpha",)),
    Case("approx_ndcg masked", losses.approx_ndcg, MASKED, approx_ndcg, wrt=("score",)),
    Case("dpo", losses.dpo, ANSWERS, dpo, {"beta": 0.7, "label_smoothing": 0.1},
         scalars=("beta", "label_smoothing")),
    Case("dpo plain", losses.dpo, ANSWERS, dpo),
    Case("ipo", losses.ipo, ANSWERS, ipo, {"beta": 0.2}, scalars=("beta",)),
    Case("orpo", losses.orpo, {"chosen": LOGP[0], "rejected": LOGP[1]}, orpo, {"weight": 0.4},
         scalars=("weight",)),
    Case("distillation", losses.distillation, {"student": SCORE, "teacher": GRADE}, distillation,
         {"temperature": 3.0}, scalars=("temperature",)),
    Case("distillation of one", losses.distillation, {"student": SCORE[0], "teacher": GRADE[0]},
         lambda **given: np.asarray(distillation(**given))),
    Case("z_loss", losses.z_loss, {"logits": SCORE}, lambda logits: logsumexp(logits, -1) ** 2),
]  # fmt: skip


@laws(CASES)
def test_laws(case, law):
    law(case)


@pytest.mark.parametrize("case", CASES, ids=str)
def test_no_sample(case):
    if case.name.endswith("of one"):
        pytest.skip("without a batch")
    arrays = {k: v[:0] for k, v in case.arrays.items()}
    value, grads = case.loss.value_and_grad(**arrays, **case.options)
    assert value.shape == (0,)
    assert all(grad.size == 0 for grad in grads.values())


LISTWISE = ("rank_net", "list_net", "list_mle", "approx_ndcg")


@pytest.mark.parametrize("name", LISTWISE)
def test_what_stands_where_there_is_no_item_does_not_matter(name):
    loss = getattr(losses, name)
    score, grade = (np.where(MASK, x, np.nan) for x in (SCORE, GRADE))
    value, grads = loss.value_and_grad(score, grade, MASK)
    expected, exact = loss.value_and_grad(SCORE, GRADE, MASK.astype(np.int64))
    assert_close(value, expected)
    assert_close(grads["score"], exact["score"])
    assert (grads["score"][~MASK] == 0).all()
    assert value[3] == 0  # a list without items
    assert np.isfinite(grads["score"]).all()


@pytest.mark.parametrize("name", LISTWISE)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_scores_of_1e4(name, dtype):
    """The wrong order by 1e4 costs 1e4 (a gain: all of it), the right order nothing."""
    score = np.array([[0.0, 1e4, -1e4], [1e4, 0.0, -1e4]], dtype)
    grade = np.array([[2, 1, 0], [2, 1, 0]])
    value, grads = getattr(losses, name).value_and_grad(score, grade)
    p = softmax([2, 1, 0])
    dcg = [np.dot([3, 1], 1 / np.log2(1 + np.array(ranks))) for ranks in ([2, 1], [1, 2])]
    expected = {
        "rank_net": [1e4, 0],
        "list_net": [1e4 * p[0] + 2e4 * p[2], 1e4 * p[1] + 2e4 * p[2]],
        "list_mle": [1e4, 0],
        "approx_ndcg": [1 - dcg[0] / dcg[1], 0],
    }[name]
    assert_close(value, np.array(expected), tolerance=(1e-6, 1e-6))
    slopes = {
        "rank_net": [[-1, 1, 0], [0, 0, 0]],
        "list_net": [[-p[0], 1 - p[1], -p[2]], [1 - p[0], -p[1], -p[2]]],
        "list_mle": [[-1, 1, 0], [0, 0, 0]],
        "approx_ndcg": np.zeros((2, 3)),
    }[name]
    assert_close(grads["score"], np.array(slopes), tolerance=(1e-6, 1e-6))


@settings(max_examples=20, deadline=None)
@given(st.permutations(range(L)))
def test_the_order_of_the_items_does_not_matter(order):
    grade = np.arange(float(N * L)).reshape(N, L) / 9  # no two alike
    for name in LISTWISE:
        value, grads = getattr(losses, name).value_and_grad(SCORE, grade)
        moved, moved_grads = getattr(losses, name).value_and_grad(SCORE[:, order], grade[:, order])
        assert_close(moved, value)
        assert_close(moved_grads["score"], grads["score"][:, order])


def test_lists_by_hand():
    score, grade = np.array([[1.0, 0.0]]), np.array([[0, 1]])
    assert_close(losses.rank_net(score, grade), np.array([math.log1p(math.e)]))
    assert_close(losses.list_mle(score, grade), np.array([math.log1p(math.e)]))
    p = 1 / (1 + math.e)  # of the first by the grades, of the second by the scores
    entropy = p * -math.log(1 - p) + (1 - p) * -math.log(p)
    assert_close(losses.list_net(score, grade), np.array([entropy]))
    rank = 1 + 1 / (1 + math.exp(-10))
    assert_close(losses.approx_ndcg(score, grade), np.array([1 - 1 / math.log2(1 + rank)]))


def test_approximate_gains_become_the_true_ones():
    metrics = pytest.importorskip("sklearn.metrics")
    value = losses.approx_ndcg(SCORE, GRADE, alpha=1e4)
    expected = [1 - metrics.ndcg_score([2**y - 1], [s]) for s, y in zip(SCORE, GRADE, strict=True)]
    assert_close(value, np.array(expected), tolerance=(1e-6, 1e-6))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("masked", [False, True])
def test_gains_that_are_no_numbers(dtype, masked):
    """Gains of 2^1000 and 2^20000: only their ratios count."""
    score = np.array([[0.3, 0.1, 0.2, 0.0], [0.2, 0.5, 0.1, 0.3]], dtype)
    grade = np.array([[1000.0, 999.0, 0.0, 998.0], [19999.0, 20000.0, 0.0, 0.0]], dtype)
    small = np.array([[50.0, 49.0, 0.0, 48.0], [49.0, 50.0, 0.0, 0.0]])  # the same ratios: 2^-48
    mask = {"mask": np.array([[1, 1, 1, 1], [1, 1, 1, 0]], dtype)} if masked else {}
    loss = losses.approx_ndcg
    value, grads = loss.value_and_grad(score, grade, **mask, wrt=("score",))
    if not masked:
        assert_close(value, approx_ndcg(score.astype(float), small), tolerance=(5e-6, 1e-7))
    wide = {name: array.astype(float) for name, array in mask.items()}
    _, expected = loss.value_and_grad(score.astype(float), small, **wide, wrt=("score",))
    assert_close(grads["score"], expected["score"], tolerance=(2e-5, 1e-7))


def test_a_list_without_relevant_items_or_of_one():
    value, grads = losses.approx_ndcg.value_and_grad(SCORE, np.zeros((N, L)))
    np.testing.assert_array_equal(value, np.zeros(N))
    np.testing.assert_array_equal(grads["score"], np.zeros((N, L)))
    for name in LISTWISE:
        value, grads = getattr(losses, name).value_and_grad(SCORE[:, :1], GRADE[:, :1] + 1)
        assert_close(value, np.zeros(N))
        assert_close(grads["score"], np.zeros((N, 1)))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_preferences_of_1e4(dtype):
    far = np.array([-1e4, 0.0], dtype)
    zero = np.zeros(2, dtype)
    value, grads = losses.dpo.value_and_grad(far, far[::-1].copy(), zero, zero, beta=1.0)
    assert_close(value, np.array([1e4, 0], dtype))
    assert_close(grads["policy_chosen"], np.array([-1, 0], dtype))
    # one answer certain or hopeless, the other at one half
    half = np.full(2, -np.log(2), dtype)
    value, grads = losses.orpo.value_and_grad(far, half, weight=1.0, wrt=("chosen", "rejected"))
    assert_close(value, np.array([2e4, 0], dtype), tolerance=(1e-6, 1e-6))
    assert_close(grads["chosen"], np.array([-2, -2], dtype), tolerance=(1e-6, 1e-6))
    assert_close(grads["rejected"], np.array([2, 0], dtype), tolerance=(1e-6, 1e-6))
    value, grads = losses.orpo.value_and_grad(half, far, weight=1.0, wrt=("chosen", "rejected"))
    np.testing.assert_equal(value[1], np.inf)
    assert_close(value[0], half[0] * -1, tolerance=(1e-6, 1e-6))
    assert_close(grads["rejected"][0], np.zeros((), dtype))


def test_odds_meet_where_their_two_forms_do():
    """Two forms of the odds, on both sides of a probability of 1/e."""
    chosen = np.nextafter(-1.0, [0.0, -2.0]).tolist()
    chosen = np.array([chosen[0], -1.0, chosen[1]])
    rejected = np.full(3, -0.7)
    value, grads = losses.orpo.value_and_grad(chosen, rejected)
    assert_close(value, orpo(chosen, rejected))
    assert_close(grads["chosen"], np.full(3, grads["chosen"][0]), tolerance=(1e-10, 0))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_teachers_that_rule_classes_out(dtype):
    student = np.array([[0.0, 1e4, -1e4], [0.3, -np.inf, 0.1]], dtype)
    teacher = np.array([[0.0, 1.0, -np.inf], [0.2, -np.inf, 0.5]], dtype)
    value, grads = losses.distillation.value_and_grad(
        student, teacher, temperature=1.0, wrt=("student", "teacher")
    )
    p = softmax(teacher.astype("f8"), -1)
    entropy = -np.array([(row[row > 0] * np.log(row[row > 0])).sum() for row in p])
    expected = [1e4 * p[0, 0], -(p[1] * [0.3, 0, 0.1]).sum() + logsumexp([0.3, 0.1])]
    assert_close(value, expected - entropy, tolerance=(1e-6, 1e-6))
    assert_close(grads["student"], softmax(student.astype("f8"), -1) - p, tolerance=(1e-6, 1e-6))
    assert np.isfinite(grads["teacher"]).all()


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_partitions_of_1e4(dtype):
    value, grads = losses.z_loss.value_and_grad(np.array([[1e4, 0.0], [-1e4, -np.inf]], dtype))
    assert_close(value, np.array([1e8, 1e8], dtype))
    assert_close(grads["logits"], np.array([[2e4, 0], [-2e4, 0]], dtype))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: losses.rank_net(SCORE, GRADE[:, :2]), "relevance: expected shape"),
        (lambda: losses.list_mle(SCORE[0], GRADE[0]), "score: expected 2 axes"),
        (lambda: losses.list_net(SCORE, GRADE, MASK[0]), "mask: expected shape"),
        (lambda: losses.approx_ndcg(SCORE, GRADE, alpha=0), "alpha: expected a positive number"),
        (lambda: losses.ipo(*LOGP, beta=0), "beta: expected a positive number"),
        (lambda: losses.dpo(*LOGP[:3], LOGP[0][:2]), "reference_rejected: expected shape"),
        (lambda: losses.distillation(SCORE, GRADE, temperature=-1), "temperature: expected"),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(InputError, match=message):
        call()


def test_what_is_only_compared_has_no_gradient():
    for name, wrt in (("rank_net", "relevance"), ("list_mle", "relevance"), ("list_net", "mask")):
        with pytest.raises(GradientError, match=wrt):
            getattr(losses, name).value_and_grad(SCORE, GRADE, MASK.astype(float), wrt=(wrt,))
