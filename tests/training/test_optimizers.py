"""Optimizers: own ones, Lion, options, groups, frozen parameters."""

from dataclasses import dataclass

import numpy as np
import onnx
import pytest

import lossgraph as lg
from lossgraph import training
from lossgraph.training import SGD, Adagrad, Adam, AdamW, Lion, Optimizer, RMSprop, build
from support import assert_close
from training_cases import Run, drawn, step_of

START = np.random.default_rng(3).standard_normal((3, 4))


class Signs(Optimizer):
    learning_rate, slots = 1e-2, {"average": 0.5}

    def update(self, F, parameter, gradient, step, learning_rate, average):
        average = 0.9 * average + 0.1 * gradient
        return parameter - learning_rate * F.sign(average) / F.sqrt(step), average


def test_an_optimizer_of_ones_own():
    run, w, average = Run(step_of({"w": START}, optimizer=Signs())), START, 0.5
    for number, gradient in enumerate(drawn(START.shape, np.float64, 0, 10), 1):
        run(dw=gradient)
        average = 0.9 * average + 0.1 * gradient
        w = w - 1e-2 * np.sign(average) / np.sqrt(number)
        assert_close(run.parameters["w"], w)
    assert_close(run.state["w.average"], average)
    assert run.state["step"] == 10


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_lion(dtype):
    lion = Lion(1e-2, betas=(0.8, 0.95), weight_decay=0.3)
    run = Run(step_of({"w": START.astype(dtype)}, optimizer=lion))
    w, mean = START.astype(dtype).astype(np.float64), np.zeros_like(START)
    for gradient in drawn(START.shape, np.dtype(dtype), 0, 30):
        run(dw=gradient)
        w = w - 1e-2 * (np.sign(0.8 * mean + 0.2 * gradient) + 0.3 * w)
        mean = 0.95 * mean + 0.05 * gradient.astype(np.float64)
        assert_close(run.parameters["w"], w, dtype)


def test_the_learning_rate_is_an_input():
    run = Run(step_of({"w": START}, optimizer=SGD(0.5)))
    assert run.hyper == {"learning_rate": 0.5}
    run.hyper["learning_rate"] = np.asarray(0.25)
    run(dw=np.ones_like(START))
    assert_close(run.parameters["w"], START - 0.25)


def test_bias_correction_keeps_its_digits_in_float32():
    """1 - 0.9999^t in float32 has an error of 3e-4 in the first step."""
    run = Run(step_of({"w": np.zeros(1, np.float32)}, optimizer=Adam(1.0, betas=(0.9999, 0.9999))))
    run(dw=np.ones(1, np.float32))
    assert_close(run.parameters["w"], [-1.0], "float32")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: SGD(-1.0), "SGD: learning_rate: expected a finite number of at least 0, got -1.0"),
        (lambda: SGD(learning_rate="fast"), "learning_rate"),
        (lambda: SGD(float("nan")), "learning_rate"),
        (lambda: SGD(0.1, nesterov=True), "nesterov goes with a momentum"),
        (lambda: SGD(0.1, momentum=0.9, dampening=0.1, nesterov=True), "without dampening"),
        (lambda: Adam(betas=(0.9, 1.0)), "Adam: betas: expected two numbers"),
        (lambda: AdamW(betas=0.9), "AdamW: betas"),
        (lambda: AdamW(eps=-1e-8), "AdamW: eps"),
        (lambda: AdamW(amsgrad="yes"), "AdamW: amsgrad: expected True or False"),
        (lambda: Adagrad(initial_accumulator_value=-1), "initial_accumulator_value"),
        (lambda: RMSprop(alpha=1.5), "RMSprop: alpha"),
        (lambda: Lion(weight_decay=float("inf")), "Lion: weight_decay"),
    ],
)
def test_options_are_checked(make, words):
    with pytest.raises(lg.LossgraphError, match=words):
        make()


def test_a_body_that_gives_too_little():
    class Forgets(Signs):
        def update(self, F, parameter, gradient, step, learning_rate, average):
            return parameter - learning_rate * gradient

    with pytest.raises(lg.LossgraphError, match=r"Forgets.update gave 1 results.*average"):
        step_of({"w": START}, optimizer=Forgets())


def test_a_body_that_changes_a_shape():
    class Sums(Signs):
        slots = ()

        def update(self, F, parameter, gradient, step, learning_rate):
            return F.sum(parameter)

    with pytest.raises(lg.LossgraphError, match=r"Sums.update: parameter became float64\[1\]"):
        step_of({"w": START}, optimizer=Sums())


def test_a_dataclass_checks_its_options():
    @dataclass(frozen=True)
    class Plain(Optimizer):
        learning_rate: float = 0.1

        def update(self, F, parameter, gradient, step, learning_rate):
            return parameter - learning_rate * gradient

    with pytest.raises(lg.LossgraphError, match="Plain: learning_rate: expected a number"):
        Plain("0.1")


def test_groups_have_optimizers_of_their_own():
    parameters = {"a.weight": START, "a.bias": START[0], "b.weight": START + 1, "b.bias": START[1]}
    groups = {"*.bias": SGD(0.1), "b.*": SGD(0.4, momentum=0.5)}
    run = Run(step_of(parameters, optimizer=SGD(0.2), groups=groups))
    run.hyper["learning_rate"] = np.asarray(0.1)  # half of what it was: the others follow
    gradients = {f"d{name}": np.ones_like(array) for name, array in parameters.items()}
    for _ in range(2):
        run(**gradients)
    moved = {name: parameters[name] - array for name, array in run.parameters.items()}
    for name, distance in {"a.weight": 0.2, "*.bias": 0.1, "b.weight": 0.2 * 2.5}.items():
        for found in [name] if name in moved else ["a.bias", "b.bias"]:
            assert_close(moved[found], np.full_like(moved[found], distance))
    assert set(run.state) == {"step", "b.weight.momentum_buffer"}


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_small_parameters_are_updated_as_one_array(dtype):
    """Bit by bit as each by itself."""
    draw = np.random.default_rng(0)
    shapes = {"a": (3, 4), "b": (), "c": (5,), "large": (100, 100), "d": (1, 2, 3)}
    parameters = {name: draw.standard_normal(s).astype(dtype) for name, s in shapes.items()}
    together = Run(step_of(parameters, optimizer=AdamW()))
    each = Run(step_of(parameters, optimizer=AdamW(), groups={name: AdamW() for name in shapes}))
    operators = [len(run.step.train.graph.node) for run in (together, each)]
    assert operators[0] < operators[1]
    for _ in range(3):
        gradients = {f"d{n}": draw.standard_normal(s).astype(dtype) for n, s in shapes.items()}
        together(**gradients)
        each(**gradients)
    for held in ("parameters", "state"):
        one, other = getattr(together, held), getattr(each, held)
        assert one.keys() == other.keys()
        assert all(np.array_equal(one[name], other[name]) for name in one)


def test_an_optimizer_that_looks_at_whole_arrays_is_given_whole_arrays():
    class Normed(Optimizer):
        learning_rate, slots = 1.0, ("one", "two")

        def update(self, F, parameter, gradient, step, learning_rate, one, two):
            return (
                parameter - learning_rate * gradient / F.sqrt(F.mean(F.square(gradient))),
                one,
                two,
            )

    run = Run(step_of({"a": START, "b": START}, optimizer=Normed()))
    run(da=np.full((3, 4), 2.0), db=np.full((3, 4), 8.0))
    for name in "ab":
        assert_close(run.parameters[name], START - 1.0)


def test_a_model_may_have_an_input_of_the_name_of_the_state():
    model = onnx.parser.parse_model("""<ir_version: 8, opset_import: ["" : 17]>
        timed (float[N, 3] x, float[N, 3] step) => (float[N, 3] y)
        <float[3] w = {1, 2, 3}> { a = Mul (x, w)  y = Add (a, step) }""")
    built = build(model, lambda F, y: F.sum(y), optimizer=AdamW())
    assert set(built.state) == {"step_", "w.exp_avg", "w.exp_avg_sq"}
    run = Run(built)
    run(x=np.ones((2, 3), np.float32), step=np.ones((2, 3), np.float32))
    assert run.state["step_"] == 1
    model.graph.input[1].name = model.graph.node[1].input[1] = "learning_rate"
    with pytest.raises(lg.LossgraphError, match="give that of the model another name"):
        build(model, lambda F, y: F.sum(y))


def test_frozen_parameters_stay():
    step = step_of({"a": START, "b": START, "c": START}, frozen=["a", "c*"])
    assert step.trainable == ("b",)
    assert step.left_out == {"a": "frozen by 'a'", "c": "frozen by 'c*'"}
    assert {o.name for o in step.gradients.graph.output} == {"loss", "grad_b"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"frozen": "z*"}, r"frozen: no trained parameter is called 'z\*'; they are w"),
        ({"frozen": "*"}, "leaves nothing to train"),
        ({"groups": {"q": SGD()}}, "groups: no trained parameter is called 'q'"),
        ({"groups": {"w": 0.1}}, r"groups\['w'\]: expected an optimizer, like AdamW\(\), got 0.1"),
        ({"groups": {"w": SGD(0.1)}, "optimizer": SGD(0.0)}, "in proportion, which is 0"),
        ({"optimizer": "adam"}, "optimizer: expected an optimizer"),
        ({"optimizer": SGD}, "optimizer: expected an optimizer"),
        ({"optimizer": Optimizer()}, "Optimizer has no learning_rate"),
    ],
)
def test_what_does_not_fit_is_refused(options, words):
    with pytest.raises(lg.LossgraphError, match=words):
        step_of({"w": START}, **options)


def test_a_parameter_of_16_bits_moves_by_a_copy_of_32():
    start = START.astype(np.float16)
    run = Run(step_of({"w": start}, optimizer=SGD(1e-4)))
    for _ in range(40):
        run(dw=np.ones_like(start))
    assert run.parameters["w"].dtype == np.float16
    assert_close(run.parameters["w"], start - 40e-4, "float16")
    assert_close(run.state["w.master"], start.astype(np.float32) - np.float32(40e-4))


def test_all_of_them_are_public():
    assert {"SGD", "Adam", "AdamW", "Adagrad", "RMSprop", "Lion"} <= set(training.__all__)
