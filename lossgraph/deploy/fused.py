"""Fused kernels in exports: models that call them beside standard ones, libraries for targets.

::

    value_fused.onnx, training_fused.onnx     kernels/TARGET/lossgraph_kernels.{so,dll,dylib}
    kernels/README.md

The operator of a kernel is also a function in the model, with standard nodes: without a library an
engine runs these. One library has the kernels of all models of the folder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import onnx

from ..compiler.program import Program
from ..errors import InputError
from ..kernels.cache import kept, library
from ..kernels.folders import check_origin
from ..kernels.kernel import Kernel
from ..kernels.model import CutProgram, cut
from ..kernels.targets import target_here
from ..kernels.toolchain import find_for
from ..kernels.unit import translation_unit
from ..passes.costs import PORTABLE
from .manifest import MANIFEST, digests_in
from .page import fused_name, library_name


def fused_files(
    programs: Mapping[str, Program], models: Mapping[str, onnx.ModelProto], targets: Sequence[str]
) -> dict[str, bytes]:
    """Models that call kernels and their libraries, by path below the folder.

    Args:
        programs: the programs by the name of their standard model's file.
        models: the standard models likewise, without functions.
        targets: names of ``kernels.targets.SHIPPED``.

    Raises:
        KernelUnsupportedError: for a program that kernels do not take, by the operation.
        ToolchainError: if no compiler here builds for the targets.
        BuildError: with what the compiler says.
    """
    parts = {name: cut(program) for name, program in programs.items()}
    kernels = [kernel for each in parts.values() for kernel in each.kernels]
    domain, libraries = built(kernels, targets)
    files = {
        fused_name(name): _model(each, domain, models[name]).SerializeToString(deterministic=True)
        for name, each in parts.items()
    }
    return files | {library_name(target): content for target, content in libraries.items()}


def fused_model(
    program: Program,
    target: str,
    opset: int | None = None,
    target_ort: str | None = None,
    as_function: bool = False,
) -> tuple[onnx.ModelProto, bytes]:
    """The model of a program that calls its kernels, and their library for a target.

    Raises:
        LossgraphError: as ``fused_files``.
    """
    del as_function  # it is one in any case
    parts = cut(program)
    domain, libraries = built(parts.kernels, [target])
    standard = program.to_onnx(opset, target_ort=target_ort)
    return _model(parts, domain, standard), libraries[target]


def _model(parts: CutProgram, domain: str, standard: onnx.ModelProto) -> onnx.ModelProto:
    """A program with kernels, for the engines that the standard model is for."""
    return parts.model(domain, standard.opset_import[0].version, PORTABLE, bodies=True)


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
    target, fused = target_here(), model.with_name(fused_name(model.name))
    if target is None or not fused.is_file():
        return None
    path = model.parent / library_name(target)
    if not path.is_file():
        return None
    said = model.parent / MANIFEST
    digests, content = digests_in(said), path.read_bytes()
    for name, file in (fused.name, fused.read_bytes()), (library_name(target), content):
        if digests.get(name) != hashlib.sha256(file).hexdigest():
            raise InputError(
                f"{model.parent / name} is not what the export wrote that {said} is of, so it is "
                "not loaded: export again, or delete it"
            )
    check_origin(said)
    return fused, kept(content, path.suffix)
