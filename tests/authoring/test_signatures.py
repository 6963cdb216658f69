"""What a loss takes: declarations from annotations, and how calls are bound to them."""

from __future__ import annotations

import functools
import inspect
from typing import TYPE_CHECKING, Annotated, Any, Optional

import numpy as np
import numpy.typing as npt
import pytest

import lossgraph as lg
from lossgraph import gluon, losses, nn, optax, reference
from lossgraph.authoring.annotations import Label, Length, signature_of
from lossgraph.authoring.functions import FunctionLoss
from lossgraph.authoring.signature import Kind
from lossgraph.errors import GradientError, InputError
from lossgraph.symbolic.symbol import Symbol
from support import assert_close

if TYPE_CHECKING:
    from some_library import NDArray, Tensor

PRED, TARGET = np.array([1.0, 2.0, 4.0]), np.array([0.0, 2.0, 1.0])
Alias = np.ndarray


# --- what is an array -----------------------------------------------------------------------


def of_numpy(F, pred: np.ndarray, label: npt.NDArray[np.float64], scale: float = 2.0):
    return scale * (pred - label)


class _Alias:
    """What ``type Alias = np.ndarray`` makes, in Pythons that have no such statement too."""

    __value__ = npt.NDArray[np.float64]


def by_alias(F, pred: _Alias(), label: _Alias() = None, scale: float = 2.0):
    return scale * (pred - label)


def by_another_name(F, pred: Alias, label: Optional[Alias], scale: float | None = 2.0):  # noqa: UP045
    return scale * (pred - label)


def of_symbols(F, pred: Symbol | reference.Array, label: Symbol | None = None, scale: int = 2):
    return scale * (pred - label)


def of_what_is_not_imported(F, pred: NDArray, label: Tensor | None = None, scale: float = 2.0):
    return scale * (pred - label)


def of_anything(F, pred: Any, label: Any | None = None, *, scale: np.float32 = 2.0):
    return scale * (pred - label)


def quoted(F, pred: "np.ndarray", label: "mx.nd.NDArray", scale: "float" = 2.0):  # noqa: F821, UP037
    return scale * (pred - label)


def bare(F, pred, label=None, scale=2.0):
    return scale * (pred - label)


BODIES = [
    of_numpy,
    by_alias,
    by_another_name,
    of_symbols,
    of_what_is_not_imported,
    of_anything,
    quoted,
    bare,
]


@pytest.mark.parametrize("body", BODIES)
def test_annotated_arrays_are_arrays_and_other_types_are_options(body) -> None:
    loss = FunctionLoss(body)
    assert loss.arguments == ("pred", "label")
    assert list(loss.options) == ["scale"]
    assert_close(loss(PRED, TARGET), 2 * (PRED - TARGET))
    assert_close(loss(PRED, TARGET, scale=3), 3 * (PRED - TARGET))
    types = {"pred": ("float64", ("N",)), "label": ("float64", ("N",))}
    assert_close(lg.compile(body, types)(PRED, TARGET), 2 * (PRED - TARGET))


def test_a_function_with_annotated_arrays_is_attached_to_a_model() -> None:
    def error(F, pred: np.ndarray, label: np.ndarray) -> Any:
        return F.square(pred - label)

    model = lg.compile(lambda F, x: 2 * x, {"x": ("float32", ("N",))}).program.to_onnx()
    types = {"label": ("float32", ("N",))}
    found = lg.attach(model, error, inputs=types, rename={"loss": "error"})
    assert [i.name for i in found.graph.input] == ["x", "label"]


def test_what_may_be_an_array_or_a_number_is_what_its_default_is() -> None:
    def body(F, a: np.ndarray | float, b: float | np.ndarray = 1.0, c: float | np.ndarray = None):  # type: ignore[assignment]
        return a

    kinds = [p.kind for p in signature_of(body, 1).parameters]
    assert kinds == [Kind.ARRAY, Kind.OPTION, Kind.ARRAY]


def test_an_option_takes_lists_and_numbers_of_numpy_as_constants() -> None:
    def body(F, pred, axes: tuple[int, ...] = (0,), scale: float = 1.0):
        assert isinstance(axes, tuple)
        assert isinstance(scale, float)
        return scale * F.sum(pred, axis=axes)

    loss = FunctionLoss(body)
    assert_close(loss(np.ones((2, 3)), axes=[1], scale=np.float64(2)), np.full(2, 6.0))


def test_declarations_are_made_once() -> None:
    assert gluon.L2Loss().signature is gluon.L2Loss(2.0).signature
    assert FunctionLoss(bare).signature is FunctionLoss(bare, scale=3.0).signature
    one, two = (gluon.HuberLoss(rho=lg.Input("rho")).signature for _ in range(2))
    assert one is two


# --- what else is declared ------------------------------------------------------------------


class Compared(gluon.HybridBlock):
    def hybrid_forward(self, F, pred, label: Label, length: Length):
        return F.sum(F.square(pred - label)) * length


class Anew(Compared):
    """Writes the method anew, and declares what it says itself."""

    def hybrid_forward(self, F, pred, label: Any, length):
        return super().hybrid_forward(F, pred, label, length)


def test_labels_have_no_gradient_and_lengths_may_be_numbers() -> None:
    assert Compared().signature.labels == ("label", "length")
    value, _ = Compared().value_and_grad(PRED, TARGET, 2)
    assert_close(value, np.reshape(20.0, (1,)))
    with pytest.raises(GradientError, match="'label' is a class label"):
        Compared().value_and_grad(PRED, TARGET, 2, wrt=("label",))


def test_a_method_written_anew_keeps_what_its_base_declares() -> None:
    assert Anew().signature.labels == ("length",)
    _, grads = Anew().value_and_grad(PRED, TARGET, 2, wrt=("label",))
    assert_close(grads["label"], 4 * (TARGET - PRED))

    class Halved(nn.NLLLoss):
        def hybrid_forward(self, F, input, target, weight=None):
            return super().hybrid_forward(F, input, target, weight) / 2

    given = np.log([[0.2, 0.8], [0.5, 0.5]]), np.array([1, 0])
    weights = np.array([3.0, 1.0])
    assert_close(Halved(weights)(*given), nn.NLLLoss(weights)(*given) / 2)
    assert Halved().signature.labels == ("target",)


def test_static_methods_and_methods_of_instances() -> None:
    class Static(gluon.HybridBlock):
        @staticmethod
        def hybrid_forward(F, pred, label):
            return pred - label

    assert_close(Static()(PRED, TARGET), PRED - TARGET)
    own = gluon.HybridBlock()
    own.hybrid_forward = lambda F, pred, scale=2.0: scale * pred
    assert_close(own(PRED), 2 * PRED)


def test_the_signature_of_a_function_is_seen_by_python() -> None:
    found = inspect.signature(losses.sigmoid_focal.with_options(gamma=lg.Input("g")))
    assert list(found.parameters)[-1] == "g"
    assert found.parameters["g"].kind is inspect.Parameter.KEYWORD_ONLY
    assert inspect.signature(optax.huber_loss).parameters["delta"].default == 1.0
    several = FunctionLoss(lambda F, *inputs, **others: inputs[0])
    assert str(inspect.signature(several)) == str(several.signature) == "(*inputs, **others)"


# --- binding --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        (("no array",), {}, "bare: pred: expected an array, got 'no array'"),
        ((), {"label": PRED}, "missing a required argument: 'pred'"),
        ((PRED, PRED, 1.0, 2.0), {}, "too many positional arguments"),
        ((PRED,), {"pred": PRED}, "multiple values for argument 'pred'"),
        ((PRED,), {"lable": PRED}, r"bare takes \['pred', 'label', 'scale'\]: unknown \['lable'\]"),
    ],
)
def test_arguments_that_do_not_fit_are_named(args, kwargs, message) -> None:
    with pytest.raises(InputError, match=message):
        FunctionLoss(bare)(*args, **kwargs)


def test_several_inputs_by_position_and_by_name() -> None:
    def body(F, first, *inputs, scale=1.0):
        return scale * (first + 10 * inputs[0] + 100 * inputs[1])

    loss = FunctionLoss(body)
    one, two, three = np.eye(3)
    expected = [2.0, 20.0, 200.0]
    assert_close(loss(one, two, three, scale=2.0), expected)
    assert_close(loss(one, two, inputs_1=three, scale=2.0), expected)
    assert_close(loss(inputs_1=three, inputs_0=two, first=one, scale=2.0), expected)
    _, grads = loss.value_and_grad(one, two, three, wrt=("inputs_1",))
    assert_close(grads["inputs_1"], np.full(3, 100.0))


def test_an_input_that_a_composite_adds_takes_no_place_if_it_is_named() -> None:
    keep = np.array([1.0, 0.0, 1.0])
    loss = lg.masked(optax.squared_error)
    assert_close(loss(PRED, TARGET, mask=keep), np.asarray(5.0))
    assert_close(loss(PRED, keep), loss(PRED, mask=keep))  # by position it comes before options
    assert_close(loss(PRED, keep, TARGET), np.asarray(5.0))
    both = lg.weighted_sum({"a": ("w", optax.squared_error)})
    assert_close(both(PRED, TARGET, w=2.0)[0], 2 * (PRED - TARGET) ** 2)
    with pytest.raises(InputError, match="multiple values for argument 'predictions'"):
        loss(PRED, TARGET, mask=keep, predictions=PRED)


def test_options_of_constructors_that_are_not_there() -> None:
    cases = [
        (lambda: gluon.HuberLoss(delta=1), "its options are rho, weight, batch_axis"),
        (lambda: gluon.CTCLoss(blank=0), "its options are layout, label_layout, weight, prefix"),
        (lambda: nn.HuberLoss(rho=1), "its options are reduction, delta"),
        (lambda: nn.NLLLoss(axis=1), "its options are weight, ignore_index, reduction"),
        (lambda: optax.huber_loss.with_options(rho=1), "its options are delta"),
        (lambda: gluon.HuberLoss().with_options(delta=1), "its options are rho, weight"),
    ]
    for make, message in cases:
        with pytest.raises(InputError, match=rf"has no option '\w+': {message}"):
            make()


def test_decorated_and_partial_bodies() -> None:
    @functools.wraps(bare)
    def wrapped(*args, **kwargs):
        return bare(*args, **kwargs)

    for body in (wrapped, functools.partial(bare, scale=2.0)):
        assert_close(FunctionLoss(body)(PRED, TARGET), 2 * (PRED - TARGET))


def test_a_constant_option_is_one_in_a_function_of_ones_own() -> None:
    from lossgraph.authoring.annotations import CONSTANT

    def power(F, pred, p: Annotated[float, CONSTANT] = 2.0):
        return pred**p

    assert_close(FunctionLoss(power)(PRED, p=3.0), PRED**3)
