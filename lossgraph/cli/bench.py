"""``lossgraph bench``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib import import_module
from typing import Annotated, Any, NamedTuple

import numpy as np
import typer

from ..authoring.block import Block
from ..authoring.functions import compile_loss
from ..catalogue import Entry, lookup
from ..compare import equivalents
from ..compare.bench import Summary, duration_text, interleave, ratio_text, summarize
from ..compare.differences import SAMPLE_TOLERANCES, sample_difference
from ..compiler.outputs import by_output_name, gradient_name
from ..compiler.program import Program
from ..deploy.example_inputs import draw_inputs
from ..errors import InputError
from ..runtime.sessions import make_session, run_session
from .options import Grad, Inputs, Json, Loss, Set, names, parse_options, parse_sizes, types_for
from .output import note, print_json, print_table, progress

NAME = "bench"
EXAMPLE = "Example: lossgraph bench softmax_ce --size N=4096,C=1000 --against naive,torch"

PEERS = ("naive", "torch", "jax")
USUAL = {"N": 1024, "C": 1000, "D": 256, "T": 100, "L": 20}

Array = np.ndarray[Any, Any]
Call = Callable[[], Any]  # -> (value, gradients by name)


class Contest(NamedTuple):
    """What is measured at once: the value, or the value and gradients."""

    what: str
    seconds: dict[str, Summary]
    left_out: dict[str, str]  # who, and why


def command(
    loss: Loss,
    size: Annotated[
        list[str] | None,
        typer.Option(metavar="DIM=NUMBER,..", help="Sizes of dims, like N=4096,C=1000."),
    ] = None,
    grad: Grad = None,
    input: Inputs = None,
    set: Set = None,
    against: Annotated[
        str, typer.Option(metavar="NAME,..", help=f"Which of {', '.join(PEERS)}.")
    ] = ",".join(PEERS),
    rounds: Annotated[int, typer.Option(min=1, help="How often each has its turn.")] = 7,
    seconds: Annotated[float, typer.Option(min=1e-4, help="How long a turn takes.")] = 0.1,
    threads: Annotated[int | None, typer.Option(min=1, help="For each; all if not given.")] = None,
    json: Json = False,
) -> None:
    """Time a loss against the same in other frameworks.

    Timed are the value alone, and the value with gradients. naive is the exported graph, run whole
    by ONNX Runtime; torch and jax are the same loss in these frameworks, where it is known. All
    take turns in this process, JAX with all threads. Ratios are times relative to lossgraph's:
    above 1, lossgraph is faster. The exit code is 1 if they compute different numbers.
    """
    entry, given = lookup(loss), parse_options(set)
    made, peers = entry.make(given), _peers(against)
    types = types_for(entry, made, input)
    wrt = names(grad) or tuple(types)[:1]
    program = made.program(types, grad=wrt)
    arrays = draw_inputs(made, program, parse_sizes(size), USUAL)
    contests = []
    for chosen in ((), wrt):
        calls, left_out = _calls(entry, made, given, types, arrays, chosen, peers, threads)
        left_out |= _check(calls, loss)
        what = " + ".join(["value", *map(gradient_name, chosen)])
        times = interleave(calls, rounds, seconds, watch=partial(progress, label=what))
        contests.append(Contest(what, summarize(times, "lossgraph"), left_out))
    _print(entry.name, arrays, contests, json)


def _peers(text: str) -> list[str]:
    wanted = [name for name in text.split(",") if name]
    for name in wanted:
        if name not in PEERS:
            raise InputError(f"--against {text}: there is no {name!r}: there are {PEERS}")
    return wanted


# --- who is measured ---


def _calls(
    entry: Entry,
    made: Block,
    options: Mapping[str, Any],
    types: Mapping[str, Any],
    arrays: Mapping[str, Array],
    grad: Sequence[str],
    peers: Sequence[str],
    threads: int | None,
) -> tuple[dict[str, Call], dict[str, str]]:
    """What is timed, by name; and who is not, and why."""
    run = compile_loss(made, types, grad=grad, threads=threads)
    given = [arrays[node.attrs["name"]] for node in run.program.inputs]
    calls: dict[str, Call] = {"lossgraph": lambda: run(*given) if grad else (run(*given), {})}
    left_out = {}
    for name in peers:
        if name == "naive":
            calls[name] = _naive(run.program, arrays, threads)
            continue
        try:
            found = _equivalent(name, entry, options, arrays, grad, threads)
        except ImportError as error:
            left_out[name] = f"cannot be imported: {error}"
            continue
        except Exception as error:  # whatever a framework raises for inputs that it does not take
            left_out[name] = _refusal(error)
            continue
        if found is None:
            left_out[name] = f"no equivalent of {entry.name} with these options is known"
        else:
            calls[name] = found
    return calls, left_out


def _naive(program: Program, arrays: Mapping[str, Array], threads: int | None) -> Call:
    """The exported graph in a session of its own."""
    session = make_session(program.to_onnx(), None, threads)
    dtypes = {name: value.dtype for name, value in program.outputs.items()}

    def call() -> Any:
        found = run_session(session, arrays, dtypes)
        value = found[program.values[0]]
        return value, {name: found[gradient_name(name)] for name in program.wrt}

    return call


def _equivalent(
    framework: str,
    entry: Entry,
    options: Mapping[str, Any],
    arrays: Mapping[str, Array],
    grad: Sequence[str],
    threads: int | None,
) -> Call | None:
    module = import_module(framework)
    table = {"torch": equivalents.TORCH, "jax": equivalents.JAX}[framework]
    function = equivalents.find(table, module, entry.name, options, entry.options)
    if function is None:
        return None
    if framework == "jax":
        if any(array.dtype == np.float64 for array in arrays.values()):
            module.config.update("jax_enable_x64", True)
        return equivalents.jax_call(module, function, arrays, grad)
    if threads:
        module.set_num_threads(threads)
    return equivalents.torch_call(module, function, arrays, grad)


# --- whether they agree ---


def _check(calls: dict[str, Call], loss: str) -> dict[str, str]:
    """Compare each with lossgraph; who cannot compute it is taken out, with the reason.

    Raises:
        typer.Exit: if one computed different numbers.
    """
    ours, failed = _numbers(calls["lossgraph"]()), {}
    for name in [name for name in calls if name != "lossgraph"]:
        try:
            theirs = _numbers(calls[name]())
            shaped = {output: theirs[output].reshape(ours[output].shape) for output in ours}
        except Exception as error:  # as above; and for another convention's shapes
            failed[name] = _refusal(error)
            del calls[name]
            continue
        for output, value in ours.items():
            apart = sample_difference(value, shaped[output])
            if not apart <= SAMPLE_TOLERANCES[value.dtype.name]:
                note(f"Error: {loss}: lossgraph and {name} differ in {output} by {apart:.1e}")
                raise typer.Exit(1)
    return failed


def _refusal(error: Exception) -> str:
    return f"cannot compute it: {type(error).__name__}: {error}".splitlines()[0]


def _numbers(result: Any) -> dict[str, Array]:
    value, grads = result
    outputs = by_output_name(value, grads)
    return {name: np.asarray(array) for name, array in outputs.items()}


# --- what is printed ---


def _print(loss: str, arrays: Mapping[str, Array], contests: Sequence[Contest], json: bool) -> None:
    shapes = {name: list(array.shape) for name, array in arrays.items()}
    if json:
        listed = [
            {
                "what": contest.what,
                "peers": {name: s._asdict() for name, s in contest.seconds.items()},
                "left_out": contest.left_out,
            }
            for contest in contests
        ]
        print_json({"loss": loss, "inputs": shapes, "relative_to": "lossgraph", "cases": listed})
        return
    note(f"{loss}: {', '.join(f'{name} {shape}' for name, shape in shapes.items())}")
    rows = [
        (contest.what, name, duration_text(s.median), ratio_text(s.ratio), _quartiles(s))
        for contest in contests
        for name, s in contest.seconds.items()
    ]
    print_table(("", "", "time", "ratio", "quartiles"), rows)
    reasons = {name: why for contest in contests for name, why in contest.left_out.items()}
    for name, reason in reasons.items():
        note(f"{name}: left out: {reason}")


def _quartiles(summary: Summary) -> str:
    return f"{ratio_text(summary.low)} to {ratio_text(summary.high)}"
