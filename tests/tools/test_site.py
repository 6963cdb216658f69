"""The explorer page in a browser: what it draws, and whether one can use it without a mouse."""

from __future__ import annotations

import time
import urllib.parse
from pathlib import Path

import numpy as np
import pytest

import lossgraph as lg
from lossgraph.catalogue import entries, example_types, lookup
from lossgraph.deploy.export import export_folder
from lossgraph.view.curves import curve
from lossgraph.view.sweeps import sweep_of
from support import ROOT, load_from
from web_server import served

pytestmark = pytest.mark.once

MODULES = ROOT / ".venvs" / "site" / "node_modules"

knobs, building = load_from("explorer", "knobs"), load_from("explorer", "build")

LOSSES = (
    "gluon.HuberLoss", "gluon.SoftmaxCrossEntropyLoss", "gluon.CTCLoss", "nn.KLDivLoss",
    "nn.CrossEntropyLoss", "losses.arcface", "losses.dice", "losses.entmax", "optax.hinge_loss",
    "optax.ctc_loss_with_forward_probs",
)  # fmt: skip


# --- without a browser ---


@pytest.mark.parametrize("entry", entries(), ids=lambda entry: entry.name)
def test_a_loss_takes_both_ends_of_its_sliders(entry):
    scales = knobs.numbers(entry)
    inputs = entry.make({name: lg.Input(name) for name in scales})
    sweep = sweep_of(entry.make(), "float32")
    middle = sweep.at((sweep.low + sweep.high) / 2)
    for name, scale in scales.items():
        assert scale.low <= entry.options[name] <= scale.high, name
        assert scale.low > 0 or not scale.log, name
        for end in (scale.low, scale.high):
            entry.make({name: end}).program(example_types(entry.make()))
            numbers = {**{other: entry.options[other] for other in scales}, name: end}
            _, grads = inputs.value_and_grad(**middle, **numbers, wrt=(sweep.input,))
            assert np.isfinite(grads[sweep.input]).all(), (name, end)


def test_losses_have_all_their_choices():
    for entry in entries():
        found, options = knobs.choices(entry), entry.options
        assert {name for name, value in options.items() if isinstance(value, bool)} <= set(found)
        assert all(options[name] in values for name, values in found.items())
        if options.get("reduction") == "mean":
            assert {"mean", "sum", "none"} <= set(found["reduction"])
        assert len(list(knobs.variants(found))) <= knobs.MOST_VARIANTS


def test_modules_that_are_missing_are_named(tmp_path, capsys):
    pytest.importorskip("rich")
    command = load_from("explorer", "__main__")
    assert command.main(["huber", "-o", str(tmp_path / "site"), "--modules", str(tmp_path)]) == 2
    assert f"{tmp_path}/onnxruntime-web" in capsys.readouterr().err
    assert not (tmp_path / "site").exists()


# --- in a browser ---


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of a page of some losses."""
    if not MODULES.is_dir():
        pytest.skip("no node_modules here: tools/site makes them")
    folder = tmp_path_factory.mktemp("site")
    building.build(folder, MODULES, [lookup(name) for name in LOSSES])
    return folder


@pytest.fixture(scope="module")
def page(site, browser):
    """The page, which several tests use one after the other: the engine takes a second."""
    opened = browser.new_page(viewport={"width": 1280, "height": 900})
    opened.set_default_timeout(60_000)  # the machine may do other things
    errors = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    opened.goto((site / "index.html").as_uri())
    settle(opened)
    yield opened
    assert errors == []


def wait_for(page, condition):
    """Wait until it holds; asked from here, as the page lets nobody evaluate a text in it."""
    deadline = time.monotonic() + 60
    while not page.evaluate(condition):
        assert time.monotonic() < deadline, condition
        page.wait_for_timeout(20)


def settle(page):
    """Wait until what was asked for is drawn."""
    page.wait_for_selector("#main[aria-busy=false]")
    assert page.locator("#failure").is_hidden(), page.locator("#failure").inner_text()


def show(page, name, label=None, **options):
    """Go to a state, as somebody who opens a link."""
    fields = {"loss": name} | {f"set.{key}": value for key, value in options.items()}
    if label is not None:
        fields["label"] = label
    go(page, f"#{urllib.parse.urlencode(fields)}")
    settle(page)


def go(page, address):
    page.evaluate(
        """hash => {
            document.getElementById("main").ariaBusy = "true";
            history.replaceState(null, "", hash);
            dispatchEvent(new HashChangeEvent("hashchange"));
        }""",
        address,
    )


def drawn(page, what="curve"):
    """The numbers that are drawn."""
    found = page.evaluate(
        f"""() => Object.fromEntries(Object.entries(explorer.{what})
            .map(([name, numbers]) => [name, [...numbers].map(String)]))"""
    )
    return {name: np.array(numbers, dtype="float64") for name, numbers in found.items()}


def assert_drawn(page, name, label=None, what="curve", **options):
    """What is drawn is what Python computes."""
    loss = lookup(name).make(options)
    sweep = sweep_of(loss, "float32")
    actual = drawn(page, what)
    expected = curve(loss, sweep if label is None else sweep.labelled(label), actual["x"])
    assert len(actual["x"]) == 201
    for kind in ("value", "gradient"):
        numbers = getattr(expected, kind)
        size = np.abs(numbers).max()
        np.testing.assert_allclose(actual[kind], numbers, rtol=1e-4, atol=1e-5 * size, err_msg=kind)


@pytest.mark.parametrize("kind", ["file", "http"])
def test_page_asks_for_nothing_outside_its_folder_and_complains_of_nothing(site, browser, kind):
    with served(site) as server:
        base = server if kind == "http" else f"{site.as_uri()}/"
        page = browser.new_page()
        asked, said = [], []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.goto(f"{base}index.html#loss=nn.CrossEntropyLoss")
        settle(page)
        assert_drawn(page, "nn.CrossEntropyLoss")
        show(page, "losses.entmax")
        page.close()
    own = [url for url in asked if not url.startswith("blob:")]
    assert f"{base}losses/losses.entmax.js" in own
    assert [url for url in own if not url.startswith(base)] == []
    assert said == []


@pytest.mark.parametrize(
    ("name", "label", "options"),
    [
        ("gluon.HuberLoss", None, {}),
        ("gluon.HuberLoss", -1.25, {"rho": 0.3}),
        ("gluon.SoftmaxCrossEntropyLoss", 2, {}),
        ("gluon.SoftmaxCrossEntropyLoss", 0, {"sparse_label": False}),
        ("gluon.SoftmaxCrossEntropyLoss", None, {"from_logits": True, "sparse_label": False}),
        ("gluon.CTCLoss", 3, {}),
        ("nn.KLDivLoss", None, {"reduction": "batchmean", "log_target": True}),
        ("nn.CrossEntropyLoss", 0, {"label_smoothing": 0.4, "reduction": "sum"}),
        ("losses.arcface", None, {"margin": 0.1, "scale": 8.0}),
        ("losses.dice", None, {"smooth": 0.0, "alpha": 0.9, "from_logits": False}),
        ("losses.entmax", 1, {"alpha": 2.0}),
        ("optax.hinge_loss", -1, {}),
        ("optax.ctc_loss_with_forward_probs", None, {}),
    ],
)
def test_curves_are_those_of_python(page, name, label, options):
    show(page, name, label, **options)
    assert_drawn(page, name, label, **options)


def test_a_slider_that_is_dragged_moves_the_curve(page):
    show(page, "gluon.HuberLoss")
    slider = page.get_by_label("rho", exact=True)
    box = slider.bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.2, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.6, middle, steps=4)
    page.mouse.up()
    settle(page)
    rho = float(page.get_by_label("rho, exactly").input_value())
    assert 2.5 < rho < 3.5
    assert_drawn(page, "gluon.HuberLoss", rho=rho)


def test_exact_numbers_labels_and_ranges_are_typed(page):
    show(page, "gluon.HuberLoss")
    page.get_by_label("rho, exactly").fill("0.75")
    page.get_by_label("label[0, 0], exactly").fill("1.5")
    page.get_by_label("x to").fill("8")
    page.get_by_label("x to").press("Enter")
    settle(page)
    assert_drawn(page, "gluon.HuberLoss", 1.5, rho=0.75)
    assert drawn(page)["x"][-1] == 8
    assert page.locator("#arrays td.label").inner_text() == "1.5"
    wait_for(page, "location.hash.includes('to=8')")
    fields = urllib.parse.parse_qs(page.evaluate("location.hash.slice(1)"))
    assert fields == {
        "loss": ["gluon.HuberLoss"], "set.rho": ["0.75"], "label": ["1.5"], "from": ["-5"],
        "to": ["8"],
    }  # fmt: skip


def test_an_address_may_be_a_name_alone(page):
    for address, name in {
        "#losses.dice": "losses.dice", "#set.rho=2": "gluon.HuberLoss", "#": "gluon.HuberLoss",
    }.items():  # fmt: skip
        go(page, address)
        settle(page)
        assert page.locator("#name").inner_text() == name
    go(page, "#set.rho=2")
    settle(page)
    assert_drawn(page, "gluon.HuberLoss", rho=2)


def test_a_range_is_dragged_in_a_panel_and_a_point_clicked(page):
    show(page, "gluon.HuberLoss")
    panel = page.locator("#plots .u-over").first
    box = panel.bounding_box()
    middle = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] * 0.25, middle)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.75, middle, steps=4)
    page.mouse.up()
    settle(page)
    assert drawn(page)["x"][[0, -1]] == pytest.approx([-2.5, 2.5], abs=0.05)
    assert_drawn(page, "gluon.HuberLoss")
    panel.click(position={"x": box["width"] * 0.9, "y": 20})
    assert page.evaluate("explorer.state.at") == pytest.approx(2, abs=0.05)
    panel.dblclick(position={"x": 40, "y": 20})
    settle(page)
    assert drawn(page)["x"][[0, -1]].tolist() == [-5, 5]


def test_numbers_that_a_loss_refuses_are_marked_and_not_taken(page):
    show(page, "gluon.HuberLoss")
    with pytest.raises(lg.InputError):
        lookup("huber").make({"rho": -1})
    field = page.get_by_label("rho, exactly")
    field.fill("-1")
    settle(page)
    assert field.get_attribute("aria-invalid") == "true"
    assert_drawn(page, "gluon.HuberLoss")


def test_what_a_loss_takes_is_said_in_words(page):
    show(page, "gluon.HuberLoss")
    field = page.get_by_label("rho, exactly")
    field.fill("-1")
    assert page.locator(".wrong:visible").inner_text() == "rho: expected a number above 0"
    field.fill("20")  # beyond the slider
    settle(page)
    assert page.locator(".wrong:visible").count() == 0
    assert page.evaluate("explorer.state.options.rho") == "20"
    assert_drawn(page, "gluon.HuberLoss", rho=20)


def test_infinities_can_be_entered(page):
    show(page, "gluon.HuberLoss")
    page.get_by_label("label[0, 0], exactly").fill("-inf")
    settle(page)
    assert np.isposinf(drawn(page)["value"]).all()


@pytest.mark.parametrize("name", ["huber", "HuberLoss", "gluon.huber", "GLUON.huber_loss"])
def test_an_address_takes_any_name_of_a_loss(page, name):
    go(page, f"#loss={name}")
    settle(page)
    assert page.evaluate("explorer.state.loss") == "gluon.HuberLoss"


def test_an_address_holds_the_view_and_its_nonsense_is_left_out(page):
    show(page, "nn.CrossEntropyLoss", 7, reduction="sideways", label_smoothing=0.25, nothing=1)
    assert_drawn(page, "nn.CrossEntropyLoss", label_smoothing=0.25)
    assert page.get_by_label("label_smoothing", exact=True).input_value() == "50"
    assert page.evaluate("explorer.state.options") == {"label_smoothing": "0.25"}


def test_a_loss_that_there_is_not_is_said(page):
    go(page, "#loss=gluon.NoLoss&pinned=loss%3Dgluon.NoLoss")
    page.wait_for_selector("#failure:not([hidden])")
    assert "gluon.NoLoss" in page.locator("#failure").inner_text()


def test_a_pinned_curve_stays_behind_others(page):
    show(page, "gluon.HuberLoss", rho=0.5)
    page.get_by_role("button", name="Pin curve").click()
    page.get_by_role("link", name="hinge_loss").click()
    wait_for(page, "explorer.state.loss === 'optax.hinge_loss'")
    settle(page)
    assert_drawn(page, "optax.hinge_loss")
    assert_drawn(page, "gluon.HuberLoss", rho=0.5, what="pinned")
    assert page.locator("#pinned").inner_text() == "Dashed: gluon.HuberLoss, rho=0.5"
    page.get_by_role("button", name="Unpin").click()
    settle(page)
    assert page.evaluate("explorer.pinned") is None
    for name in ("Pin curve", "Unpin curve", "Pin curve"):
        page.get_by_role("button", name=name, exact=True).click()
        settle(page)
    assert_drawn(page, "optax.hinge_loss", what="pinned")


def test_it_can_be_used_from_the_keyboard_alone(page):
    show(page, "gluon.HuberLoss")
    page.locator("body").press("/")
    page.keyboard.type("dice overlap")
    assert page.locator("#count").inner_text() == "1 loss"
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    wait_for(page, "explorer.state.loss === 'losses.dice'")
    settle(page)
    before = drawn(page)
    focus_by_tab(page, "control-smooth")
    page.keyboard.press("ArrowRight")
    settle(page)
    smooth = float(page.get_by_label("smooth, exactly").input_value())
    assert smooth != 1
    assert_drawn(page, "losses.dice", smooth=smooth)
    assert (drawn(page)["value"] != before["value"]).any()
    said = page.locator("#reading").inner_text()
    focus_by_tab(page, "at", "Shift+Tab")
    page.keyboard.press("ArrowLeft")
    assert page.locator("#reading").inner_text() != said


def test_a_choice_keeps_the_focus(page):
    show(page, "nn.CrossEntropyLoss")
    page.get_by_label("reduction").focus()
    page.keyboard.press("ArrowDown")
    settle(page)
    assert page.evaluate("explorer.state.options") == {"reduction": "sum"}
    assert page.evaluate("document.activeElement.id") == "control-reduction"


def focus_by_tab(page, wanted, key="Tab"):
    for _ in range(60):
        page.keyboard.press(key)
        if page.evaluate("document.activeElement.id") == wanted:
            return
    pytest.fail(f"{key} does not lead to {wanted}")


def test_arrows_lead_through_the_list(page):
    show(page, "gluon.HuberLoss")
    assert page.locator("#list a[tabindex='0']").count() == 1
    page.locator("#search").fill("")
    page.locator("#search").press("ArrowDown")
    for key, name in [("ArrowDown", LOSSES[1]), ("End", LOSSES[-1]), ("Home", LOSSES[0])]:
        page.keyboard.press(key)
        assert page.evaluate("document.activeElement.dataset.name") == name
    page.keyboard.press("ArrowUp")
    assert page.evaluate("document.activeElement.id") == "search"


def test_models_are_those_of_the_export(page, tmp_path):
    show(page, "losses.arcface", margin=0.2)
    loss = lookup("losses.arcface").make()
    types = {
        "embedding": ("float32", ("N", "D")),
        "weight": ("float32", ("C", "D")),
        "label": ("int64", ("N",)),
    }
    export_folder(loss, types, tmp_path, grad=("embedding",))
    for kind in ("value", "training"):
        with page.expect_download() as download:
            page.get_by_role("link", name=f"losses.arcface.{kind}.onnx").click()
        content = Path(download.value.path()).read_bytes()
        assert content == (tmp_path / f"{kind}.onnx").read_bytes()
    assert page.locator("#command").inner_text() == (
        "lossgraph export losses.arcface --set margin=0.2 --grad embedding -o arcface"
    )


def test_light_and_dark_differ_and_the_choice_is_kept(page):
    show(page, "gluon.HuberLoss")
    light = page.screenshot()
    page.emulate_media(color_scheme="dark")
    dark = page.screenshot()
    assert dark != light
    button = page.locator("#theme")
    button.click()
    assert button.inner_text() == "Theme: light"
    assert page.screenshot() != dark
    page.reload()
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    settle(page)


@pytest.mark.parametrize("width", [320, 390])
def test_narrow_screens_need_no_scrolling_sideways(page, width):
    page.set_viewport_size({"width": width, "height": 800})
    try:
        for name in ("gluon.CTCLoss", "losses.dice"):
            show(page, name)
            assert page.evaluate("document.documentElement.scrollWidth") == width
        assert page.locator("#list").is_hidden()
        page.get_by_role("button", name="Losses", exact=True).click()
        assert page.locator("#list").is_visible()
        page.get_by_role("link", name="HuberLoss").click()
        wait_for(page, "explorer.state.loss === 'gluon.HuberLoss'")
        assert page.locator("#list").is_hidden()
        settle(page)
    finally:
        page.set_viewport_size({"width": 1280, "height": 900})


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_is_accessible(page, theme):
    show(page, "losses.dice")
    page.evaluate((MODULES / "axe-core" / "axe.min.js").read_text())
    page.evaluate("theme => document.documentElement.dataset.theme = theme", theme)
    found = page.evaluate("axe.run().then(result => result.violations)")
    told = [(v["id"], v["impact"], [node["html"] for node in v["nodes"]]) for v in found]
    assert told == []
