"""The README is true: its Python runs, its commands run, its tables are complete."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys

import numpy as np
import onnx
import pytest

from support import ROOT

README = (ROOT / "README.md").read_text()
PYTHON = "\n".join(re.findall(r"```python\n(.*?)```", README, re.DOTALL))
COMMANDS = re.findall(r"^\$ (.+)$", README, re.MULTILINE)


def test_python_blocks_run_in_order(tmp_path, monkeypatch):
    (tmp_path / "exported_models").symlink_to(ROOT / "exported_models")
    monkeypatch.chdir(tmp_path)
    exec(compile(PYTHON, "README.md", "exec"), {})


def test_commands_run_in_order(tmp_path):
    pytest.importorskip("typer", reason="the command line needs lossgraph[cli]")
    np.save(tmp_path / "pred.npy", np.zeros((2, 3), np.float32))
    np.save(tmp_path / "label.npy", np.array([0, 2]))
    network = re.search(r'text = """(.*?)"""', README, re.DOTALL)[1]
    onnx.save(onnx.parser.parse_model(network), tmp_path / "net.onnx")
    ours = [shlex.split(line) for line in COMMANDS if line.startswith("lossgraph ")]
    assert {words[1] for words in ours} == {
        "list", "show", "export", "attach", "check", "run", "bench", "plot", "compare",
    }  # fmt: skip
    for words in ours:
        subprocess.run(
            [sys.executable, "-m", *words], cwd=tmp_path, check=True, capture_output=True
        )
    assert (tmp_path / "out.npz").is_file()


def test_tools_that_are_named_exist():
    for name in set(re.findall(r"tools/\w+", README + (ROOT / "CHANGELOG.md").read_text())):
        assert (ROOT / name).is_file(), name
    for link in re.findall(r"\]\(([\w/.]+)\)", README):
        assert (ROOT / link).is_file(), link


def test_losses_that_are_named_exist():
    from lossgraph import gluon, losses, nn

    known = {*dir(gluon), *dir(nn), "FocalLoss"}
    assert [name for name in re.findall(r"\b(\w+Loss)\b", README) if name not in known] == []
    there = [*gluon.__all__, *nn.__all__, *nn.functional.__all__]
    assert [name for name in there if name.lower().endswith("loss") and name not in README] == []
    listed = README.split("## More losses")[1].split("\n## ")[0].split("```")[-1]
    assert sorted(set(losses.__all__) - set(re.findall(r"\w+", listed))) == []


def test_versions_agree():
    import lossgraph

    assert f"## [{lossgraph.__version__}] - " in (ROOT / "CHANGELOG.md").read_text()
    assert f"lossgraph {lossgraph.__version__}," in README
