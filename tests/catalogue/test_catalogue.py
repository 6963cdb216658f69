"""The register of losses: names, what classes say of themselves, plausible inputs."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from lossgraph import gluon
from lossgraph.catalogue import (
    ALIASES,
    Entry,
    by_name,
    entries,
    entry_of,
    example_types,
    examples,
    examples_of,
    lookup,
)
from lossgraph.deploy.example_inputs import choose_sizes, draw
from lossgraph.deploy.export import expected
from lossgraph.errors import InputError

every_loss = pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)


@pytest.mark.parametrize(
    "name",
    ["gluon.HuberLoss", "GLUON.huberloss", "gluon.loss.HuberLoss", "HuberLoss", "huber_loss",
     "huber", "Huber", "gluon.huber"],
)  # fmt: skip
def test_a_loss_has_one_name_in_many_spellings(name: str) -> None:
    assert lookup(name).source is gluon.HuberLoss


@pytest.mark.parametrize(("alias", "full"), ALIASES.items())
def test_an_alias_is_the_loss_it_says(alias: str, full: str) -> None:
    assert lookup(alias).name == full
    assert alias in lookup(alias).aliases


def test_names_that_a_module_has_twice_are_aliases() -> None:
    assert lookup("SoftmaxCELoss").name == "gluon.SoftmaxCrossEntropyLoss"
    assert "SoftmaxCELoss" in lookup("softmax_ce").aliases


def test_bases_are_no_losses() -> None:
    assert not {"Loss", "Block", "HybridBlock"} & {entry.own_name for entry in entries()}


@pytest.mark.parametrize("name", ["hubr", "gluon.hubrloss", "other.HuberLoss"])
def test_an_unknown_name_gets_a_suggestion(name: str) -> None:
    with pytest.raises(InputError, match=r"did you mean gluon\.HuberLoss"):
        lookup(name)


@pytest.mark.parametrize("name", ["", "zzzzzz", "gluon.", "loss"])
def test_nonsense_gets_the_way_to_the_list(name: str) -> None:
    with pytest.raises(InputError, match="lossgraph list"):
        lookup(name)


def test_a_name_of_two_namespaces_needs_one(monkeypatch: pytest.MonkeyPatch) -> None:
    twins = [Entry("a", gluon.L1Loss, ()), Entry("b", gluon.L1Loss, ())]
    monkeypatch.setattr(by_name, "entries", lambda: twins)
    with pytest.raises(InputError, match=r"choose one of a\.L1Loss, b\.L1Loss"):
        lookup("l1_loss")
    assert lookup("b.L1Loss") is twins[1]


@every_loss
def test_an_entry_says_what_its_class_says(entry: Entry) -> None:
    assert entry.formula.startswith(r"\ell")
    assert entry.summary.endswith(".")
    assert entry_of(entry.make()) is entry
    assert entry.make(entry.options).options == entry.make().options
    assert set(example_types(entry.make())) == {k for k, needed in entry.inputs.items() if needed}


def test_numbers_of_the_call_are_no_inputs() -> None:
    assert lookup("poisson_nll").inputs == {"pred": True, "target": True, "sample_weight": False}


def test_an_option_that_is_not_there_is_answered_with_those_that_are() -> None:
    with pytest.raises(InputError, match=r"no option 'rh' \(did you mean 'rho'\?\).*rho=1, weight"):
        lookup("huber").make({"rh": 1})


def test_the_tables_name_what_exists() -> None:
    inputs = {(entry.name, name) for entry in entries() for name in entry.inputs}
    for namespace, table in examples.TABLES.items():
        assert {(f"{namespace}.{loss}", name) for loss, name in table} <= inputs
        for (loss, _), (_, replaced) in table.items():
            assert {option for option, _ in replaced} <= set(lookup(f"{namespace}.{loss}").options)


def variants() -> list[tuple[Entry, dict[str, object]]]:
    """Every loss with every combination of its switches."""
    made = []
    for entry in entries():
        switches = {key: (False, True) for key, v in entry.options.items() if isinstance(v, bool)}
        for values in itertools.product(*switches.values()):
            made.append((entry, dict(zip(switches, values, strict=True))))
    return [*made, (lookup("logistic"), {"label_format": "binary"})]


@pytest.mark.parametrize(
    ("entry", "options"), variants(), ids=lambda v: v.name if isinstance(v, Entry) else str(v)
)
def test_examples_fit_the_loss_and_its_options(entry: Entry, options: dict[str, object]) -> None:
    """With the optional inputs too: a finite value and a finite gradient."""
    loss = entry.make(options)
    examples = examples_of(loss)
    program = loss.program(
        {name: e.type for name, e in examples.items()}, grad=[next(iter(examples))]
    )
    types = {node.attrs["name"]: node.type for node in program.inputs}
    arrays = draw(types, choose_sizes(types, program.constraints), examples, program.labels)
    for name, value in expected(loss, program, arrays).items():
        assert np.isfinite(value).all(), name
