"""The page that exported kernels have: how each binding of ONNX Runtime registers a library."""

from __future__ import annotations

from collections.abc import Sequence

from ..compiler.program import Program
from ..kernels.targets import TARGETS
from .page import MARK, code, fused_name, library_name

_SYSTEMS = {"linux": "Linux with glibc 2.17 or newer", "macos": "macOS", "windows": "Windows"}
_MACHINES = {
    "x86_64": "x86-64, of any level: the code for AVX-512 or AVX2 is chosen when it runs",
    "aarch64": "ARM, 64 bits",
    "arm64": "ARM, 64 bits",
}

_HEAD = """\
{mark}

# Fused kernels

{models} in the folder above {are} one node each, a custom operator. ONNX Runtime (1.17 or newer,
on the CPU) runs it as one function of a library that is here, which goes over memory as few times
as the loss allows. The operator is a function in the model, too: where no library is registered,
ONNX Runtime runs the nodes of the standard model in its place, to equal results up to the last
digits.

{table}

A library needs nothing but the C library of the system. Its operators are of a domain of their own,
so that libraries of several exports may be registered together; a session takes each one once.
`manifest.json` above has the sha256 digest of every file: a library is code, so compare its digest
with the one that you know before you load it.

A model that ONNX Runtime has optimized and saved (`optimized_model_filepath`) has lost the
function, and needs the library for ever. Older releases than 1.17 run the function, library or not.
Labels outside the classes give NaN for their samples, as in the standard models.

The paths below are those of `{library}`: put yours in their place.
"""

_BINDINGS = {
    "Python": (
        "python",
        """\
import onnxruntime

options = onnxruntime.SessionOptions()
options.register_custom_ops_library("{library}")
session = onnxruntime.InferenceSession("{model}", options)
""",
    ),
    "C++": (
        "cpp",
        """\
#include <onnxruntime_cxx_api.h>

Ort::Env env;
Ort::SessionOptions options;
options.RegisterCustomOpsLibrary(ORT_TSTR("{library}"));
Ort::Session session(env, ORT_TSTR("{model}"), options);
""",
    ),
    "C": (
        "c",
        """\
OrtStatus *status = api->RegisterCustomOpsLibrary_V2(options, ORT_TSTR("{library}"));
""",
    ),
    "C#": (
        "csharp",
        """\
using Microsoft.ML.OnnxRuntime;

using var options = new SessionOptions();
options.RegisterCustomOpLibrary("{library}");
using var session = new InferenceSession("{model}", options);
""",
    ),
    "Java": (
        "java",
        """\
import ai.onnxruntime.*;

OrtEnvironment environment = OrtEnvironment.getEnvironment();
OrtSession.SessionOptions options = new OrtSession.SessionOptions();
options.registerCustomOpLibrary("{library}");
OrtSession session = environment.createSession("{model}", options);
""",
    ),
}

_WITHOUT = """\
## Node.js and browsers

The options of a session in `onnxruntime-node` and `onnxruntime-web` have no place for a library.
The models run there by their function, as fast as the standard ones.
"""


def kernels_page(program: Program, models: Sequence[str], targets: Sequence[str]) -> str:
    """The page in Markdown.

    Args:
        program: the program that the last of the models is of.
        models: the files of the standard models.
        targets: what there are libraries for.
    """
    fused = [fused_name(model) for model in models]
    shown = {"library": library_name(targets[0]), "model": fused[-1]}
    head = _HEAD.format(
        mark=MARK,
        models=" and ".join(f"`{name}`" for name in fused),
        are="are" if len(fused) > 1 else "is",
        table=_table(targets),
        **shown,
    )
    sections = [
        f"## {binding}\n\n```{language}\n{text.format(**shown)}```\n"
        for binding, (language, text) in _BINDINGS.items()
    ]
    return "\n".join([head, *sections, _WITHOUT, _tensors(program)])


def _table(targets: Sequence[str]) -> str:
    rows = [
        (
            f"`{library_name(name)}`",
            _SYSTEMS[TARGETS[name].system],
            _MACHINES[TARGETS[name].machine],
        )
        for name in targets
    ]
    lines = [("library", "system", "processor"), ("---", "---", "---"), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _tensors(program: Program) -> str:
    """What goes in and comes out, by name and type."""
    inputs = [f"{code(node.attrs['name'])} {code(str(node.type))}" for node in program.inputs]
    outputs = [f"{code(name)} {code(str(node.type))}" for name, node in program.outputs.items()]
    return f"""\
## Inputs and outputs

They are those of the standard models: {", ".join(inputs)} give {", ".join(outputs)}.
"""
