"""Graphs of ``moves`` as kernels, held to the interpreter: what tools/fuzz --kernels does.

The kernels of a few graphs are compiled at once. Each runs in a process of its own, so that one
that reads where nothing is does not end the search.
"""

from __future__ import annotations

import multiprocessing
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import lossgraph.kernels
from lossgraph.errors import LossgraphError
from lossgraph.ir.evaluate import evaluate
from lossgraph.ir.expr import Expr, is_input, is_literal, toposort
from lossgraph.kernels.kernel import Kernel
from lossgraph.kernels.library import Library
from lossgraph.kernels.unit import translation_unit

from .moves import Graph, Growing
from .search import Found

BATCH = 12  # kernels of a library
SECONDS = 30.0  # for a kernel, of which each takes some milliseconds
SOURCES = Path(lossgraph.kernels.__file__).parent / "sources"
# More flags: -fsanitize=undefined, or with the library of address sanitizer preloaded that too.
MORE_FLAGS = os.environ.get("LOSSGRAPH_FUZZ_FLAGS", "").split()
FLAGS = ["-O1", "-march=native", "-std=gnu11", "-shared", "-fPIC", "-w", "-fno-math-errno",
         "-fno-trapping-math", "-ffp-contract=fast", *MORE_FLAGS]  # fmt: skip
_FUNCTION = re.compile(r"lg_(?:rows|plan|begin|chunk|finish)_(\d+)")


class NotCompiledError(Exception):
    """What a compiler says of kernels, and which ones it means."""

    def __init__(self, words: str) -> None:
        super().__init__(words)
        self.numbers = sorted({int(number) for number in _FUNCTION.findall(words)})


def search_kernels(start: int, step: int, deadline: float) -> Iterator[tuple[int, Found | None]]:
    """Graphs run as kernels, and each fault that was found, until a time has come."""
    number = start
    while time.monotonic() < deadline:
        yield from _try_batch(range(number, number + step * BATCH, step))
        number += step * BATCH


def _try_batch(seeds: Sequence[int]) -> Iterator[tuple[int, Found | None]]:
    made: dict[int, tuple[Graph, Kernel]] = {}
    for seed in seeds:
        graph = graph_of(seed)
        if graph is None:
            continue
        try:
            made[seed] = graph, kernel_of_outputs(graph.outputs)
        except LossgraphError:
            continue  # refused by name
        except Exception as error:
            yield 1, Found(seed, f"no C: {type(error).__name__}: {error}", listing(graph.outputs))
    while made:
        kernels = [kernel for _, kernel in made.values()]
        try:
            library = built(kernels)
            break
        except NotCompiledError as error:
            wrong = [list(made)[number] for number in error.numbers] or list(made)
            for seed in wrong:
                graph, _ = made.pop(seed)
                yield 1, Found(seed, f"the compiler: {str(error)[:300]}", listing(graph.outputs))
    for seed, (graph, kernel) in made.items():
        wrong_words = apart(library, kernel, graph)
        found = Found(seed, wrong_words, smallest(graph)) if wrong_words else None
        yield 1, found


def graph_of(seed: int) -> Graph | None:
    """The graph of a seed, if its operations fit each other."""
    try:
        return Growing(seed).graph()
    except LossgraphError:
        return None


def kernel_of_outputs(outputs: Sequence[Expr]) -> Kernel:
    """The kernel of expressions, with its C made."""
    inputs = [node for node in toposort(outputs) if is_input(node)]
    kernel = Kernel(inputs, {f"y{i}": node for i, node in enumerate(outputs)})
    kernel.text(0)
    return kernel


def built(kernels: Sequence[Kernel]) -> Library:
    """A library of kernels.

    Raises:
        NotCompiledError: if the C is wrong.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kernels.so"
        command = [shutil.which("cc") or "cc", *FLAGS, "-I", SOURCES, "-x", "c", "-", "-o", path,
                   "-lm"]  # fmt: skip
        text = translation_unit(kernels).text
        done = subprocess.run(command, input=text, text=True, capture_output=True, check=False)
        if done.returncode:
            raise NotCompiledError(done.stderr)
        return Library(path)


def apart(library: Library, kernel: Kernel, graph: Graph) -> str:
    """What is wrong with a kernel, which runs in a process of its own; empty if nothing."""
    context: Any = multiprocessing.get_context("fork")
    answers = context.Queue()
    process = context.Process(target=lambda: answers.put(differs(library, kernel, graph)))
    process.start()
    process.join(SECONDS)
    if process.is_alive():
        process.kill()
        return "it does not end"
    return f"it ends with {process.exitcode}" if process.exitcode else answers.get()


def differs(library: Library, kernel: Kernel, graph: Graph) -> str:
    """What is wrong with a kernel's outputs at any of the sizes; empty if nothing."""
    names = [signature.name for signature in library.kernels]
    for seed, sizes in enumerate(graph.sizes):
        arrays = graph.arrays(sizes, seed)
        try:
            wanted = evaluate(list(kernel.outputs.values()), arrays, sizes)
        except (ValueError, IndexError):
            continue  # of no elements there is no largest
        given = [arrays[node.attrs["name"]] for node in kernel.inputs]
        try:
            found = library.run(names.index(kernel.name), *given)
        except LossgraphError as error:
            return f"for {sizes}: {error}"
        for place, (one, other) in enumerate(zip(found, wanted, strict=True)):
            if not np.array_equal(one, other, equal_nan=True):
                return f"output {place} for {sizes}: {_shown(one)} instead of {_shown(other)}"
    return ""


def _shown(array: Any) -> str:
    return f"{np.asarray(array).ravel()[:8]} of {np.shape(array)}"


def smallest(graph: Graph) -> str:
    """The smallest expression of a graph that is wrong alone, or all of it."""
    for node in toposort(graph.outputs):
        if is_input(node) or is_literal(node) or not node.type.is_float:
            continue
        alone = replace(graph, outputs=(node,))
        try:
            kernel = kernel_of_outputs([node])
            if apart(built([kernel]), kernel, alone):
                return listing([node])
        except LossgraphError:
            continue
        except NotCompiledError:
            return listing([node])
    return listing(graph.outputs)


def listing(outputs: Sequence[Expr]) -> str:
    """Expressions, a line for each node."""
    names: dict[Expr, str] = {}
    lines = []
    for node in toposort(outputs):
        names[node] = f"%{len(names)}"
        args = ", ".join(names[arg] for arg in node.args)
        attrs = ", ".join(f"{key}={value}" for key, value in node.attrs.items())
        lines.append(f"{names[node]} = {node.op.name}({args}) {attrs} : {node.type}")
    return "\n".join([*lines, f"outputs {', '.join(names[node] for node in outputs)}"])
