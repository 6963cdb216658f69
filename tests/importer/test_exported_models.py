"""The package's own models, read and written back: If, Scan, sums in blocks, computed shapes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

import lossgraph as lg
from support import run_model

FOLDER = Path(__file__).resolve().parents[2] / "exported_models"
MODELS = sorted(FOLDER.glob("*/*/*.onnx"))[::9]


def recorded(folder: Path, model: onnx.ModelProto) -> dict[str, np.ndarray]:
    found = {}
    for place, info in enumerate(model.graph.input):
        tensor = onnx.load_tensor(folder / "test_data_set_0" / f"input_{place}.pb")
        found[info.name] = numpy_helper.to_array(tensor)
    return found


@pytest.mark.parametrize("path", MODELS, ids=lambda p: f"{p.parent.name}-{p.stem}")
def test_a_model_read_and_written_back_computes_the_same(path):
    model = onnx.load(path)
    arrays = recorded(path.parent, model)
    written = lg.from_onnx(path).to_onnx()
    assert [i.name for i in written.graph.input] == [i.name for i in model.graph.input]
    assert {p.key: p.value for p in written.metadata_props} == {
        p.key: p.value for p in model.metadata_props
    }
    pairs = zip(run_model(model, arrays), run_model(written, arrays), strict=True)
    for value, again in pairs:
        np.testing.assert_allclose(again, value, rtol=2e-6, atol=1e-6)
