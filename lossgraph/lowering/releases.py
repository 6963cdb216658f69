"""What each release of ONNX Runtime loads: the newest opset, and the newest version of ONNX's IR.

No function of ONNX Runtime tells; both were found by loading models of every pair of versions. A
release newer than the table is taken for the newest in it: what one loads, the next loads too.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from ..errors import InputError


@dataclass(frozen=True)
class Release:
    """What a release of ONNX Runtime loads at most.

    Attributes:
        opset: version of the standard operators.
        ir: version of ONNX's IR.
    """

    opset: int
    ir: int


# Those before 1.12 refuse some models that are right.
RELEASES = {
    "1.12": Release(17, 8),
    "1.13": Release(17, 8),
    "1.14": Release(18, 8),
    "1.15": Release(18, 9),
    "1.16": Release(19, 9),
    "1.17": Release(20, 9),
    "1.18": Release(21, 10),
    "1.19": Release(21, 10),
    "1.20": Release(21, 10),
    "1.21": Release(22, 10),
    "1.22": Release(22, 10),
    "1.23": Release(23, 11),
    "1.24": Release(25, 13),
    "1.25": Release(26, 13),
    "1.26": Release(26, 13),
    "1.27": Release(26, 13),
    "1.28": Release(26, 13),
    "1.29": Release(26, 13),
    "1.30": Release(26, 13),
    "1.31": Release(26, 13),
    "1.32": Release(28, 14),
}


def release(version: str) -> Release:
    """What a release loads, by its version: ``1.16`` or ``1.16.3``.

    Raises:
        InputError: for what is no version, and one that is older than the table.
    """
    found = re.match(r"(\d+)\.(\d+)", str(version))
    known = [minor for minor in RELEASES if found and _numbers(minor) <= _numbers(found[0])]
    if not known:
        raise InputError(f"ONNX Runtime {version!r}: expected {next(iter(RELEASES))} or newer")
    return RELEASES[known[-1]]


def _numbers(minor: str) -> tuple[int, ...]:
    return tuple(int(part) for part in minor.split("."))


def opset_for(version: str, asked: int | None, usual: int) -> int:
    """The opset of a model for a release: what was asked for, or the usual one if that loads it.

    Raises:
        InputError: for an opset that the release does not load.
    """
    most = release(version).opset
    if asked is not None and asked > most:
        raise InputError(f"opset {asked}: ONNX Runtime {version} loads at most opset {most}")
    return min(usual, most) if asked is None else asked


def require_ir(version: str, ir: int, what: str) -> None:
    """Refuse what needs a newer IR than a release loads.

    Raises:
        InputError: saying what needs it.
    """
    most = release(version).ir
    if ir > most:
        raise InputError(f"{what} needs IR {ir}: ONNX Runtime {version} loads at most IR {most}")
