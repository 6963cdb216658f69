"""The page that exported training graphs have: how programs without Python train with them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..ir.types import TensorType, numpy_dtype
from .page import code, table
from .training_state import INITIAL, STATE

TRAIN, EVALUATE, GRADIENTS = "train.onnx", "evaluate.onnx", "gradients.onnx"
PREDICT, TRAINED, BATCH, FROZEN = "predict.onnx", "model.onnx", "batch.onnx", "frozen.bin"
ACCUMULATE = "accumulate.onnx"
MARK = "<!-- written by lossgraph export-training -->"

_HEAD = """\
{mark}

# Training graphs of {title}

Graphs of standard operators, which any ONNX Runtime executes (1.20 or newer), on a server, a phone
or in a browser: no training framework is needed, and nothing of lossgraph.

{files}

A step is one run of `{train}`: from the batch, the parameters, the state of the optimizer and its
scalars to `loss`, the loss before the step, and `next_NAME` for each parameter and each part of the
state. What is `next_NAME` in one step is `NAME` in the following one. A scalar has no `next_NAME`:
it stays as it is unless the program changes it.

## The state

`{initial}` is a model without inputs, whose outputs are all that a training run begins with, by the
names of the inputs of the other graphs: a program reads them by running it. The data are in
`{state}`: the tensors one after the other in the order of these outputs, little-endian, without a
header. A program that writes its tensors in that order has written a checkpoint. `{initial}` then
gives the state of the checkpoint, and `{trained}` is the trained model.

Write it under another name and rename it: then there is a complete file, whatever ends the program.
Close sessions of `{initial}` and `{trained}` first: they may have the file mapped into memory.

`manifest.json` has the place of each tensor in `{state}`, the types of all inputs, and the sha256
digests of the files as they were exported.
"""

_BATCH = """\
## The batch

`{batch}` is a model without inputs too: it gives an example batch, which stands in the programs
below for yours.{losses}
"""

_FILES = {
    TRAIN: "a step: the loss, and what follows",
    ACCUMULATE: "a batch that is not the last of its step: the loss, and the sums of gradients",
    EVALUATE: "the loss and the outputs of the model",
    GRADIENTS: "the loss and its gradients, `grad_NAME`, for optimizers of one's own",
    PREDICT: "the outputs of the model alone, with the parameters as inputs",
    TRAINED: f"the model as it was given, with its trained parameters in `{STATE}`",
    INITIAL: "what a training run begins with",
    STATE: "its data: parameters, state of the optimizer and scalars, {size}",
    BATCH: "an example batch",
    FROZEN: "the weights that are not trained",
}

_PYTHON = """\
import os
import onnxruntime as ort

def run(session, arrays):
    feed = {{value.name: arrays[value.name] for value in session.get_inputs()}}
    names = [value.name for value in session.get_outputs()]
    return dict(zip(names, session.run(names, feed)))

train = ort.InferenceSession("train.onnx"){python_accumulate}
batch = run(ort.InferenceSession("batch.onnx"), {{}})  # yours here
state = run(ort.InferenceSession("initial.onnx"), {{}})
for step in range({steps}):{python_rate}
    made = run({python_graph}, batch | state)
    state |= {{name: made["next_" + name] for name in state if "next_" + name in made}}
    print(step, made["loss"])

with open("state.bin.new", "wb") as file:
    for array in state.values():
        file.write(array.tobytes())
os.replace("state.bin.new", "state.bin")
"""

_CPP = """\
#include <onnxruntime_cxx_api.h>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>

using Tensors = std::map<std::string, Ort::Value>;
Ort::AllocatorWithDefaultOptions allocator;
const auto memory = Ort::MemoryInfo::CreateCpu(OrtDeviceAllocator, OrtMemTypeDefault);

Tensors run(Ort::Session& session, const Tensors& tensors) {{
  Ort::IoBinding binding(session);
  for (size_t i = 0; i < session.GetInputCount(); ++i) {{
    const auto name = session.GetInputNameAllocated(i, allocator);
    binding.BindInput(name.get(), tensors.at(name.get()));
  }}
  for (size_t i = 0; i < session.GetOutputCount(); ++i)
    binding.BindOutput(session.GetOutputNameAllocated(i, allocator).get(), memory);
  session.Run(Ort::RunOptions(), binding);
  auto values = binding.GetOutputValues();
  Tensors made;
  for (size_t i = 0; i < values.size(); ++i)
    made.emplace(session.GetOutputNameAllocated(i, allocator).get(), std::move(values[i]));
  return made;
}}

int main() {{
  Ort::Env env;
  Ort::SessionOptions options;
  Ort::Session train(env, ORT_TSTR("train.onnx"), options);{cpp_accumulate}
  Ort::Session batch(env, ORT_TSTR("batch.onnx"), options);  // yours here
  auto initial = std::make_unique<Ort::Session>(env, ORT_TSTR("initial.onnx"), options);
  Tensors tensors = run(*initial, {{}});
  std::vector<std::string> order;
  for (size_t i = 0; i < initial->GetOutputCount(); ++i)
    order.push_back(initial->GetOutputNameAllocated(i, allocator).get());
  initial.reset();
  tensors.merge(run(batch, {{}}));
  for (int step = 0; step < {steps}; ++step) {{{cpp_rate}
    for (auto& [name, value] : run({cpp_graph}, tensors))
      if (name.rfind("next_", 0) == 0)
        tensors.at(name.substr(5)) = std::move(value);
      else
        std::cout << step << ' ' << {cpp_loss} << '\\n';
  }}

  const std::map<int, size_t> sizes = {{{cpp_sizes}}};
  std::ofstream file("state.bin.new", std::ios::binary);
  for (const auto& name : order) {{
    const auto info = tensors.at(name).GetTensorTypeAndShapeInfo();
    file.write(tensors.at(name).GetTensorData<char>(),
               info.GetElementCount() * sizes.at(info.GetElementType()));
  }}
  file.close();
  std::filesystem::rename("state.bin.new", "state.bin");
}}
"""

_JAVASCRIPT = """\
import * as ort from "onnxruntime-web"; // or "onnxruntime-node"

// In Node.js, which finds the data beside a model: (file) => ort.InferenceSession.create(file)
const open = (file, ...data) => ort.InferenceSession.create(file, {{
  externalData: data.map((path) => ({{ path, data: path }})),
}});
const run = (session, tensors) =>
  session.run(Object.fromEntries(session.inputNames.map((name) => [name, tensors[name]])));

const train = await open("train.onnx"{js_frozen});{js_accumulate}
const batch = await run(await open("batch.onnx"), {{}}); // yours here
const initial = await open("initial.onnx", "state.bin");
const state = {{ ...(await run(initial, {{}})) }};
for (let step = 0; step < {steps}; step++) {{{js_rate}
  const made = await run({js_graph}, {{ ...batch, ...state }});
  for (const name in state) state[name] = made[`next_${{name}}`] ?? state[name];
  console.log(step, Number(made.loss.data[0]));
}}

// The content of state.bin, to be stored or sent, or of `data` where initial.onnx is opened again:
const checkpoint = new Blob(initial.outputNames.map((name) => state[name].data));
"""


@dataclass(frozen=True)
class Said:
    """What the page tells.

    Attributes:
        title: what is trained.
        parameters: the parameters that are trained, with their types.
        left_out: what is not trained, with the reason.
        batch: the types of what a batch consists of.
        state: the state and the scalars, with their types.
        hyper: the scalars, as they are in the beginning.
        loss: the dtype of the loss.
        size: the number of bytes of the state.
        frozen: whether weights that are not trained are in a file of their own.
        losses: the losses of the first steps on the example batch, if they were computed.
        accumulation: the number of batches in a step.
    """

    title: str
    parameters: Mapping[str, TensorType]
    left_out: Mapping[str, str]
    batch: Mapping[str, TensorType]
    state: Mapping[str, TensorType]
    hyper: Mapping[str, float]
    loss: str
    size: int
    frozen: bool
    losses: Sequence[float] = ()
    accumulation: int = 1


def training_page(said: Said, steps: int = 100) -> str:
    """The page in Markdown."""
    head = _HEAD.format(
        mark=MARK, title=said.title, files=_files(said), train=TRAIN, initial=INITIAL, state=STATE,
        trained=TRAINED,
    )  # fmt: skip
    parts = [
        head,
        _BATCH.format(batch=BATCH, losses=_losses(said.losses)),
        table(("batch", "type"), _rows(said.batch)),
        "## What is trained\n",
        table(("parameter", "type"), _rows(said.parameters)),
        _left_out(said.left_out),
        "The state of the optimizer, and scalars:\n",
        table(("state", "type", "in the beginning"), _state_rows(said)),
        _code("Python", "python", "It needs `onnxruntime`.", _PYTHON, said, steps),
        _code("C++", "cpp", "In C++17, with ONNX Runtime's C++ header.", _CPP, said, steps),
        _code("JavaScript", "javascript", _IN_JAVASCRIPT, _JAVASCRIPT, said, steps),
    ]
    return "\n".join(part if part.endswith("\n") else f"{part}\n" for part in parts if part)


_IN_JAVASCRIPT = """\
The same in a browser, where the names of files are addresses of a server, and in Node.js, where
they are paths. An `onnxruntime-web` that is loaded by a `<script>` is `ort` without the import."""


def _code(
    language: str, name: str, remark: str, text: str, said: Said, steps: int
) -> str:  # fmt: skip
    filled = text.format(
        steps=steps, **_rate(said), **_cpp(said), **_javascript(said), **_graphs(said)
    )
    return f"## {language}\n\n{remark}\n\n```{name}\n{filled}```\n"


def _rate(said: Said) -> dict[str, str]:
    """The lines that set the learning rate, where there is one."""
    if "learning_rate" not in said.hyper:
        return dict.fromkeys(("python_rate", "cpp_rate", "js_rate"), "")
    rate = said.hyper["learning_rate"]
    return {
        "python_rate": f'\n    state["learning_rate"].fill({rate:g})  # or what a schedule says',
        "cpp_rate": '\n    *tensors.at("learning_rate").GetTensorMutableData<float>() = '
        f"{rate!r}f;  // or what a schedule says",
        "js_rate": f"\n  state.learning_rate.data[0] = {rate:g}; // or what a schedule says",
    }


def _graphs(said: Said) -> dict[str, str]:
    """The graph of a batch: another for those that are not the last of their step."""
    languages = ("python", "cpp", "js")
    if said.accumulation == 1:
        train = {f"{language}_graph": "train" for language in languages}
        return train | {f"{language}_accumulate": "" for language in languages}
    last = f"step % {said.accumulation} == {said.accumulation - 1}"
    frozen = _javascript(said)["js_frozen"]
    return {
        "python_graph": f"train if {last} else accumulate",
        "cpp_graph": f"{last} ? train : accumulate",
        "js_graph": f"{last.replace('==', '===')} ? train : accumulate",
        "python_accumulate": f'\naccumulate = ort.InferenceSession("{ACCUMULATE}")',
        "cpp_accumulate": f'\n  Ort::Session accumulate(env, ORT_TSTR("{ACCUMULATE}"), options);',
        "js_accumulate": f'\nconst accumulate = await open("{ACCUMULATE}"{frozen});',
    }


_CPP_NAMES = {"float32": "FLOAT", "float64": "DOUBLE"}
_CPP_TYPES = {
    "float32": "float", "float64": "double", "float16": "Ort::Float16_t",
    "bfloat16": "Ort::BFloat16_t",
}  # fmt: skip


def _cpp(said: Said) -> dict[str, str]:
    types = {**said.state, **said.parameters}.values()
    sizes = {type_.dtype: itemsize(type_.dtype) for type_ in types}
    names = {dtype: _CPP_NAMES.get(dtype, dtype.upper()) for dtype in sizes}
    pairs = [f"{{ONNX_TENSOR_ELEMENT_DATA_TYPE_{names[d]}, {size}}}" for d, size in sizes.items()]
    number = f"*value.GetTensorData<{_CPP_TYPES[said.loss]}>()"
    loss = f"({number}).ToFloat()" if "16" in said.loss else number
    return {"cpp_sizes": ",\n                                       ".join(pairs), "cpp_loss": loss}


def itemsize(dtype: str) -> int:
    """The bytes of a number."""
    return int(numpy_dtype(dtype).itemsize)


def _javascript(said: Said) -> dict[str, str]:
    return {"js_frozen": f', "{FROZEN}"' if said.frozen else ""}


def _losses(losses: Sequence[float]) -> str:
    if not losses:
        return ""
    shown = ", ".join(f"{loss:.6g}" for loss in losses)
    return f" The losses of its first runs are {shown}."


def _files(said: Said) -> str:
    rows = [
        (f"`{name}`", text.format(size=_bytes(said.size)))
        for name, text in _FILES.items()
        if (name != FROZEN or said.frozen) and (name != ACCUMULATE or said.accumulation > 1)
    ]
    return table(("file", "what it is"), rows)


def _bytes(count: int) -> str:
    for unit, size in (("MB", 10**6), ("kB", 10**3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count} bytes"


def _rows(types: Mapping[str, TensorType]) -> list[tuple[str, str]]:
    return [(code(name), code(str(type_))) for name, type_ in types.items()]


def _state_rows(said: Said) -> list[tuple[str, str, str]]:
    return [
        (code(name), code(str(type_)), f"{said.hyper[name]:g}" if name in said.hyper else "")
        for name, type_ in said.state.items()
    ]


def _left_out(reasons: Mapping[str, str]) -> str:
    if not reasons:
        return ""
    rows = [(code(name), reason) for name, reason in reasons.items()]
    return "Not trained:\n\n" + table(("initializer", "why"), rows)
