"""Writes the page: a folder that works from a web server and from the file system."""

from __future__ import annotations

import base64
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

import lossgraph
from lossgraph.deploy.export_training import export_training
from lossgraph.models.files import write_files

from . import model

HERE = Path(__file__).parent
PAGE = HERE / "page"
sys.path.append(str(HERE.parent))

from web_page import (  # noqa: E402
    LICENSE,
    SHARED,
    MissingModulesError,
    bundle,
    engine_files,
    joined,
    require_modules,
    shelved,
)

__all__ = ["MissingModulesError", "build"]

_USED = ("train.onnx", "evaluate.onnx", "predict.onnx", "initial.onnx", "model.onnx")
_CREDIT = """\
The digits are those of scikit-learn: Optical Recognition of Handwritten Digits, E. Alpaydin and
C. Kaynak (1998), UCI Machine Learning Repository, under the Creative Commons Attribution 4.0
International license.
"""


def build(folder: Path, modules: Path) -> list[Path]:
    """Write the page.

    Args:
        folder: where.
        modules: the ``node_modules`` that tools/explorer/package.json makes.

    Raises:
        MissingModulesError: if something of those modules is not there.
    """
    require_modules(modules, tool="tools/digits")
    files = {
        "index.html": (PAGE / "index.html").read_bytes(),
        "theme.js": (SHARED / "theme.js").read_bytes(),
        "style.css": joined(SHARED / "palette.css", PAGE / "style.css"),
        "page.js": bundle(PAGE / "main.js", modules),
        **engine_files(modules),
        "training.js": shelved("training", _training()) + shelved("digits", _digits()),
        "LICENSES.txt": LICENSE.read_bytes() + b"\n" + _CREDIT.encode(),
    }
    return write_files(folder, files)


def _training() -> dict[str, Any]:
    """The exported graphs, as scripts may hold them."""
    images, labels = model.digits()
    step = model.training_step()
    batch = {
        "image": (images[:32] / np.float32(model.LARGEST)).reshape(-1, 1, model.SIDE, model.SIDE),
        "label": labels[:32].astype(np.int64),
    }
    with tempfile.TemporaryDirectory() as temporary:
        export_training(step, temporary, batch)
        models = {name: _base64(Path(temporary, name).read_bytes()) for name in _USED}
        state = Path(temporary, "state.bin").read_bytes()
        said = json.loads(Path(temporary, "manifest.json").read_bytes())["training"]
    return {
        "models": models,
        "state": _base64(state),
        "rate": said["scalars"]["learning_rate"],
        "layout": said["state"],
        "parameters": sum(array.size for array in step.parameters.values()),
        "operators": len(step.train.graph.node),
        "version": lossgraph.__version__,
    }


def _digits() -> dict[str, Any]:
    images, labels = model.digits()
    return {
        "images": _base64(images.tobytes()),
        "labels": _base64(labels.tobytes()),
        "heldOut": model.HELD_OUT,
        "side": model.SIDE,
        "largest": model.LARGEST,
    }


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()
