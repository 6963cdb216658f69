"""Models whose gradients a test chooses, and drawn gradients for them."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

from lossgraph.training import build


def products(parameters):
    """A model of the sum of all ``w * dw``: its gradient by a parameter w is the input dw."""
    nodes, inputs, held = [], [], []
    for name, array in parameters.items():
        code = helper.np_dtype_to_tensor_dtype(array.dtype)
        inputs.append(helper.make_tensor_value_info(f"d{name}", code, array.shape))
        held.append(numpy_helper.from_array(array, name))
        nodes += [
            helper.make_node("Mul", [name, f"d{name}"], [f"product {name}"]),
            helper.make_node("ReduceSum", [f"product {name}"], [f"narrow {name}"], keepdims=0),
            helper.make_node("Cast", [f"narrow {name}"], [f"sum {name}"], to=TensorProto.DOUBLE),
        ]
    nodes.append(helper.make_node("Sum", [f"sum {name}" for name in parameters], ["y"]))
    output = helper.make_tensor_value_info("y", TensorProto.DOUBLE, [])
    graph = helper.make_graph(nodes, "products", inputs, [output], held)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def step_of(parameters, **options):
    """The training step of a model whose gradients are inputs."""
    model = products(parameters)
    onnx.checker.check_model(model)
    return build(model, lambda F, y: y, **options)


class Run:
    """A step that is run by hand, as a host without the trainer would."""

    def __init__(self, step, **hyper):
        self.step, self.hyper = step, {**step.hyper, **hyper}
        self.parameters, self.state = dict(step.parameters), dict(step.state)
        self.slots = list(step.optimizer.slots)
        self._sessions = {}

    def __call__(self, graph="train", **batch):
        """One run of a graph; its outputs, of which the next step begins."""
        given = {**batch, **self.parameters, **self.state, **self.hyper}
        session = self._session(graph)
        wanted = [entry.name for entry in session.get_inputs()]
        names = [entry.name for entry in session.get_outputs()]
        made = dict(zip(names, session.run(None, {k: given[k] for k in wanted}), strict=True))
        for held in (self.parameters, self.state):
            held |= {k: made[f"next_{k}"] for k in held if f"next_{k}" in made}
        return made

    def _session(self, graph):
        if graph not in self._sessions:
            options = ort.SessionOptions()
            options.log_severity_level, options.intra_op_num_threads = 3, 1
            self._sessions[graph] = ort.InferenceSession(
                getattr(self.step, graph).SerializeToString(),
                options,
                providers=["CPUExecutionProvider"],
            )
        return self._sessions[graph]


def drawn(shape, dtype, seed, steps):
    """Gradients of usual, huge and tiny size, with zeros and steps of zeros among them."""
    draw = np.random.default_rng(seed)
    top = 15 if dtype == np.float32 else 100
    for number in range(steps):
        size = 10.0 ** draw.choice([0, 0, 0, 0, -top, -5, 3])
        array = draw.standard_normal(shape) * size * (draw.random(shape) > 0.2)
        yield (array * (number % 7 != 5)).astype(dtype)
