"""Cases: losses of the catalogue, exported with inputs and what ought to come out.

One model, exported with dims that have names, is run with data of all the sizes of its case.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from onnx import numpy_helper

from lossgraph.catalogue import example_types, examples_of, lookup
from lossgraph.samples import choose_sizes, draw
from lossgraph.types import TensorType, tensor_type

from .compare import Tolerance
from .expected import expected_outputs
from .subjects import Subject, read_folder

Array = np.ndarray[Any, Any]
Shape = tuple[str | int, ...]
Types = Mapping[str, tuple[str, Shape]]
Sizes = Mapping[str, int]
Data = Callable[["Case", Sizes, int], dict[str, Array]]


def typical(case: Case, sizes: Sizes, seed: int) -> dict[str, Array]:
    """Plausible inputs, as an export has them."""
    types = {name: tensor_type(*type_) for name, type_ in case.input_types.items()}
    program = case.block.program(types, grad=case.wrt)
    chosen = choose_sizes(types, program.constraints, _known(sizes, types))
    return draw(types, chosen, examples_of(case.block), program.labels)


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
        grad: inputs to differentiate by; the first if none are given.
        data: draws the inputs of a run.
        apart: the name of the dim whose samples have nothing to do with each other, of which the
            value has one each: slopes are then quick to take.
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
    apart: str = ""
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
        return self.grad or (next(iter(self.input_types)),)

    def export_types(self) -> Types:
        """The types of the model, which has no names if it is static."""
        if not self.static:
            return self.input_types
        inputs = self.data(self, self.sizes[0], 0)
        return {name: (dtype, inputs[name].shape) for name, (dtype, _) in self.input_types.items()}

    def as_static(self) -> Case:
        """The same at its first sizes only, by a model without a dim that varies."""
        return replace(self, name=f"{self.name}, static", sizes=self.sizes[:1], static=True)


def write(case: Case, folder: Path, opset: int | None = None) -> list[Subject]:
    """Export a case into a folder of its own below a folder, and read it back."""
    place = folder / re.sub(r"\W+", "_", case.name).strip("_")
    place.mkdir(parents=True, exist_ok=True)
    for stem, grad in (("value", ()), ("training", case.wrt)):
        model = case.block.to_onnx(case.export_types(), grad=grad, opset=opset)
        (place / f"{stem}.onnx").write_bytes(model.SerializeToString())
    for number, sizes in enumerate(case.sizes):
        inputs = case.data(case, sizes, number)
        outputs = expected_outputs(case.block, inputs, case.wrt, _axes(case))
        _write_data(place / f"test_data_set_{number}", inputs, outputs)
    return read_folder(place, case.name, case.tolerance)


def from_catalogue(name: str) -> Case:
    """A case for a loss of the catalogue, with its typical inputs."""
    return Case(lookup(name).name, lookup(name).name)


def _known(sizes: Sizes, types: Mapping[str, TensorType]) -> dict[str, int]:
    """The sizes of dims that there are."""
    names = {str(dim) for type_ in types.values() for dim in type_.shape}
    return {name: size for name, size in sizes.items() if name in names}


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
