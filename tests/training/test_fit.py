"""Runs: epochs, validation, callbacks, schedules, histories and data."""

from __future__ import annotations

import io
import math
import sys

import numpy as np
import pytest

import lossgraph as lg
from lossgraph.training import Batches, Callback, EarlyStopping, History, Trainer
from lossgraph.training.history import Curve
from lossgraph.training.progress import RichBar, bar_for
from small_models import batches, mlp

DATA = list(batches(4))
VALIDATION = list(batches(3, 11, seed=1))


@pytest.fixture(scope="module")
def step():
    loss, optimizer = lg.nn.CrossEntropyLoss(), lg.training.AdamW(learning_rate=1e-2)
    return lg.training.build(mlp(), loss, optimizer=optimizer)


class Noted(Callback):
    """What it was called with."""

    def __init__(self):
        self.calls = []

    def on_begin(self, trainer):
        self.calls.append("begin")

    def on_step(self, trainer, loss):
        self.calls.append(loss)

    def on_epoch(self, trainer, row):
        self.calls.append(dict(row))

    def on_end(self, trainer):
        self.calls.append("end")


def test_a_run_is_its_steps_in_order(step):
    noted, trainer, by_hand = Noted(), Trainer(step), Trainer(step)
    history = trainer.fit(DATA, epochs=2, validation=VALIDATION, callbacks=[noted])
    right = ["begin"]
    for epoch in (1, 2):
        losses = [by_hand.step(batch) for batch in DATA]
        checked = [by_hand.evaluate(batch) for batch in VALIDATION]
        row = history[epoch - 1]
        assert row["epoch"] == epoch
        assert row["steps"] == 4 * epoch
        np.testing.assert_allclose(row["loss"], np.mean(losses), rtol=1e-12)
        np.testing.assert_allclose(row["validation_loss"], np.mean(checked), rtol=1e-12)
        assert row["learning_rate"] == pytest.approx(1e-2)
        right += [*losses, row]
    assert noted.calls == [*right, "end"]
    assert history["loss"] == [row["loss"] for row in history]
    assert "2 epochs" in repr(history)


def test_means_are_over_samples_not_batches(step):
    (batch,) = batches(1, 20)
    parts = [{n: a[:15] for n, a in batch.items()}, {n: a[15:] for n, a in batch.items()}]
    trainer = Trainer(step)
    history = trainer.fit([], epochs=0)
    assert len(history) == 0
    row = trainer.fit(DATA[:1], validation=parts)[0]
    np.testing.assert_allclose(row["validation_loss"], trainer.evaluate(batch), rtol=1e-6)


def test_a_second_fit_is_another_run(step):
    trainer = Trainer(step)
    assert trainer.fit(DATA, epochs=2)["epoch"] == [1, 2]
    assert trainer.fit(DATA, epochs=1)["epoch"] == [1]
    assert trainer.steps == 12


def test_a_run_that_was_interrupted_goes_on(step):
    class Interrupt(Callback):
        def on_step(self, trainer, loss):
            if trainer.steps == 6:
                raise KeyboardInterrupt

    trainer, whole = Trainer(step), Trainer(step)
    with pytest.raises(KeyboardInterrupt):
        trainer.fit(DATA, epochs=3, callbacks=[Interrupt()])
    history = trainer.fit(DATA, epochs=3)
    right = whole.fit(DATA, epochs=3)
    assert trainer.steps == 12
    assert history["loss"] == right["loss"]
    for name, array in whole.parameters.items():
        np.testing.assert_array_equal(trainer.parameters[name], array)


def test_metrics_are_means_over_validation_data(step):
    def accuracy(outputs, batch):
        return (outputs["logits"].argmax(1) == batch["target"]).mean()

    trainer = Trainer(step)
    row = trainer.fit(DATA, 1, validation=VALIDATION, metrics={"accuracy": accuracy})[0]
    right = np.mean([accuracy(trainer.outputs(batch), batch) for batch in VALIDATION])
    np.testing.assert_allclose(row["accuracy"], right)
    with pytest.raises(lg.InputError, match="give them as validation="):
        trainer.fit(DATA, metrics={"accuracy": accuracy})


def test_a_schedule_gives_the_rate_of_each_step(step):
    class Rates(Callback):
        def __init__(self):
            self.rates = []

        def on_step(self, trainer, loss):
            self.rates.append(trainer.learning_rate)

    seen = Rates()
    Trainer(step).fit(DATA, 2, schedule=lambda steps: 0.1 / (1 + steps), callbacks=[seen])
    np.testing.assert_allclose(seen.rates, [0.1 / (1 + n) for n in range(8)])
    given = lg.training.schedules.cosine(0.1, 8)
    Trainer(step).fit(DATA, 2, schedule=given, callbacks=[seen])
    np.testing.assert_allclose(seen.rates[8:], [given(n) for n in range(8)])


# --- early stopping -------------------------------------------------------------------------


class Fed(Callback):
    """Puts values of its own into the rows."""

    def __init__(self, values):
        self.values = values

    def on_epoch(self, trainer, row):
        row["value"] = self.values[row["epoch"] - 1]


class Best(Callback):
    def __init__(self, epoch):
        self.epoch = epoch

    def on_epoch(self, trainer, row):
        if row["epoch"] == self.epoch:
            self.weights = trainer.weights


@pytest.mark.parametrize(
    ("values", "options", "epochs", "best"),
    [
        ([3, 2, 1, 2, 3, 0], {"patience": 2}, 5, 3),
        ([3, 2, 1, 0.5, 0.4, 0.3], {"patience": 2}, 6, 6),
        ([3, 2, 1, 0.9, 0.8, 0.7], {"patience": 2, "min_delta": 0.5}, 5, 3),
        ([3, 2, 1, 2, 0, 4], {"patience": 1}, 4, 3),
        ([1, 2, 1, 3, 3, 4], {"patience": 2, "maximize": True}, 6, 6),
        ([1, 2, 1, 2, 3, 4], {"patience": 1, "maximize": True}, 3, 2),
        ([1, math.nan, math.nan, 0, 0, 0], {"patience": 2}, 3, 1),
    ],
)
def test_early_stopping_waits_and_restores(step, values, options, epochs, best):
    trainer, noted = Trainer(step), Best(best)
    stopping = EarlyStopping(monitor="value", **options)
    history = trainer.fit(DATA, 6, callbacks=[Fed(values), noted, stopping])
    assert len(history) == epochs
    for name, array in trainer.parameters.items():
        np.testing.assert_array_equal(array, noted.weights[name])
    trainer.step(DATA[0])  # goes on from there
    for array in noted.weights.values():
        assert np.isfinite(array).all()


def test_early_stopping_looks_at_validation_if_there_is_any(step):
    stopping = EarlyStopping(restore=False)
    history = Trainer(step).fit(DATA, 2, validation=VALIDATION, callbacks=[stopping])
    assert stopping.best == min(history["validation_loss"])
    with pytest.raises(lg.InputError, match="the history has no 'accuracy': it has"):
        Trainer(step).fit(DATA, callbacks=[EarlyStopping(monitor="accuracy")])
    with pytest.raises(lg.InputError, match="at least 1 epoch"):
        EarlyStopping(patience=0)


# --- what is refused ------------------------------------------------------------------------


def test_a_nan_ends_the_run_with_the_parameters_before_it(step):
    trainer = Trainer(step)
    bad = {**DATA[2], "x": DATA[2]["x"] * np.float32(np.nan)}
    with pytest.raises(lg.LossgraphError, match="step 3: the loss is NaN"):
        trainer.fit([*DATA[:2], bad])
    right = Trainer(step)
    for batch in DATA[:2]:
        right.step(batch)
    for name, array in right.parameters.items():
        np.testing.assert_array_equal(trainer.parameters[name], array)


def test_runs_without_batches_are_refused(step):
    with pytest.raises(lg.InputError, match="epoch 1: there are no batches"):
        Trainer(step).fit([])
    with pytest.raises(lg.InputError, match=r"epoch 2: .* An iterator gives its batches only once"):
        Trainer(step).fit(iter(DATA), epochs=2)
    with pytest.raises(lg.InputError, match="validation: there are no batches"):
        Trainer(step).fit(DATA, epochs=2, validation=iter(VALIDATION))
    with pytest.raises(lg.InputError, match="epochs: expected at least 0"):
        Trainer(step).fit(DATA, epochs=-1)


def test_assigned_arrays_are_checked(step):
    trainer = Trainer(step)
    weight = trainer.parameters["0.weight"]
    with pytest.raises(lg.InputError, match=r"unknown \['w'\]"):
        trainer.assign({"w": weight})
    with pytest.raises(lg.InputError, match=r"0.weight: expected float32\[8, 6\], got"):
        trainer.assign({"0.weight": weight.T})
    trainer.assign({"0.weight": weight * 0})
    weight[:] = 7  # the trainer has a copy
    assert not trainer.parameters["0.weight"].any()


def test_checkpoints_without_their_library_are_refused_before_the_first_step(step, monkeypatch):
    monkeypatch.setitem(sys.modules, "safetensors", None)
    trainer = Trainer(step)
    with pytest.raises(lg.InputError, match=r"pip install 'lossgraph\[training\]'"):
        trainer.fit(DATA, callbacks=[lg.training.Checkpoints("run.safetensors")])
    with pytest.raises(lg.InputError, match="checkpoints need safetensors"):
        trainer.save("run.safetensors")
    assert trainer.steps == 0


# --- the bar, the history -------------------------------------------------------------------


def test_the_bar_tells_of_epochs_and_losses(step):
    progress = pytest.importorskip("rich.progress")
    console = pytest.importorskip("rich.console")
    out = io.StringIO()
    screen = console.Console(file=out, force_terminal=True, width=100, legacy_windows=False)
    columns = progress.TextColumn("{task.description} {task.completed}/{task.total} "
                                  "{task.fields[loss]}")  # fmt: skip
    with progress.Progress(columns, console=screen, auto_refresh=False) as live:
        Trainer(step).fit(DATA, 2, validation=VALIDATION, progress=RichBar(live, 2, None))
    text = out.getvalue()
    assert "epoch 1/2 4/4 validation" in text
    assert "epoch 2/2 0/4" in text
    assert "epoch 2/2  loss " in text
    assert "validation loss" in text


def test_no_bar_is_drawn_where_nobody_watches(step, capsys):
    with bar_for(None, 3, None) as bar:
        assert not isinstance(bar, RichBar)
    with bar_for(True, 3, None) as bar:
        assert isinstance(bar, RichBar)
    Trainer(step).fit(DATA, 1)
    assert capsys.readouterr().out == ""


def test_a_curve_keeps_means_of_more_and_more_steps():
    random = np.random.default_rng(0)
    losses, curve = random.random(10_000), Curve()
    for loss in losses:
        curve.add(float(loss))
    assert 512 <= len(curve.points) <= 1024
    groups = losses[: len(curve.points) * curve.each].reshape(-1, curve.each)
    np.testing.assert_allclose(curve.points, groups.mean(1))
    first = np.arange(1, curve.each + 1).mean()
    assert curve.steps[0] == first
    again = Curve.of_json(curve.to_json())
    assert vars(again) == vars(curve)


@pytest.mark.once
@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
def test_a_history_plots(step, tmp_path, kind):
    pytest.importorskip("matplotlib")
    history = Trainer(step).fit(DATA, 3, validation=VALIDATION)
    figure = history.plot(tmp_path / f"curve.{kind}")
    lines = {line.get_label(): line for line in figure.axes[0].get_lines()}
    assert list(lines) == ["steps", "training", "validation"]
    np.testing.assert_allclose(lines["validation"].get_ydata(), history["validation_loss"])
    np.testing.assert_allclose(lines["training"].get_xdata(), [4, 8, 12])
    start = {"png": b"\x89PNG", "svg": b"<?xml", "pdf": b"%PDF"}[kind]
    assert (tmp_path / f"curve.{kind}").read_bytes().startswith(start)
    with pytest.raises(lg.InputError, match="one of png, svg, pdf"):
        history.plot(tmp_path / "curve.gif")
    History().plot()


# --- data -----------------------------------------------------------------------------------


def test_batches_of_an_epoch_are_all_samples_in_an_order_of_its_own():
    arrays = {"x": np.arange(22).reshape(11, 2), "y": np.arange(11)}
    data = Batches(arrays, 4, seed=5)
    assert len(data) == 3
    orders = []
    for epoch in (0, 1):
        given = list(data(epoch))
        assert [len(batch["y"]) for batch in given] == [4, 4, 3]
        order = np.concatenate([batch["y"] for batch in given])
        np.testing.assert_array_equal(np.sort(order), np.arange(11))
        np.testing.assert_array_equal(
            np.concatenate([batch["x"] for batch in given]), arrays["x"][order]
        )
        np.testing.assert_array_equal(
            order, np.concatenate([batch["y"] for batch in Batches(arrays, 4, seed=5)(epoch)])
        )
        orders.append(order.tolist())
    assert orders[0] != orders[1]
    assert len(list(Batches(arrays, 4, drop_last=True)(0))) == 2
    assert [b["y"].tolist() for b in Batches(arrays, 6, shuffle=False)] == [
        [0, 1, 2, 3, 4, 5], [6, 7, 8, 9, 10],
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("arrays", "options", "match"),
    [
        ({"x": np.zeros(3), "y": np.zeros(4)}, {}, "same number of samples, got {'x': 3, 'y': 4}"),
        ({"x": np.zeros(3), "y": np.zeros(())}, {}, "same number of samples"),
        ({}, {}, "same number of samples"),
        ({"x": np.zeros(3)}, {"size": 0}, "at least 1 sample"),
    ],
)
def test_data_that_is_none_is_refused(arrays, options, match):
    with pytest.raises(lg.InputError, match=match):
        Batches(arrays, **options)
