"""Losses called on PyTorch tensors take part in autograd: against PyTorch's own losses."""

from __future__ import annotations

import copy

import numpy as np
import pytest

import lossgraph as lg
from lossgraph import gluon, nn
from support import assert_close
from tolerances import FRAMEWORK

torch = pytest.importorskip("torch", reason="torch is not installed")

LABEL = torch.tensor([0, 1, 2, 3, 4, 0])
WEIGHT = torch.tensor([0.5, 2.0, 0.0, 1.0, 3.0, 1.0], dtype=torch.float64)


def logits(dtype=torch.float64, shape=(6, 5)):
    made = torch.randn(*shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    return made.to(dtype).requires_grad_()


def gradient(function, x):
    return torch.autograd.grad(function(x), x)[0].double().numpy()


THEIRS = torch.nn.CrossEntropyLoss(reduction="none")
WAYS = {
    "mean": lambda values: values.mean(),
    "sum": lambda values: values.sum(),
    "scaled": lambda values: 3 * values.sum() + 1,
    "by sample": lambda values: (values * WEIGHT.to(values.dtype)).sum(),
    "squared": lambda values: values.square().sum(),
    "a part": lambda values: values[::2].sum(),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_whatever_follows_a_loss(way, dtype):
    x = logits(getattr(torch, dtype))
    ours = gradient(lambda x: WAYS[way](gluon.SoftmaxCELoss()(x, LABEL)), x)
    theirs = gradient(lambda x: WAYS[way](THEIRS(x, LABEL)), x)
    assert_close(ours, theirs, tolerance=FRAMEWORK[dtype])


@pytest.mark.parametrize("way", WAYS)
def test_a_loss_of_samples_that_depend_on_each_other(way):
    """Its values are weighed in the graph: gradients by sample would be wrong."""

    def body(F, x, y):
        return F.sum(x * F.mean(x, axis=0, keepdims=True) * y, axis=1)

    def by_torch(x, y):
        return (x * x.mean(dim=0, keepdim=True) * y).sum(dim=1)

    x, y = logits(), logits().detach() + 1
    loss = lg.compile(body, {"x": ("float64", ("N", 5)), "y": ("float64", ("N", 5))})
    ours = gradient(lambda x: WAYS[way](loss(x, y)), x)
    assert_close(ours, gradient(lambda x: WAYS[way](by_torch(x, y)), x))


def test_a_loss_and_what_is_added_to_it():
    """A penalty beside the loss must not be all that is trained."""
    x = torch.randn(6, 4, generator=torch.Generator().manual_seed(1))

    def trained(loss):
        w = logits(torch.float32, (5, 4))
        (loss(x @ w.T, LABEL).mean() + 0.01 * w.pow(2).sum()).backward()
        return w.grad.numpy()

    assert_close(trained(gluon.SoftmaxCELoss()), trained(THEIRS))


@pytest.mark.filterwarnings("ignore:reduction. 'mean' divides:UserWarning")  # of KLDivLoss
@pytest.mark.parametrize("reduction", ["mean", "sum", "none"])
@pytest.mark.parametrize(
    ("name", "inputs"),
    [
        ("MSELoss", (logits(), logits().detach() * 2)),
        ("SmoothL1Loss", (logits(), logits().detach() * 2)),
        ("BCEWithLogitsLoss", (logits(), torch.sigmoid(logits().detach()))),
        ("KLDivLoss", (logits(), torch.softmax(logits().detach(), 1))),
        ("CrossEntropyLoss", (logits(), LABEL)),
    ],
)
def test_losses_of_torch_nn(name, inputs, reduction):
    x, *others = inputs

    def total(module):
        return lambda x: (getattr(module, name)(reduction=reduction)(x, *others) * 2).sum()

    assert_close(gradient(total(nn), x), gradient(total(torch.nn), x))


def test_gradients_by_several_inputs_and_by_an_option():
    x, y = logits(), (2 * logits()).detach().requires_grad_()
    weight = torch.rand(5, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    weight.requires_grad_()
    found = torch.autograd.grad(gluon.L2Loss()(x, y).mean(), (x, y))
    expected = torch.autograd.grad((x - y).square().mean() / 2, (x, y))
    for ours, theirs in zip(found, expected, strict=True):
        assert_close(ours, theirs)
    by_weight = torch.autograd.grad(nn.CrossEntropyLoss(weight=weight)(x, LABEL), weight)[0]
    log_p = torch.log_softmax(x, 1)[torch.arange(6), LABEL]
    by_hand = -(log_p * weight[LABEL]).sum() / weight[LABEL].sum()
    assert_close(by_weight, torch.autograd.grad(by_hand, weight)[0])


def test_higher_derivatives():
    x = logits()
    loss = gluon.SoftmaxCELoss()
    assert torch.autograd.gradcheck(lambda x: loss(x, LABEL), x)
    assert torch.autograd.gradgradcheck(lambda x: loss(x, LABEL), x)

    def third(loss):
        found = loss(x, LABEL).square().sum()
        for _ in range(3):
            found = torch.autograd.grad(found, x, create_graph=True)[0].square().sum()
        return found

    assert_close(third(loss).detach(), third(THEIRS).detach(), tolerance=FRAMEWORK["float64"])


def test_what_a_custom_derivative_computes_is_differentiated_again():
    """CTC's value has a derivative of its own, which a program must not lose."""
    x = logits(shape=(7, 2, 4))
    given = torch.tensor([[1, 2], [3, 3]]), torch.tensor([7, 6]), torch.tensor([2, 1])

    def curvature(module):
        def function(x):
            value = module.CTCLoss()(torch.log_softmax(x, 2), *given)
            return torch.autograd.grad(value, x, create_graph=module is nn)[0].square().sum()

        return function

    assert_close(curvature(nn)(x).detach(), curvature(torch.nn)(x), tolerance=FRAMEWORK["float64"])
    step = 1e-5 * torch.ones_like(x).cumsum(0)
    slope = (curvature(nn)(x + step) - curvature(nn)(x - step)) / 2
    ours = (torch.autograd.grad(curvature(nn)(x), x)[0] * step).sum()
    assert_close(ours, slope.detach(), tolerance=(1e-5, 1e-12))


def test_value_and_grad_takes_part_too():
    x = logits()
    value, grads = gluon.SoftmaxCELoss().value_and_grad(x, LABEL)
    ours = torch.autograd.grad(grads["pred"].square().sum() + value.sum(), x)[0]
    total = THEIRS(x, LABEL).sum()
    own = torch.autograd.grad(total, x, create_graph=True)[0]
    assert_close(ours, torch.autograd.grad(own.square().sum() + total, x)[0].detach())


def test_several_values_and_auxiliary_outputs():
    def body(F, x, y):
        return F.sum(x * y, axis=1), F.exp(x)

    def with_aux(F, x, y):
        return F.sum(x * x * y, axis=1), {"largest": F.max(x, axis=1)}

    x, y = logits(), logits().detach() + 2
    types = {"x": ("float64", ("N", 5)), "y": ("float64", ("N", 5))}
    product, exp = lg.compile(body, types)(x, y)
    ours = torch.autograd.grad(product.square().sum() + (exp * y).sum(), x)[0]
    theirs = (x * y).sum(1).square().sum() + (x.exp() * y).sum()
    assert_close(ours, torch.autograd.grad(theirs, x)[0])
    (only_one, _) = lg.compile(body, types)(x, y)
    assert_close(torch.autograd.grad(only_one.sum(), x)[0], y)
    value, aux = lg.compile(with_aux, types)(x, y)
    assert value.requires_grad
    assert not aux["largest"].requires_grad
    assert_close(torch.autograd.grad(value.sum(), x)[0], (2 * x * y).detach())


def test_no_grad_and_inference():
    x = logits()
    with torch.no_grad():
        assert not gluon.SoftmaxCELoss()(x, LABEL).requires_grad
    with torch.inference_mode():
        assert not gluon.SoftmaxCELoss()(x, LABEL).requires_grad
    assert not gluon.SoftmaxCELoss()(x.detach(), LABEL).requires_grad


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_dtypes_of_16_bits(dtype):
    x = logits(getattr(torch, dtype))
    value = gluon.SoftmaxCELoss()(x, LABEL)
    assert value.dtype == x.dtype
    ours = gradient(lambda x: gluon.SoftmaxCELoss()(x, LABEL).mean(), x)
    exact = x.detach().double().requires_grad_()
    assert_close(ours, gradient(lambda x: THEIRS(x, LABEL).mean(), exact), dtype)


def test_a_scaled_loss_keeps_what_float16_would_lose():
    """Gradients of 1e-8 underflow in float16; those of the scaled loss do not."""
    x = torch.tensor([[1.0, -17.0]], dtype=torch.float16, requires_grad=True)
    loss = gluon.SoftmaxCELoss()
    ours = gradient(lambda x: (loss(x, torch.tensor([0])).float() * 16384).sum(), x)
    exact = x.detach().double().requires_grad_()
    theirs = gradient(lambda x: THEIRS(x, torch.tensor([0])).sum() * 16384, exact)
    assert theirs[0, 1] > 2e-4
    assert_close(ours[0, 1], theirs[0, 1], "float16")  # the label's own is 1 - 1 in float32


def test_arrays_of_several_kinds():
    """A label of numpy beside tensors, and a tensor behind arrays of numpy."""
    x = logits()
    found = gradient(lambda x: gluon.SoftmaxCELoss()(x, LABEL.numpy()).mean(), x)
    assert_close(found, gradient(lambda x: THEIRS(x, LABEL).mean(), x))
    zeros = np.zeros((6, 5))
    value = gluon.L2Loss()(zeros, x)
    assert_close(torch.autograd.grad(value.sum(), x)[0], x.detach() / 5)


def test_an_empty_batch():
    x = torch.zeros(0, 5, requires_grad=True)
    gluon.SoftmaxCELoss()(x, LABEL[:0]).sum().backward()
    assert x.grad.shape == (0, 5)


def test_a_model_is_trained_to_the_same_weights():
    generator = torch.Generator().manual_seed(3)
    data = torch.randn(64, 8, generator=generator)
    label = torch.randint(0, 4, (64,), generator=generator)
    torch.manual_seed(4)
    first = torch.nn.Sequential(torch.nn.Linear(8, 16), torch.nn.Tanh(), torch.nn.Linear(16, 4))
    models = {}
    for loss in (nn.CrossEntropyLoss(), torch.nn.CrossEntropyLoss()):
        model = copy.deepcopy(first)
        optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
        for start in range(0, 640, 16):
            rows = slice(start % 64, start % 64 + 16)
            optimizer.zero_grad()
            loss(model(data[rows]), label[rows]).backward()
            optimizer.step()
        models[type(loss).__module__] = model.state_dict()
    ours, theirs = models.values()
    moved = max((theirs[k] - w).abs().max() for k, w in first.state_dict().items())
    assert moved > 0.1
    for name, weights in theirs.items():  # Adam divides by gradients that are nearly 0
        assert_close(ours[name], weights, tolerance=(1e-3, 1e-4))


def test_what_has_no_gradient_refuses_one():
    x = logits()
    with pytest.raises(lg.GradientError, match="'label'"):
        gluon.SoftmaxCELoss()(x, LABEL.double().requires_grad_())
    lengths = torch.tensor([2.0, 2.0], requires_grad=True)
    with pytest.raises(lg.GradientError, match="pred_lengths"):
        gluon.CTCLoss()(logits(shape=(2, 3, 4)), torch.tensor([[0], [1]]), lengths)


def test_nothing_is_detached_without_a_word():
    x = logits()
    types = {"pred": ("float64", ("N", 5)), "label": ("float64", ("N", 5))}
    compiled = lg.compile(gluon.L2Loss(), types)
    with pytest.raises(lg.InputError, match="numpy"):
        compiled.bind(x, x)
    with pytest.raises(lg.InputError, match="out="):
        compiled(x, x.detach(), out={"loss": np.zeros(6)})
    with pytest.raises(lg.GradientError, match="detach"):
        lg.weighted_sum({"a": nn.CrossEntropyLoss(weight=torch.ones(5, requires_grad=True))})(
            input=x, target=LABEL
        )


def test_negative_variances_are_seen_and_var_has_its_gradient():
    x = logits()
    var = (x.detach().abs() + 1).requires_grad_()
    ours = torch.autograd.grad(nn.GaussianNLLLoss()(x, x.detach() + 1, var), var)[0]
    theirs = torch.autograd.grad(torch.nn.GaussianNLLLoss()(x, x.detach() + 1, var), var)[0]
    assert_close(ours, theirs)
    with pytest.raises(lg.InputError, match="negative"):
        nn.GaussianNLLLoss()(x, x.detach(), -var)


@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")  # torch's own, of its own
@pytest.mark.parametrize(
    "transform",
    [
        lambda f, x: torch.func.grad(f)(x),
        lambda f, x: torch.func.vmap(f)(x[None]),
        lambda f, x: torch.func.jvp(f, (x,), (x,)),
    ],
)
def test_transformations_of_torch_func_are_refused(transform):
    with pytest.raises(lg.GradientError, match=r"torch\.autograd\.grad"):
        transform(lambda x: gluon.L2Loss()(x, x * 2).sum(), logits().detach())


def test_forward_mode_is_refused():
    forward_ad = torch.autograd.forward_ad
    x = logits().detach()
    with forward_ad.dual_level():
        dual = forward_ad.make_dual(x, x)
        with pytest.raises(lg.GradientError, match="forward mode"):
            gluon.L2Loss()(dual, x)


@pytest.mark.filterwarnings("ignore::UserWarning:torch")  # torch looks at .grad by itself
def test_a_disabled_loss_stands_in_a_compiled_function():
    loss = torch.compiler.disable(gluon.SoftmaxCELoss())
    compiled = torch.compile(lambda x: (loss(x * 2, LABEL) * 3).mean(), backend="eager")
    x = logits()
    assert_close(gradient(compiled, x), gradient(lambda x: 3 * THEIRS(x * 2, LABEL).mean(), x))


def test_on_a_gpu():
    if "CUDAExecutionProvider" not in pytest.importorskip("onnxruntime").get_available_providers():
        pytest.skip("ONNX Runtime has no CUDA provider here")
    if not torch.cuda.is_available():
        pytest.skip("no CUDA here")
    x = logits(torch.float32).detach().to("cuda").requires_grad_()
    for way in WAYS.values():
        ours = torch.autograd.grad(way(gluon.SoftmaxCELoss()(x, LABEL.to("cuda"))), x)[0]
        assert ours.is_cuda
        theirs = torch.autograd.grad(way(THEIRS(x, LABEL.to("cuda"))), x)[0]
        assert_close(ours.cpu(), theirs.cpu())
