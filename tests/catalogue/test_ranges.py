"""Every loss keeps to the range that the catalogue says, and is 0 where it says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from lossgraph.catalogue import Entry, Example, entries, examples_of
from lossgraph.catalogue.ranges import RANGES
from lossgraph.deploy.example_inputs import bound_sizes, choose_sizes, draw
from lossgraph.ir.dims import evaluate
from tolerances import TOLERANCE

Array = np.ndarray[Any, Any]
Arrays = dict[str, Array]
SUMS = {"simplex": (-1,), "log_simplex": (-1,), "shares": (1,), "table": (-2, -1)}
every_loss = pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)
NEAR = ("real", "positive", "box", *SUMS)
# Of float16 the largest that a sum of squares of some numbers does not overflow.
HUGE = {"float16": 20.0, "float32": 1e4, "float64": 1e4}


def test_every_loss_has_a_range() -> None:
    assert set(RANGES) == {entry.name for entry in entries()}


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@every_loss
def test_values_are_in_range_near_the_edge(entry: Entry, dtype: str) -> None:
    loss = entry.make()
    examples = {n: e for n, e in examples_of(loss).items() if entry.inputs[n]}
    for name, move in MOVES.items():
        for arrays in samples(loss, examples, dtype, move):
            value = first(loss(**arrays)).astype(np.float64)
            assert not np.isnan(value).any(), name
            assert (value >= entry.range.low).all(), (name, value)
            # an upper bound is met up to a rounding, but for cosines
            slack = 0 if entry.range.low < 0 else TOLERANCE[dtype][0]
            assert (value <= entry.range.high * (1 + slack)).all(), (name, value)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "entry", [e for e in entries() if e.range.same], ids=lambda entry: entry.name
)
def test_equal_inputs_have_the_value_0(entry: Entry, dtype: str) -> None:
    loss = entry.make()
    examples = {n: e for n, e in examples_of(loss).items() if n in entry.range.same}
    examples |= {n: e for n, e in examples_of(loss).items() if entry.inputs[n]}
    for move in (as_drawn, tiny, huge):
        for arrays in samples(loss, examples, dtype, move):
            arrays[entry.range.same[1]] = arrays[entry.range.same[0]]
            value = first(loss(**arrays))
            np.testing.assert_allclose(value, 0, atol=TOLERANCE[dtype][1])


# --- inputs at edges: a kind's array, its example, the largest number and a generator ---

Move = Callable[[Arrays, Mapping[str, Example], float, np.random.Generator], Arrays]


def as_drawn(
    arrays: Arrays, examples: Mapping[str, Example], largest: float, rng: np.random.Generator
) -> Arrays:
    return arrays


def tiny(
    arrays: Arrays, examples: Mapping[str, Example], largest: float, rng: np.random.Generator
) -> Arrays:
    """Real numbers near 0."""
    return _real(arrays, examples, lambda x: x * 1e-3)


def huge(
    arrays: Arrays, examples: Mapping[str, Example], largest: float, rng: np.random.Generator
) -> Arrays:
    """Real numbers far from 0: predictions are sure, whether right or wrong."""
    return _real(arrays, examples, lambda x: x * largest)


def nearly_equal(
    arrays: Arrays, examples: Mapping[str, Example], largest: float, rng: np.random.Generator
) -> Arrays:
    """All arrays of a kind and shape differ in their last digits."""
    first_of: dict[tuple[str, Any], Array] = {}
    moved = {}
    for name, array in arrays.items():
        base = first_of.setdefault((examples[name].values, array.shape), array)
        if array.dtype.kind != "f" or examples[name].values not in NEAR:
            moved[name] = array
            continue
        step = np.finfo(array.dtype).eps * rng.integers(-2, 3, array.shape)
        moved[name] = _whole(examples[name].values, base * (1 + step)).astype(array.dtype)
    return moved


def _whole(kind: str, array: Array) -> Array:
    """Shares that sum to 1 again."""
    if kind not in SUMS:
        return array
    wide = array.astype(np.float64)
    shares = np.exp(wide) if kind == "log_simplex" else wide
    shares /= shares.sum(axis=SUMS[kind], keepdims=True)
    return np.asarray(np.log(shares) if kind == "log_simplex" else shares)


def nearly_sure(
    arrays: Arrays, examples: Mapping[str, Example], largest: float, rng: np.random.Generator
) -> Arrays:
    """Distributions with nearly all in one class, and probabilities near 0 and 1."""
    moved = {}
    for name, array in arrays.items():
        kind, eps = examples[name].values, float(np.finfo(np.float32).eps)
        if kind in SUMS and kind != "table":
            axis = SUMS[kind][0]
            hot = np.exp(array) if kind == "log_simplex" else array
            hot = (hot == hot.max(axis=axis, keepdims=True)).astype(np.float64)
            share = hot * (1 - eps) + (1 - hot) * eps / max(array.shape[axis] - 1, 1)
            array = (np.log(share) if kind == "log_simplex" else share).astype(array.dtype)
        elif kind == "unit":
            array = np.where(array > 0.5, 1, eps).astype(array.dtype)
        moved[name] = array
    return moved


MOVES = {
    "as drawn": as_drawn, "tiny": tiny, "huge": huge, "nearly equal": nearly_equal,
    "nearly sure": nearly_sure,
}  # fmt: skip


def _real(
    arrays: Arrays, examples: Mapping[str, Example], change: Callable[[Array], Array]
) -> Arrays:
    kinds = {name: examples[name].values for name in arrays}
    return {
        name: change(x).astype(x.dtype) if kinds[name] == "real" and x.dtype.kind == "f" else x
        for name, x in arrays.items()
    }


def samples(loss: Any, examples: Mapping[str, Example], dtype: str, move: Move) -> list[Arrays]:
    """Arrays of a dtype, as drawn and moved."""
    program = loss.program({name: example.type for name, example in examples.items()})
    types = {node.attrs["name"]: node.type for node in program.inputs}
    sizes = choose_sizes(types, program.constraints)
    found = []
    for seed in (0, 1) if move is not as_drawn else (0,):
        arrays = draw(types, sizes, examples, program.labels, seed)
        arrays = {n: x.astype(dtype) if x.dtype.kind == "f" else x for n, x in arrays.items()}
        found.append(move(arrays, examples, HUGE[dtype], np.random.default_rng(seed)))
    return found


def first(value: Any) -> Array:
    """The value of a loss that gives other things too."""
    return np.asarray(value[0] if isinstance(value, tuple) else value)


# --- what ships is in its domain ---


def in_domain(kind: str, array: Array) -> bool:
    """Whether an array is what the word for its kind says."""
    if kind in SUMS:
        shares = np.exp(array) if kind == "log_simplex" else array
        whole = shares.sum(axis=SUMS[kind])
        return bool((shares >= 0).all() and np.allclose(whole, 1, atol=1e-6))
    checks: Mapping[str, Callable[[Array], Any]] = {
        "unit": lambda x: (x > 0) & (x < 1),
        "positive": lambda x: x > 0,
        "log_probability": lambda x: x < 0,
        "sign": lambda x: np.abs(x) == 1,
        "count": lambda x: (x >= 0) & (x == np.round(x)),
        "box": lambda x: x[..., 2:] > x[..., :2],
        "event": lambda x: x > 0,
        "class": lambda x: (x >= 0) & (x <= 1),
        "group": lambda x: (x >= 0) & (x <= 1),
        "length": lambda x: x >= 0,
        "mask": lambda x: x.any(axis=-1),
        "zero": lambda x: x == 0,
    }
    return bool(checks.get(kind, lambda x: np.isfinite(x))(array).all())


@every_loss
def test_examples_are_in_their_domain(entry: Entry) -> None:
    for options in variants(entry):
        loss = entry.make(options)
        examples = examples_of(loss)
        program = loss.program({name: example.type for name, example in examples.items()})
        types = {node.attrs["name"]: node.type for node in program.inputs}
        sizes = choose_sizes(types, program.constraints)
        labels = dict(program.labels)
        for seed in range(3):
            arrays = draw(types, sizes, examples, program.labels, seed)
            for name, array in arrays.items():
                assert in_domain(examples[name].values, array) or name in labels, name
                if name in labels:
                    assert ((array >= 0) & (array < evaluate(labels[name], sizes))).all(), name
            assert bound_sizes(program, arrays)


@pytest.mark.parametrize(
    ("name", "input_name", "kind"),
    [
        ("losses.mutual_information", "joint", "table"),
        ("losses.lovasz_softmax", "prob", "shares"),
        ("losses.entropy", "p", "simplex"),
        ("losses.sinkhorn", "source", "simplex"),
        ("losses.giou", "pred", "box"),
        ("losses.gaussian_nll", "variance", "positive"),
        ("losses.dpo", "policy_chosen", "log_probability"),
        ("optax.kl_divergence", "targets", "simplex"),
        ("nn.BCELoss", "input", "unit"),
    ],
)
def test_the_types_say_what_is_asked(name: str, input_name: str, kind: str) -> None:
    entry = next(entry for entry in entries() if entry.name == name)
    assert examples_of(entry.make())[input_name].values == kind


def variants(entry: Entry) -> list[dict[str, bool]]:
    """The default options, and each switch the other way."""
    switches = [name for name, value in entry.options.items() if isinstance(value, bool)]
    return [{}, *({name: not entry.options[name]} for name in switches)]
