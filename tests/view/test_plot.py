"""``lossgraph plot``: pictures and numbers of curves."""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.image import imread
from typer.testing import Result

import command_line
import lossgraph as lg
from lossgraph import gluon
from lossgraph.errors import InputError
from lossgraph.view.curves import Curve, Kink
from lossgraph.view.plotting import Line, _range, inline_svg
from support import ROOT

pytestmark = pytest.mark.once

SVG = "{http://www.w3.org/2000/svg}"


def call(*args: object) -> Result:
    return command_line.call("plot", *args)


def numbers(*args: object) -> list[dict[str, Any]]:
    result = call(*args, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def refused(*args: object) -> str:
    return command_line.refused("plot", *args)


def texts(path: Path) -> list[str]:
    """What is written in a picture."""
    return [t.text for t in ElementTree.fromstring(path.read_text()).iter(f"{SVG}text") if t.text]


# --- numbers ---


def test_numbers_are_those_of_the_loss() -> None:
    (huber,) = numbers("huber", "--set", "rho=2", "--from", -3, "--to", 3, "--points", 7)
    assert huber["loss"] == "gluon.HuberLoss"
    assert (huber["options"], huber["moves"], huber["label"]) == ({"rho": 2}, "pred[0, 0]", 0)
    assert huber["inputs"] == {"pred": [[0]], "label": [[0]]}
    assert huber["x"] == [-3, -2, -1, 0, 1, 2, 3]
    assert huber["value"] == pytest.approx([2, 1, 0.25, 0, 0.25, 1, 2])
    assert huber["gradient"] == pytest.approx([-1, -1, -0.5, 0, 0.5, 1, 1])
    assert huber["kinks"] == []


def test_options_go_to_the_losses_that_have_them() -> None:
    found = numbers("huber", "hinge", "nn.HuberLoss", "--set", "rho=2", "--set", "hinge.margin=3")
    assert [one["options"] for one in found] == [{"rho": 2}, {"margin": 3}, {}]
    found = numbers("huber", "nn.SmoothL1Loss", "l1", "--set", "gluon.HuberLoss.rho=0.5")
    assert [one["options"] for one in found] == [{"rho": 0.5}, {}, {}]


def test_a_family_has_a_member_for_each_value() -> None:
    found = numbers("general_robust", "l2", "--sweep", "alpha=2,0,-inf", "--points", 3)
    assert [one["options"] for one in found] == [{"alpha": 2}, {"alpha": 0}, {"alpha": "-inf"}, {}]
    at_5 = [one["value"][-1] for one in found]
    assert at_5 == pytest.approx([12.5, np.log(13.5), 1 - np.exp(-12.5), 12.5])


def test_the_label_moves_the_curve() -> None:
    (found,) = numbers("l1", "--label", 1.25)
    (kink,) = found["kinks"]
    assert (kink["x"], kink["left"], kink["right"], kink["value"]) == (1.25, -1, 1, 0)
    (found,) = numbers("softmax_ce", "--label", 0, "--from", 0, "--to", 2, "--points", 2)
    assert found["value"] == pytest.approx([np.log(3), np.log(2 + np.exp(2))])


def test_the_dtype_is_that_of_the_computation() -> None:
    (found,) = numbers("l2", "--dtype", "float16", "--from", 1, "--to", 1.01, "--points", 101)
    assert found["x"] == [1 + k / 1024 for k in range(11)]  # all that float16 has there


def test_a_range_ends_where_the_loss_does() -> None:
    (found,) = numbers("nn.GaussianNLLLoss", "--from", -1, "--to", 1)
    assert (found["x"][0], found["x"][-1]) == (-1, 1)
    (found,) = numbers("bce", "--from", -1, "--to", 2)
    assert (found["x"][0], found["x"][-1]) == (0, 1)
    assert found["value"][0] == 100  # torch's


# --- pictures ---


@pytest.mark.parametrize("suffix", ["png", "svg", "pdf"])
def test_a_picture_is_written_the_same_each_time(suffix: str, tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.{suffix}" for name in "ab"]
    for path in paths:
        result = call("huber", "hinge", "--points", 11, "-o", path)
        assert (result.exit_code, result.stdout.strip()) == (0, str(path))
    first, second = (path.read_bytes() for path in paths)
    assert first == second
    assert first.startswith({"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[suffix])


def test_a_picture_says_what_it_shows(tmp_path: Path) -> None:
    call("huber", "hinge", "--set", "rho=2", "-o", tmp_path / "a.svg")
    assert {"value", "gradient", "pred[0, 0]", "huber rho=2 at label 0", "hinge at label 1"} <= set(
        texts(tmp_path / "a.svg")
    )
    call("huber", "nn.L1Loss", "--label", 2, "-o", tmp_path / "b.svg")
    assert {"huber", "nn.L1Loss", "at label 2", "prediction"} <= set(texts(tmp_path / "b.svg"))
    call("huber", "--sweep", "rho=1,2", "-o", tmp_path / "c.svg")
    assert {"rho=1", "rho=2", "huber at label 0"} <= set(texts(tmp_path / "c.svg"))
    call("losses.z_loss", "-o", tmp_path / "d.svg")
    assert "losses.z_loss" in texts(tmp_path / "d.svg")


def test_a_line_is_where_its_numbers_are(tmp_path: Path) -> None:
    """Pixels of hinge's gradient: -1 to the left of 1, 0 to its right, nothing between."""
    call("hinge", "-o", tmp_path / "a.png")
    rgb = imread(tmp_path / "a.png")[:, :, :3]
    blue = np.abs(rgb - mpl.colors.to_rgb("#0072b2")).max(axis=2) < 0.02
    lower = blue[blue.shape[0] // 2 :]
    rows = [np.flatnonzero(column) for column in lower.T]
    columns = [i for i, found in enumerate(rows) if found.size]
    heights = [round(rows[i].mean()) for i in columns]
    left, right = heights[0], heights[-1]
    assert left - right > 100
    share = np.mean([abs(height - left) < 3 for height in heights])
    assert share == pytest.approx(0.6, abs=0.01)
    between = [
        (i - columns[0]) / len(columns)
        for i, height in zip(columns, heights, strict=True)
        if min(abs(height - left), abs(height - right)) > 3
    ]
    assert all(0.58 < place < 0.62 for place in between)


def test_the_picture_of_the_guide_is_what_its_command_makes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    guide = (ROOT / "docs" / "guides" / "command-line.md").read_text()
    (command,) = re.findall(r"^\$ lossgraph plot (.+-o curves\.png)$", guide, re.MULTILINE)
    monkeypatch.chdir(tmp_path)
    assert call(*shlex.split(command)).exit_code == 0
    made, shown = imread(tmp_path / "curves.png"), imread(ROOT / "docs" / "curves.png")
    assert made.shape == shown.shape
    assert np.abs(made - shown).mean() < 0.01  # letters may differ a little


def test_a_pole_is_cut_off_and_nothing_else() -> None:
    x = np.linspace(1e-3, 1, 401)
    low, high = _range(-1 / x)
    assert high == -1
    assert -60 < low < -10
    for whole in (x**2, np.exp(5 * x), np.sign(x - 0.99), np.abs(x), np.zeros(9)):
        assert _range(whole) == (whole.min(), whole.max())


def test_what_is_infinite_is_left_out(tmp_path: Path) -> None:
    assert call("gamma_nll", "bce", "--from", -1, "-o", tmp_path / "a.png").exit_code == 0
    (found,) = numbers("gamma_nll", "--from", -1, "--points", 3)
    assert (found["x"][0], found["value"][0], found["gradient"][0]) == (0, "inf", "-inf")


def test_users_settings_make_no_difference(tmp_path: Path) -> None:
    call("l1", "-o", tmp_path / "a.svg")
    before = dict(mpl.rcParams)
    with mpl.rc_context({"lines.linewidth": 9, "svg.fonttype": "path", "axes.grid": True}):
        call("l1", "-o", tmp_path / "b.svg")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert dict(mpl.rcParams) == before


def test_in_a_page_it_has_the_colors_of_the_text() -> None:
    curve = Curve(np.array([0.0, 1]), np.array([0.0, 1]), np.array([0.0, 1]), (Kink(0.5, 0, 1, 0),))
    text = inline_svg([Line("", curve)], 'a<"b')
    root = ElementTree.fromstring(text)
    assert (root.get("role"), root.get("class")) == ("img", "curves")
    assert root.get("aria-label") == 'value and gradient along a<"b'
    colors = {color.lower() for color in re.findall(r"(?:fill|stroke): ?([^;\"]+)", text)}
    assert colors <= {"currentcolor", "none", "#0072b2"}
    assert "metadata" not in text


# --- wrong use ---


def test_what_is_wrong_is_said(tmp_path: Path) -> None:
    out = ("-o", tmp_path / "a.png")
    assert "-o curves.png, or --json" in refused("huber")
    assert "no loss is called 'hubert9'" in refused("hubert9", *out)
    told = refused("huber", "l1", "--set", "delta=1", *out)
    assert "no loss here has an option 'delta': gluon.HuberLoss has rho, weight" in told
    assert "nn.HuberLoss is not among" in refused("huber", "--set", "nn.HuberLoss.delta=1", *out)
    assert "expected OPTION=VALUE,VALUE,.." in refused("huber", "--sweep", "rho", *out)
    assert "is one of -1, 1 here" in refused("hinge", "--label", "0", *out)
    assert "hinge: the label" in refused("huber", "hinge", "--label", "0", *out)
    assert "there is no label to set" in refused("losses.z_loss", "--label", "0", *out)
    assert "defined from 0 to 1" in refused("bce", "--from", "2", "--to", "3", *out)
    assert "nothing to draw from 5 to -5" in refused("l1", "--from", "5", "--to", "-5", *out)
    assert "png, svg, pdf, not 'gif'" in refused("huber", "-o", tmp_path / "a.gif")
    assert "dtype" in refused("huber", "--dtype", "float31", *out)
    assert call("huber", "--points", 1, *out).exit_code == 2
    assert list(tmp_path.iterdir()) == []


def test_without_matplotlib_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert "pip install 'lossgraph[plot]'" in refused("huber", "-o", tmp_path / "a.png")
    assert numbers("huber", "--points", 3)[0]["value"] == [4.5, 0, 4.5]


# --- from Python ---


def own(F, pred, label):
    return F.log(1 + F.exp(-pred * label))


def lines_of(figure):
    """The curves of each panel, without the axes' own lines."""
    return [
        [line for line in axes.get_lines() if len(line.get_xdata()) > 2] for axes in figure.axes
    ]


def test_a_figure_of_what_the_command_draws():
    figure = lg.plot("huber", options={"rho": 2}, points=11)
    value, gradient = lines_of(figure)
    x = np.linspace(-5, 5, 11)
    expected = np.where(np.abs(x) <= 2, x * x / 4, np.abs(x) - 1)
    at = dict(zip(value[0].get_xdata(), value[0].get_ydata(), strict=True))
    np.testing.assert_allclose([at[point] for point in x], expected)
    slopes = dict(zip(gradient[0].get_xdata(), gradient[0].get_ydata(), strict=True))
    np.testing.assert_allclose([slopes[point] for point in x], np.clip(x / 2, -1, 1))


@pytest.mark.parametrize("label", [(-1, 1), np.array([-1.0, 1.0])])
def test_both_labels_in_one_panel(label):
    figure = lg.plot(gluon.HingeLoss(), own, label=label, together=True)
    (panel,) = lines_of(figure)
    assert len(panel) == 8  # two losses by two labels, value and gradient
    told = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert told[:2] == ["HingeLoss at label -1", "HingeLoss at label 1"]
    assert told[-2:] == ["value", "gradient"]


def test_one_line_says_which_is_the_gradient():
    figure = lg.plot(own, label=1, together=True)
    told = [text.get_text() for text in figure.axes[0].get_legend().get_texts()]
    assert told == ["value", "gradient"]
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_a_figure_on_axes_of_ones_own():
    from matplotlib.figure import Figure

    figure = Figure()
    axes = figure.subplots(1, 2)
    assert lg.plot("l2", ax=axes) is figure
    assert all(lines_of(figure))
    with pytest.raises(InputError, match="expected axes of matplotlib"):
        lg.plot("l2", ax=3)


@pytest.mark.parametrize(
    ("losses", "given", "message"),
    [
        ((), {}, "nothing to draw"),
        (("l2",), {"options": {"rho": 1}}, "no loss here has an option 'rho'"),
        ((gluon.HuberLoss(rho=2),), {"options": {"rho": 1}}, "was made with its options"),
        (("l2",), {"low": 3, "high": 1}, "nothing to draw from 3 to 1"),
        (("l2",), {"points": 1}, "2 points or more"),
        ((3,), {}, "expected a loss or a function of F"),
    ],
)
def test_what_cannot_be_drawn_is_said(losses, given, message):
    with pytest.raises(InputError, match=message):
        lg.plot(*losses, **given)


@pytest.mark.parametrize("arguments", [["--points", "2"], ["--dtype", "float16", "--from", "-1e5"]])
def test_few_points_and_narrow_dtypes_stay_in_the_picture(tmp_path, arguments):
    path = tmp_path / "l1.png"
    assert call("l1", *arguments, "-o", path).exit_code == 0
    assert path.stat().st_size > 1000
