"""F.contrib.foreach: symbols, numpy and the engines agree; derivatives are those of the loop."""

from __future__ import annotations

import numpy as np
import pytest

import lossgraph as lg
from lossgraph import reference, symbolic
from lossgraph.authoring.functions import FunctionLoss
from lossgraph.compare.finite_differences import along, gradient
from lossgraph.passes.costs import PORTABLE, Target
from support import assert_close, newest_opset, reference_evaluator
from tolerances import DIFFERENCE

STEPS, WIDTH = 4, 3
NAMES = ("x", "s", "w")


def foreach(F, body, data, states):
    """All the outputs and all the last states, one after the other."""
    outputs, last = F.contrib.foreach(body, data, states)
    return (*each(outputs), *each(last))


def each(value):
    return (
        [v for item in value for v in each(item)] if isinstance(value, (list, tuple)) else [value]
    )


def running_sum(F, x, s, w):
    return foreach(F, lambda d, c: (c + d, c + d), x, s)


def leaky(F, x, s, w):
    def step(d, c):
        c = w * c + (1 - w) * d * d
        return F.tanh(c), c

    return foreach(F, step, x, s)


def two_states(F, x, s, w):
    def step(d, states):
        a, b = states
        return a * b, [F.sin(a) + d, b * 0.5 + a * d * w]

    return foreach(F, step, x, [s, s * w])


def several_outputs(F, x, s, w):
    return foreach(F, lambda d, c: ([c * d, F.exp(c * 0.1), d], c * w + d), x, s)


def two_sequences(F, x, s, w):
    return foreach(F, lambda d, c: ([d[0] * c[0]], [F.tanh(c[0] + d[1])]), [x, F.sin(x) * w], [s])


def counting(F, x, s, w):
    """A state of integers takes part, and has no derivative."""

    def step(d, states):
        c, n = states
        return c * F.cast(n, "float64"), [c + d * w, n + 1]

    outputs, last = F.contrib.foreach(step, x, [s, F.cast(F.zeros((WIDTH,)), "int64")])
    return outputs, last[0], F.cast(last[1], "float64") * w


def nested(F, x, s, w):
    """A loop over the whole of x at each step of a loop over x."""

    def outer(d, c):
        def inner(e, t):
            t = F.tanh(t + e * w + d)
            return t * e, t

        outputs, last = F.contrib.foreach(inner, x, c)
        return F.sum(outputs, axis=0) * c, last * 0.5 + d

    return foreach(F, outer, x, s)


def in_a_row(F, x, s, w):
    """What one loop gives another goes over."""
    outputs, last = F.contrib.foreach(lambda d, c: (F.tanh(c), c * w + d), x, s)
    return foreach(F, lambda d, c: (d * c, F.sin(c + d)), outputs, last)


def twice(F, x, s, w):
    """The same loop from two starts."""
    step = lambda d, c: (c * d, F.tanh(c + d * w))  # noqa: E731
    return (*foreach(F, step, x, s), *foreach(F, step, x, s * w))


def only_the_last_state(F, x, s, w):
    return F.contrib.foreach(lambda d, c: (F.exp(d), c * d + w), x, s)[1]


def only_the_outputs(F, x, s, w):
    return F.contrib.foreach(lambda d, c: (c * d, F.sin(c + w)), x, s)[0]


def a_state_that_stays(F, x, s, w):
    return foreach(F, lambda d, c: (d * c[0] * c[1], [c[0], c[1] * d]), x, [s, s])


def from_zeros(F, x, s, w):
    """A state without a dtype of its own takes that of the data."""
    return foreach(F, lambda d, c: (c * d, F.tanh(c + d * w) + s), x, F.zeros((WIDTH,)))


def a_map(F, x, s, w):
    """What depends on no state."""
    return foreach(F, lambda d, c: (F.exp(-d * d) * w, c), x, s)


def reductions(F, x, s, w):
    step = lambda d, c: (F.sum(d * c, axis=0, keepdims=True), F.log_softmax(c + d) * w)  # noqa: E731
    return foreach(F, step, x, s)


def selections(F, x, s, w):
    step = lambda d, c: (F.maximum(d, c + 0.0123), F.where(d > 0.0171, c * w, d))  # noqa: E731
    return foreach(F, step, x, s)


def around(F, x, s, w):
    """A loop in the middle of a computation."""
    outputs, last = F.contrib.foreach(lambda d, c: (c * d, c + d * w), F.sin(x), F.exp(s))
    return F.mean(outputs, axis=1) ** 2, F.log(1 + last * last)


BODIES = [
    running_sum, leaky, two_states, several_outputs, two_sequences, counting,
    nested, in_a_row, twice, only_the_last_state, only_the_outputs, a_state_that_stays,
    from_zeros, a_map, reductions, selections, around,
]  # fmt: skip
bodies = pytest.mark.parametrize("body", BODIES, ids=lambda body: body.__name__)
OPSETS = [o for o in (13, 18, 21, 26) if o <= newest_opset()]


def samples(steps=STEPS, dtype="float64", seed=0):
    rng = np.random.default_rng(seed)
    shapes = {"x": (steps, WIDTH), "s": (WIDTH,), "w": (WIDTH,)}
    return {name: rng.uniform(-1.5, 1.5, shape).astype(dtype) for name, shape in shapes.items()}


def types(steps, dtype="float64"):
    return {"x": (dtype, (steps, WIDTH)), "s": (dtype, (WIDTH,)), "w": (dtype, (WIDTH,))}


def by_numpy(body, arrays):
    values = body(reference, **{name: reference.Array(a) for name, a in arrays.items()})
    return [value.asnumpy() for value in each(values)]


def by_symbols(body, steps):
    """The symbols of the inputs and of the values."""
    inputs = {name: lg.symbol(name, *type_) for name, type_ in types(steps).items()}
    return inputs, each(body(symbolic, **inputs))


def check_values(actual, expected, **options):
    assert len(actual) == len(expected)
    for a, b in zip(actual, expected, strict=True):
        assert_close(a, b, **options)


# --- values ---


@bodies
@pytest.mark.parametrize("steps", [STEPS, "T"])
def test_the_engine_agrees_with_numpy(body, steps):
    run = lg.compile(body, types(steps))
    for count in [STEPS] if steps == STEPS else [1, 2, STEPS, 7]:
        arrays = samples(count)
        check_values(each(run(**arrays)), by_numpy(body, arrays))


@bodies
@pytest.mark.parametrize("opset", OPSETS)
def test_every_opset_and_the_reference_evaluator(body, opset):
    """Values and gradients of one model, in two engines."""
    loss, arrays = FunctionLoss(body), samples()
    program = loss.program(types("T"), grad=NAMES)
    model = program.to_onnx(opset)
    expected = by_numpy(body, arrays)
    found = dict(zip(program.outputs, reference_evaluator(model).run(None, arrays), strict=True))
    check_values([found[name] for name in program.values], expected)
    value, grads = lg.compile(loss, types("T"), grad=NAMES, opset=opset)(**arrays)
    check_values(each(value), expected)
    check_values([found[f"grad_{name}"] for name in NAMES], [grads[name] for name in NAMES])


@bodies
@pytest.mark.parametrize("steps", [0, "T"])
def test_without_a_step_the_states_are_as_given(body, steps):
    arrays = samples(0)
    run, expected = lg.compile(body, types(steps), grad=NAMES), by_numpy(body, arrays)
    value, grads = run(**arrays)
    check_values(each(value), expected)
    found = reference_evaluator(run.program.to_onnx()).run(None, arrays)
    check_values(found[: len(expected)], expected)
    for name in NAMES:
        assert grads[name].shape == arrays[name].shape
        assert np.isfinite(grads[name]).all()


@bodies
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", (2e-5, 2e-6)),
                                                 ("float16", (1e-2, 1e-2))])  # fmt: skip
def test_narrow_dtypes(body, dtype, tolerance):
    if body is counting:
        pytest.skip("computes in float64")
    arrays = samples(dtype=dtype)
    wide = {name: array.astype(np.float64) for name, array in arrays.items()}
    value, grads = lg.compile(body, types("T", dtype), grad=NAMES)(**arrays)
    assert all(v.dtype == dtype for v in [*each(value), *grads.values()])
    check_values(each(value), by_numpy(body, wide), tolerance=tolerance)
    _, expected = lg.compile(body, types("T"), grad=NAMES)(**wide)
    for name in NAMES:
        assert_close(grads[name], expected[name], tolerance=tolerance)


# --- derivatives ---


def differences(function, arrays):
    """The gradients of a number by differences."""
    return {name: gradient(function, arrays, name) for name in NAMES}


def weights(values, seed=5):
    rng = np.random.default_rng(seed)
    return [rng.normal(size=value.shape) for value in values]


def weighed(values, cts):
    return sum((value * ct).sum() for value, ct in zip(values, cts, strict=True))


@bodies
@pytest.mark.parametrize("steps", [1, STEPS])
def test_gradients_are_differences(body, steps):
    arrays = samples(steps)
    cts = weights(by_numpy(body, arrays))
    ct = tuple(cts) if isinstance(FunctionLoss(body)(**arrays), tuple) else cts[0]
    _, grads = FunctionLoss(body).value_and_grad(**arrays, wrt=NAMES, ct=ct)
    expected = differences(lambda at: weighed(by_numpy(body, at), cts), arrays)
    for name in NAMES:
        assert_close(grads[name], expected[name], tolerance=DIFFERENCE)


@bodies
def test_forward_and_reverse_are_transposes(body):
    arrays, tangents = samples(), samples(seed=3)
    inputs, outputs = by_symbols(body, STEPS)
    cts = weights(by_numpy(body, arrays))
    pulled = lg.vjp(outputs, [symbolic.array(ct, dtype="float64") for ct in cts],
                    [inputs[name] for name in NAMES])  # fmt: skip
    v = {name: lg.symbol(f"v_{name}", *type_) for name, type_ in types(STEPS).items()}
    pushed = lg.jvp(outputs, {inputs[name]: v[name] for name in NAMES})
    found = lg.compile([*pulled, *pushed], {
        **types(STEPS), **{f"v_{name}": type_ for name, type_ in types(STEPS).items()},
    })(**arrays, **{f"v_{name}": array for name, array in tangents.items()})  # fmt: skip
    back, forth = found[: len(NAMES)], found[len(NAMES) :]
    left = sum((g * tangents[name]).sum() for g, name in zip(back, NAMES, strict=True))
    assert_close(left, weighed(forth, cts), tolerance=(1e-10, 1e-12))
    slopes = [
        along(lambda at, k=k: by_numpy(body, at)[k], arrays, tangents) for k in range(len(forth))
    ]
    check_values(forth, slopes, tolerance=DIFFERENCE)


@bodies
def test_second_derivatives_are_differences(body):
    arrays, tangents = samples(3), samples(3, seed=4)
    inputs, outputs = by_symbols(body, 3)
    wrt = [inputs[name] for name in NAMES]
    first = lg.grad(outputs, wrt)
    v = [symbolic.array(tangents[name], dtype="float64") for name in NAMES]
    product = [symbolic.sum(g * t) for g, t in zip(first, v, strict=True)]
    second = lg.grad(product, wrt)
    gradient = lg.compile(list(first), types(3))
    expected = differences(
        lambda at: weighed(gradient(**at), [tangents[name] for name in NAMES]), arrays
    )
    check_values(
        lg.compile(list(second), types(3))(**arrays),
        [expected[name] for name in NAMES],
        tolerance=DIFFERENCE,
    )


# --- what is inside a body is stabilized ---


def log_sigmoid(x):
    return -np.logaddexp(0, -x)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_naive_body_is_right_at_the_extremes(dtype):
    def body(F, x):
        def step(d, c):
            return F.log(F.sigmoid(d)), c + F.log(1 - F.sigmoid(d))

        return foreach(F, step, x, F.zeros((2,)) * x[0])

    x = np.array([[1e4, -1e4], [0.5, 50], [-1e4, 1e4]], dtype)
    (logs, last), grads = lg.compile(body, {"x": (dtype, ("T", 2))}, grad=("x",))(x)
    wide = x.astype(np.float64)
    assert_close(logs, log_sigmoid(wide), dtype=dtype)
    assert_close(last, log_sigmoid(-wide).sum(0), dtype=dtype)
    assert_close(grads["x"], np.exp(log_sigmoid(-wide)) - np.exp(log_sigmoid(wide)), dtype=dtype)


def test_a_softmax_over_a_state_is_right_at_the_extremes():
    def body(F, x, s):
        def step(d, c):
            p = F.exp(c + d) / F.sum(F.exp(c + d), axis=0, keepdims=True)
            return F.log(p), c + d

        return F.contrib.foreach(step, x, s)[0]

    x, s = np.array([[1e4, 0, -1e4], [0, 3, -1e4]]), np.array([0.0, 1, 2])
    value, grads = FunctionLoss(body).value_and_grad(x, s, wrt=("x", "s"))
    logits = s + np.cumsum(x, 0)
    top = logits.max(1, keepdims=True)
    log_p = logits - top - np.log(np.exp(logits - top).sum(1, keepdims=True))
    assert_close(value, log_p)
    by_step = 1 - 3 * np.exp(log_p)
    assert_close(grads["s"], by_step.sum(0))
    assert_close(grads["x"], by_step[::-1].cumsum(0)[::-1])


# --- how it is written ---


def test_the_nesting_is_that_of_the_body_and_the_states():
    x, s = lg.symbol("x", "float32", ("T", 2)), lg.symbol("s", "float32", (2,))
    for F, a, b in [
        (symbolic, x, s),
        (reference, *map(reference.array, (np.ones((3, 2)), [1, 2]))),
    ]:
        outputs, states = F.contrib.foreach(lambda d, c: (d, c), a, b, name="loop")
        assert not isinstance(outputs, (list, tuple))
        assert not isinstance(states, (list, tuple))
        outputs, states = F.contrib.foreach(lambda d, c: ([d[0]], [c[0]]), [a], [b])
        assert len(outputs) == len(states) == 1
        outputs, states = F.contrib.foreach(lambda d, c: ([d, d * 2], [c[1], c[0]]), a, [b, b])
        assert len(outputs) == len(states) == 2


def test_a_vector_gives_slices_of_one_element():
    def body(F, x, s):
        return foreach(F, lambda d, c: (c * d, c + d), x, s)

    x, s = np.array([1.0, 2, 3]), np.array([0.5])
    expected = [value.asnumpy() for value in body(reference, *map(reference.Array, (x, s)))]
    assert [value.shape for value in expected] == [(3, 1), (1,)]
    check_values(FunctionLoss(body)(x, s), expected)


@pytest.mark.parametrize(
    "body",
    [
        lambda F, x, s: F.contrib.foreach(lambda d, c: (d, [c, c]), x, s)[0],
        lambda F, x, s: F.contrib.foreach(lambda d, c: (d, F.concat(c, c, dim=0)), x, s)[0],
        lambda F, x, s: F.contrib.foreach(lambda d, c: (d[0], c), [x, x[1:]], s)[0],
        lambda F, x, s: F.contrib.foreach(lambda d, c: d, x, s)[0],
        lambda F, x, s: F.contrib.foreach(lambda d, c: (d, c), None, s)[0],
    ],
)
@pytest.mark.parametrize("F", [reference, symbolic])
def test_mistakes_are_explained(F, body):
    x, s = np.ones((4, 2), np.float32), np.ones(2, np.float32)
    given = [a if F is symbolic else reference.Array(a) for a in (x, s)]
    with pytest.raises(lg.InputError, match=r"foreach|[Ss]can|sizes|step"):
        FunctionLoss(body)(*given)


def test_an_export_is_the_same_every_time():
    models = [FunctionLoss(nested).to_onnx(types("T"), grad=NAMES) for _ in range(2)]
    assert models[0].SerializeToString() == models[1].SerializeToString()


def test_lists_of_lists():
    """As on numpy: states and outputs come back in the lists that they were given in."""

    def body(F, x, y):
        def step(data, states):
            (a, (b,)), element = states, data[1]
            a, b = a + data[0], b * element
            return [a, [b, [a * b]]], [a, [b]]

        outputs, (a, (b,)) = F.contrib.foreach(step, [x, y], [F.zeros_like(x[0]), [y[0]]])
        return outputs[0] + outputs[1][0] + outputs[1][1][0] + F.expand_dims(a * b, axis=0)

    x, y = (np.random.default_rng(seed).normal(size=(4, 3)) for seed in (0, 1))
    types = {"x": ("float64", ("T", 3)), "y": ("float64", ("T", 3))}
    expected = body(reference, reference.Array(x), reference.Array(y)).asnumpy()
    assert_close(lg.compile(body, types)(x, y), expected)


def test_bodies_of_exports_read_nothing_outside():
    """Some engines cannot; ONNX Runtime can, and runs the shorter form."""

    def read_outside(graph, around=frozenset()):
        known = {info.name for info in graph.input} | {t.name for t in graph.initializer}
        known |= around
        found = set()
        for node in graph.node:
            found |= set(node.input) - known
            known |= set(node.output)
            for attribute in node.attribute:
                if attribute.g.node:
                    found |= read_outside(attribute.g, known)
        return found

    def body(F, x, w):
        def outer(row, state):
            def inner(element, total):
                return [], total + F.reshape(element, (1,)) * w * F.mean(x)

            _, total = F.contrib.foreach(inner, row, state)
            return total * F.sum(F.ones((x.shape[1],))), total

        outputs, _ = F.contrib.foreach(outer, x, F.zeros((1,)))
        return outputs

    types = {"x": ("float32", ("T", "C")), "w": ("float32", (1,))}
    program = FunctionLoss(body).program(types, grad=("w",))
    for target in (PORTABLE, Target("cpu")):
        model = program.to_onnx(target=target)
        scans = [n for n in model.graph.node if n.op_type in ("Scan", "If")]
        assert scans
        bodies = [
            a.g for scan in scans if scan.op_type == "Scan" for a in scan.attribute if a.g.node
        ]
        for branch in (a.g for scan in scans if scan.op_type == "If" for a in scan.attribute):
            bodies += [
                a.g for n in branch.node if n.op_type == "Scan" for a in n.attribute if a.g.node
            ]
        assert bodies
        assert any(read_outside(graph) for graph in bodies) != target.portable
    arrays = {"x": np.ones((2, 3), np.float32), "w": np.full(1, 2, np.float32)}
    value, grads = lg.compile(body, types, grad=("w",))(**arrays)
    exported = reference_evaluator(program.to_onnx()).run(None, arrays)
    assert_close(exported[0], value)
    assert_close(exported[1], grads["w"])
