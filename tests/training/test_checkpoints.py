"""Checkpoints: complete or not there, and runs that go on bit for bit."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

import lossgraph as lg
from lossgraph.training import Batches, Callback, Checkpoints, EarlyStopping, Trainer
from small_models import batches, mlp

pytest.importorskip("safetensors", reason="safetensors is not installed")

HELPERS = Path(__file__).parents[1] / "helpers"
ARRAYS = {
    name: np.concatenate([batch[name] for batch in batches(4, 25)]) for name in ("x", "target")
}
DATA, VALIDATION = Batches(ARRAYS, 8), list(batches(2, 30))


def step_of(optimizer=None, **options):
    optimizer = optimizer or lg.training.AdamW(learning_rate=1e-2)
    return lg.training.build(mlp(), lg.nn.CrossEntropyLoss(), optimizer=optimizer, **options)


@pytest.fixture(scope="module")
def step():
    return step_of()


def same(left, right):
    assert left.steps == right.steps
    assert left.hyper == right.hyper
    for one, other in ((left.parameters, right.parameters), (left.state, right.state)):
        assert list(one) == list(other)
        for name in one:
            np.testing.assert_array_equal(one[name], other[name], err_msg=name)


def test_a_trainer_comes_back_as_it_was(step, tmp_path):
    trainer = Trainer(step)
    for batch in batches(3):
        trainer.step(batch)
    trainer.learning_rate = 0.003
    path = trainer.save(tmp_path / "run.safetensors")
    loaded = Trainer.load(step, path)
    same(loaded, trainer)
    for batch in batches(5, seed=3):
        assert loaded.step(batch) == trainer.step(batch)
    same(loaded, trainer)
    assert os.listdir(tmp_path) == ["run.safetensors"]


def test_the_file_is_one_that_safetensors_reads(step, tmp_path):
    from safetensors.numpy import load_file

    trainer = Trainer(step)
    arrays = load_file(trainer.save(tmp_path / "run.safetensors"))
    assert set(arrays) == {*step.parameters, *step.state}
    np.testing.assert_array_equal(arrays["0.weight"], step.parameters["0.weight"])


def test_sums_of_gradients_are_saved_too(tmp_path):
    step = step_of(accumulate=3)
    trainer, given = Trainer(step), list(batches(7))
    for batch in given[:4]:
        trainer.step(batch)
    loaded = Trainer.load(step, trainer.save(tmp_path / "run.safetensors"))
    for batch in given[4:]:
        assert loaded.step(batch) == trainer.step(batch)
    same(loaded, trainer)
    assert loaded.steps == 2


def python(code, **values):
    values = {name: str(value) for name, value in values.items()}
    env = {**os.environ, "PYTHONPATH": str(Path(lg.__file__).parents[1])}
    return subprocess.Popen(
        [sys.executable, "-c", code.format(helpers=str(HELPERS), **values)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=env,
    )  # fmt: skip


# --- a run goes on, in another process ------------------------------------------------------

RUN = """
import json, sys
sys.path.insert(0, "{helpers}")
import numpy as np
import lossgraph as lg
from lossgraph.training import *
from small_models import batches, mlp

class Die(Callback):
    def on_step(self, trainer, loss):
        if trainer.steps == {die}:
            import os
            os._exit(9)

arrays = {{n: np.concatenate([b[n] for b in batches(4, 25)]) for n in ("x", "target")}}
step = lg.training.build(mlp(), lg.nn.CrossEntropyLoss(), optimizer=AdamW(learning_rate=1e-2))
path = "{path}"
trainer = Trainer.load(step, path) if {resume} else Trainer(step)
history = trainer.fit(
    Batches(arrays, 8), 4, validation=list(batches(2, 30)),
    schedule=schedules.cosine(1e-2, 52), callbacks=[
        Checkpoints(path, every_steps=5, every_epochs=1), EarlyStopping(2), Die()],
)
trainer.save(path + ".end")
rows = [{{n: v for n, v in row.items() if n != "seconds"}} for row in history]
print(json.dumps([rows, history.curve.to_json()]))
"""


def run(path, resume, die=-1):
    child = python(RUN, path=path, resume=resume, die=die)
    out, err = child.communicate()
    assert child.returncode == (9 if die > 0 else 0), err
    return json.loads(out) if child.returncode == 0 else None


def test_a_run_that_is_killed_goes_on_bit_for_bit_in_a_new_process(tmp_path):
    code = RUN.format(helpers=str(HELPERS), path=str(tmp_path / "whole"), resume=False, die=-1)
    with contextlib.redirect_stdout(io.StringIO()) as out:
        exec(code, {})
    right = json.loads(out.getvalue())
    assert right[0][-1]["epoch"] == 4
    # After a step inside of an epoch, and after the last step of one, before its validation.
    run(tmp_path / "parts", False, die=18)
    run(tmp_path / "parts", True, die=39)
    assert run(tmp_path / "parts", True) == right
    ends = [(tmp_path / f"{name}.end").read_bytes() for name in ("whole", "parts")]
    assert ends[0] == ends[1]


def test_callbacks_go_on_too(step, tmp_path):
    class Stop(Callback):
        def on_epoch(self, trainer, row):
            if row["epoch"] == 3:
                raise KeyboardInterrupt

    def with_values(callbacks):
        return [Fed(), *callbacks]

    class Fed(Callback):
        def on_epoch(self, trainer, row):
            row["value"] = [3, 2, 2.5, 2.5, 2.5, 1][row["epoch"] - 1]

    def callbacks():
        path = str(tmp_path / "run-{steps:04d}.safetensors")
        return [Fed(), Checkpoints(path, keep=2), EarlyStopping(3, "value")]

    right = Trainer(step)
    assert len(right.fit(DATA, 6, callbacks=[Fed(), EarlyStopping(3, "value")])) == 5
    with pytest.raises(KeyboardInterrupt):
        Trainer(step).fit(DATA, 6, callbacks=[*callbacks(), Stop()])
    # Checkpoints comes last, and so the last complete one is of the epoch before.
    assert sorted(os.listdir(tmp_path)) == ["run-0013.safetensors", "run-0026.safetensors"]
    trainer = Trainer.load(step, tmp_path / "run-0026.safetensors")
    history = trainer.fit(DATA, 6, callbacks=callbacks())
    assert history["epoch"] == [1, 2, 3, 4, 5]
    same(trainer, right) if trainer.steps == right.steps else pytest.fail("other steps")
    assert sorted(os.listdir(tmp_path)) == ["run-0052.safetensors", "run-0065.safetensors"]


def test_a_run_that_is_complete_stays_so_and_may_be_made_longer(step, tmp_path):
    path = tmp_path / "run.safetensors"
    whole = Trainer(step)
    right = whole.fit(DATA, 3)
    Trainer(step).fit(DATA, 2, callbacks=[Checkpoints(path)])
    again = Trainer.load(step, path)
    assert again.fit(DATA, 2)["epoch"] == [1, 2]
    assert again.steps == 26
    longer = Trainer.load(step, path)
    assert longer.fit(DATA, 3)["loss"] == right["loss"]
    same(longer, whole)


def test_only_the_best_is_kept(step, tmp_path):
    class Fed(Callback):
        def on_epoch(self, trainer, row):
            row["value"] = [3, 2, 4, 1, 5][row["epoch"] - 1]

    path = str(tmp_path / "best-{steps}.safetensors")
    Trainer(step).fit(DATA, 5, callbacks=[Checkpoints(path, best="value"), Fed()])
    assert {int(p.split("-")[1].split(".")[0]) for p in os.listdir(tmp_path)} >= {13}
    (tmp_path / "one").mkdir()
    one = tmp_path / "one" / "best.safetensors"
    Trainer(step).fit(DATA, 5, callbacks=[Fed(), Checkpoints(one, best="value")])
    assert Trainer.load(step, one).steps == 52


# --- what ends the process in the middle of a checkpoint ------------------------------------

KILL = """
import warnings
warnings.filterwarnings("ignore", message=".*fork", category=DeprecationWarning)
import os, signal, sys
sys.path.insert(0, "{helpers}")
import safetensors.numpy
import lossgraph as lg
from lossgraph.training import *
from small_models import batches, mlp

step = lg.training.build(mlp(), lg.nn.CrossEntropyLoss(), optimizer=AdamW(learning_rate=1e-2))
trainer = Trainer(step, threads=1)
path = "{path}"
folder, name = os.path.split(path)
trainer.step(next(batches(1)))
trainer.save(path)
complete = open(path, "rb").read()
trainer.step(next(batches(1)))

def killed_after(size):
    def save_file(arrays, path, metadata):
        with open(path, "wb", buffering=0) as file:
            file.write(safetensors.numpy.save(arrays, metadata)[:size])
            os.kill(os.getpid(), signal.SIGKILL)
    return save_file

seen = set()
for size in (*range(0, len(complete), 97), len(complete) - 1, len(complete)):
    child = os.fork()
    if not child:
        safetensors.numpy.save_file = killed_after(size)
        trainer.save(path)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    assert open(path, "rb").read() == complete, size
    seen |= set(os.listdir(folder))
assert len(seen) > 1  # parts of files there were
assert Trainer.load(step, path).steps == 1
trainer.save(path)
assert Trainer.load(step, path).steps == 2
assert os.listdir(folder) == [name], os.listdir(folder)  # and the parts are gone
"""

LARGE = """
import sys
sys.path.insert(0, "{helpers}")
import lossgraph as lg
from lossgraph.training import *
from small_models import batches, mlp

step = lg.training.build(mlp(hidden=60_000), lg.nn.CrossEntropyLoss(), optimizer=AdamW())
trainer = Trainer(step, threads=1)
batch = next(batches(1))
print("ready", flush=True)
while True:
    trainer.step(batch)
    trainer.save("{path}")
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_a_kill_at_any_byte_leaves_the_last_complete_one(tmp_path):
    child = python(KILL, path=tmp_path / "run.safetensors")
    assert child.communicate() == ("", "")
    assert child.returncode == 0


def test_a_kill_at_any_time_leaves_the_last_complete_one(tmp_path):
    path = tmp_path / "run.safetensors"
    step = lg.training.build(
        mlp(hidden=60_000), lg.nn.CrossEntropyLoss(), optimizer=lg.training.AdamW()
    )
    last = 0
    for delay in (0.3, 0.413):
        child = python(LARGE, path=path)
        child.stdout.readline()
        deadline = time.monotonic() + 60
        while not path.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(delay)
        child.kill()
        child.communicate()
        trainer = Trainer.load(step, path)
        assert trainer.steps > 0
        assert trainer.state["step"] == trainer.steps
        last = trainer
    assert np.isfinite(last.step(next(batches(1))))


# --- files that are something else ----------------------------------------------------------


def cut(path, size):
    path.write_bytes(path.read_bytes()[:size])


@pytest.mark.parametrize("size", [0, 4, 8, 100, 2000, -1])
def test_a_part_of_a_file_is_refused(step, tmp_path, size):
    path = Trainer(step).save(tmp_path / "run.safetensors")
    cut(path, size)
    with pytest.raises(lg.InputError, match="no file of safetensors"):
        Trainer.load(step, path)


def test_other_files_and_other_models_are_refused(step, tmp_path):
    from safetensors.numpy import save_file

    with pytest.raises(lg.InputError, match="no such file"):
        Trainer.load(step, tmp_path / "none.safetensors")
    save_file({"x": np.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(lg.InputError, match="is no checkpoint of a trainer"):
        Trainer.load(step, tmp_path / "other.safetensors")
    path = Trainer(step).save(tmp_path / "run.safetensors")
    with pytest.raises(lg.InputError, match=r"run.safetensors: .*is it the same model and optim"):
        Trainer.load(step_of(lg.training.SGD(momentum=0.9)), path)
    with pytest.raises(lg.InputError, match=r"unknown \['0.bias'"):
        Trainer.load(step_of(trainable=["2.weight"]), path)
    wide = lg.training.build(mlp(hidden=9), lg.nn.CrossEntropyLoss(), optimizer=lg.training.AdamW())
    with pytest.raises(lg.InputError, match=r"0.bias: expected float32\[9\], got float32\[8\]"):
        Trainer.load(wide, path)
    with pytest.raises(lg.InputError, match="is a folder"):
        Trainer(step).save(tmp_path)
    with pytest.raises(lg.InputError, match="keep: expected at least 1"):
        Checkpoints(path, keep=0)
    with pytest.raises(lg.InputError, match="every_steps: expected at least 1"):
        Checkpoints(path, every_steps=0)
