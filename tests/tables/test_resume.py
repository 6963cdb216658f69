"""Runs that go on: the bits of a run that was never interrupted, and refusals of other runs."""

from __future__ import annotations

import os

import numpy as np
import pytest

import lossgraph as lg
from lossgraph import gluon
from lossgraph.tables import local

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

ROWS, FILES = 500, 9
COLUMNS = {"pred": "p", "label": "q"}


def piece(i, rows=ROWS):
    rng = np.random.default_rng(i)
    return pa.table(
        {"p": rng.normal(size=rows), "q": rng.normal(size=rows), "g": rng.integers(0, 3, rows)}
    )


@pytest.fixture
def preds(tmp_path):
    (tmp_path / "preds").mkdir()
    for i in range(FILES):
        parquet.write_table(piece(i), tmp_path / "preds" / f"{i}.parquet")
    return tmp_path / "preds"


def evaluate(preds, loss=None, **options):
    given = {"by": "g", "worst": 5, "histogram": [0, 1, 2], "threads": 2, **options}
    return lg.tables.evaluate(loss or gluon.L2Loss(), preds, COLUMNS, **given)


@pytest.fixture
def interrupted(preds, monkeypatch):
    """A run that ended in the third lot of parts; the parts that ran before."""
    ran, run = [], local.run

    def stopping(plan, parts, **options):
        if options["first_part"] >= 4:
            raise KeyboardInterrupt
        ran.extend(part.file for part in parts)
        return run(plan, parts, **options)

    with monkeypatch.context() as patched:
        patched.setattr(local, "run", stopping)
        with pytest.raises(KeyboardInterrupt):
            evaluate(preds, resume=preds.parent / "state")
    assert 0 < len(ran) < FILES
    return ran


def test_a_run_goes_on_to_equal_bits(preds, interrupted, monkeypatch):
    ran, run = [], local.run

    def counting(plan, parts, **options):
        ran.extend(part.file for part in parts)
        return run(plan, parts, **options)

    monkeypatch.setattr(local, "run", counting)
    found = evaluate(preds, resume=preds.parent / "state")
    assert sorted(ran + interrupted) == [str(preds / f"{i}.parquet") for i in range(FILES)]
    monkeypatch.undo()
    right = evaluate(preds)
    assert found.table.equals(right.table)
    assert found.worst.equals(right.worst)
    assert found.histogram.equals(right.histogram)
    assert found.ran["rows"] == ROWS * FILES
    assert os.listdir(preds.parent) == ["preds"]


def test_files_may_be_added_behind(preds, interrupted):
    parquet.write_table(piece(9), preds / "9.parquet")
    found = evaluate(preds, resume=preds.parent / "state")
    assert found.table.equals(evaluate(preds).table)


def test_a_file_that_changed_is_refused(preds, interrupted):
    parquet.write_table(piece(77), preds / "1.parquet")
    with pytest.raises(lg.InputError, match=r"1\.parquet, .* has changed"):
        evaluate(preds, resume=preds.parent / "state")


@pytest.mark.parametrize("other", [{"where": "p > 0"}, {"by": ()}, {"worst": 6}, {"nulls": "skip"}])
def test_a_run_with_other_options_is_refused(preds, interrupted, other):
    with pytest.raises(lg.InputError, match="is of a run with other options"):
        evaluate(preds, resume=preds.parent / "state", **other)


def test_another_loss_is_refused(preds, interrupted):
    with pytest.raises(lg.InputError, match="another loss"):
        evaluate(preds, gluon.L1Loss(), resume=preds.parent / "state")


def test_what_is_no_state_is_refused(preds):
    state = preds.parent / "state"
    for content in (b"", b"something", (preds / "1.parquet").read_bytes()):
        state.write_bytes(content)
        with pytest.raises(lg.InputError, match="is no state of a run"):
            evaluate(preds, resume=state)
        assert state.read_bytes() == content


def test_a_table_in_memory_cannot_go_on(tmp_path):
    with pytest.raises(lg.InputError, match="in no file"):
        evaluate(piece(0), resume=tmp_path / "state")
