"""Whether a release of ONNX Runtime is safe: known, tried in a process of its own, or refused."""

import json
import os
import sys

import pytest

from hand_written import build, needs_cc
from lossgraph.errors import LossgraphError
from lossgraph.kernels.trial import trial_unit
from lossgraph.lowering.releases import RELEASES
from lossgraph.runtime import kernel_trial
from lossgraph.runtime.kernel_trial import Verdict, kept_verdict, trial_path, verdict

FUTURE = "1.99.0"


def _unused():
    raise AssertionError("the library is not needed")


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return build(trial_unit().text, tmp_path_factory.mktemp("trial") / "trial.so")


def _child(monkeypatch, code):
    monkeypatch.setattr(kernel_trial, "command_of", lambda library: [sys.executable, "-c", code])


@pytest.mark.parametrize("version", ["1.17.0", "1.20.1", "1.32.0", max(RELEASES)])
def test_known_releases_need_no_trial(tmp_path, version):
    assert verdict(tmp_path, _unused, version).safe
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("version", ["1.16.3", "0.9", "1", "none", ""])
def test_older_releases_are_refused(tmp_path, version):
    found = verdict(tmp_path, _unused, version) if version else kept_verdict(tmp_path, version)
    assert found is not None
    assert not found.safe
    assert "too old" in found.reason
    assert not list(tmp_path.iterdir())


@needs_cc
def test_a_newer_release_is_tried_once(tmp_path, library):
    found = verdict(tmp_path, lambda: library, FUTURE)
    assert found == Verdict(True, "ONNX Runtime 1.99.0 was tried, and runs kernels")
    assert verdict(tmp_path, _unused, FUTURE) == found
    assert json.loads(trial_path(tmp_path, FUTURE).read_text())["safe"] is True
    assert [path.name for path in tmp_path.iterdir()] == [trial_path(tmp_path, FUTURE).name]


@needs_cc
def test_the_trial_runs_kernels_of_this_release(library, capsys):
    kernel_trial.try_library(str(library))
    assert capsys.readouterr().out.splitlines()[-1] == kernel_trial._PASSED


@needs_cc
@pytest.mark.parametrize(
    ("right", "wrong"), [("2 * scores", "3 * scores"), ("+= scores[i]", "+= 1"), ("< 0", "< 1")]
)
def test_the_trial_sees_a_wrong_result(tmp_path, right, wrong):
    text = trial_unit().text
    assert right in text
    path = build(text.replace(right, wrong), tmp_path / "wrong.so")
    with pytest.raises(LossgraphError, match="a kernel of 64 rows gives"):
        kernel_trial.try_library(str(path))


@pytest.mark.skipif(os.name == "nt", reason="no signals here")
def test_a_release_in_which_kernels_crash_is_refused_for_good(tmp_path, monkeypatch):
    start = f"print({kernel_trial._STARTED!r}, flush=True)"
    _child(monkeypatch, f"{start}; import os; os.kill(os.getpid(), 11)")
    found = verdict(tmp_path, lambda: tmp_path, FUTURE)
    assert not found.safe
    assert "ended with -11" in found.reason
    _child(monkeypatch, f"{start}; print({kernel_trial._PASSED!r})")
    assert verdict(tmp_path, _unused, FUTURE) == found
    trial_path(tmp_path, FUTURE).unlink()
    assert verdict(tmp_path, lambda: tmp_path, FUTURE).safe


def test_a_trial_that_goes_wrong_says_how(tmp_path, monkeypatch):
    start = f"print({kernel_trial._STARTED!r}, flush=True)"
    _child(monkeypatch, f"{start}; raise ValueError('these are wrong')")
    found = verdict(tmp_path, lambda: tmp_path, FUTURE)
    assert not found.safe
    assert "ended with 1: ValueError: these are wrong" in found.reason


def test_a_trial_that_hangs_is_ended(tmp_path, monkeypatch):
    monkeypatch.setattr(kernel_trial, "_PATIENCE", 1.0)
    wait = "import time; time.sleep(60)"
    _child(monkeypatch, f"print({kernel_trial._STARTED!r}, flush=True); {wait}")
    found = verdict(tmp_path, lambda: tmp_path, FUTURE)
    assert not found.safe
    assert "hang" in found.reason


def test_a_process_that_does_not_get_to_the_trial_says_nothing(tmp_path, monkeypatch):
    _child(monkeypatch, "import a_module_that_is_not_there")
    assert not verdict(tmp_path, lambda: tmp_path, FUTURE).safe
    monkeypatch.setattr(kernel_trial, "_PATIENCE", 0.2)
    _child(monkeypatch, "import time; time.sleep(60)")
    assert not verdict(tmp_path, lambda: tmp_path, FUTURE).safe
    monkeypatch.setattr(kernel_trial, "command_of", lambda library: [str(tmp_path / "none")])
    assert not verdict(tmp_path, lambda: tmp_path, FUTURE).safe
    assert not list(tmp_path.iterdir())  # and it is tried again


def test_an_application_of_one_file_is_not_started_again(tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(kernel_trial, "command_of", _unused)
    assert not verdict(tmp_path, lambda: tmp_path, FUTURE).safe


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '{"safe": true}', '{"safe": "yes", "reason": ""}']
)
def test_a_broken_verdict_is_none(tmp_path, text):
    trial_path(tmp_path, FUTURE).write_text(text)
    found = kept_verdict(tmp_path, FUTURE)
    assert found is None or not found.safe


def test_a_folder_that_cannot_be_written_changes_no_verdict(tmp_path, monkeypatch):
    folder = tmp_path / "file"
    folder.write_text("")
    passed = f"print({kernel_trial._STARTED!r}); print({kernel_trial._PASSED!r})"
    _child(monkeypatch, passed)
    assert verdict(folder, lambda: tmp_path, FUTURE).safe


def test_verdicts_are_told_apart_by_release_and_sources(tmp_path, monkeypatch):
    first = trial_path(tmp_path, FUTURE)
    assert trial_path(tmp_path, "1.100.0") != first
    sources = tmp_path / "sources"
    sources.mkdir()
    for source in kernel_trial.SOURCES.iterdir():
        (sources / source.name).write_bytes(source.read_bytes())
    monkeypatch.setattr(kernel_trial, "SOURCES", sources)
    assert trial_path(tmp_path, FUTURE) == first
    (sources / "ort.h").write_text("other places")
    assert trial_path(tmp_path, FUTURE) != first
