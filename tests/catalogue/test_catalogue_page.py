"""The page of all losses: it is that of this registry, and leads where it says."""

from __future__ import annotations

import ast
import inspect
import os
import re
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import pytest

from lossgraph.authoring.functions import FunctionLoss
from lossgraph.catalogue import FRAMEWORKS, NAMESPACES, SAME, VALUES, Entry, entries, lookup
from support import ROOT, load_tool, tool_path

PAGE = ROOT / "docs" / "losses.md"

tool_path("catalogue.py")  # else everything is skipped

every_loss = pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    return load_tool("catalogue.py")


@pytest.fixture(scope="module")
def text() -> str:
    return PAGE.read_text("utf-8")


def test_the_page_is_that_of_the_losses(tool: ModuleType) -> None:
    there = PAGE.read_bytes() if PAGE.exists() else b""
    assert there == tool.page().encode(), "docs/losses.md is stale: run tools/catalogue"


def test_it_is_the_same_in_every_run() -> None:
    for seed in ("0", "12345"):
        done = subprocess.run(
            [sys.executable, ROOT / "tools" / "catalogue.py", "--check"],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
        )
        assert (done.returncode, done.stderr) == (0, "")


def test_the_tool_writes_and_checks(
    tool: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "losses.md"
    assert tool.main(["--check", "-o", str(path)]) == 1
    assert "run tools/catalogue" in capsys.readouterr().err
    assert tool.main(["-o", str(path)]) == 0
    assert path.read_bytes() == PAGE.read_bytes()
    path.write_text(path.read_text("utf-8").replace("hinge", "hitch"), "utf-8")
    assert tool.main(["--check", "-o", str(path)]) == 1


# --- what is on it ---


def test_links_lead_to_headings(text: str) -> None:
    """GitHub's anchors: lower case, letters, digits, ``_`` and ``-`` kept, spaces to ``-``."""
    anchors = Counter(
        "".join(c for c in heading.lower().replace(" ", "-") if c.isalnum() or c in "_-")
        for heading in re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    )
    assert max(anchors.values()) == 1, "GitHub numbers headings of one name"
    assert set(re.findall(r"\]\(#(.*?)\)", text)) <= set(anchors)
    contents = text.partition("## Contents")[2].partition("\n## ")[0]
    assert {"".join(c for c in e.name.lower() if c != ".") for e in entries()} <= set(
        re.findall(r"\]\(#(.*?)\)", contents)
    )


def test_a_loss_is_there_with_all_that_is_known(text: str) -> None:
    shown = text.partition("### gluon.SigmoidBinaryCrossEntropyLoss\n")[2].partition("\n###")[0]
    assert shown.splitlines()[3].startswith("```math")
    for line in (
        "- Inputs: `pred` float32[N, C]; `label` float32[N, C], inside (0, 1); optional "
        "`sample_weight` float32[N], above 0; optional `pos_weight` float32[C], above 0",
        "- Options: `from_sigmoid=False`, `weight=None`, `batch_axis=0`",
        "- Also called: `sigmoid_bce`, `SigmoidBCELoss`",
        "- Follows: `mxnet.gluon.loss.SigmoidBinaryCrossEntropyLoss`",
    ):
        assert line in shown.splitlines()
    assert "[optax.sigmoid_binary_cross_entropy](#optaxsigmoid_binary_cross_entropy)" in shown


def test_formulas_are_those_that_github_renders(text: str) -> None:
    formulas = re.findall(r"```math\n(.*?)\n```", text, re.DOTALL)
    assert len(formulas) == len(entries())
    for formula in formulas:
        assert formula.count("{") == formula.count("}")
        assert len(re.findall(r"\\left\b", formula)) == len(re.findall(r"\\right\b", formula))
        assert not re.search(r"\\(operatorname|mbox|phantom|def|newcommand)\b", formula)


@every_loss
def test_a_loss_says_what_it_is_and_where_it_comes_from(entry: Entry) -> None:
    assert re.fullmatch(r"[A-Z`].*[^.]\.", entry.summary)
    assert entry.formula.startswith(r"\ell")
    assert entry.paper or entry.original
    assert not entry.paper or entry.paper.endswith((".", '".'))
    assert entry.inputs
    written = entry.source.body if isinstance(entry.source, FunctionLoss) else entry.source
    told = (inspect.getdoc(written) or "").partition(".. math::")[2].lower()
    if re.search(r"\b(as|those of) ``", told):
        return  # it points to another, which says it
    for name in entry.declared:
        spelled = {name, name.replace("_", " "), name.rpartition("_")[2]}
        assert any(word.lower() in told for word in spelled), name


def test_values_of_examples_have_words() -> None:
    from lossgraph.catalogue.examples import TABLES

    found = {example.values for table in TABLES.values() for example, _ in table.values()}
    assert found <= set(VALUES)


# --- one loss in several namespaces ---


def test_the_same_losses_exist_in_several_namespaces() -> None:
    names = [name for group in SAME for name in group]
    assert len(names) == len(set(names))
    for group in SAME:
        assert [lookup(name).name for name in group] == list(group)
        assert len({lookup(name).namespace for name in group}) > 1
    assert lookup("nn.MSELoss").same == ("gluon.L2Loss", "optax.l2_loss", "optax.squared_error")
    assert lookup("losses.circle").same == ()


def test_losses_of_one_formula_are_known_to_be_the_same() -> None:
    """Read from the code: who calls one formula of ``losses`` in several namespaces."""
    formulas = {entry.name: set(formulas_of(entry)) for entry in entries()}
    assert formulas["nn.HuberLoss"] & formulas["optax.huber_loss"]
    for one, other in combinations(entries(), 2):
        shared = formulas[one.name] & formulas[other.name]
        if shared and one.namespace != other.namespace and not {one.name, other.name} & PARTLY:
            assert other.name in one.same, (one.name, other.name, shared)


PARTLY = {"gluon.LogisticLoss"}  # with binary labels a cross-entropy, with signed ones not
SHARED = {"axes", "limits", "options", "pairs"}  # what formulas share is no formula


def formulas_of(entry: Entry) -> Iterator[FunctionType]:
    """The formulas that a loss calls, itself or in helpers outside ``losses``."""
    source, seen = entry.source, set()

    def walk(function: FunctionType) -> Iterator[FunctionType]:
        _, _, module = function.__module__.rpartition(".")
        if function in seen or module in SHARED:
            return
        seen.add(function)
        if function.__module__.startswith("lossgraph.losses."):
            yield function
            return
        for value in called(function):
            if isinstance(value, FunctionType) and value.__module__.startswith(PACKAGES):
                yield from walk(value)

    def called(function: FunctionType) -> Iterator[Any]:
        for node in ast.walk(ast.parse(textwrap.dedent(inspect.getsource(function)))):
            if isinstance(node, ast.Name):
                yield function.__globals__.get(node.id)
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
                base = function.__globals__.get(node.value.id)
                yield getattr(source if node.value.id == "self" else base, node.attr, None)

    yield from walk(source.body if isinstance(source, FunctionLoss) else source.hybrid_forward)


PACKAGES = tuple(f"lossgraph.{name}." for name in NAMESPACES)


@pytest.mark.parametrize("namespace", ["nn", "optax"])
def test_the_names_are_those_of_the_frameworks(namespace: str) -> None:
    package, _, inner = FRAMEWORKS[namespace].partition(".")
    module = getattr(pytest.importorskip(package), inner)
    names = {entry.own_name for entry in entries() if entry.namespace == namespace}
    new = {"LinearCrossEntropyLoss"}  # which older PyTorch has not
    assert {name for name in names - new if not hasattr(module, name)} == set()
