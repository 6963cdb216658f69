"""Losses row by row: the whole from the terms of rows, gradients of rows, and what is refused."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import lossgraph as lg
from lossgraph import gluon, nn, optax
from lossgraph.authoring.functions import as_loss
from lossgraph.catalogue import entries
from lossgraph.compiler.rows import SCALE, WEIGHT, CoupledRowsError, by_rows
from lossgraph.deploy.example_inputs import choose_sizes, draw
from lossgraph.ir.evaluate import evaluate
from lossgraph.ir.types import numpy_dtype
from lossgraph.runtime.compiled import Compiled
from separability import NOT_SEPARABLE
from support import assert_close
from tolerances import SINGLE

N = 6
# Their rows lie along another axis, or they have several values.
REFUSED = {"nn.CTCLoss", "optax.ctc_loss_with_forward_probs"}
# One sum for each row whatever the reduction.
SUMS_WITHIN = {"optax.dice_loss"}


def variants():
    """Each loss with each of its reductions, without and with its optional inputs."""
    for entry in entries():
        if entry.name in NOT_SEPARABLE | REFUSED:
            continue
        reductions = ["none", "mean", "sum"] if "reduction" in entry.options else [None]
        for reduction in reductions:
            yield pytest.param(entry, reduction, False, id=f"{entry.name}-{reduction}")
        if any(not needed for needed in entry.inputs.values()):
            yield pytest.param(entry, reductions[-1], True, id=f"{entry.name}-optional inputs")
            if len(reductions) > 1:
                yield pytest.param(entry, "mean", True, id=f"{entry.name}-mean, optional inputs")


class Case:
    """A loss with arrays, as a whole by the interpreter and by rows in ONNX Runtime."""

    def __init__(self, loss, types, arrays, grad=()):
        self.program, self.arrays = loss.program(types), arrays
        self.rows = by_rows(self.program, "N", grad)
        self.whole_of = loss.program(types, grad=grad)

    def outputs(self, weights=None):
        """The outputs by rows."""
        given = {node.attrs["name"] for node in self.rows.program.inputs}
        feeds = {name: array for name, array in self.arrays.items() if name in given}
        if WEIGHT in given:
            dtype = self.rows.program.outputs["loss"].dtype
            feeds[WEIGHT] = np.ones(N, dtype) if weights is None else weights
        return dict(
            zip(self.rows.program.outputs, Compiled(self.rows.program).outputs(feeds), strict=True)
        )

    def whole(self, rows=slice(None)):
        """The outputs for some rows as one batch."""
        arrays = {
            name: array[rows] if name in self.rows.rows else array
            for name, array in self.arrays.items()
        }
        sizes = {
            size.name: length
            for node in self.program.inputs
            for size, length in zip(node.shape, arrays[node.attrs["name"]].shape, strict=True)
            if not isinstance(size, int) and size.name
        }
        values = evaluate(list(self.whole_of.outputs.values()), arrays, sizes)
        return dict(zip(self.whole_of.outputs, values, strict=True))


def by_all_rows(case, out):
    """The sum of the terms by the sum of the scales, or by their number."""
    terms = out["loss"].astype(np.float64)
    return terms.sum() / (out[f"loss_{SCALE}"].sum() if case.rows.scaled else N)


def catalogue_case(entry, reduction, optional):
    loss = entry.make({} if reduction is None else {"reduction": reduction})
    examples = entry.examples(loss)
    types = {n: e.type for n, e in examples.items()} if optional else entry.example_types(loss)
    program = loss.program(types)
    kinds = {node.attrs["name"]: node.type for node in program.inputs}
    sizes = choose_sizes(kinds, program.constraints, {"N": N})
    arrays = draw(kinds, sizes, examples, labels=program.labels)
    grad = [name for name in entry.predictions if name in kinds]
    shared = [
        name
        for name, kind in kinds.items()
        if kind.is_float and name not in by_rows(program, "N").rows
    ]
    if by_rows(program, "N").scaled:
        for name in shared:
            with pytest.raises(lg.GradientError, match=f"no gradient by '{name}'"):
                by_rows(program, "N", (name,))
    else:
        grad += [name for name in shared if name not in (*grad, *program.without_gradient)]
    return Case(loss, types, arrays, tuple(grad))


@pytest.mark.parametrize(("entry", "reduction", "optional"), [*variants()])
def test_every_loss(entry, reduction, optional):
    """Terms add up to the whole, gradients of rows are those of rows alone, shared ones add up."""
    case = catalogue_case(entry, reduction, optional)
    out, whole = case.outputs(), case.whole()
    total = reduction == "sum" and entry.name not in SUMS_WITHIN
    assert_close(
        by_all_rows(case, out) * (N if total else 1), np.mean(whole["loss"]), tolerance=SINGLE
    )
    assert out["loss"].shape == (N,)
    for row in range(N):
        alone = case.whole(slice(row, row + 1))
        own = out["loss"][row] / (out[f"loss_{SCALE}"][row] if case.rows.scaled else 1)
        assert_close(own, np.mean(alone["loss"]), tolerance=SINGLE)
        for name in set(case.rows.program.wrt) & set(case.rows.rows):
            expected = alone[f"grad_{name}"][0] / alone["loss"].size
            assert_close(out[f"grad_{name}"][row], expected, tolerance=SINGLE)
    for name in set(case.rows.program.wrt) & set(case.rows.shared):
        count = 1 if total else N if whole["loss"].ndim == 0 else N / whole["loss"].size
        assert_close(out[f"grad_{name}"], whole[f"grad_{name}"] * count, tolerance=SINGLE)


@pytest.mark.parametrize("name", sorted(NOT_SEPARABLE))
def test_losses_that_couple_rows(name):
    entry = next(entry for entry in entries() if entry.name == name)
    loss = entry.make()
    with pytest.raises(CoupledRowsError, match="batch_by or batch_size"):
        by_rows(loss.program(entry.example_types(loss)), "N")


# --- formulas that are no losses of the catalogue ---

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(2, N, 4))
W = RNG.random(N) + 0.5
PAIR = {"x": ("float64", ("N", 4)), "y": ("float64", ("N", 4)), "w": ("float64", ("N",))}
D = (X - Y) ** 2


def weighed_mean(F, x, y, w):
    return F.sum(w * F.mean(F.square(x - y), axis=1)) / F.sum(w)


def mean_of_means(F, x, y, w):
    return F.mean(F.mean(F.square(x - y), axis=0))


def quotient_of_means(F, x, y, w):
    return F.mean(w * F.mean(F.square(x - y), axis=1)) / F.mean(w)


def two_of_the_same_scale(F, x, y, w):
    first = F.sum(w * F.mean(F.square(x - y), axis=1)) / F.sum(w)
    return 3 - (2 * first - F.sum(w * F.sum(x, axis=1)) / F.sum(w)) / 4


def divided_by_their_number(F, x, y, w):
    return F.sum(F.square(x - y)) / x.shape[0] + 1


def share_that_is_right(F, x, y, w):
    right = F.sum(F.cast(F.argmax(x, axis=1) == F.argmax(y, axis=1), "int64"))
    return F.cast(right, "float64") / x.shape[0]


def summed(F, x, y, w):
    return F.sum(F.square(x - y)) * 2 - F.sum(w)


def by_columns(F, x, y, w):
    return F.mean(F.square(x - y), axis=0)


def constant(F, x, y, w):
    return F.mean(F.ones_like(x)) * 3


MEANS = [
    (weighed_mean, D.mean(1) * W, W),
    (mean_of_means, D.mean(1), None),
    (quotient_of_means, D.mean(1) * W, W),
    (two_of_the_same_scale, W * (3 - (2 * D.mean(1) - X.sum(1)) / 4), W),
    (divided_by_their_number, D.sum(1) + 1, None),
    (share_that_is_right, (X.argmax(1) == Y.argmax(1)).astype(float), None),
    (summed, D.sum(1) * 2 - W, None),
    (by_columns, D.mean(1), None),
    (constant, np.full(N, 3.0), None),
]  # fmt: skip


@pytest.mark.parametrize(
    ("formula", "terms", "scales"), MEANS, ids=lambda x: getattr(x, "__name__", "")
)
def test_terms_of_rows(formula, terms, scales):
    out = Case(as_loss(formula), PAIR, {"x": X, "y": Y, "w": W}).outputs()
    assert_close(out["loss"], terms)
    assert (scales is None) == (f"loss_{SCALE}" not in out)
    if scales is not None:
        assert_close(out[f"loss_{SCALE}"], scales)


def unbiased_variance(F, x, y, w):
    return F.sum(F.square(x - y)) / (x.shape[0] - 1)


def root_of_a_mean(F, x, y, w):
    return F.sqrt(F.mean(F.square(x - y)))


def sum_and_mean(F, x, y, w):
    return F.sum(F.square(x - y)) + F.mean(w)


def other_scales(F, x, y, w):
    return F.sum(w * F.mean(x, axis=1)) / F.sum(w) + F.mean(y)


def product_of_means(F, x, y, w):
    return F.mean(x) * F.mean(y)


def sum_by_a_square(F, x, y, w):
    return F.sum(x) / (x.shape[0] * x.shape[0])


def less_its_mean(F, x, y, w):
    return F.mean(F.square(x - F.mean(x)))


def rows_by_their_number(F, x, y, w):
    return F.sum(x, axis=1) / x.shape[0]


def quotients_of_columns(F, x, y, w):
    return F.mean(F.sum(x, axis=0) / F.sum(F.square(y), axis=0))


def number_of_rows(F, x, y, w):
    return F.mean(w) * F.log(F.cast(F.shape_array(w), "float64"))


@pytest.mark.parametrize(
    ("formula", "message"),
    [
        (unbiased_variance, "batch_by or batch_size"),
        (root_of_a_mean, "batch_by or batch_size"),
        (sum_and_mean, "it adds sums over rows to means"),
        (other_scales, "means over different elements"),
        (product_of_means, "batch_by or batch_size"),
        (sum_by_a_square, "batch_by or batch_size"),
        (less_its_mean, "batch_by or batch_size"),
        (rows_by_their_number, "batch_by or batch_size"),
        (quotients_of_columns, "batch_by or batch_size"),
        (number_of_rows, "batch_by or batch_size"),
    ],
)
def test_what_no_row_has_a_share_of(formula, message):
    program = as_loss(formula).program(PAIR)
    with pytest.raises(CoupledRowsError, match=message):
        by_rows(program, "N")


# --- options that change what a mean is over ---


def cross_entropies(logits, labels):
    """Of each element by NumPy, with classes along axis 1."""
    shifted = logits - logits.max(1, keepdims=True)
    log_probs = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
    return -np.take_along_axis(log_probs, labels[:, None], 1)[:, 0]


@pytest.mark.parametrize("dims", [(), (7,)])
@pytest.mark.parametrize("weighed", [False, True])
def test_ignored_elements_and_weights_of_classes(dims, weighed):
    rng = np.random.default_rng(1)
    logits, labels = rng.normal(size=(N, 5, *dims)), rng.integers(0, 5, (N, *dims))
    labels[2] = 3  # a row of which nothing is left
    names = ("W",)[: len(dims)]
    types = {"input": ("float64", ("N", 5, *names)), "target": ("int64", ("N", *names))}
    arrays, weight = {"input": logits, "target": labels}, np.ones(5)
    if weighed:
        types["weight"], arrays["weight"] = ("float64", (5,)), (weight := rng.random(5))
    case = Case(nn.CrossEntropyLoss(ignore_index=3), types, arrays, ("input",))
    out = case.outputs()
    weights = np.where(labels == 3, 0, weight[labels])
    terms = cross_entropies(logits, labels) * weights
    assert_close(out["loss"], terms.reshape(N, -1).sum(1))
    assert_close(out[f"loss_{SCALE}"], weights.reshape(N, -1).sum(1))
    assert_close(case.whole()["loss"], terms.sum() / weights.sum())
    alone = case.whole(slice(2, 3))
    assert np.isnan(alone["loss"])
    assert_close(out["grad_input"][2], alone["grad_input"][0])


def test_parts_of_a_sum():
    cut = lg.compose.weighted_sum({"a": nn.MSELoss(), "b": (2.0, nn.L1Loss())})
    types = {"input": ("float64", ("N", 4)), "target": ("float64", ("N", 4))}
    case = Case(cut, types, {"input": X, "target": Y})
    assert case.rows.parts == ("a", "b")
    out = case.outputs()
    assert_close(out["loss_a"], D.mean(1))
    assert_close(out["loss_b"], np.abs(X - Y).mean(1))
    assert_close(out["loss"], D.mean(1) + 2 * np.abs(X - Y).mean(1))


def test_parts_of_one_scale():
    both = lg.compose.weighted_sum(
        {"plain": nn.CrossEntropyLoss(), "half": (0.5, nn.CrossEntropyLoss(label_smoothing=0.0))}
    )
    types = {"input": ("float64", ("N", 4)), "target": ("int64", ("N",))}
    labels = np.array([0, 1, -100, 3, 2, 1])
    case = Case(both, types, {"input": X, "target": labels})
    out = case.outputs()
    assert_close(out["loss"], 1.5 * out["loss_plain"])
    assert_close(by_all_rows(case, out), case.whole()["loss"])
    assert_close(out["loss_plain"][2], 0.0)


def test_parts_of_different_scales():
    mixed = lg.compose.weighted_sum({"a": nn.CrossEntropyLoss(), "b": nn.MultiMarginLoss()})
    types = {"input": ("float64", ("N", 4)), "target": ("int64", ("N",))}
    with pytest.raises(CoupledRowsError, match="reduction='none'"):
        by_rows(mixed.program(types), "N")


def tempered(F, temperature, pred, label):
    return -F.pick(F.log_softmax(pred * F.mean(temperature)), label)


def test_an_input_for_all_rows_may_come_first():
    """Its own dim is no dim of rows; gradients by it are weighed."""
    types = {"temperature": ("float64", ("T",)), "pred": ("float64", ("N", 4)),
             "label": ("int64", ("N",))}  # fmt: skip
    arrays = {"temperature": np.array([2.0, 0.5]), "pred": X, "label": np.array([0, 1, 2, 3, 0, 1])}
    case = Case(as_loss(tempered), types, arrays, ("temperature", "pred"))
    assert case.rows.shared == ("temperature",)
    each = np.array([case.whole(slice(i, i + 1))["grad_temperature"] for i in range(N)])
    assert_close(case.outputs(W)["grad_temperature"], W @ each)
    assert_close(case.outputs(W)["grad_pred"], case.outputs()["grad_pred"])


@pytest.mark.parametrize("dtype", ["float16", "float32", "bfloat16"])
def test_other_dtypes(dtype):
    types = {"input": (dtype, ("N", 4)), "target": ("int64", ("N",)), "weight": (dtype, (4,))}
    arrays = {"input": X.astype(numpy_dtype(dtype)), "target": np.arange(N) % 4,
              "weight": np.array([1, 2, 3, 4]).astype(numpy_dtype(dtype))}  # fmt: skip
    case = Case(nn.CrossEntropyLoss(), types, arrays, ("input",))
    out = {name: array.astype(np.float64) for name, array in case.outputs().items()}
    assert case.outputs()["loss"].dtype == dtype
    logits = arrays["input"].astype(np.float64)
    weights = arrays["weight"].astype(np.float64)[np.arange(N) % 4]
    assert_close(out["loss"], cross_entropies(logits, np.arange(N) % 4) * weights, dtype=dtype)
    assert_close(out[f"loss_{SCALE}"], weights, dtype=dtype)


def test_it_is_plain_data():
    types = {"input": ("float64", ("N", 4)), "target": ("int64", ("N",))}
    arrays = {"input": X, "target": np.arange(N) % 4}
    case = Case(nn.CrossEntropyLoss(), types, arrays, ("input",))
    again = pickle.loads(pickle.dumps(case.rows))
    assert (again.parts, again.scaled, again.rows, again.shared) == (
        (),
        True,
        ("input", "target"),
        (),
    )
    assert list(again.program.outputs) == ["loss", f"loss_{SCALE}", "grad_input"]


def test_no_rows_and_several_values():
    lengths = dict.fromkeys(("input_lengths", "target_lengths"), ("int64", ("N",)))
    types = {"log_probs": ("float32", ("T", "N", 5)), "targets": ("int64", ("N", "L")), **lengths}
    ctc = nn.CTCLoss().program(types)
    with pytest.raises(lg.InputError, match="rows of log_probs lie along its axis 1"):
        by_rows(ctc, "N")
    with pytest.raises(lg.InputError, match="no input with the rows 'N'"):
        by_rows(gluon.L2Loss().program(dict.fromkeys(("pred", "label"), ("float32", (3, 4)))), "N")
    with pytest.raises(lg.InputError, match="2 values: a table needs one"):
        by_rows(as_loss(lambda F, x: (x, F.square(x))).program({"x": ("float32", ("N",))}), "N")
    program = gluon.L2Loss().program(dict.fromkeys(("pred", "label"), ("float32", ("N", 4))))
    with pytest.raises(lg.InputError, match="no gradient for 'prde'"):
        by_rows(program, "N", ("prde",))
    square = gluon.L2Loss().program(dict.fromkeys(("pred", "label"), ("float32", ("N", "N"))))
    with pytest.raises(CoupledRowsError):
        by_rows(square, "N")


def test_rows_that_a_function_puts_first():
    """CTC's batch is its second axis: a function transposes it for a table, as its error says."""

    def by_row(F, log_probs, targets, input_lengths, target_lengths):
        steps = F.transpose(log_probs, (1, 0, 2))
        return nn.CTCLoss()(steps, targets, input_lengths, target_lengths)

    lengths = dict.fromkeys(("input_lengths", "target_lengths"), ("int64", ("N",)))
    types = {"log_probs": ("float64", ("N", 7, 4)), "targets": ("int64", ("N", 3)), **lengths}
    logits = RNG.normal(size=(N, 7, 4))
    arrays = {
        "log_probs": logits - np.log(np.exp(logits).sum(2, keepdims=True)),
        "targets": RNG.integers(1, 4, (N, 3)),
        "input_lengths": np.array([7, 7, 6, 7, 5, 7]),
        "target_lengths": np.array([3, 2, 1, 3, 2, 3]),
    }
    case = Case(as_loss(by_row), types, arrays, ("log_probs",))
    out = case.outputs()
    assert_close(by_all_rows(case, out), case.whole()["loss"])
    for row in range(N):
        alone = case.whole(slice(row, row + 1))
        assert_close(out["loss"][row], alone["loss"])
        assert_close(out["grad_log_probs"][row], alone["grad_log_probs"][0])


def test_means_by_pytorch():
    """Where PyTorch is installed."""
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(2)
    logits, labels, weight = rng.normal(size=(N, 5)), rng.integers(0, 5, N), rng.random(5)
    unit = rng.random((2, N, 5))
    types = {
        "input": ("float64", ("N", 5)),
        "target": ("int64", ("N",)),
        "weight": ("float64", (5,)),
    }
    floats = {"input": ("float64", ("N", 5)), "target": ("float64", ("N", 5))}
    cases = [
        ("CrossEntropyLoss", {"ignore_index": 3, "label_smoothing": 0.2}, types,
         (logits, labels, weight)),
        ("NLLLoss", {"ignore_index": 1}, types, (np.log(unit[0]), labels, weight)),
        ("MultiMarginLoss", {}, types, (logits, labels, weight)),
        ("BCELoss", {}, floats, tuple(unit)),
        ("KLDivLoss", {"reduction": "batchmean"}, floats, (np.log(unit[0]), unit[1])),
        ("SmoothL1Loss", {"reduction": "sum"}, floats, tuple(unit)),
    ]  # fmt: skip
    for name, options, kinds, given in cases:
        arrays = dict(zip(kinds, given, strict=True))
        case = Case(getattr(nn, name)(**options), kinds, arrays, ("input",))
        count = N if options.get("reduction") == "sum" else 1
        tensors = {k: torch.from_numpy(array) for k, array in arrays.items()}
        made = getattr(torch.nn, name)(
            **options, **({"weight": tensors["weight"]} if "weight" in tensors else {})
        )
        whole = made(tensors["input"], tensors["target"])
        out = case.outputs()
        assert_close(by_all_rows(case, out) * count, whole.numpy())
        for row in range(N):
            own = tensors["input"][row : row + 1].clone().requires_grad_()
            made(own, tensors["target"][row : row + 1]).backward()
            assert_close(out["grad_input"][row], own.grad.numpy()[0])


def test_masks_of_optax_and_a_batch_axis():
    mask = RNG.random((N, 4)) < 0.7
    types = {
        "logits": ("float64", ("N", 4)),
        "labels": ("float64", ("N", 4)),
        "where": ("bool", ("N", 4)),
    }
    probs = np.exp(Y) / np.exp(Y).sum(1, keepdims=True)
    case = Case(
        optax.softmax_cross_entropy,
        types,
        {"logits": X, "labels": probs, "where": mask},
        ("logits",),
    )
    assert_close(case.outputs()["loss"], case.whole()["loss"])
    turned = gluon.L2Loss(batch_axis=1)
    with pytest.raises(lg.InputError, match="along its axis 1"):
        by_rows(turned.program(dict.fromkeys(("pred", "label"), ("float32", (4, "N")))), "N")
