"""Whether fused kernels are used on this machine, found out by using one."""

from __future__ import annotations

import time
from dataclasses import dataclass

from ..errors import LossgraphError, ProviderError
from ..kernels import toolchain
from ..kernels.prebuilt import installed
from ..kernels.toolchain import Candidate, NoCompilerError
from ..kernels.trial import trial_unit
from .kernel_build import library_of
from .kernel_request import Kernels, kernels_setting
from .kernel_trial import is_known, try_in_a_process
from .sessions import onnxruntime

_OF_THE_WHEEL = (
    "those of the catalogue's losses are installed; other losses need a C compiler: "
    "pip install 'lossgraph[kernels]'"
)


@dataclass(frozen=True)
class KernelHealth:
    """Whether kernels are used, and why.

    Attributes:
        setting: what ``LOSSGRAPH_KERNELS`` asks for; None if it cannot be read.
        compilers: those that were looked for, in the order in which they are preferred.
        chosen: the name of the one that is used.
        used: whether losses that have a kernel run as one.
        reason: why, as a sentence.
        broken: whether something is wrong that was meant to work.
    """

    setting: Kernels | None
    compilers: tuple[Candidate, ...]
    chosen: str | None
    used: bool
    reason: str
    broken: bool


def kernel_health() -> KernelHealth:
    """Build a small kernel as a loss's is, and run it in a process of its own."""
    compilers = tuple(toolchain.candidates())
    chosen = next((found.name for found in compilers if found.toolchain), None)
    try:
        setting = kernels_setting(None)
    except LossgraphError as error:
        return KernelHealth(None, compilers, chosen, False, str(error), True)
    if setting is False:
        reason = "LOSSGRAPH_KERNELS asks for none"
        return KernelHealth(setting, compilers, chosen, False, reason, False)
    used, reason, broken = _try()
    return KernelHealth(
        setting, compilers, chosen, used, reason, broken or (setting is True and not used)
    )


def _try() -> tuple[bool, str, bool]:
    """Whether a kernel runs here, why, and whether its failure is a fault."""
    start = time.perf_counter()
    try:
        version = str(onnxruntime().__version__)
        library = library_of(trial_unit())
    except NoCompilerError as error:  # which nobody has to install
        return (True, _OF_THE_WHEEL, False) if installed() else (False, str(error), False)
    except ProviderError as error:
        return False, str(error), False
    except LossgraphError as error:
        return False, str(error), True
    ready = time.perf_counter() - start
    found = try_in_a_process(version, library)
    if found is None:
        return False, "no process could be started to try a kernel in", True
    if not found.safe:
        return False, found.reason, is_known(version)
    return True, f"a kernel was ready after {ready:.2f} s, and ran in ONNX Runtime {version}", False
