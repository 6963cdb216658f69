"""Writes the models that the tutorials train: ``python data/export_models.py [NAME ..]``.

They are what other tools export, so these have to be installed: torch and onnxscript, and
scikit-learn with skl2onnx. ``orientation.onnx`` is a model of PaddleOCR (Apache license 2.0),
that the package rapidocr-onnxruntime 1.4 ships.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper, version_converter

HERE = Path(__file__).parent


def digits_cnn(path: Path) -> None:
    """Two convolutions with batch normalization, and a layer; not trained."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    net = nn.Sequential(
        nn.Conv2d(1, 12, 3, padding=1), nn.BatchNorm2d(12), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(12, 24, 3, padding=1), nn.BatchNorm2d(24), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Dropout(0.1), nn.Linear(24 * 2 * 2, 10),
    )  # fmt: skip
    _export(net, (torch.zeros(2, 1, 8, 8),), path, "image", "logits")


def transformer(path: Path) -> None:
    """A transformer of two layers that reads characters and predicts the next; not trained."""
    import torch
    from torch import nn

    torch.manual_seed(0)
    size, heads, length, characters = 48, 4, 48, 96

    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.attention_norm, self.inner_norm = nn.LayerNorm(size), nn.LayerNorm(size)
            self.attention = nn.Linear(size, 3 * size)
            self.joined = nn.Linear(size, size)
            self.inner = nn.Sequential(
                nn.Linear(size, 4 * size), nn.GELU(), nn.Linear(4 * size, size)
            )

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            shape = (x.shape[0], x.shape[1], heads, size // heads)
            parts = self.attention(self.attention_norm(x)).chunk(3, dim=-1)
            query, key, value = (part.reshape(shape).transpose(1, 2) for part in parts)
            made = nn.functional.scaled_dot_product_attention(query, key, value, is_causal=True)
            x = x + self.joined(made.transpose(1, 2).reshape(x.shape))
            return x + self.inner(self.inner_norm(x))

    class Transformer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.characters = nn.Embedding(characters, size)
            self.places = nn.Embedding(length, size)
            self.blocks = nn.ModuleList([Block(), Block()])
            self.norm = nn.LayerNorm(size)
            self.head = nn.Linear(size, characters)

        def forward(self, text: torch.Tensor) -> torch.Tensor:
            x = self.characters(text) + self.places(torch.arange(text.shape[1]))
            for block in self.blocks:
                x = block(x)
            return self.head(self.norm(x))

    net = Transformer()
    for table in (net.characters, net.places):
        nn.init.normal_(table.weight, std=0.2)
    example = torch.zeros(2, 16, dtype=torch.int64)
    _export(net, (example,), path, "text", "logits", {1: "T"})


def tabular(path: Path) -> None:
    """A scaler and a network of scikit-learn, fitted to half of the data on diabetes."""
    from skl2onnx import to_onnx
    from sklearn.datasets import load_diabetes
    from sklearn.neural_network import MLPRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    data, target = load_diabetes(return_X_y=True, scaled=False)
    young = data[:, 0] < np.median(data[:, 0])
    net = make_pipeline(
        StandardScaler(),
        MLPRegressor(hidden_layer_sizes=(16,), alpha=1.0, max_iter=2000, random_state=0),
    )
    net.fit(data[young], (target[young] - 150) / 75)
    onnx.save(
        to_onnx(net, data[:1].astype(np.float32), target_opset={"": 18, "ai.onnx.ml": 3}), path
    )


def orientation(path: Path) -> None:
    """A small MobileNetV3 that sees whether a line of text is upside down.

    PaddlePaddle writes weights as Constant nodes; here they become initializers, as elsewhere, and
    the operators those of opset 13.
    """
    found = find_spec("rapidocr_onnxruntime")
    assert found is not None
    assert found.submodule_search_locations is not None
    folder = Path(found.submodule_search_locations[0]) / "models"
    model = onnx.load(folder / "ch_ppocr_mobile_v2.0_cls_infer.onnx")
    kept = []
    for node in model.graph.node:
        if node.op_type == "Constant" and node.attribute[0].name == "value":
            array = numpy_helper.to_array(node.attribute[0].t)
            model.graph.initializer.append(numpy_helper.from_array(array, node.output[0]))
        else:
            kept.append(node)
    del model.graph.node[:]
    model.graph.node.extend(kept)
    for info in (*model.graph.input, *model.graph.output):
        info.type.tensor_type.shape.dim[0].dim_param = "N"
    onnx.save(version_converter.convert_version(model, 13), path)


def _export(net, example, path, name, output, dims=None):  # type: ignore[no-untyped-def]
    """What ``torch.onnx.export`` makes of a module in evaluation mode, in one file."""
    import torch

    torch.onnx.export(
        net.eval(), example, path, dynamo=True, external_data=False, opset_version=18,
        input_names=[name], output_names=[output], dynamic_shapes=[{0: "N", **(dims or {})}],
    )  # fmt: skip
    model = onnx.load(path)
    for node in model.graph.node:  # where on somebody's disk the module was written
        del node.metadata_props[:]
    for info in (*model.graph.value_info, *model.graph.input, *model.graph.output):
        del info.metadata_props[:]
    onnx.save(model, path)


MODELS: dict[str, Callable[[Path], None]] = {
    "digits_cnn": digits_cnn, "transformer": transformer, "tabular": tabular,
    "orientation": orientation,
}  # fmt: skip

if __name__ == "__main__":
    for name in sys.argv[1:] or MODELS:
        MODELS[name](HERE / f"{name}.onnx")
