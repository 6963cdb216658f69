"""Fused kernels in exports: a model with kernels beside each standard one, libraries for targets.

::

    value_fused.onnx, training_fused.onnx     kernels/TARGET/lossgraph_kernels.{so,dll,dylib}
    kernels/README.md

A model is one node, if its program is one kernel, or standard nodes and kernels. A kernel's
operator is also a function in the model: without a library an engine runs the nodes of that. One
library has the kernels of all models of the folder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx

from ..compiler.program import Program
from ..errors import InputError
from ..kernels.cache import kept, library
from ..kernels.elements import KernelUnsupportedError
from ..kernels.folders import check_origin
from ..kernels.kernel import Kernel, kernel_of
from ..kernels.model import fused, kernel_model
from ..kernels.targets import target_here
from ..kernels.toolchain import find_for
from ..kernels.unit import translation_unit
from .manifest import MANIFEST, digests_in
from .page import fused_name, library_name


def fused_files(
    programs: Mapping[str, Program], models: Mapping[str, onnx.ModelProto], targets: Sequence[str]
) -> dict[str, bytes]:
    """Models with kernels and their libraries, by path below the folder.

    Args:
        programs: the programs by the name of their standard model's file.
        models: the standard models likewise, without functions.
        targets: names of ``kernels.targets.SHIPPED``.

    Raises:
        KernelUnsupportedError: for a program of which no part is worth a kernel.
        ToolchainError: if no compiler here builds for the targets.
        BuildError: with what the compiler says.
    """
    found, libraries = fused_models(programs, models, targets)
    files = {
        fused_name(name): model.SerializeToString(deterministic=True)
        for name, model in found.items()
    }
    return files | {library_name(target): content for target, content in libraries.items()}


def fused_models(
    programs: Mapping[str, Program], models: Mapping[str, onnx.ModelProto], targets: Sequence[str]
) -> tuple[dict[str, onnx.ModelProto], dict[str, bytes]]:
    """Models with kernels, of one node where the whole program is one, and their libraries.

    Args, Raises: as of ``fused_files``.
    """
    kernels = {name: _kernels_of(program) for name, program in programs.items()}
    domain, libraries = built([kernel for some in kernels.values() for kernel in some], targets)
    found = {
        name: _with_kernels(program, kernels[name], domain, models[name])
        for name, program in programs.items()
    }
    return found, libraries


def _kernels_of(program: Program) -> tuple[Kernel, ...]:
    """The kernel that a program is as a whole, or those that it is cut into."""
    try:
        return (kernel_of(program),)
    except KernelUnsupportedError:
        return fused(program).kernels


def _with_kernels(
    program: Program, kernels: Sequence[Kernel], domain: str, standard: onnx.ModelProto
) -> onnx.ModelProto:
    """The model that calls kernels; without their library it is the standard one, or like it."""
    whole = kernels[0]
    if list(whole.outputs) == list(program.outputs) and _names(whole) == _names(program):
        return kernel_model(whole, domain, body=standard)
    opset = next(item.version for item in standard.opset_import if not item.domain)
    model = fused(program, opset=opset, domain=domain, bodies=True).model
    del model.metadata_props[:]
    model.metadata_props.extend(standard.metadata_props)
    return model


def _names(of: Kernel | Program) -> list[str]:
    return [node.attrs["name"] for node in of.inputs]


def built(kernels: Sequence[Kernel], targets: Sequence[str]) -> tuple[str, dict[str, bytes]]:
    """The domain of kernels, and the content of a library with them for each target."""
    toolchain = find_for(targets)
    unit = translation_unit(kernels)
    return unit.domain, {
        target: library(unit.text, toolchain, target).read_bytes() for target in targets
    }


# --- reading ---


def fused_beside(model: Path) -> tuple[Path, Path] | None:
    """The fused model beside an exported one, and its library, where it can be loaded from.

    None where the export has none for this machine. A library is code: it is loaded if it has the
    digest that the manifest beside the model says, and nobody else could have written that; and
    from a copy in the user's cache folder, which does not change.

    Raises:
        InputError: for a model or a library that is not what the export wrote.
        CacheError: if others can write to the export.
    """
    target, fused_model = target_here(), model.with_name(fused_name(model.name))
    if target is None or not fused_model.is_file():
        return None
    path = model.parent / library_name(target)
    if not path.is_file():
        return None
    said = model.parent / MANIFEST
    digests, content = digests_in(said), path.read_bytes()
    for name, file in (
        (fused_model.name, fused_model.read_bytes()),
        (library_name(target), content),
    ):
        if digests.get(name) != hashlib.sha256(file).hexdigest():
            raise InputError(
                f"{model.parent / name} is not what the export wrote that {said} is of, so it is "
                "not loaded: export again, or delete it"
            )
    check_origin(said)
    return fused_model, kept(content, path.suffix)
