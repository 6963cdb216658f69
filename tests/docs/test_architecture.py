"""The pages about the package's structure: what they name is there."""

from __future__ import annotations

import re

import pytest

from support import ROOT, load_tool

PAGES = [ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs" / "architecture").glob("*.md"))]
wings = load_tool("wings.py")


every_page = pytest.mark.parametrize("page", PAGES, ids=lambda path: path.name)
CELL = re.compile(r"^```\{code-cell\}\n((?::.*\n)*)(.*?)^```$", re.MULTILINE | re.DOTALL)


def cells(page):
    """The Python that a page shows and executes; the picture's cell is none of it."""
    return [
        code for options, code in CELL.findall(page.read_text()) if "remove-input" not in options
    ]


@every_page
def test_files_that_are_named_are_there(page):
    folders = "lossgraph|tests|tools|docs|requirements|exported_models"
    named = set(re.findall(rf"`((?:{folders})/[\w/.-]*)", page.read_text()))
    assert [name for name in named if not (ROOT / name).exists()] == []


@every_page
def test_files_that_are_included_or_linked_are_there(page):
    leads = r"\{literalinclude\} (\S+)|\]\(([\w/.-]+)\)"
    named = [included or linked for included, linked in re.findall(leads, page.read_text())]
    assert [name for name in named if not (page.parent / name).exists()] == []


@pytest.mark.parametrize("page", [p for p in PAGES if cells(p)], ids=lambda path: path.name)
def test_examples_run(page):
    namespace = {"__name__": page.stem}
    for code in cells(page):
        exec(compile(code, str(page), "exec"), namespace)


def test_the_pages_with_examples_are_these():
    assert {p.stem for p in PAGES if cells(p)} == {
        "pipeline",
        "training",
        "kernels",
        "add-a-rule",
        "add-a-loss",
        "tables",
    }


def test_modules_of_a_call_are_there():
    text = (ROOT / "docs" / "architecture" / "life-of-a-call.md").read_text()
    named = re.findall(r"`(\w+/\w+\.py)`", text)
    assert named
    assert [name for name in named if not (wings.PACKAGE / name).exists()] == []


def test_the_table_has_every_wing_and_what_to_read_first():
    text = (ROOT / "docs" / "architecture" / "index.md").read_text()
    rows = re.findall(r"^\| (`.*?) \|.*\| (.*?) \|$", text, re.MULTILINE)
    table = {wing: read for names, read in rows for wing in re.findall(r"`(\w+)`", names)}
    assert list(table) == [wing for wing in wings.WINGS if wing != "__main__"]
    for wing, read in table.items():
        for module in re.findall(r"`([\w/]+)`", read):
            place = wings.PACKAGE / wing / module
            assert place.is_dir() or place.with_suffix(".py").exists(), f"{wing}: {module}"


def test_the_picture_has_every_wing_and_no_arrow_that_others_imply():
    picture = wings.svg()
    assert [f">{wing}</text>" in picture for wing in wings.DRAWN] == [True] * len(wings.DRAWN)
    found = {("passes", "ir"): 9, ("lowering", "passes"): 1, ("lowering", "ir"): 3}
    assert wings.direct(found) == {("passes", "ir"): 9, ("lowering", "passes"): 1}


def test_the_picture_has_room_for_another_wing(monkeypatch):
    monkeypatch.setattr(wings, "DRAWN", (*wings.DRAWN, "kernels"))
    picture = wings.svg()
    height = float(re.search(r'viewBox="0 0 \S+ (\S+)"', picture)[1])
    assert max(float(y) for y in re.findall(r'cy="(\S+)"', picture)) < height
