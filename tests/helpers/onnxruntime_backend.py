"""A backend of Triton that stands in for its ONNX Runtime backend, which no package brings.

Like that, it takes ``1/model.onnx`` of an unchanged repository, compares its inputs and outputs
with the configuration, registers the libraries that this names, by the path that it says, and
computes the requests that Triton puts together as one batch.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
import triton_python_backend_utils as triton


class TritonPythonModel:
    def initialize(self, args):
        config = json.loads(args["model_config"])
        self.batched = config["max_batch_size"] > 0
        folder = Path(args["model_repository"], args["model_version"])
        options = onnxruntime.SessionOptions()
        for library in config.get("model_operations", {}).get("op_library_filename", []):
            options.register_custom_ops_library(library)
        self.session = onnxruntime.InferenceSession(str(folder / "model.onnx"), options)
        self.inputs = [found.name for found in self.session.get_inputs()]
        self.outputs = [found.name for found in self.session.get_outputs()]
        for kind, found in (
            ("input", self.session.get_inputs()), ("output", self.session.get_outputs())
        ):  # fmt: skip
            self._compare(config[kind], found)

    def _compare(self, configured, found):
        types = {
            "TYPE_BF16": "bfloat16", "TYPE_FP16": "float16",
            "TYPE_FP32": "float", "TYPE_FP64": "double",
        }  # fmt: skip
        said = {
            tensor["name"]: (
                types.get(tensor["data_type"], tensor["data_type"].removeprefix("TYPE_").lower()),
                [-1] * self.batched
                + [int(d) for d in tensor.get("reshape", {"shape": tensor["dims"]})["shape"]],
            )
            for tensor in configured
        }
        there = {
            tensor.name: (
                tensor.type.removeprefix("tensor(").removesuffix(")"),
                [dim if isinstance(dim, int) else -1 for dim in tensor.shape],
            )
            for tensor in found
        }
        if said != there:
            raise triton.TritonModelException(f"configured {said}, the model has {there}")

    def execute(self, requests):
        groups = [requests] if self.batched else [[request] for request in requests]
        return [response for group in groups for response in self._run(group)]

    def _run(self, requests):
        arrays = [
            [triton.get_input_tensor_by_name(request, name).as_numpy() for name in self.inputs]
            for request in requests
        ]
        feeds = {
            name: np.concatenate(parts) if self.batched else parts[0]
            for name, parts in zip(self.inputs, zip(*arrays, strict=True), strict=True)
        }
        try:
            results = self.session.run(self.outputs, feeds)
        except Exception as error:
            refused = triton.InferenceResponse(error=triton.TritonError(str(error)))
            return [refused] * len(requests)
        ends = np.cumsum([len(found[0]) for found in arrays])[:-1] if self.batched else []
        parts = zip(*(np.split(value, ends) for value in results), strict=True)
        return [
            triton.InferenceResponse(
                [triton.Tensor(name, np.ascontiguousarray(v))
                 for name, v in zip(self.outputs, part, strict=True)]
            )
            for part in parts
        ]  # fmt: skip
