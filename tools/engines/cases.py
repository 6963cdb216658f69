"""Cases: losses of the catalogue, exported with inputs and what ought to come out.

One model, exported with dims that have names, is run with data of all the sizes of its case, and
with data at edge cases.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from onnx import numpy_helper

from lossgraph.catalogue import example_types, examples_of, lookup
from lossgraph.compare.differences import Tolerance
from lossgraph.compare.edge_cases import mixed_edges
from lossgraph.compiler.outputs import classify
from lossgraph.deploy.example_inputs import draw_inputs
from lossgraph.errors import InputError

from .expected import expected_outputs, outputs_by_rules
from .subjects import Subject, read_folder

Array = np.ndarray[Any, Any]
Shape = tuple[str | int, ...]
Types = Mapping[str, tuple[str, Shape]]
Sizes = Mapping[str, int]
Data = Callable[["Case", Sizes, int], dict[str, Array]]

EDGE_CASES = "edge cases"

# A logarithm of the size of 1e4 is rounded by up to 5e-4 in float32, and an entry of a gradient
# is the exponential of a sum of some of them.
ROUNDED = Tolerance(1e-4, 2e-3)

# Of a loss of the catalogue: the usual ones, others, one sample, and none.
SIZES = ({}, {"N": 3, "C": 7, "D": 4}, {"N": 1}, {"N": 0})
# Differences of squares or products of 1e4, which float32 knows to 8 or so, in an exponential, a
# hinge or a choice of the largest: there no float32 knows the result.
_PRODUCTS = {
    "gluon.SDMLLoss", "gluon.TripletLoss", "losses.batch_hard_triplet", "losses.vicreg",
    "nn.AdaptiveLogSoftmaxWithLoss",
}  # fmt: skip
_MOST = {"losses.sinkhorn": 10.0}  # by an epsilon of 0.1; exponents of 1e5 are known to 8e-3
_SUMS_OF_LARGE = {"optax.ctc_loss_with_forward_probs"}  # of -1e5, known to 8e-3
_UNDEFINED = {
    "losses.orpo": {"N": 1},  # the share of the only sample is all, whose odds are infinite
}
_WITHOUT_SLOPES = {
    "losses.ciou",  # takes a factor that depends on the boxes for a constant, as its paper does
    "losses.circle",  # likewise the weights of its pairs
    "optax.ctc_loss_with_forward_probs",  # gives sums of -1e5 too, in which a step is lost
}


def typical(case: Case, sizes: Sizes, seed: int) -> dict[str, Array]:
    """Plausible inputs, as an export has them, of these sizes where the loss can have them."""
    program = case.block.program(case.input_types, grad=case.wrt)
    return draw_inputs(case.block, program, usual=sizes)


def at_edge_cases(case: Case, sizes: Sizes, seed: int) -> dict[str, Array]:
    """Inputs of the same types and sizes whose numbers are as large, or small, as they may be."""
    kinds = {name: example.values for name, example in examples_of(case.block).items()}
    large = 100.0 if case.loss in _PRODUCTS else 1e4
    mixed = mixed_edges(typical(case, sizes, seed), kinds, large)
    if case.loss not in _MOST:
        return mixed
    return {name: np.minimum(x, x.dtype.type(_MOST[case.loss])) for name, x in mixed.items()}


@dataclass(frozen=True)
class Case:
    """A loss, exported once and run at several sizes.

    Attributes:
        name: what it is called.
        loss: its name in the catalogue.
        types: dtype and shape of each input, with names for what varies; typical ones if none
            are given.
        sizes: values of those names, for each run.
        options: of the loss.
        grad: inputs to differentiate by; the predictions if none are given.
        data: draws the inputs of a run.
        edge_cases: draws those of one run more, of the first sizes, where slopes are no gradients.
        apart: the name of the dim whose samples have nothing to do with each other, of which the
            value has one each: slopes are then quick to take.
        slopes: whether slopes are its gradients; else they are expected as the rules have them.
        tolerance: instead of that of the dtype; say why.
        static: whether the model is for one size alone.
    """

    name: str
    loss: str
    types: Types = field(default_factory=dict)
    sizes: tuple[Sizes, ...] = ({}, {"N": 3})
    options: Mapping[str, Any] = field(default_factory=dict)
    grad: tuple[str, ...] = ()
    data: Data = typical
    edge_cases: Data | None = None
    apart: str = ""
    slopes: bool = True
    tolerance: Tolerance | None = None
    static: bool = False

    @property
    def block(self) -> Any:
        """The loss."""
        return lookup(self.loss).make(self.options)

    @property
    def input_types(self) -> Types:
        """The types, given or typical."""
        return self.types or example_types(self.block)

    @property
    def wrt(self) -> tuple[str, ...]:
        """The inputs to differentiate by."""
        predictions = lookup(self.loss).predictions
        return self.grad or tuple(name for name in self.input_types if name in predictions)

    def export_types(self) -> Types:
        """The types of the model, which has no names if it is static."""
        if not self.static:
            return self.input_types
        inputs = self.data(self, self.sizes[0], 0)
        return {name: (dtype, inputs[name].shape) for name, (dtype, _) in self.input_types.items()}

    def as_static(self) -> Case:
        """The same at its first sizes only, by a model without a dim that varies."""
        return replace(self, name=f"{self.name}, static", sizes=self.sizes[:1], static=True)

    def in_dtype(self, dtype: str) -> Case:
        """The same with inputs of another float dtype."""
        types = {n: (_exchanged(own, dtype), s) for n, (own, s) in self.input_types.items()}
        # A tolerance is for what float32 rounds, and slopes have not the digits of float64.
        return replace(
            self,
            name=f"{self.name}, {dtype}",
            types=types,
            tolerance=None,
            slopes=self.slopes and dtype != "float64",
        )


def write(case: Case, folder: Path, opset: int | None = None) -> list[Subject]:
    """Export a case into a folder of its own below a folder, and read it back."""
    place = folder / re.sub(r"\W+", "_", case.name).strip("_")
    place.mkdir(parents=True, exist_ok=True)
    for stem, grad in (("value", ()), ("training", case.wrt)):
        model = case.block.to_onnx(case.export_types(), grad=grad, opset=opset)
        (place / f"{stem}.onnx").write_bytes(model.SerializeToString())
    labels = {}
    for number, (label, inputs, outputs) in enumerate(_runs(case)):
        data = place / f"test_data_set_{number}"
        labels[data.name] = label
        _write_data(data, inputs, outputs)
    subjects = read_folder(place, case.name, case.tolerance, labels)
    single = any(dtype == "float32" for dtype, _ in case.input_types.values())
    return [replace(each, tolerances={EDGE_CASES: ROUNDED} if single else {}) for each in subjects]


def from_catalogue(name: str) -> Case:
    """A case for a loss of the catalogue, with its typical inputs and at edge cases."""
    full = lookup(name).name
    without = _UNDEFINED.get(full)
    sizes = tuple(each for each in SIZES if each != without)
    return Case(
        full,
        full,
        sizes=sizes,
        edge_cases=at_edge_cases,
        slopes=full not in _WITHOUT_SLOPES,
        tolerance=ROUNDED if full in _SUMS_OF_LARGE else None,
    )


def _runs(case: Case) -> Iterator[tuple[str, dict[str, Array], dict[str, Array]]]:
    """Label, inputs and outputs of each run."""
    for number, sizes in enumerate(case.sizes):
        inputs = case.data(case, sizes, number)
        label = ", ".join(f"{name}={size}" for name, size in sizes.items()) or "usual sizes"
        yield label, inputs, _expected(case, inputs, case.slopes)
    if case.edge_cases is not None:
        inputs = case.edge_cases(case, case.sizes[0], len(case.sizes))
        yield EDGE_CASES, inputs, _expected(case, inputs, slopes=False)


def _expected(case: Case, inputs: Mapping[str, Array], slopes: bool) -> dict[str, Array]:
    """Values by numpy, gradients by slopes, and by rules what neither of them has."""
    outputs = outputs_by_rules(case.block, case.input_types, inputs, case.wrt)
    try:
        found = expected_outputs(case.block, inputs, case.wrt if slopes else (), _axes(case))
    except InputError:  # as numpy has no largest one of no numbers
        return outputs
    for name, array in found.items():
        unknown = np.isnan(array) & (classify(name)[0] == "gradient")  # NaN has no slopes
        outputs[name] = np.where(unknown, outputs[name], array)
    return outputs


def _exchanged(own: str, dtype: str) -> str:
    return dtype if own.startswith("float") else own


def _axes(case: Case) -> dict[str, int] | None:
    """Where each input has its samples; None if they may not be put together."""
    if not case.apart:
        return None
    shapes = {name: shape for name, (_, shape) in case.input_types.items()}
    return {name: shape.index(case.apart) for name, shape in shapes.items() if case.apart in shape}


def _write_data(folder: Path, inputs: Mapping[str, Array], outputs: Mapping[str, Array]) -> None:
    folder.mkdir(exist_ok=True)
    for kind, arrays in (("input", inputs), ("output", outputs)):
        for k, (name, array) in enumerate(arrays.items()):
            content = numpy_helper.from_array(array, name).SerializeToString()
            (folder / f"{kind}_{k}.pb").write_bytes(content)
