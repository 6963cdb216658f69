"""Whether the ONNX Runtime that is installed can be trusted with our table of its functions.

ONNX Runtime does not check at which places of its table a library looks, and a wrong place is a
crash. Its releases up to the newest one known have been tried. A newer one is tried here, in a
process of its own: the verdict is kept beside the libraries, and is deleted with them.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from ..errors import LossgraphError
from ..kernels.model import kernel_model
from ..kernels.trial import SOURCES, TRIAL_DOMAIN, TrialKernel
from ..lowering.releases import RELEASES
from .sessions import make_session, onnxruntime

_OLDEST = (1, 17)  # whose table is the one that libraries ask for
_PATIENCE = 120.0  # seconds, of which importing takes one; it is done once for each release
_STARTED, _PASSED = "lossgraph: the trial starts", "lossgraph: the trial has passed"
_CHILD = "from lossgraph.runtime.kernel_trial import try_library; try_library({!r})"


@dataclass(frozen=True)
class Verdict:
    """Whether kernels may be used in a release of ONNX Runtime.

    Attributes:
        safe: whether they may.
        reason: why, as a sentence.
    """

    safe: bool
    reason: str


def verdict(folder: Path, library: Callable[[], Path], version: str | None = None) -> Verdict:
    """Whether kernels may be used in the ONNX Runtime that is installed.

    Args:
        folder: where verdicts are kept.
        library: gives the library of the trial's kernel, if it is needed.
        version: of ONNX Runtime.
    """
    version = version or str(onnxruntime().__version__)
    found = kept_verdict(folder, version)
    if found is None:
        found = try_in_a_process(version, library())
        if found is not None:
            _write(trial_path(folder, version), found)
    return found or Verdict(False, f"no process could be started to try ONNX Runtime {version} in")


def kept_verdict(folder: Path, version: str) -> Verdict | None:
    """What is known of a release without trying it; None if that needs a trial."""
    if is_known(version):
        return Verdict(True, f"ONNX Runtime {version} is known to run kernels")
    if _numbers(version) < _OLDEST:
        return Verdict(False, f"ONNX Runtime {version} is too old for kernels: they need 1.17")
    return _read(trial_path(folder, version))


def is_known(version: str) -> bool:
    """Whether a release is among those that were tried."""
    tried = [_numbers(release) for release in RELEASES]
    return _OLDEST <= _numbers(version) <= max(tried)


def trial_path(folder: Path, version: str) -> Path:
    """The file of a verdict: of a release, and of the sources that were tried with it."""
    digest = hashlib.sha256(version.encode())
    for name in ("kernel.h", "ort.h", "operator.c", "trial.c"):
        digest.update((SOURCES / name).read_bytes())
    return folder / f"onnxruntime-{digest.hexdigest()[:16]}.json"


def _numbers(version: str) -> tuple[int, int]:
    """The first two numbers of a version; (0, 0) for what has none."""
    found = re.match(r"(\d+)\.(\d+)", version)
    return (int(found[1]), int(found[2])) if found else (0, 0)


# --- the other process ---


def try_in_a_process(version: str, library: Path) -> Verdict | None:
    """Try a library in a process that may crash; None if there is no such process."""
    if getattr(sys, "frozen", False) or not sys.executable:
        return None  # starting the executable would start the application once more
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    try:
        done = subprocess.run(
            command_of(library),
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        hangs = Verdict(False, f"kernels hang in ONNX Runtime {version}")
        return hangs if _STARTED in (late.stdout or b"").decode(errors="replace") else None
    except OSError:
        return None
    said = done.stdout.decode(errors="replace")
    if _STARTED not in said:
        return None  # whatever it is, kernels have no part in it
    if done.returncode == 0 and _PASSED in said:
        return Verdict(True, f"ONNX Runtime {version} was tried, and runs kernels")
    last = done.stderr.decode(errors="replace").strip().rpartition("\n")[2]
    how = f"ended with {done.returncode}" + (f": {last}" if last else "")
    return Verdict(False, f"kernels do not run in ONNX Runtime {version}: the trial {how}")


def command_of(library: Path) -> list[str]:
    """What tries a library, as arguments of a process."""
    return [sys.executable, "-c", _CHILD.format(str(library))]


def try_library(path: str) -> None:
    """Compare the trial's kernel with NumPy, and say so if all is well.

    Raises:
        LossgraphError: for a result that is wrong.
    """
    model = kernel_model(TrialKernel(), TRIAL_DOMAIN)
    print(_STARTED, flush=True)  # before it may crash
    for threads in (1, 3):
        session = make_session(model, threads=threads, libraries=[path])
        for rows, columns in ((64, 10), (1, 1), (0, 5), (5, 0), (1000, 33)):
            _compare(session.run, rows, columns)
        try:
            _compare(session.run, 4, 4, labels=3)
        except Exception as error:  # the engine has no class of its own for it
            if "trial of an error" not in str(error):
                raise
        else:
            raise LossgraphError("what the kernel refuses is not refused")
    print(_PASSED)


def _compare(
    run: Callable[..., Sequence[object]], rows: int, columns: int, labels: int | None = None
) -> None:
    rng = np.random.default_rng(rows)
    score = rng.normal(size=(rows, columns)).astype(np.float32)
    label = rng.integers(-3, 3, rows if labels is None else labels)
    outputs = run(["doubled", "total", "negative"], {"scores": score, "labels": label})
    expected = (2 * score, score.sum(dtype=np.float64), (label < 0).sum())
    for actual, right in zip(outputs, expected, strict=True):
        if not np.allclose(np.asarray(actual), right, rtol=1e-9, atol=1e-9):
            raise LossgraphError(f"a kernel of {rows} rows gives {actual}, not {right}")


# --- verdicts as files ---


def _read(path: Path) -> Verdict | None:
    try:
        kept = json.loads(path.read_text(encoding="utf-8"))
        return Verdict(kept["safe"] is True, str(kept["reason"]))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(path: Path, found: Verdict) -> None:
    """Keep a verdict, whole or not at all; where it cannot be, it is asked for again."""
    partial = path.with_suffix(f".{os.getpid()}.tmp")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial.write_text(json.dumps(asdict(found)), encoding="utf-8")
        partial.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            partial.unlink()
