"""Losses of vectors: metric learning, margins between classes, views without labels."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import log_softmax, logsumexp

from loss_cases import Case, laws
from lossgraph import losses, reference
from lossgraph.compare.checks import evaluate_model
from lossgraph.deploy.export import expected
from lossgraph.errors import GradientError, InputError
from support import assert_close, newest_opset

RNG = np.random.default_rng(3)
N, D, C = 6, 4, 5
X, Y, Z = (RNG.normal(size=shape) for shape in ((N, D), (N, D), (3, D)))
W = RNG.normal(size=(C, D))
LABEL = np.array([0, 1, 0, 2, 1, 0])  # the class 2 has one member
CLASS = np.array([4, 0, 2, 2, 1, 3])


def unit(x):
    return x / np.sqrt((x * x).sum(-1, keepdims=True))


def softplus(x):
    return np.logaddexp(0, x)


# --- oracles: loops over what the definitions say ---


def contrastive(x1, x2, label, margin=1.0):
    d = np.sqrt(((x1 - x2) ** 2).sum(1))
    return np.where(label == 0, d**2, np.maximum(0, margin - d) ** 2) / 2


def n_pair(anchor, positive):
    return np.array([
        np.log(1 + sum(np.exp(a @ positive[j] - a @ positive[i]) for j in range(N) if j != i))
        for i, a in enumerate(anchor)
    ])  # fmt: skip


def batch_hard(embedding, label, margin=0.2, soft=False):
    d = np.array([[np.linalg.norm(a - b) for b in embedding] for a in embedding])
    gap = np.array([
        max(d[i, label == label[i]]) - min(d[i, label != label[i]]) for i in range(len(d))
    ])  # fmt: skip
    return softplus(gap) if soft else np.maximum(0, margin + gap)


def circle(embedding, label, margin=0.25, scale=256.0):
    s, found = unit(embedding) @ unit(embedding).T, []
    for i in range(len(s)):
        of_p = [s[i, j] for j in range(len(s)) if j != i and label[j] == label[i]]
        of_n = [s[i, j] for j in range(len(s)) if label[j] != label[i]]
        p = sum(math.exp(-scale * max(0, 1 + margin - v) * (v - 1 + margin)) for v in of_p)
        n = sum(math.exp(scale * max(0, v + margin) * (v - margin)) for v in of_n)
        found.append(math.log1p(p * n))
    return np.array(found)


def arcface(embedding, weight, label, margin=0.5, scale=64.0):
    cosine = unit(embedding) @ unit(weight).T
    own = np.arange(len(label)), label
    cosine[own] = np.cos(np.arccos(cosine[own]) + margin)
    return -log_softmax(scale * cosine, axis=1)[own]


def cosface(embedding, weight, label, margin=0.35, scale=64.0):
    cosine = unit(embedding) @ unit(weight).T - margin * np.eye(len(weight))[label]
    return -log_softmax(scale * cosine, axis=1)[np.arange(len(label)), label]


def proxy_nca(embedding, proxy, label, normalize=True):
    x, p = (unit(embedding), unit(proxy)) if normalize else (embedding, proxy)
    e = np.exp(-((x[:, None] - p) ** 2).sum(2))
    own = e[np.arange(len(label)), label]
    return -np.log(own / (e.sum(1) - own))


def info_nce(query, key, negative=None, temperature=0.1, normalize=True):
    keys = key if negative is None else np.concatenate([key, negative])
    q, k = (unit(query), unit(keys)) if normalize else (query, keys)
    return -np.diag(log_softmax(q @ k.T / temperature, axis=1))


def supcon(embedding, label, temperature=0.1, normalize=True):
    z = unit(embedding) if normalize else embedding
    s, found = z @ z.T / temperature, []
    for i in range(len(z)):
        rest = [a for a in range(len(z)) if a != i]
        alike = [p for p in rest if label[p] == label[i]]
        total = logsumexp(s[i, rest])
        found.append(-sum(s[i, p] - total for p in alike) / max(1, len(alike)))
    return np.array(found)


def siglip(image, text, temperature=10.0, bias=-10.0, normalize=True):
    x, y = (unit(image), unit(text)) if normalize else (image, text)
    return softplus(-(2 * np.eye(len(x)) - 1) * (temperature * x @ y.T + bias)).sum(1)


def barlow_twins(x1, x2, redundancy=0.005):
    c = np.corrcoef(x1.T, x2.T)[: x1.shape[1], x1.shape[1] :]
    on = np.eye(len(c), dtype=bool)
    return ((1 - c[on]) ** 2).sum() + redundancy * (c[~on] ** 2).sum()


def vicreg(x1, x2, invariance=25.0, variance=25.0, covariance=1.0, target=1.0, epsilon=1e-4):
    total = invariance * ((x1 - x2) ** 2).sum(1).mean()
    for x in (x1, x2):
        c = np.cov(x.T)
        total += variance * np.maximum(0, target - np.sqrt(np.diag(c) + epsilon)).mean()
        total += covariance * (c[~np.eye(len(c), dtype=bool)] ** 2).sum() / len(c)
    return total


PAIRS = {"x1": X, "x2": 0.5 * X + 0.4 * Y}
LABELED = {"embedding": X, "label": LABEL}
CLASSES = {"embedding": X, "weight": W, "label": CLASS}
VIEWS = {"query": X, "key": Y}
CASES = [
    Case("contrastive", losses.contrastive, {**PAIRS, "label": np.array([0, 1, 1, 0, 1, 0.0])},
         contrastive, {"margin": 1.7}, ("x1", "x2"), ("margin",)),
    Case("n_pair", losses.n_pair, {"anchor": X, "positive": Y}, n_pair),
    Case("batch_hard", losses.batch_hard_triplet, LABELED, batch_hard, {"margin": 2.0},
         scalars=("margin",)),
    Case("batch_hard soft", losses.batch_hard_triplet, LABELED, batch_hard, {"soft": True}),
    Case("circle", losses.circle, LABELED, circle, {"scale": 16.0}, differences=False),
    Case("arcface", losses.arcface, CLASSES, arcface, {"margin": 0.5, "scale": 8.0},
         scalars=("margin", "scale")),
    Case("cosface", losses.cosface, CLASSES, cosface, {"margin": 0.35, "scale": 8.0},
         scalars=("margin", "scale")),
    Case("proxy_nca", losses.proxy_nca, {"embedding": X, "proxy": W, "label": CLASS}, proxy_nca),
    Case("proxy_nca plain", losses.proxy_nca, {"embedding": X, "proxy": W, "label": CLASS},
         proxy_nca, {"normalize": False}),
    Case("info_nce", losses.info_nce, VIEWS, info_nce, {"temperature": 0.2},
         scalars=("temperature",)),
    Case("info_nce negatives", losses.info_nce, {**VIEWS, "negative": Z}, info_nce,
         {"normalize": False, "temperature": 0.7}),
    Case("supcon", losses.supcon, LABELED, supcon, {"temperature": 0.3},
         scalars=("temperature",)),
    Case("supcon plain", losses.supcon, LABELED, supcon, {"normalize": False}),
    Case("siglip", losses.siglip, {"image": X, "text": Y}, siglip,
         {"temperature": 5.0, "bias": -2.0}, scalars=("temperature", "bias")),
    Case("siglip plain", losses.siglip, {"image": X, "text": Y}, siglip, {"normalize": False}),
    Case("barlow_twins", losses.barlow_twins, PAIRS, barlow_twins, {"redundancy": 0.1},
         scalars=("redundancy",)),
    Case("vicreg", losses.vicreg, PAIRS, vicreg,
         {"target": 1.5, "variance": 3.0, "covariance": 2.0, "invariance": 0.5, "epsilon": 1e-3},
         scalars=("target", "variance", "covariance", "invariance", "epsilon")),
]  # fmt: skip


@laws(CASES)
def test_laws(case, law):
    law(case)


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_same_vector_everywhere_has_a_finite_gradient(case, dtype):
    """All samples, views and classes at one point, then at the origin: every distance is 0."""
    for at in (np.ones(D), np.zeros(D)):
        arrays = {
            k: np.broadcast_to(at, v.shape).astype(dtype) if v.ndim == 2 else v
            for k, v in case.arrays.items()
        }
        value, grads = case.loss.value_and_grad(**arrays, **case.options, wrt=tuple(
            k for k, v in arrays.items() if v.ndim == 2))  # fmt: skip
        assert np.isfinite(value).all()
        for grad in grads.values():
            assert np.isfinite(grad).all()


@pytest.mark.parametrize("size", [1e4, 1e-15])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_long_and_short_vectors(case, size):
    """In float32: what is normalized does not change, the rest is finite."""
    arrays = {
        k: (v * size).astype("f4") if v.ndim == 2 else v for k, v in case.arrays.items()
    }  # fmt: skip
    wrt = tuple(k for k, v in arrays.items() if v.ndim == 2)
    value, grads = case.loss.value_and_grad(**arrays, **case.options, wrt=wrt)
    assert np.isfinite(value).all()
    assert all(np.isfinite(grad).all() for grad in grads.values())
    normalized = {"circle", "arcface", "cosface", "proxy_nca", "info_nce", "supcon", "siglip",
                  "barlow_twins"}  # fmt: skip
    if case.name in normalized:
        assert_close(value, case.loss(**case.arrays, **case.options), tolerance=(1e-4, 1e-5))


COUPLED = {"vicreg": (np.nan, np.nan), "barlow_twins": (np.nan, D)}


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("samples", [0, 1])
def test_no_sample_and_one(case, samples):
    if newest_opset() < 26 and (case.name, samples) == ("barlow_twins", 0):
        pytest.skip("this old ONNX Runtime has no maximum of nothing, by which columns are scaled")
    shared = ("weight", "proxy", "negative")
    arrays = {k: v if k in shared else v[:samples] for k, v in case.arrays.items()}
    wrt = tuple(k for k, v in arrays.items() if v.ndim == 2)
    value, grads = case.loss.value_and_grad(**arrays, **case.options, wrt=wrt)
    if case.name in COUPLED:
        wanted = COUPLED[case.name][samples]
        assert value.shape == ()
        if samples or case.name == "vicreg":
            np.testing.assert_equal(float(value), wanted)
        return
    assert value.shape == (samples,)
    assert np.isfinite(value).all()
    assert all(np.isfinite(grad).all() for grad in grads.values())
    alone = ("supcon", "circle", "batch_hard", "n_pair")
    if samples and case.name.startswith(alone) and "soft" not in case.name:
        np.testing.assert_array_equal(value, [0])
        np.testing.assert_array_equal(grads[wrt[0]], np.zeros((1, D)))


def test_the_farthest_of_no_samples():
    """Numpy refuses a maximum of nothing, also where it is to have no elements."""
    arrays = {"embedding": np.zeros((0, 3)), "label": np.zeros(0, np.int64)}
    loss = losses.batch_hard_triplet
    wrapped = {name: reference.Array(array) for name, array in arrays.items()}
    assert loss(**wrapped).asnumpy().shape == (0,)
    types = {"embedding": ("float64", ("N", 3)), "label": ("int64", ("N",))}
    program = loss.program(types, grad=("embedding",))
    for outputs in (expected(loss, program, arrays), evaluate_model(program.to_onnx(), arrays)):
        shapes = {name: output.shape for name, output in outputs.items()}
        assert shapes == {"loss": (0,), "grad_embedding": (0, 3)}


def test_numbers_by_hand():
    x1, x2 = np.zeros((2, 2)), np.array([[0.6, 0.8], [0.3, 0.4]])
    assert_close(losses.contrastive(x1, x2, np.array([0.0, 1.0])), np.array([0.5, 0.125]))
    eye = np.eye(2)
    assert_close(losses.n_pair(eye, eye), np.full(2, np.log(1 + np.exp(-1))))
    assert_close(losses.info_nce(eye, eye, temperature=0.5), np.full(2, np.log1p(np.exp(-2))))
    row = np.log1p(np.exp(0)) + np.log1p(np.exp(-10))
    assert_close(losses.siglip(eye, eye), np.full(2, row))
    assert_close(losses.barlow_twins(eye, 1 - eye, redundancy=0.5), 2 * 4 + 0.5 * 2 * 1.0)
    line = np.array([[0.0], [1.0], [3.0], [7.0]])
    hard = losses.batch_hard_triplet(line, np.array([0, 0, 1, 1]), margin=0.5)
    assert_close(hard, np.array([0.0, 0.0, 2.5, 0.0]))


def test_the_circle_loss_takes_its_weights_as_constants():
    torch = pytest.importorskip("torch")
    x = torch.tensor(X, requires_grad=True)
    z = torch.nn.functional.normalize(x)
    s = z @ z.T
    alike = torch.tensor(LABEL)[:, None] == torch.tensor(LABEL)
    positive = alike & ~torch.eye(N, dtype=bool)
    ap, an = (torch.relu(v).detach() for v in (1.25 - s, s + 0.25))
    p = (-20 * ap * (s - 0.75)).masked_fill(~positive, -torch.inf)
    n = (20 * an * (s - 0.25)).masked_fill(alike, -torch.inf)
    rows = positive.any(1)
    loss = torch.nn.functional.softplus(p[rows].logsumexp(1) + n[rows].logsumexp(1))
    loss.sum().backward()
    value, grads = losses.circle.value_and_grad(X, LABEL, scale=20.0)
    assert_close(value[rows.numpy()], loss.detach().numpy())
    assert (value[~rows.numpy()] == 0).all()
    assert_close(grads["embedding"], x.grad.numpy())


@pytest.mark.parametrize("towards", [1.0, -1.0])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_arcface_on_and_opposite_its_class(towards, dtype):
    """The sine has a kink there; the derivative of the cosines with others remains."""
    weight = np.eye(3)[:, :3]
    x = (towards * weight[:1] * 2.5).astype(dtype)
    value, grads = losses.arcface.value_and_grad(x, weight.astype(dtype), np.array([0]))
    own = towards * np.cos(0.5)
    expected = np.logaddexp.reduce([64 * own, 0, 0]) - 64 * own
    assert_close(value, np.array([expected]), tolerance=(1e-5, 1e-5))
    others = np.exp(-np.logaddexp.reduce([64 * own, 0, 0])) * 64 / 2.5
    assert np.isfinite(grads["embedding"]).all()
    assert_close(grads["embedding"][0, 1:], np.full(2, others), tolerance=(1e-4, 1e-4))


def test_arcface_near_its_class_keeps_its_digits():
    """At an angle of 1e-6 in float32, where 1 - cos^2 is 0."""
    x = np.array([[1.0, 1e-6]], np.float32)
    weight = np.eye(2, dtype=np.float32)
    _, grads = losses.arcface.value_and_grad(x, weight, np.array([1 - 1]), scale=4.0)
    wide = losses.arcface.value_and_grad(
        x.astype("f8"), weight.astype("f8"), np.array([0]), scale=4.0
    )
    assert_close(grads["embedding"], wide[1]["embedding"], tolerance=(1e-5, 1e-6))
    assert wide[1]["embedding"][0, 1] > 0.05  # the slope of -sin(theta) sin(m), and not 0


@pytest.mark.parametrize("name", ["arcface", "cosface", "proxy_nca"])
def test_labels_that_are_no_class(name):
    loss, rows = getattr(losses, name), {"proxy_nca": "proxy"}.get(name, "weight")
    with pytest.raises(InputError, match=r"label\[1\] is 5"):
        loss(X, W, np.array([0, 5, 1, 1, 1, 1]))
    import onnxruntime as ort

    types = {"embedding": ("float64", ("N", D)), rows: ("float64", (C, D)),
             "label": ("int64", ("N",))}  # fmt: skip
    model = loss.to_onnx(types, grad=("embedding",))
    session = ort.InferenceSession(model.SerializeToString())
    value, grad = session.run(
        None, {"embedding": X, rows: W, "label": np.array([0, 5, 1, 1, 1, 1])}
    )
    assert np.isnan(value).tolist() == [False, True] + [False] * 4
    assert np.isnan(grad).any(1).tolist() == [False, True] + [False] * 4


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: losses.info_nce(X, Y[:3]), "key: expected shape"),
        (lambda: losses.info_nce(X, Y, temperature=0), "temperature: expected a positive number"),
        (lambda: losses.supcon(X, LABEL[:2]), "label: expected shape"),
        (lambda: losses.supcon(X[0], LABEL), "embedding: expected 2 axes"),
        (lambda: losses.arcface(X, W[:, :2], CLASS), "weight: expected shape"),
        (lambda: losses.proxy_nca(X, W[:1], LABEL * 0), "proxy.shape.0.: expected a number above"),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(InputError, match=message):
        call()


@pytest.mark.parametrize("name", ["supcon", "circle", "batch_hard_triplet", "arcface", "proxy_nca"])
def test_labels_have_no_gradient(name):
    loss = getattr(losses, name).with_options()  # which keeps what is known of the inputs
    of_classes = [W] if name in ("arcface", "proxy_nca") else []
    with pytest.raises(GradientError, match="label"):
        loss.value_and_grad(X, *of_classes, label=LABEL.astype(float), wrt=("label",))
