"""README and guides are true: their Python runs, their commands run, their lists are complete."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from code_blocks import Page, pages
from support import ROOT

PAGES = pages()
README = PAGES[0]
TEXT = "\n".join(page.text for page in PAGES)
CHANGELOG = (ROOT / "CHANGELOG.md").read_text("utf-8")
COMMANDS = {
    "cache", "doctor", "evaluate", "export-training", "train",
    "list", "show", "export", "attach", "check", "run", "bench", "plot", "compare", "inspect",
}  # fmt: skip


def of(selected: list[Page]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("page", selected, ids=[page.name for page in selected])


@of([page for page in PAGES if page.python.strip()])
def test_python_blocks_run_in_order(
    page: Page, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if "lg.plot" in page.python:
        pytest.importorskip("matplotlib", reason="pictures need lossgraph[plot]")
    (tmp_path / "exported_models").symlink_to(ROOT / "exported_models")
    monkeypatch.chdir(tmp_path)
    page.run_python()


@of([page for page in PAGES if page.commands])
def test_commands_run_in_order(page: Page, tmp_path: Path) -> None:
    pytest.importorskip("typer", reason="the command line needs lossgraph[cli]")
    page.run_commands(tmp_path)
    for words in page.commands:
        if "-o" in words:
            assert (tmp_path / words[words.index("-o") + 1]).exists(), words


def test_every_command_is_shown() -> None:
    assert {words[1] for page in PAGES for words in page.commands} == COMMANDS


def test_the_readme_is_short() -> None:
    assert len(README.text.splitlines()) <= 250


@of(PAGES)
def test_links_lead_somewhere(page: Page) -> None:
    for file, heading in page.links:
        target = Page((page.path.parent / file).resolve() if file else page.path)
        assert target.path.is_file(), file
        assert not heading or heading in target.anchors, (file, heading)


def test_tools_that_are_named_exist() -> None:
    for name in set(re.findall(r"tools/\w+", TEXT + CHANGELOG)):
        assert (ROOT / name).is_file(), name


def test_all_guides_are_listed() -> None:
    guides = {page.path.stem for page in PAGES[1:]} - {"index"}
    index = (ROOT / "docs" / "guides" / "index.md").read_text("utf-8")
    listed = re.findall(r"^[\w-]+$", index.split("{toctree}")[1], re.MULTILINE)
    assert sorted(listed) == sorted(guides)
    assert [name for name in guides if f"docs/guides/{name}.md" not in README.text] == []


def test_losses_that_are_named_exist() -> None:
    from lossgraph import gluon, losses, nn

    known = {*dir(gluon), *dir(nn), "FocalLoss", "CenterLoss"}
    assert [name for name in re.findall(r"\b(\w+Loss)\b", TEXT) if name not in known] == []
    there = [*gluon.__all__, *nn.__all__, *nn.functional.__all__]
    assert [name for name in there if name.lower().endswith("loss") and name not in TEXT] == []
    guide = (ROOT / "docs" / "guides" / "calling-losses.md").read_text("utf-8")
    listed = guide.split("## Losses of no framework")[1].split("\n## ")[0].split("```")[-1]
    assert sorted(set(losses.__all__) - set(re.findall(r"\w+", listed))) == []


def test_versions_agree() -> None:
    import lossgraph

    assert f"## [{lossgraph.__version__}] - " in CHANGELOG
    assert f"lossgraph {lossgraph.__version__}," in README.text


def test_the_newest_known_release_is_named() -> None:
    from lossgraph.lowering.releases import RELEASES

    assert f"Tested with ONNX Runtime 1.20 to {[*RELEASES][-1]};" in README.text
