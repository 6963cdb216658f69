"""The peers: each makes a function that computes loss and gradients, or does a step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

Call = Callable[[], Any]
NET, BATCH = "net.onnx", "batch.npz"
RATE, MOMENTUM = 1e-9, 0.9  # so slow that each step computes the same


class Torch:
    """PyTorch, eager; it makes the network and exports it for the others."""

    def __init__(self, name: str, folder: Path, threads: int) -> None:
        import torch

        from .nets import made

        torch.set_num_threads(threads)
        self._torch = torch
        self._net, self._x, self._label = made(name)
        self._parameters = list(self._net.parameters())
        axes = {"x": {0: "N"}, "logits": {0: "N"}}
        torch.onnx.export(
            self._net,
            (self._x,),
            str(folder / NET),
            dynamo=False,
            opset_version=17,
            input_names=["x"],
            output_names=["logits"],
            dynamic_axes=axes,
        )
        np.savez(folder / BATCH, x=self._x.numpy(), label=self._label.numpy())

    def gradients(self) -> Call:
        """Loss and gradients by autograd."""
        loss_of = self._torch.nn.functional.cross_entropy

        def call() -> Any:
            for parameter in self._parameters:
                parameter.grad = None
            loss = loss_of(self._net(self._x).flatten(0, -2), self._label.flatten())
            loss.backward()
            return loss

        return call

    def step(self) -> Call:
        """The same, and a step of SGD with momentum."""
        gradients = self.gradients()
        optimizer = self._torch.optim.SGD(self._parameters, lr=RATE, momentum=MOMENTUM)

        def call() -> Any:
            loss = gradients()
            optimizer.step()
            return loss

        return call

    def values(self) -> dict[str, Any]:
        """The loss and the gradients by name."""
        loss = self.gradients()()
        named = self._net.named_parameters()
        return {"loss": loss.detach().numpy(), **{f"grad_{n}": p.grad.numpy() for n, p in named}}


class Engine:
    """What runs a graph in ONNX Runtime."""

    def __init__(self, name: str, folder: Path, threads: int) -> None:
        self._folder, self._threads = folder, threads
        with np.load(folder / BATCH) as file:
            self._batch = dict(file)

    def _session(self, model: Any) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.log_severity_level = 3
        providers = ["CPUExecutionProvider"]
        return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=providers)


class Lossgraph(Engine):
    """The graphs of a training step, and their trainer."""

    def __init__(self, name: str, folder: Path, threads: int) -> None:
        import lossgraph as lg

        super().__init__(name, folder, threads)
        optimizer = lg.training.SGD(learning_rate=RATE, momentum=MOMENTUM)
        dims = ("N", 64)[: self._batch["label"].ndim]
        types = {"label": ("int64", dims)}
        self._lg = lg
        self._step = lg.training.build(folder / NET, _cross_entropy, inputs=types,
                                       optimizer=optimizer)  # fmt: skip

    def gradients(self) -> Call:
        """The graph of the gradients."""
        session, feeds = self._session(self._step.gradients), self._feeds()
        return lambda: session.run(None, feeds)

    def step(self) -> Call:
        """A step of the trainer."""
        trainer = self._lg.training.Trainer(self._step, threads=self._threads)
        return lambda: trainer.step(self._batch)

    def values(self) -> dict[str, Any]:
        """The loss and the gradients by name."""
        session = self._session(self._step.gradients)
        names = [output.name for output in session.get_outputs()]
        return dict(zip(names, session.run(names, self._feeds()), strict=True))

    def _feeds(self) -> dict[str, Any]:
        given = {name: np.asarray(value) for name, value in self._step.parameters.items()}
        return {**self._batch, **given}


def _cross_entropy(F: Any, pred: Any, label: Any) -> Any:
    return -F.mean(F.pick(F.log_softmax(pred), label))


class OnnxAd(Engine):
    """The adjoint graph that onnx-ad makes of the network and ONNX's own loss."""

    def gradients(self) -> Call:
        """The adjoint graph, for a batch of known size."""
        import onnx_ad

        model, weights = self._model()
        adjoint = onnx_ad.reverse(model, inputs=list(weights), outputs=["loss"])
        session = self._session(adjoint)
        feeds: dict[str, Any] = {}
        for info in session.get_inputs():
            given = {**self._batch, **weights}.get(info.name)
            shape = [size if isinstance(size, int) else 1 for size in info.shape]
            # Besides, it takes a seed of the loss, and the values that it computes anew.
            feeds[info.name] = np.ones(shape, np.float32) if given is None else given
        return lambda: session.run(None, feeds)

    def _model(self) -> tuple[Any, Mapping[str, Any]]:
        import onnx
        from onnx import TensorProto, helper, numpy_helper

        model = onnx.load(self._folder / NET)
        graph, label = model.graph, self._batch["label"]
        graph.input[0].type.tensor_type.shape.dim[0].dim_value = len(label)
        graph.input.append(helper.make_tensor_value_info("label", TensorProto.INT64, label.shape))
        scores = "logits"
        if label.ndim == 2:
            scores = "turned"
            graph.node.append(helper.make_node("Transpose", ["logits"], [scores], perm=[0, 2, 1]))
        graph.node.append(helper.make_node("SoftmaxCrossEntropyLoss", [scores, "label"], ["loss"]))
        del graph.output[:]
        graph.output.append(helper.make_tensor_value_info("loss", TensorProto.FLOAT, []))
        floats = [t for t in graph.initializer if t.data_type == TensorProto.FLOAT and t.dims]
        others = [t for t in graph.initializer if t not in floats]
        for tensor in floats:
            info = helper.make_tensor_value_info(tensor.name, TensorProto.FLOAT, tensor.dims)
            graph.input.append(info)
        del graph.initializer[:]
        graph.initializer.extend(others)
        return model, {tensor.name: numpy_helper.to_array(tensor) for tensor in floats}


PEERS: dict[str, type[Any]] = {"torch": Torch, "lossgraph": Lossgraph, "onnx-ad": OnnxAd}
