"""Negative log-likelihoods, scores of distributions, survival."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.integrate
import scipy.special
from scipy import stats
from sklearn import metrics

import lossgraph as lg
from loss_cases import EdgeCase, check_edge_case, check_empty, laws, row
from lossgraph import losses
from support import assert_close

RNG = np.random.default_rng(9)


def positive(low=0.3, high=3.0, shape=(4, 3)):
    return RNG.uniform(low, high, shape)


MEAN, TARGET = RNG.normal(size=(4, 3)), RNG.normal(size=(4, 3)) * 2
COUNTS = RNG.poisson(4, (4, 3)).astype(float)
COUNTS[0, 0] = 0
EVENTS = RNG.integers(0, 2, (4, 3)).astype(float)


def negative_binomial(mean, total_count, target):
    return -stats.nbinom.logpmf(target, total_count, total_count / (total_count + mean))


def deviance(mean, target, power=1.5):
    """Scikit-learn's, of single elements."""
    mean, target, power = np.broadcast_arrays(mean, target, power)
    rows = zip(target.ravel(), mean.ravel(), power.ravel(), strict=True)
    found = [metrics.mean_tweedie_deviance([y], [m], power=float(p)) for y, m, p in rows]
    return np.reshape(found, mean.shape)


def weibull(shape, scale, time, event):
    seen = stats.weibull_min.logpdf(time, shape, scale=scale)
    return -np.where(event == 1, seen, stats.weibull_min.logsf(time, shape, scale=scale))


def crps(mean, scale, target):
    """The integral that defines the score."""

    def one(m, s, y):
        below = scipy.integrate.quad(lambda x: stats.norm.cdf(x, m, s) ** 2, m - 12 * s, y)
        above = scipy.integrate.quad(lambda x: stats.norm.sf(x, m, s) ** 2, y, m + 12 * s)
        return below[0] + above[0]

    return np.vectorize(one)(mean, scale, target)


def divergence(mean, log_variance):
    """The integral of p log(p/q)."""

    def one(m, s):
        p = stats.norm(m, np.exp(s / 2))
        return scipy.integrate.quad(
            lambda x: p.pdf(x) * (p.logpdf(x) - stats.norm.logpdf(x)), *p.interval(1 - 1e-15),
            epsabs=1e-13,
        )[0]  # fmt: skip

    return np.vectorize(one)(mean, log_variance)


NORMAL = {"mean": MEAN, "target": TARGET}
GAMMAS = {"concentration": positive(), "rate": positive(), "target": positive()}
SURVIVAL = {"shape": positive(), "scale": positive(), "time": positive(), "event": EVENTS}
COUNTED = {"mean": positive(1, 8), "total_count": positive(0.3, 9), "target": COUNTS}
MEANS = {"mean": positive(), "target": positive()}
ROWS = [
    row("gaussian_nll", {**NORMAL, "variance": positive()}, lambda mean, variance, target:
        -stats.norm.logpdf(target, mean, np.sqrt(variance))),
    row("gaussian_nll", {"mean": np.zeros(3), "variance": np.array([0.5]), "target": TARGET},
        lambda mean, variance, target: -stats.norm.logpdf(target, mean, np.sqrt(variance)),
        note="broadcast"),
    row("gaussian_nll_by_log_variance", {**NORMAL, "log_variance": RNG.normal(size=(4, 3))},
        lambda mean, log_variance, target:
        -stats.norm.logpdf(target, mean, np.exp(log_variance / 2))),
    row("laplace_nll", {"location": MEAN, "scale": positive(), "target": TARGET},
        lambda location, scale, target: -stats.laplace.logpdf(target, location, scale)),
    *(row("student_t_nll", {"location": MEAN, "scale": positive(), "degrees": degrees,
          "target": TARGET}, lambda location, scale, degrees, target:
          -stats.t.logpdf(target, degrees, location, scale), note=note)
      for note, degrees in (("few", positive(0.2, 9)), ("many", positive(30, 90)))),
    row("negative_binomial_nll", COUNTED, negative_binomial),
    row("negative_binomial_nll", {**COUNTED, "total_count": positive(25, 90)}, negative_binomial,
        note="many"),
    row("negative_binomial_nll", {**COUNTED, "target": COUNTS + 30}, negative_binomial,
        note="large-counts"),
    row("gamma_nll", GAMMAS, lambda concentration, rate, target:
        -stats.gamma.logpdf(target, concentration, scale=1 / rate)),
    row("gamma_nll", {**GAMMAS, "concentration": positive(21, 60), "target": positive(9, 40)},
        lambda concentration, rate, target:
        -stats.gamma.logpdf(target, concentration, scale=1 / rate), note="many"),
    *(row("tweedie_deviance", MEANS, deviance, {"power": power})
      for power in (0.0, 1.0, 1.3, 1.5, 2.0, 2.5, 3.0, -1.0)),
    row("tweedie_deviance", {"mean": MEAN, "target": TARGET}, deviance, {"power": 0.0},
        note="real"),
    row("tweedie_deviance", {**MEANS, "target": np.zeros((4, 3))}, deviance, fixed=("target",),
        note="nothing"),
    row("tweedie_deviance", {**MEANS, "power": np.array([1.2, 1.7, 2.4])}, deviance, note="array"),
    row("tweedie_deviance", {**MEANS, "power": np.array([0.0, 1.0, 2.0])}, deviance,
        fixed=("power",), note="limits"),
    row("weibull_survival_nll", SURVIVAL, weibull),
    row("gaussian_crps", {**NORMAL, "scale": positive()}, crps),
    row("kl_to_standard_normal", {"mean": MEAN, "log_variance": RNG.normal(size=(4, 3))},
        divergence),
]  # fmt: skip


@laws(ROWS)
def test_others_agree(case, law):
    law(case)


def test_torch_agrees_with_gradients():
    torch = pytest.importorskip("torch")
    d = torch.distributions
    made = [
        ("student_t_nll", ("degrees", "location", "scale"), d.StudentT,
         {"degrees": positive(), "location": MEAN, "scale": positive()}, TARGET),
        ("gamma_nll", ("concentration", "rate"), d.Gamma,
         {"concentration": positive(), "rate": positive()}, positive()),
        ("laplace_nll", ("location", "scale"), d.Laplace,
         {"location": MEAN, "scale": positive()}, TARGET),
    ]  # fmt: skip
    for name, order, kind, parameters, target in made:
        leaves = {n: torch.tensor(array, requires_grad=True) for n, array in parameters.items()}
        expected = -kind(*(leaves[n] for n in order)).log_prob(torch.tensor(target))
        expected.sum().backward()
        loss = getattr(losses, name)
        value, grads = loss.value_and_grad(**parameters, target=target, wrt=tuple(parameters))
        assert_close(value, expected.detach().numpy(), tolerance=(1e-9, 1e-10))
        for n, leaf in leaves.items():
            assert_close(grads[n], leaf.grad.numpy(), tolerance=(1e-8, 1e-9))


# --- edge cases ---

LOG = 0.5 * np.log(2 * np.pi)
ROOT = 1 / np.sqrt(np.pi)


def at(*values):
    return np.array(values)


EXTREMES = [
    EdgeCase("gaussian_nll", {"mean": at(0.0, 0.0), "variance": at(1e-20, 1e20), "target":
            at(0.0, 1e4)}, [LOG - 10 * np.log(10), LOG + 10 * np.log(10) + 5e-13],
            {"mean": [0.0, -1e-16]}, note="scales"),
    EdgeCase("gaussian_nll_by_log_variance", {"mean": at(0.0, 0.0), "log_variance": at(-1e4, 1e4),
            "target": at(0.0, 1e4)}, [LOG - 5e3, LOG + 5e3],
            {"mean": [0.0, 0.0], "log_variance": [0.5, 0.5]}, note="far"),
    EdgeCase("laplace_nll", {"location": at(0.0, 0.0), "scale": at(1.0, 1e-4), "target":
            at(0.0, 1e4)}, [np.log(2), 1e8 + np.log(2e-4)], {"location": [0.0, -1e4]},
            note="kink"),
    EdgeCase("student_t_nll", {"location": at(0.0, 0.0), "scale": at(1.0, 1.0), "degrees":
            at(1e12, 1e30), "target": at(1.0, 2.0)}, [LOG + 0.5, LOG + 2],
            {"location": [-1.0, -2.0], "degrees": [0.0, 0.0]}, note="normal"),
    EdgeCase("student_t_nll", {"location": at(0.0), "scale": at(1.0), "degrees": at(1.0),
            "target": at(1e12)}, [np.log(np.pi) + 24 * np.log(10)], {"location": [-2e-12]},
            note="Cauchy-tail"),
    EdgeCase("negative_binomial_nll", {"mean": at(3.0, 0.0, 3.0), "total_count": at(1e15, 2.0,
            1e15), "target": at(2.0, 0.0, 0.0)}, [3 - 2 * np.log(3) + np.log(2), 0.0, 3.0],
            {"mean": [1 / 3, 1.0, 1.0]}, note="Poisson"),
    EdgeCase("gamma_nll", {"concentration": at(1e12, 1.0), "rate": at(1e12, 2.0), "target":
            at(1.0, 0.0)}, [LOG - np.log(1e12) / 2, -np.log(2)], {"rate": [0.0, -0.5]},
            note="narrow"),
    EdgeCase("tweedie_deviance", {"mean": at(2.0, 1.0), "target": at(0.0, 1.0)},
            [4 * np.sqrt(2.0), 0.0], {"mean": [np.sqrt(2), 0.0]}, note="nothing"),
    EdgeCase("tweedie_deviance", {"mean": at(2.0, 1.0), "target": at(0.0, 1.0)}, [4.0, 0.0],
            {"mean": [2.0, 0.0]}, {"power": 1.0}, note="Poisson"),
    EdgeCase("weibull_survival_nll", {"shape": at(2.0, 0.5), "scale": at(1.0, 1.0), "time":
            at(0.0, 0.0), "event": at(0.0, 0.0)}, [0.0, 0.0],
            {"shape": [0.0, 0.0], "scale": [0.0, 0.0]}, note="start"),
    EdgeCase("weibull_survival_nll", {"shape": at(1.0), "scale": at(2.0), "time": at(0.0),
            "event": at(1.0)}, [np.log(2)], {"scale": [0.5]}, note="event-at-start"),
    EdgeCase("gaussian_crps", {"mean": at(0.0, 0.0, 0.0), "scale": at(0.0, 0.0, 1.0), "target":
            at(3.0, 0.0, 1e4)}, [3.0, 0.0, 1e4 - ROOT], {"mean": [-1.0, 0.0, -1.0],
            "scale": [-ROOT, np.sqrt(2) * ROOT - ROOT, -ROOT], "target": [1.0, 0.0, 1.0]},
            note="sure"),
    EdgeCase("kl_to_standard_normal", {"mean": at(0.0, 1e4), "log_variance": at(0.0, -1e4)},
            [0.0, 5e7 + 5e3 - 0.5], {"mean": [0.0, 1e4], "log_variance": [0.0, -0.5]},
            note="far"),
]  # fmt: skip


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("case", EXTREMES, ids=str)
def test_edge_cases(case, dtype):
    check_edge_case(case, dtype)


def test_digits_of_single_precision_where_large_terms_cancel():
    """Parameters of 1e5, where log Gamma is 1e6 and a unit in its last place is 0.1."""
    narrow = [np.array([x], np.float32) for x in (1e5, 1e5, 1.002)]
    wide = [x.astype(float) for x in narrow]
    assert_close(losses.gamma_nll(*narrow), -stats.gamma.logpdf(wide[2], wide[0], scale=1e-5),
                 tolerance=(0, 2e-3))  # fmt: skip
    few, many = np.array([7.0], np.float32), np.array([1e5], np.float32)
    value = losses.negative_binomial_nll(few, many, few)
    assert_close(value, negative_binomial(7.0, 1e5, np.array([7.0])), tolerance=(1e-5, 0))
    value = losses.student_t_nll(few, few, many, few * 2)
    assert_close(value, -stats.t.logpdf([14.0], 1e5, 7, 7), tolerance=(1e-5, 0))


def exact_negative_binomial(mp, mean, r, k):
    hits = k * mp.log((r + mean) / mean) if k else 0
    value = mp.loggamma(r) - mp.loggamma(k + r) + mp.loggamma(k + 1) + r * mp.log1p(mean / r) + hits
    by_mean = (r + k) / (r + mean) - (k / mean if k else 0)
    by_count = mp.log1p(mean / r) - mp.digamma(k + r) + mp.digamma(r) + (k - mean) / (r + mean)
    by_target = mp.log((r + mean) / mean) - mp.digamma(k + r) + mp.digamma(k + 1)
    return value, by_mean, by_count, by_target


def exact_student_t(mp, location, scale, degrees, target):
    z, half = (target - location) / scale, degrees / 2
    value = (half + 0.5) * mp.log1p(z * z / degrees) + mp.log(scale * mp.sqrt(degrees * mp.pi))
    value += mp.loggamma(half) - mp.loggamma(half + 0.5)
    pull = (degrees + 1) * z / (degrees + z * z)
    spread = mp.log1p(z * z / degrees) - pull * z / degrees
    by_degrees = (spread - mp.digamma(half + 0.5) + mp.digamma(half) + 1 / degrees) / 2
    return value, -pull / scale, (1 - z * pull) / scale, by_degrees, pull / scale


def spread_out(low, high, count=60):
    return np.exp(RNG.uniform(np.log(low), np.log(high), count)).astype(np.float32)


# How far numbers may be off, relative to themselves: half of them, and all. The slope by a number
# of failures or of degrees is 0 somewhere, as is Student's loss.
DIGITS = {
    "negative_binomial_nll": ([1e-4] * 2 + [1.0], exact_negative_binomial, {
        "loss": (2e-7, 5e-6), "mean": (1e-7, 5e-7), "total_count": (5e-7, 5e-3),
        "target": (2e-7, 1e-4)}),
    "student_t_nll": ([1e-3, 1e-4, 1e-4, 1e-3], exact_student_t, {
        "loss": (2e-7, 1e-4), "location": (1e-7, 5e-7), "scale": (1e-7, 1e-4),
        "degrees": (1e-6, 1e-3), "target": (1e-7, 5e-7)}),
}  # fmt: skip


@pytest.mark.parametrize("name", DIGITS)
def test_digits_of_single_precision_from_small_to_large_parameters(name):
    mp = pytest.importorskip("mpmath")
    lows, exact, allowed = DIGITS[name]
    arrays = [spread_out(low, 1e4) for low in lows]
    if name == "negative_binomial_nll":
        arrays[-1] = np.round(arrays[-1]) - 1
    wrt = tuple(allowed)[1:]
    value, grads = getattr(losses, name).value_and_grad(*arrays, wrt=wrt)
    with mp.workdps(50):
        rows = [exact(mp, *map(mp.mpf, map(float, row))) for row in zip(*arrays, strict=True)]
    for found, wanted, (half, all_) in zip(
        [value, *grads.values()], np.array(rows, np.float64).T, allowed.values(), strict=True
    ):
        off = np.abs(found - wanted) / np.abs(wanted)
        assert np.median(off) < half
        assert off.max() < all_


def test_counts_of_many_failures_keep_the_digits_of_the_slope():
    """Around its mean, where a Poisson distribution is near, the slope is about 1e-12."""
    mp = pytest.importorskip("mpmath")
    mean, r, k = (np.array([x], np.float32) for x in (3.0, 1e6, 2.0))
    _, grads = losses.negative_binomial_nll.value_and_grad(mean, r, k, wrt=("total_count",))
    with mp.workdps(60):
        slope = float(exact_negative_binomial(mp, mp.mpf(3), mp.mpf(10) ** 6, mp.mpf(2))[2])
    assert_close(grads["total_count"], np.array([slope]), tolerance=(1e-6, 0))


def test_a_power_without_a_distribution_is_refused():
    with pytest.raises(lg.InputError, match="power: expected a number that is not between 0 and 1"):
        losses.tweedie_deviance(**MEANS, power=0.5)


EMPTY = {case.loss.name: sorted(case.arrays) for case in ROWS}


@pytest.mark.parametrize(("loss", "names"), EMPTY.items())
def test_an_empty_batch(loss, names):
    check_empty(loss, **{name: ("float", (0, 3)) for name in names if name != "power"})


# --- survival by ranks ---

RISK = RNG.normal(size=7)
TIME = np.array([3.0, 1.0, 2.0, 2.0, 5.0, 2.0, 4.0])
SEEN = np.array([1.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0])


def cox(log_risk, time, event, ties="breslow"):
    """Event by event, in words of the papers."""
    total = np.zeros(len(time))
    for i in np.flatnonzero(event):
        at_risk = np.exp(log_risk[time >= time[i]]).sum()
        tied = np.flatnonzero((time == time[i]) & (event == 1))
        if ties == "efron":
            lost = list(tied).index(i) / len(tied)
            at_risk -= lost * np.exp(log_risk[tied]).sum()
        total[i] = np.log(at_risk) - log_risk[i]
    return total


COX = {"log_risk": RISK, "time": TIME, "event": SEEN}
COX_ROWS = [
    row("cox_partial_likelihood", COX, cox, {"ties": ties}, ("time", "event"))
    for ties in ("breslow", "efron")
]


@laws(COX_ROWS)
def test_cox(case, law):
    law(case)


@pytest.mark.parametrize("ties", ["breslow", "efron"])
def test_statsmodels_agrees_on_cox(ties):
    hazards = pytest.importorskip("statsmodels.duration.hazard_regression")
    model = hazards.PHReg(TIME, RISK[:, None], status=SEEN, ties=ties)
    value, grads = losses.cox_partial_likelihood.value_and_grad(**COX, ties=ties)
    assert_close(value.sum(), -model.loglike(np.array([1.0])), tolerance=(1e-10, 0))
    slope = -model.score(np.array([1.0]))[0]
    assert_close(np.sum(grads["log_risk"] * RISK), slope, tolerance=(1e-9, 1e-10))


def test_cox_at_its_ends():
    """Log-risks that overflow, one at risk alone, no events, ties of everything."""
    far = {"log_risk": np.array([1e4, -1e4, 0.0]), "time": np.array([1.0, 2.0, 3.0])}
    for ties in ("breslow", "efron"):
        value, grads = losses.cox_partial_likelihood.value_and_grad(
            **far, event=np.ones(3), ties=ties
        )
        assert_close(value, [0.0, 1e4, 0.0])
        assert_close(grads["log_risk"], [0.0, -1.0, 1.0])
        value, grads = losses.cox_partial_likelihood.value_and_grad(
            **far, event=np.zeros(3), ties=ties
        )
        assert_close(value, np.zeros(3))
        assert_close(grads["log_risk"], np.zeros(3))
    even = np.zeros(3)
    value = losses.cox_partial_likelihood(even, even, even + 1, ties="efron")
    assert_close(value, np.log([3.0, 2.0, 1.0]))
    value = losses.cox_partial_likelihood(*(np.zeros(0) for _ in range(3)))
    assert value.shape == (0,)
    with pytest.raises(lg.InputError, match="ties: expected 'breslow' or 'efron'"):
        losses.cox_partial_likelihood(**COX, ties="exact")


@pytest.mark.parametrize("ties", ["breslow", "efron"])
def test_cox_at_large_log_risks(ties):
    """Adding 1e4 to all log-risks changes nothing, in single precision either."""
    base = (RISK * 8).round() / 8  # exact also beside 1e4
    event = np.ones(7)
    expected = cox(base, TIME, event, ties)
    value, grads = losses.cox_partial_likelihood.value_and_grad(
        (base + 1e4).astype(np.float32), TIME.astype(np.float32), event, ties=ties,
        wrt=("log_risk",)
    )  # fmt: skip
    _, wide = losses.cox_partial_likelihood.value_and_grad(
        base, TIME, event, ties=ties, wrt=("log_risk",)
    )
    assert_close(value, expected, tolerance=(2e-6, 2e-7))
    assert_close(grads["log_risk"], wide["log_risk"], tolerance=(2e-6, 5e-7))


def test_a_gamma_far_from_its_mean():
    """Where ``rate * target`` is so far below the shape that 1+t keeps none of its digits."""
    concentration, rate, target = (np.float32(x) for x in ([1e4, 100], [1, 1], [1e-4, 0.01]))
    value, grads = losses.gamma_nll.value_and_grad(
        concentration, rate, target, wrt=("rate", "concentration")
    )
    wide = [x.astype(np.float64) for x in (concentration, rate, target)]
    assert_close(
        value, -stats.gamma.logpdf(wide[2], wide[0], scale=1 / wide[1]), tolerance=(1e-6, 0)
    )
    assert_close(grads["rate"], wide[2] - wide[0] / wide[1], tolerance=(1e-6, 0))
    slope = scipy.special.digamma(wide[0]) - np.log(wide[1]) - np.log(wide[2])
    assert_close(grads["concentration"], slope, tolerance=(1e-6, 0))
