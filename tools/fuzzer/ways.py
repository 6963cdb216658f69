"""The ways to run a program: called, compiled, exported. Each gives value and gradients."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import onnxruntime

import lossgraph as lg
from lossgraph import symbolic
from lossgraph.authoring.functions import as_loss

from .programs import Program

Outputs = list[Any]


@contextmanager
def said(call: str) -> Iterator[str]:
    """The call that shows it, noted on what goes wrong."""
    try:
        yield call
    except Exception as error:
        error.add_note(call)
        raise


def called(program: Program, wrt: Sequence[str]) -> tuple[Outputs, str]:
    """As users call a loss: with arrays, and nothing else."""
    names = ", ".join(f"{n}={n}" for n in program.names)
    call = f"print(as_loss(body)({names}))"
    if wrt:
        call = f"print(as_loss(body).value_and_grad({names}, wrt={tuple(wrt)}))"
    with said(call):
        loss = as_loss(program.body)
        if not wrt:
            return [loss(**program.arrays)], call
        value, grads = loss.value_and_grad(**program.arrays, wrt=tuple(wrt))
        return [value, *(grads[name] for name in wrt)], call


def compiled(program: Program, wrt: Sequence[str], named: bool) -> tuple[Outputs, str]:
    """Compiled for types, in tiles or on threads; bound to its arrays, or called twice."""
    way, types, arrays = program.way, program.types(named), list(program.arrays.values())
    options = {"tiles": way.tiles, "threads": way.threads}
    given = {name: value for name, value in options.items() if value is not None}
    more = "".join(f", {name}={value}" for name, value in given.items())
    bound = way.bound and all(array.size for array in arrays)
    names = ", ".join(program.names)
    shown = f"run.bind({names})()" if bound else f"run({names}), run({names})"
    call = f"run = lg.compile(body, {types}, grad={tuple(wrt)}{more})\nprint({shown})"
    with said(call):
        run = lg.compile(program.body, types, grad=tuple(wrt), **given)
        if bound:
            again = run.bind(*arrays)
            again()
            answer = again()
        else:
            run(*arrays)
            answer = run(*arrays)  # the second time it goes the fast path
    if not wrt:
        return [answer], call
    value, grads = answer
    return [value, *(grads[name] for name in wrt)], call


def exported(program: Program, wrt: Sequence[str], named: bool) -> tuple[Outputs, str]:
    """The graph in a stock ONNX Runtime."""
    types, opset = program.types(named), program.way.opset
    feeds = ", ".join(f"{n!r}: {n}" for n in program.names)
    call = (f"model = as_loss(body).to_onnx({types}, grad={list(wrt)}, opset={opset})\n"
            "session = onnxruntime.InferenceSession(model.SerializeToString())\n"
            f"print(session.run(None, {{{feeds}}}))")  # fmt: skip
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    with said(call):
        model = as_loss(program.body).to_onnx(types, grad=list(wrt), opset=opset)
        session = onnxruntime.InferenceSession(model.SerializeToString(), options)
        return session.run(None, dict(program.arrays)), call


def second(program: Program, wrt: Sequence[str]) -> tuple[Outputs, str]:
    """The gradients of the weighed sum of gradients."""
    types = program.types(False)
    made = ", ".join(f"{n}=lg.symbol({n!r}, {t!r}, {shape})" for n, (t, shape) in types.items())
    listed = ", ".join(f"s[{n!r}]" for n in wrt)
    call = (f"from lossgraph import symbolic as F\ns = dict({made})\n"
            f"first = lg.grad(body(F, **s), [{listed}])\n"
            "total = sum(F.sum(g) * (1.0 + 0.5 * i) for i, g in enumerate(first))\n"
            f"run = lg.compile(lg.grad(total, [{listed}]))\n"
            "reads = [node.attrs['name'] for node in run.program.inputs]\n"
            "print(run(**{name: globals()[name] for name in reads}))")  # fmt: skip
    with said(call):
        symbols = {n: lg.symbol(n, *each) for n, each in types.items()}
        leaves = [symbols[name] for name in wrt]
        first = lg.grad(program.body(symbolic, **symbols), leaves)
        total = sum(symbolic.sum(g) * (1.0 + 0.5 * i) for i, g in enumerate(first))
        run = lg.compile(lg.grad(total, leaves))
        reads = [node.attrs["name"] for node in run.program.inputs]
        answer = run(**{n: program.arrays[n] for n in reads})
    return list(answer) if isinstance(answer, (tuple, list)) else [answer], call
