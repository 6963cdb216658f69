"""Measures of information: others' numbers, and the laws that make them what they are."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats
from scipy.spatial import distance
from sklearn import metrics

import lossgraph as lg
from ctc_oracle import log_softmax
from loss_cases import EdgeCase, check_edge_case, check_empty, laws, row
from lossgraph import losses, reference
from support import assert_close

RNG = np.random.default_rng(11)
X, Y = RNG.normal(size=(2, 4, 3)) * 2
P, Q = np.exp(log_softmax(X)), np.exp(log_softmax(Y))
TABLE = RNG.integers(1, 9, (2, 3, 4))  # Scikit-learn takes counts
JOINT = TABLE / TABLE.sum((1, 2), keepdims=True)
BITS = {"base": 2.0}
LOGITS = {"from_logits": True}


def shares(logits, axis=-1):
    return np.moveaxis(np.exp(log_softmax(np.moveaxis(logits, axis, -1))), -1, axis)


def as_shares(function):
    """Of logits what the function is of distributions."""

    def apply(from_logits=False, **arrays):
        made = {n: shares(a) if from_logits and n in "pq" else a for n, a in arrays.items()}
        return function(**made)

    return apply


@as_shares
def entropy(p, base=np.e, axis=-1):
    return stats.entropy(p, base=float(np.squeeze(base)), axis=axis)


@as_shares
def cross_entropy(p, q, base=np.e, axis=-1):
    return entropy(p=p, base=base, axis=axis) + relative(p=p, q=q, base=base, axis=axis)


@as_shares
def relative(p, q, base=np.e, axis=-1):
    return stats.entropy(p, q, base=float(np.squeeze(base)), axis=axis)


@as_shares
def jensen_shannon(p, q, base=np.e, axis=-1):
    return distance.jensenshannon(p, q, base=float(np.squeeze(base)), axis=axis) ** 2


def mutual_information(joint, from_logits=False, base=np.e):
    assert_close(np.exp(joint) if from_logits else joint, TABLE if from_logits else JOINT)
    found = [metrics.mutual_info_score(None, None, contingency=table) for table in TABLE]
    return np.array(found) / np.log(np.squeeze(base))


ROWS = []
for name, of, arrays, logits in (
    ("entropy", entropy, {"p": P}, {"p": X}),
    ("cross_entropy", cross_entropy, {"p": P, "q": Q}, {"p": X, "q": Y}),
    ("relative_entropy", relative, {"p": P, "q": Q}, {"p": X, "q": Y}),
    ("jensen_shannon", jensen_shannon, {"p": P, "q": Q}, {"p": X, "q": Y}),
    ("mutual_information", mutual_information, {"joint": JOINT}, {"joint": np.log(TABLE)}),
):
    ROWS += [
        row(name, arrays, of),
        row(name, arrays, of, BITS),
        row(name, logits, of, LOGITS),
        row(name, {**logits, "base": np.array([10.0])}, of, LOGITS, note="base-array"),
    ]
ROWS.append(row("entropy", {"p": P.T}, entropy, {"axis": 0}))
ROWS.append(row("relative_entropy", {"p": P.T, "q": Q.T}, relative, {"axis": 0}))


# Differences leave the simplex, where SciPy's measures normalize: the body does not.
@laws(ROWS)
def test_others_agree(case, law):
    law(case)


INF = np.inf
CERTAIN = np.array([[1.0, 0.0]])
OTHER = np.array([[0.0, 1.0]])
FAR = np.array([[1e4, -1e4], [0.0, -INF]])
LAW = np.log(2)
EXTREMES = [
    EdgeCase("entropy", {"p": CERTAIN}, [0.0], {"p": [[-1.0, INF]]}, note="certain"),
    EdgeCase("entropy", {"p": FAR}, [0.0, 0.0], {"p": np.zeros((2, 2))}, LOGITS, "far"),
    EdgeCase("cross_entropy", {"p": CERTAIN, "q": CERTAIN}, [0.0], {"q": [[-1.0, 0.0]]},
            note="certain"),
    EdgeCase("cross_entropy", {"p": CERTAIN, "q": OTHER}, [INF], {}, note="ruled-out"),
    EdgeCase("cross_entropy", {"p": FAR, "q": FAR}, [0.0, 0.0],
            {"p": np.zeros((2, 2)), "q": np.zeros((2, 2))}, LOGITS, "same"),
    EdgeCase("cross_entropy", {"p": FAR[:1], "q": FAR[:1, ::-1]}, [2e4], {"q": [[-1.0, 1.0]]},
            LOGITS, "far"),
    EdgeCase("relative_entropy", {"p": CERTAIN, "q": np.array([[0.5, 0.5]])}, [LAW],
            {"q": [[-2.0, 0.0]]}, note="certain"),
    EdgeCase("relative_entropy", {"p": FAR, "q": FAR}, [0.0, 0.0],
            {"p": np.zeros((2, 2)), "q": np.zeros((2, 2))}, LOGITS, "far"),
    EdgeCase("jensen_shannon", {"p": CERTAIN, "q": OTHER}, [LAW], {}, note="apart"),
    EdgeCase("jensen_shannon", {"p": CERTAIN, "q": OTHER}, [1.0], {}, BITS, "apart-in-bits"),
    EdgeCase("jensen_shannon", {"p": CERTAIN, "q": CERTAIN}, [0.0], {}, note="same"),
    EdgeCase("jensen_shannon", {"p": FAR, "q": FAR}, [0.0, 0.0],
            {"p": np.zeros((2, 2)), "q": np.zeros((2, 2))}, LOGITS, "far"),
    EdgeCase("mutual_information", {"joint": np.eye(4)[None] / 4}, [2.0], {}, BITS, "copies"),
    EdgeCase("mutual_information", {"joint": np.array([[[0.0, 0], [-INF, -INF]]])}, [0.0],
            {"joint": np.zeros((1, 2, 2))}, LOGITS, "a-row-that-never-is"),
]  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", EXTREMES, ids=str)
def test_edge_cases(case, dtype):
    check_edge_case(case, dtype)


def test_an_empty_batch():
    for loss in ("cross_entropy", "relative_entropy", "jensen_shannon"):
        check_empty(loss, p=("float", (0, 3)), q=("float", (0, 3)))
    check_empty("entropy", p=("float", (0, 3)))
    check_empty("mutual_information", joint=("float", (0, 3, 2)))


@pytest.mark.parametrize("base", [0.0, 1.0, -2.0, np.nan, INF])
def test_what_is_no_base(base):
    with pytest.raises(lg.InputError, match="base: expected a positive number other than 1"):
        losses.entropy(P, base=base)


# --- laws, on the numpy F: that graphs agree with it is tested above ---

laws = settings(max_examples=60, deadline=None, derandomize=True)
weights = st.floats(0, 1, allow_subnormal=False).map(lambda w: 0.0 if w < 1e-6 else w)
ROUNDING = 1e-12


@st.composite
def distributions(draw, count, size=4):
    """Distributions of one size, probabilities of 0 among them."""
    raw = draw(hnp.arrays(float, (count, size), elements=weights))
    raw[:, 0] += raw.sum(1) == 0
    return raw / raw.sum(1, keepdims=True)


def measure(name, *arrays, **options):
    return getattr(losses, name)(*(reference.Array(a) for a in arrays), **options).asnumpy()


@laws
@given(distributions(2), st.floats(0, 1))
def test_entropy_is_concave_and_within_its_bounds(pair, share):
    mixed = share * pair[:1] + (1 - share) * pair[1:]
    first, second = measure("entropy", pair)
    assert measure("entropy", mixed)[0] >= share * first + (1 - share) * second - ROUNDING
    assert -ROUNDING <= first <= np.log(4) + ROUNDING


@laws
@given(distributions(1, 3), distributions(1, 4))
def test_what_is_independent_adds_up(p, q):
    joint = p[:, :, None] * q[:, None, :]
    together = measure("entropy", joint.reshape(1, -1))
    assert_close(together, measure("entropy", p) + measure("entropy", q))
    assert_close(measure("mutual_information", joint), [0.0])
    apart = measure("relative_entropy", joint.reshape(1, -1), np.full((1, 12), 1 / 12))
    uniform = [np.full((1, n), 1 / n) for n in (3, 4)]
    parts = [measure("relative_entropy", x, u) for x, u in zip((p, q), uniform, strict=True)]
    assert_close(apart, sum(parts))


@laws
@given(distributions(2))
def test_divergences_are_not_negative(pair):
    p, q = pair[:1], pair[1:]
    assert measure("relative_entropy", p, q)[0] >= -ROUNDING
    assert_close(measure("relative_entropy", p, p), [0.0])
    symmetric = measure("jensen_shannon", p, q)
    assert -ROUNDING <= symmetric[0] <= np.log(2) + ROUNDING
    assert_close(symmetric, measure("jensen_shannon", q, p))
    assert_close(measure("jensen_shannon", p, p), [0.0])


@laws
@given(distributions(3))
def test_the_root_of_jensen_shannon_is_a_distance(three):
    p, q, r = (three[i : i + 1] for i in range(3))
    apart = [
        np.sqrt(np.maximum(measure("jensen_shannon", *pair), 0))
        for pair in ((p, q), (q, r), (p, r))
    ]
    assert apart[2] <= apart[0] + apart[1] + 1e-6  # the root of rounding


@laws
@given(distributions(1, 12))
def test_mutual_information_is_what_both_say_less_what_they_say_together(p):
    joint = p.reshape(1, 3, 4)
    both = [measure("entropy", joint.sum(axis)) for axis in (2, 1)]
    found = measure("mutual_information", joint)
    assert_close(found, sum(both) - measure("entropy", p))
    assert found[0] >= -ROUNDING
    assert found[0] <= min(each[0] for each in both) + ROUNDING


@laws
@given(distributions(1), st.floats(1.1, 20))
def test_a_base_is_a_unit(p, base):
    assert_close(measure("entropy", p, base=base) * np.log(base), measure("entropy", p))


def test_single_distributions_have_values_without_axes():
    """Where a batch has one value a row, a row alone has a value of shape ()."""
    p, q = np.array([0.5, 0.5], "f"), np.array([0.25, 0.75], "f")
    for loss, arrays in (
        (losses.entropy, (p,)),
        (losses.cross_entropy, (p, q)),
        (losses.relative_entropy, (p, q)),
        (losses.jensen_shannon, (p, q)),
        (losses.mutual_information, (np.full((2, 2), 0.25, "f"),)),
        (losses.distillation, (p, q)),
        (losses.z_loss, (p,)),
    ):
        alone = loss(*arrays)
        assert alone.shape == ()
        assert alone == loss(*(x[None] for x in arrays))[0]


def test_certainty_is_no_negative_zero():
    for sure in (np.array([[1.0, 0.0]]), np.array([0.0, 1.0], "f")):
        for value in (losses.entropy(sure), losses.cross_entropy(sure, sure)):
            assert np.all(value == 0)
            assert not np.signbit(value).any()
    _, grads = losses.entropy.value_and_grad(np.array([1.0]))
    assert grads["p"].tolist() == [-1.0]
