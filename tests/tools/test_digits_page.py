"""The page that trains in the browser: it learns, reads drawings, asks the network nothing."""

from __future__ import annotations

import time

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from support import ROOT, load_from
from web_server import served

pytest.importorskip("sklearn")
pytestmark = pytest.mark.once

MODULES = ROOT / ".venvs" / "site" / "node_modules"

building, model = load_from("handwriting", "build"), load_from("handwriting", "model")

# Batches are drawn at random: always the same ones here.
SEEDED = """
let state = 1;
Math.random = () => (state = (state * 48271) % 2147483647) / 2147483647;
"""

STROKES = {
    7: [[(0.3, 0.2), (0.7, 0.2), (0.45, 0.8)]],
    4: [[(0.5, 0.2), (0.3, 0.55), (0.7, 0.55)], [(0.6, 0.35), (0.6, 0.8)]],
    2: [[(0.35, 0.3), (0.5, 0.2), (0.63, 0.32), (0.36, 0.8), (0.68, 0.8)]],
}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    if not MODULES.is_dir():
        pytest.skip("no node_modules here: tools/digits makes them")
    folder = tmp_path_factory.mktemp("digits")
    building.build(folder, MODULES)
    return folder


@pytest.fixture(scope="module")
def page(site, browser):
    """The page, which the tests use one after the other: it has learned when they begin."""
    opened = start(browser, (site / "index.html").as_uri())
    train(opened, 800)
    yield opened
    assert opened.said == []


def start(browser, address):
    page = browser.new_page(viewport={"width": 1280, "height": 1000})
    page.set_default_timeout(60_000)
    page.add_init_script(SEEDED)
    page.said, page.asked = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("console", lambda message: page.said.append(message.text))
    page.on("pageerror", lambda error: page.said.append(str(error)))
    page.goto(address)
    page.wait_for_selector("#main[aria-busy=false]")
    return page


def wait_for(page, condition):
    deadline = time.monotonic() + 60
    while not page.evaluate(condition):
        assert time.monotonic() < deadline, condition
        page.wait_for_timeout(20)


def train(page, steps):
    """Let it train for so many steps more."""
    end = number(page, "#steps") + steps
    page.get_by_role("button", name="Train", exact=True).click()
    wait_for(page, f"Number(document.getElementById('steps').textContent) >= {end}")
    pause(page)


def pause(page):
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Start over").click(trial=True)  # enabled when it has stopped


def number(page, place):
    return float(page.locator(place).inner_text().removesuffix("%"))


def draw(page, digit):
    page.get_by_role("button", name="Clear").click()
    box = page.locator("#pad").bounding_box()
    for stroke in STROKES[digit]:
        points = [(box["x"] + x * box["width"], box["y"] + y * box["height"]) for x, y in stroke]
        page.mouse.move(*points[0])
        page.mouse.down()
        for point in points[1:]:
            page.mouse.move(*point, steps=4)
        page.mouse.up()


@pytest.mark.parametrize("kind", ["file", "http"])
def test_it_asks_for_nothing_outside_its_folder_and_complains_of_nothing(site, browser, kind):
    with served(site) as server:
        base = server if kind == "http" else f"{site.as_uri()}/"
        page = start(browser, f"{base}index.html")
        train(page, 5)
        page.close()
    assert page.said == []
    own = [url for url in page.asked if not url.startswith("blob:")]
    assert f"{base}training.js" in own
    assert [url for url in own if not url.startswith(base)] == []


def test_it_learns(page):
    losses = page.evaluate("handwriting.losses")
    assert len(losses) == number(page, "#steps") >= 800
    assert losses[0] == pytest.approx(np.log(10), rel=0.3)
    assert np.mean(losses[-20:]) < 0.1
    assert number(page, "#accuracy") > 95


def test_it_computes_what_python_computes(page, tmp_path):
    """The state, saved and read by ONNX Runtime here, is the model that the page has."""
    for button, name in (("Save state.bin", "state.bin"), ("Save model.onnx", "model.onnx")):
        with page.expect_download() as download:
            page.get_by_role("button", name=button).click()
        download.value.save_as(tmp_path / name)
    onnx.checker.check_model(tmp_path / "model.onnx")
    images, labels = (array[-model.HELD_OUT :] for array in model.digits())
    feed = (images / np.float32(model.LARGEST)).reshape(-1, 1, model.SIDE, model.SIDE)
    (logits,) = ort.InferenceSession(tmp_path / "model.onnx").run(None, {"image": feed})
    right = 100 * (logits.argmax(1) == labels).mean()
    assert number(page, "#accuracy") == pytest.approx(right, abs=0.051)


def test_it_reads_what_is_drawn(page):
    right = 0
    for digit in STROKES:
        draw(page, digit)
        wait_for(page, "document.getElementById('answer').textContent.startsWith('This is a ')")
        read = page.locator("#bars li.best > :first-child").inner_text()
        assert page.locator("#answer").inner_text() == f"This is a {read}."
        right += read == str(digit)
    assert right >= 2  # how well it reads depends on when it was paused
    page.get_by_role("button", name="Clear").click()
    assert page.locator("#answer").inner_text() == "Draw a digit."
    assert page.locator("#labels button").first.is_disabled()


def test_a_drawing_is_scaled_to_what_it_learned_from(page):
    draw(page, 7)
    image = np.array(page.evaluate("[...handwriting.pad.image()]")).reshape(8, 8)
    assert image.max() > 0.9
    assert (image[0, 2:6] > 0.5).all()  # the bar of the 7 is at the top, its foot at the bottom
    assert image[7].max() > 0.3
    assert image[4:, 6:].max() == 0


def test_an_example_of_ones_own_is_learned(page):
    draw(page, 2)
    page.get_by_role("button", name="9", exact=True).click()
    begun = number(page, "#steps")
    wait_for(page, f"Number(document.getElementById('steps').textContent) > {begun + 150}")
    pause(page)
    draw(page, 2)
    wait_for(page, "document.getElementById('answer').textContent === 'This is a 9.'")
    assert page.evaluate("handwriting.own.map((example) => example.label)") == [9]
    page.get_by_role("button", name="Example 1, a 9: forget it").click()
    assert page.evaluate("handwriting.own.length") == 0


def test_a_checkpoint_is_opened_and_no_other_file(page, tmp_path):
    with page.expect_download() as download:
        page.get_by_role("button", name="Save state.bin").click()
    download.value.save_as(tmp_path / "mine.bin")
    steps, right = number(page, "#steps"), number(page, "#accuracy")
    page.get_by_role("button", name="Start over").click()
    wait_for(page, "document.getElementById('steps').textContent === '0'")
    wait_for(page, "document.getElementById('stored').textContent === 'Untrained again.'")
    (tmp_path / "other.bin").write_bytes(b"nothing")
    page.locator("#open").set_input_files(tmp_path / "other.bin")
    wait_for(page, "document.getElementById('stored').textContent.includes('has 7 bytes')")
    page.locator("#open").set_input_files(tmp_path / "mine.bin")
    said = f"mine.bin: after {steps:.0f} steps."
    wait_for(page, f"document.getElementById('stored').textContent === {said!r}")
    wait_for(page, f"document.getElementById('steps').textContent === '{steps:.0f}'")
    wait_for(page, f"parseFloat(document.getElementById('accuracy').textContent) === {right}")


def test_it_can_be_used_from_the_keyboard_alone(page):
    page.get_by_role("button", name="Show a test digit").focus()
    page.keyboard.press("Enter")
    wait_for(page, "document.getElementById('answer').textContent.startsWith('This is a ')")
    page.locator("#rate").focus()
    page.keyboard.press("ArrowRight")
    assert page.locator("#rate-value").inner_text() == "0.0040"
    assert page.evaluate("handwriting.trainer.rate") == pytest.approx(0.004)
    page.get_by_role("button", name="Train", exact=True).focus()
    page.keyboard.press("Enter")
    wait_for(page, "document.activeElement.textContent === 'Pause'")
    page.keyboard.press("Enter")
    wait_for(page, "document.activeElement.textContent === 'Train'")


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_it_is_accessible(page, theme):
    page.evaluate((MODULES / "axe-core" / "axe.min.js").read_text())
    page.evaluate("theme => document.documentElement.dataset.theme = theme", theme)
    found = page.evaluate("axe.run({ preload: false }).then(result => result.violations)")
    told = [(v["id"], v["impact"], [node["html"] for node in v["nodes"]]) for v in found]
    assert told == []


@pytest.mark.parametrize("width", [320, 390])
def test_narrow_screens_need_no_scrolling_sideways(page, width):
    page.set_viewport_size({"width": width, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.set_viewport_size({"width": 1280, "height": 1000})
