"""The page that an export has: what the loss is, what goes in and comes out, how to use it."""

from __future__ import annotations

import ast
import re
import shlex
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..catalogue import VALUES, Entry, Example, formula_of
from ..compiler.outputs import Output
from ..compiler.program import Program
from ..ir.types import TensorType
from ..kernels.prebuilt import library_file
from ..lowering.opsets import DEFAULT_OPSET
from .prepared import PreparedLoss

VALUE, TRAINING, DATA = "value.onnx", "training.onnx", "test_data_set_0"
KERNELS = "kernels"  # the folder of libraries, and of the page about them
MARK = "<!-- written by lossgraph export -->"

_MODELS = {
    VALUE: f"`{VALUE}` computes the value.",
    TRAINING: f"`{TRAINING}` computes the value and the gradients.",
}
_USE = f"""\
`{DATA}` holds inputs, and the outputs that belong to them, in the form of ONNX's backend
tests; those of `{VALUE}` come first. `check` compares the models with them, `run` takes arrays of
your own."""
_AGAIN = """\
`export` writes such a folder again: with other types (`--input`), options (`--set OPTION=VALUE`),
gradients (`--grad`) and opsets (`--opset`) too."""


def fused_name(model: str) -> str:
    """The file of the model with a fused kernel, of the same loss as a standard one."""
    return model.replace(".onnx", "_fused.onnx")


def library_name(target: str) -> str:
    """Where a folder has the library for a target."""
    return f"{KERNELS}/{target}/{library_file(target)}"


def page(
    loss: PreparedLoss, opset: int, as_function: bool = False, kernels: Sequence[str] = ()
) -> str:
    """The page in Markdown.

    Args:
        loss: the loss with its programs.
        opset: version of the standard operators.
        as_function: whether each model is one node of a function.
        kernels: the targets that there are libraries of fused kernels for.
    """
    entry, program = loss.entry, loss.full
    models = [VALUE, TRAINING] if loss.training else [VALUE]
    switches = {"--as-function": [""] if as_function else [], "--kernels": _joined(kernels)}
    commands = [*_use_commands(program, models[-1]), *_export_command(loss, opset, switches)]
    parts = [
        f"{MARK}\n\n# {entry.name if entry else literal(program.name)}",
        markdown(entry.summary) if entry else "",
        f"```math\n{github_math(formula)}\n```" if (formula := formula_of(loss.block)) else "",
        " ".join([_made_of(opset, as_function), *(_MODELS[m] for m in models)]),
        _fused_remark(models) if kernels else "",
        table(("input", "type", "values"), _inputs(loss)),
        table(("output", "type", "meaning"), _outputs(program)),
        table(("option", "value"), [_option(*item, entry) for item in program.options.items()]),
        "\n".join(_remarks(loss)),
        "\n".join([_USE, *([_AGAIN] if len(commands) > 2 else [])]),
        "\n".join(["```console", *commands, "```"]),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _made_of(opset: int, as_function: bool) -> str:
    operators = f"standard operators of opset {opset}"
    return f"ONNX, one node of a function of {operators}." if as_function else f"ONNX, {operators}."


def _fused_remark(models: Sequence[str]) -> str:
    names = " and ".join(f"`{fused_name(model)}`" for model in models)
    verb = "compute" if len(models) > 1 else "computes"
    return (
        f"{names} {verb} the same by native kernels where a library of the folder `{KERNELS}` "
        f"is registered, and by the standard operators elsewhere: [its page]({KERNELS}/README.md)."
    )


def _joined(names: Sequence[str]) -> list[str]:
    return [",".join(names)] if names else []


def values_of(
    name: str, type_: TensorType, program: Program, examples: Mapping[str, Example]
) -> str:
    """What the numbers of an input are, in words, code between double backquotes."""
    labels, kind = dict(program.labels), examples.get(name, Example()).values
    if name in labels and kind != "length":
        count = labels[name]
        return f"classes, from 0 to {count - 1 if isinstance(count, int) else f'``{count}`` - 1'}"
    return "whole numbers" if kind == "real" and not type_.is_float else VALUES[kind]


# --- Markdown ---


def markdown(text: str) -> str:
    """A text of a docstring."""
    return text.replace("``", "`")


def literal(text: str) -> str:
    """A text of a user as it is, on one line: no markup of Markdown or HTML."""
    return re.sub(r"([\\`*_{}\[\]<>|#&])", r"\\\1", " ".join(text.split()))


def code(text: str) -> str:
    """A text as code, in a cell of a table too."""
    runs = re.findall("`+", text)
    fence = "`" * (max(map(len, runs), default=0) + 1)
    space = " " if runs else ""
    return f"{fence}{space}{text}{space}{fence}".replace("|", "\\|")


def github_math(formula: str) -> str:
    r"""A formula without ``\operatorname``, which GitHub refuses."""
    kept = formula.replace("`", "'")  # which would end the block
    return re.sub(r"\\operatorname{(\w+)}", r"\\mathop{\\mathrm{\1}}", kept)


def described(name: str, example: Example) -> str:
    """An input with its plausible type and values."""
    dtype, shape = example.type
    values = "" if example.values == "real" else f", {VALUES[example.values]}"
    return f"`{name}` {dtype}[{', '.join(map(str, shape))}]{values}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table in Markdown; nothing without rows."""
    lines = [head, ["---"] * len(head), *rows] if rows else []
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


# --- the parts of the page ---


def _inputs(loss: PreparedLoss) -> list[tuple[str, str, str]]:
    given = [(node.attrs["name"], node.type) for node in loss.full.inputs]
    return [
        (f"`{name}`", f"`{type_}`", markdown(values_of(name, type_, loss.full, loss.examples)))
        for name, type_ in given
    ]


def _outputs(program: Program) -> list[tuple[str, str, str]]:
    whole = " and ".join(f"`{name}`" for name in program.values)

    meanings = {"value": "the value", "auxiliary": f"a part of {whole}"}

    def meaning(output: Output) -> str:
        if output.kind == "gradient":
            return f"the gradient of the sum of {whole} by `{output.key}`"
        return meanings[output.kind]

    return [
        (f"`{output.name}`", f"`{output.expr.type}`", meaning(output))
        for output in program.typed_outputs
    ]


def _option(name: str, value: object, entry: Entry | None) -> tuple[str, str]:
    shown = _shown(value)
    usual = _shown(entry.options.get(name, value)) if entry else shown
    differs = "" if shown == usual else f" (by default {code(usual)})"
    return code(name), f"{code(shown)}{differs}"


def _shown(value: object) -> str:
    return " ".join(repr(value).split())


def _remarks(loss: PreparedLoss) -> Iterator[str]:
    entry = loss.entry
    if entry is None:
        return
    there = {node.attrs["name"] for node in loss.full.inputs}
    left = [described(*item) for item in loss.examples.items() if item[0] not in there]
    remarks = {
        "Optional inputs, which these models have not": "; ".join(left),
        "Range, for the default options": markdown(str(entry.range or "")),
        "Follows": f"`{entry.original}`" if entry.original else "",
        "Same loss, up to options, constant factors and reductions": ", ".join(
            f"`{name}`" for name in entry.same
        ),
        "Source": markdown(entry.paper),
    }
    yield from (f"- {title}: {text}" for title, text in remarks.items() if text)


def _use_commands(program: Program, model: str) -> Iterator[str]:
    names = [node.attrs["name"] for node in program.inputs]
    yield "$ lossgraph check ."
    yield _command("run", model, {"--input": [f"{n}={n}.npy" for n in names], "-o": "out.npz"})


def _export_command(
    loss: PreparedLoss, opset: int, switches: Mapping[str, Sequence[str]]
) -> Iterator[str]:
    """The command that writes the folder again, for a loss that a command can name."""
    entry, program = loss.entry, loss.full
    if entry is None:
        return
    usual, chosen = _made_with(entry.make(), entry), _made_with(loss.block, entry)
    changed = {k: v for k, v in chosen.items() if _shown(v) != _shown(usual.get(k))}
    types = {node.attrs["name"]: node.type for node in program.inputs}
    if set(types) <= set(entry.inputs) and all(map(_can_be_written, changed.values())):
        given = {
            "--input": [f"{name}:{_colons(type_)}" for name, type_ in types.items()],
            "--grad": program.wrt,
            "--set": [f"{key}={value}" for key, value in changed.items()],
            "--opset": [] if opset == DEFAULT_OPSET else [str(opset)],
            **switches,
            "-o": ".",
        }
        yield _command("export", entry.name, given)


def _made_with(block: Any, entry: Entry) -> dict[str, Any]:
    """What a loss was made with, tensors and functions too, which are none of its ``options``."""
    state = {key.lstrip("_"): value for key, value in vars(block).items()} | block.options
    return {name: state[name] for name in entry.options if name in state}


def _can_be_written(value: object) -> bool:
    """Whether the command line reads the value from its text, as it reads no tensor."""
    try:
        return bool(ast.literal_eval(str(value)) == value)
    except (ValueError, SyntaxError):
        return isinstance(value, str)


def _colons(type_: TensorType) -> str:
    return f"{type_.dtype}:{','.join(map(str, type_.shape))}"


def _command(verb: str, subject: str, options: Mapping[str, Sequence[str] | str]) -> str:
    """A line for the shell; a value without a text is a switch's."""
    words = [verb, subject]
    for option, values in options.items():
        for value in [values] if isinstance(values, str) else values:
            words += [option, value] if value else [option]
    return f"$ lossgraph {shlex.join(words)}"
