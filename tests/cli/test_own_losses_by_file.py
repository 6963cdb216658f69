"""Losses that users wrote, on the command line: by their file."""

from __future__ import annotations

import json

import pytest

from command_line import ok, refused

WRITTEN = '''
"""Losses of a project."""

import helper_of_losses
from lossgraph import gluon, nn
from lossgraph.gluon.loss import Loss


class SoftHinge(Loss):
    """A hinge without a corner."""

    def __init__(self, margin=1.0, weight=None, batch_axis=0, **kwargs):
        super().__init__(weight, batch_axis, **kwargs)
        self._margin = margin

    def hybrid_forward(self, F, pred, label, sample_weight=None):
        return F.mean(F.softrelu(self._margin - pred * label), axis=0, exclude=True)


def squared(F, pred, target, scale: float = 1.0):
    return helper_of_losses.FACTOR * scale * F.square(pred - target)


def not_a_loss(x):
    return x


robust = nn.HuberLoss(delta=2.0)
'''


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "project_losses.py").write_text(WRITTEN)
    (tmp_path / "helper_of_losses.py").write_text("FACTOR = 2.0\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("name", ["SoftHinge", "squared", "robust"])
def test_all_commands_take_them(folder, name):
    loss = f"project_losses.py:{name}"
    assert name in ok("show", loss) or name == "robust"
    ok("export", loss, "--grad", "input" if name == "robust" else "pred", "-o", folder / "out")
    assert "agrees" in ok("check", folder / "out")
    assert "agrees" in ok("compare", loss, "--against", "numpy,onnxruntime")


def test_bench_and_plot_take_them(folder):
    times = json.loads(
        ok("bench", "project_losses.py:squared", "--json", "--rounds", 1, "--size", "N=2,C=3")
    )
    assert times
    pytest.importorskip("matplotlib", reason="pictures need lossgraph[plot]")
    ok("plot", "project_losses.py:SoftHinge", "l2", "--set", "margin=2", "-o", "curves.png")
    assert (folder / "curves.png").stat().st_size


def test_options_and_helpers_beside_the_file(folder):
    shown = json.loads(ok("show", "project_losses.py:squared", "--set", "scale=3", "--json"))
    assert shown["options"]["scale"] == 3
    assert any("6" in line for line in shown["expression"])  # 2 of the helper's, times 3
    made = json.loads(ok("show", "project_losses.py:robust", "--json"))
    assert made["options"]["delta"] == 2.0
    other = json.loads(ok("show", "project_losses.py:robust", "--set", "delta=3", "--json"))
    assert other["options"]["delta"] == 3


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        ("project_losses.py:SoftHing", "did you mean 'SoftHinge'"),
        ("project_losses.py:not_there", "it holds SoftHinge, squared, robust"),
        ("project_losses.py", "say which loss, project_losses.py:NAME"),
        ("nowhere.py:SoftHinge", "nowhere.py: there is no such file"),
        ("no.such.module:SoftHinge", "no.such.module: ModuleNotFoundError"),
    ],
)
def test_what_is_not_there(folder, loss, words):
    assert words in refused("show", loss)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = 1\ny = 1 / 0\n", "line 2: ZeroDivisionError: division by zero"),
        ("x = (\n", "line 1: SyntaxError"),
        ("import nothing_of_that_name\n", "line 1: ModuleNotFoundError"),
        ("def f(x):\n    return x\n", "it holds none"),
    ],
)
def test_files_that_do_not_run(folder, text, words):
    (folder / "broken.py").write_text(text)
    assert words in refused("show", "broken.py")


def test_the_only_loss_of_a_file_needs_no_name(folder):
    (folder / "one_loss.py").write_text("def only(F, a, b):\n    return a - b\n")
    assert ok("show", "one_loss.py").startswith("only")
