"""Every loss of the catalogue as a kernel, held to the interpreter in float64."""

from __future__ import annotations

import contextlib
import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import lossgraph as lg
from hand_written import build_kernels, needs_cc
from lossgraph.catalogue import entries, examples_of
from lossgraph.deploy.example_inputs import bound_sizes, draw_for
from lossgraph.deploy.export import expected
from lossgraph.ir.dims import Size, evaluate
from lossgraph.ir.types import numpy_dtype
from lossgraph.kernels.integers import KernelUnsupportedError
from lossgraph.kernels.kernel import kernel_of
from lossgraph.kernels.library import Library

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
# Losses that are no single kernel, and what they are named for.
REFUSED = {
    **dict.fromkeys(
        ("losses.arcface", "losses.barlow_twins", "losses.circle", "losses.cosface",
         "losses.info_nce", "losses.n_pair", "losses.nt_xent", "losses.siglip", "losses.supcon",
         "losses.vicreg", "nn.AdaptiveLogSoftmaxWithLoss", "optax.ntxent"),
        "MatMul",
    ),
    "nn.LinearCrossEntropyLoss": "Gemm",
    **dict.fromkeys(
        ("losses.entmax", "losses.lovasz_hinge", "losses.lovasz_softmax", "losses.sparsemax",
         "losses.wasserstein_1d", "optax.multiclass_sparsemax_loss"),
        "ArgSort",
    ),
}  # fmt: skip
# Compare labels with each other: of 33 bits they fail, and the graph goes on.
COMPARED = ("nn.CTCLoss", "losses.focal_ctc")
TAKEN = [name for name in ALL if name not in REFUSED]
# A library of all of them in all dtypes takes minutes to compile: LOSSGRAPH_ALL_KERNELS=1.
EVERY = 1 if os.environ.get("LOSSGRAPH_ALL_KERNELS") else 4
CASES = [
    *((name, "float32") for name in TAKEN),
    *((name, "float64") for name in TAKEN[::EVERY]),
    *((name, dtype) for dtype in ("float16", "bfloat16") for name in TAKEN[:: 4 * EVERY]),
]
FLAGS = ("-O0", "-ffp-contract=fast", "-w")
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
    floats = [node.attrs["name"] for node in program.inputs if node.type.is_float]
    real = [name for name in floats if name in examples and examples[name].values == "real"]
    large = 20.0 if dtype == "float16" else 1e4
    yield "far", {**small, **{name: small[name] * large for name in real}}
    for name in floats[:2]:
        for number in (np.nan, np.inf):
            yield f"{number} in {name}", spoilt(small, name, -1, number)
    sizes = bound_sizes(program, small)
    for name, classes in program.labels:
        yield "a label below", spoilt(small, name, 0, -1)
        yield "a label above", spoilt(small, name, -1, evaluate(classes, sizes))
        if small[name].dtype == np.int64:
            yield "a label of 33 bits", spoilt(small, name, 0, 2**32)
    if "N" in names:
        with contextlib.suppress(lg.LossgraphError):
            yield "empty", draw_for(program, examples, {"N": 0})


def spoilt(arrays, name, place, number):
    """The arrays with one element of one replaced."""
    array = arrays[name].copy()
    if array.size:
        array.flat[place] = number
    return {**arrays, name: array}


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
    away = np.abs(found[finite] - wanted[finite]) - relative * np.abs(wanted[finite])
    return f"{away.max():g} of {size:g}" if (away > absolute * size).any() else ""


def outputs_of(library, number, arrays):
    """The outputs of a kernel; None if it met an integer that it does not hold."""
    with contextlib.suppress(lg.InputError):
        return library.run(number, *arrays)
    return None


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
        given = [typed[node.attrs["name"]] for node in kernel.inputs]
        outputs = outputs_of(library, number, given)
        if outputs is None:
            assert case[0] in COMPARED, what
            continue
        for (name, value), found in zip(wanted.items(), outputs, strict=True):
            assert not wrong(found, value, dtype), f"{what}, {name}: {wrong(found, value, dtype)}"


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_kernel_says_why(name):
    with pytest.raises(KernelUnsupportedError, match=REFUSED[name]):
        kernel_of(program_of(name, "float32")[1])
