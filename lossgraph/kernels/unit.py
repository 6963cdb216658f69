"""Translation units: the C of some kernels, which one library is built from.

The kernels of a unit are operators of one domain, of which ONNX Runtime takes a single library a
session. So a domain is named by what its kernels compute, unless it is given.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from typing import NamedTuple, Protocol

from ..errors import InputError

_OPERATOR = re.compile(r"[A-Za-z][A-Za-z0-9_]*")
_DOMAIN = re.compile(r"[a-z][a-z0-9_.]*")


class KernelText(Protocol):
    """A kernel as C, ``kernel.h`` says what it must define."""

    @property
    def name(self) -> str:
        """The operator's name."""

    def text(self, number: int) -> str:
        """The C of it, with ``lg_kernel_<number>`` and all its other names ending alike."""


class Unit(NamedTuple):
    """C for one library, and the domain of its operators."""

    domain: str
    text: str


def translation_unit(kernels: Sequence[KernelText], domain: str | None = None) -> Unit:
    """The C of kernels as operators of one domain.

    Args:
        kernels: at least one; of each name the first.
        domain: the operators' domain; by default ``lossgraph.k<digest>``.

    Raises:
        InputError: for a name that could be read as anything else than a name in C.
    """
    distinct = list({kernel.name: kernel for kernel in reversed(kernels)}.values())[::-1]
    _check_name("operator", [kernel.name for kernel in distinct], _OPERATOR)
    texts = [kernel.text(number) for number, kernel in enumerate(distinct)]
    if domain is None:
        domain = f"lossgraph.k{hashlib.sha256(''.join(texts).encode()).hexdigest()[:16]}"
    _check_name("domain", [domain], _DOMAIN)
    table = ", ".join(f"&lg_kernel_{number}" for number in range(len(texts)))
    parts = [
        f'#define LG_DOMAIN "{domain}"\n#include "kernel.h"\n',
        *texts,
        f"enum {{ LG_KERNELS = {len(texts)} }};\n"
        f"static const LgKernel *const lg_kernels[LG_KERNELS] = {{{table}}};\n"
        '#include "operator.c"\n',
    ]
    return Unit(domain, "\n".join(parts))


def _check_name(what: str, names: Sequence[str], allowed: re.Pattern[str]) -> None:
    if not names:
        raise InputError("a unit needs a kernel")
    for name in names:
        if not allowed.fullmatch(name):
            raise InputError(f"{what} {name!r}: expected a name like {allowed.pattern}")
