"""Every loss of the catalogue as a kernel, held to the interpreter in float64."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import lossgraph as lg
from hand_written import build_kernels, needs_cc
from lossgraph.catalogue import entries, examples_of
from lossgraph.deploy.example_inputs import draw_for
from lossgraph.deploy.export import expected
from lossgraph.ir.dims import Size, evaluate
from lossgraph.ir.types import numpy_dtype
from lossgraph.kernels.kernel import kernel_of
from lossgraph.kernels.library import Library
from lossgraph.kernels.whole import KernelUnsupportedError

pytestmark = needs_cc

# Relative to the largest number of the result, and to each. float32: a hundred roundings, and
# terms that cancel; the narrow ones round a float32 result once.
TOLERANCE = {
    "float64": (1e-12, 1e-12),
    "float32": (4e-6, 2e-5),
    "float16": (4e-6, 1e-3),
    "bfloat16": (4e-6, 8e-3),
}
ALL = {entry.name: entry for entry in entries()}
# Why a loss is no single kernel.
REFUSED = {}
TAKEN = [name for name in ALL if name not in REFUSED]
HALF = TAKEN[::16]
CASES = [
    *((name, dtype) for dtype in ("float32", "float64") for name in TAKEN),
    *((name, dtype) for dtype in ("float16", "bfloat16") for name in HALF),
]
FLAGS = ("-O1", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast", "-w")
PARTS = 2  # libraries, compiled side by side


def program_of(name, dtype):
    """A loss with its gradients."""
    entry, loss = ALL[name], ALL[name].make()
    types = {
        key: (dtype if kind.startswith("float") else kind, shape)
        for key, (kind, shape) in entry.example_types(loss).items()
    }
    wrt = tuple(n for n in types if entry.inputs.get(n) and types[n][0] == dtype)
    try:
        return loss, loss.program(types, grad=wrt)
    except lg.LossgraphError:
        return loss, loss.program(types)


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """For each case its loss, program, kernel, library and the number in it."""
    made = {case: program_of(*case) for case in CASES}
    kernels = {case: kernel_of(program) for case, (_, program) in made.items()}
    folder = tmp_path_factory.mktemp("built")

    def library(part):
        path, _ = build_kernels(list(kernels.values())[part::PARTS], folder, None, *FLAGS)
        return Library(path)

    with ThreadPoolExecutor(PARTS) as pool:
        libraries = list(pool.map(library, range(PARTS)))
    places = {
        signature.name: (library, number)
        for library in libraries
        for number, signature in enumerate(library.kernels)
    }
    return {case: (*made[case], kernels[case], *places[kernels[case].name]) for case in CASES}


def variations(loss, program, dtype):
    """Inputs: of sizes with and without tails, at extremes, with one number that is none."""
    examples = examples_of(loss)
    names = {dim.name for node in program.inputs for dim in node.shape if isinstance(dim, Size)}
    wide = [n for n in ("C", "D", "F", "K", "T", "M") if n in names]
    small = draw_for(program, examples)
    yield "drawn", small
    yield "tails", draw_for(program, examples, usual={"N": 19, **dict.fromkeys(wide, 7)})
    yield "wide", draw_for(program, examples, usual={"N": 3, **dict.fromkeys(wide, 70)})
    floats = [
        n.attrs["name"] for n in program.inputs if n.type.is_float and small[n.attrs["name"]].size
    ]
    large = 20.0 if dtype == "float16" else 1e4
    kinds = {name: examples[name].values for name in examples}
    yield (
        "far",
        {
            n: a * large if kinds.get(n, "") == "real" and n in floats else a
            for n, a in small.items()
        },
    )
    for name in floats[:2]:
        for number in (np.nan, np.inf):
            spoilt = small[name].copy()
            spoilt.flat[spoilt.size - 1] = number
            yield f"{number} in {name}", {**small, name: spoilt}
    for name, classes in program.labels:
        spoilt = small[name].copy()
        spoilt.flat[0] = -1
        yield "label below", {**small, name: spoilt}
        spoilt = small[name].copy()
        sizes = {
            d.name: s
            for n in program.inputs
            for d, s in zip(n.shape, small[n.attrs["name"]].shape, strict=True)
            if isinstance(d, Size)
        }
        spoilt.flat[-1] = evaluate(classes, sizes)
        yield "label above", {**small, name: spoilt}
        if spoilt.dtype == np.int64:
            far = small[name].copy()
            far.flat[0] = 2**32
            yield "label of 33 bits", {**small, name: far}
    if "N" in names:
        try:
            yield "empty", draw_for(program, examples, {"N": 0})
        except lg.LossgraphError:
            return


def wrong(found, wanted, dtype):
    """What is wrong with an output; empty if nothing."""
    found, wanted = (np.asarray(x).astype(np.float64) for x in (found, wanted))
    if found.shape != wanted.shape:
        return f"shape {found.shape}, not {wanted.shape}"
    if not np.array_equal(np.isnan(found), np.isnan(wanted)):
        return f"NaN in {np.isnan(found).sum()} places, not {np.isnan(wanted).sum()}"
    ends = np.isinf(found) | np.isinf(wanted)
    if not np.array_equal(found[ends], wanted[ends]):
        return "infinity"
    finite = np.isfinite(wanted)
    absolute, relative = TOLERANCE[dtype]
    size = max(1.0, np.abs(wanted[finite]).max(initial=0))
    away = np.abs(found - wanted)[finite] - relative * np.abs(wanted[finite])
    return f"{away.max():g} of {size:g}" if (away > absolute * size).any() else ""


@pytest.mark.parametrize("case", CASES, ids="-".join)
def test_a_kernel_is_right(case, built):
    loss, program, kernel, library, number = built[case]
    dtype = case[1]
    for what, arrays in variations(loss, program, dtype):
        typed = {
            node.attrs["name"]: np.asarray(arrays[node.attrs["name"]]).astype(
                numpy_dtype(node.dtype)
            )
            for node in program.inputs
        }
        with np.errstate(all="ignore"):
            try:
                wanted = expected(loss, program, typed)
            except (ValueError, IndexError, ZeroDivisionError):
                continue  # the reference has no answer, of no samples
        outputs = library.run(number, *(typed[node.attrs["name"]] for node in kernel.inputs))
        for (name, value), found in zip(wanted.items(), outputs, strict=True):
            assert not wrong(found, value, dtype), f"{what}, {name}: {wrong(found, value, dtype)}"


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_kernel_says_why(name):
    with pytest.raises(KernelUnsupportedError, match=REFUSED[name]):
        kernel_of(program_of(name, "float32")[1])
