"""Build wheels of prebuilt kernels: lossgraph-kernels, which spares its users a compiler.

A wheel has one library for a target: the kernels of every loss of the catalogue with its default
options, in float32, of the value and of the value with gradients, each found by the digest of its
C. What kernels do not take is left out, and told.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import sys
import tempfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from lossgraph import __version__
from lossgraph.catalogue import Entry, entries, example_types
from lossgraph.errors import LossgraphError
from lossgraph.kernels import toolchain
from lossgraph.kernels.kernel import Kernel
from lossgraph.kernels.model import cut
from lossgraph.kernels.prebuilt import INDEX, PACKAGE, index, library_file
from lossgraph.kernels.targets import SHIPPED, checked_targets, target_here
from lossgraph.kernels.unit import translation_unit

ROOT = Path(__file__).parents[1]
TAGS = {
    "linux-x86_64": "manylinux_2_17_x86_64",
    "linux-aarch64": "manylinux_2_17_aarch64",
    "windows-x86_64": "win_amd64",
    "windows-arm64": "win_arm64",
    "macos-arm64": "macosx_13_0_arm64",
    "macos-x86_64": "macosx_13_0_x86_64",
}
Type = tuple[str, tuple[int | str, ...]]  # a dtype and a shape

_PATIENCE = 3600.0  # seconds for a compiler and some two hundred kernels
_TEXT = f"""\
Fused kernels of the losses of lossgraph {__version__}, prebuilt: with this package installed
lossgraph needs no C compiler for them. It has no code of Python; lossgraph finds it by itself, and
uses it in no other version.
"""


def kernels(losses: Iterable[Entry]) -> tuple[list[Kernel], dict[str, str]]:
    """The kernels of losses, each once, and why others have none, by loss."""
    found: dict[str, Kernel] = {}
    refused: dict[str, str] = {}
    for entry in losses:
        loss = entry.make()
        for types in _types(example_types(loss)):
            for wrt in ((), entry.predictions):
                try:
                    parts = cut(loss.program(types, grad=wrt), checks=True)
                    found.update((kernel.name, kernel) for kernel in parts.kernels)
                except LossgraphError as error:
                    refused[entry.name] = str(error)
    return list(found.values()), refused


def _types(typical: Mapping[str, Type]) -> Iterator[dict[str, Type]]:
    """The types as they are, and with the names of sizes that a call with arrays takes.

    A size's name may decide in which order the C computes with it, if seldom.
    """
    yield dict(typical)
    dims = [(d, f"{name}_{axis}") for name, t in typical.items() for axis, d in enumerate(t[1])]
    called = {dim: name for dim, name in reversed(dims) if isinstance(dim, str)}
    if all(dim.isidentifier() for dim in called):
        yield {
            name: (dtype, tuple(called.get(dim, dim) for dim in shape))
            for name, (dtype, shape) in typical.items()
        }


def wheel(found: Sequence[Kernel], target: str, folder: Path) -> Path:
    """Write the wheel of kernels for a target into a folder."""
    unit = translation_unit(found)
    with tempfile.TemporaryDirectory() as name:
        library = Path(name) / library_file(target)
        compiler = toolchain.find_for([target])
        toolchain.build(unit.text, compiler, library, target, _PATIENCE)
        content = library.read_bytes()
    info = f"{PACKAGE}-{__version__}.dist-info"
    files = {
        f"{PACKAGE}/__init__.py": f'"""Kernels for {target}, and no code."""\n'.encode(),
        f"{PACKAGE}/{INDEX}": index([kernel.name for kernel in found], unit.domain),
        f"{PACKAGE}/{library.name}": content,
        f"{info}/METADATA": _metadata().encode(),
        f"{info}/WHEEL": _wheel(target).encode(),
        f"{info}/licenses/LICENSE": (ROOT / "LICENSE").read_bytes(),
    }
    files[f"{info}/RECORD"] = _record(files, f"{info}/RECORD").encode()
    path = folder / f"{PACKAGE}-{__version__}-py3-none-{TAGS[target]}.whl"
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file, data in files.items():  # with no time in it, for the same bytes each time
            archive.writestr(zipfile.ZipInfo(file), data, zipfile.ZIP_DEFLATED)
    return path


def _metadata() -> str:
    fields = {
        "Metadata-Version": "2.4",
        "Name": PACKAGE.replace("_", "-"),
        "Version": __version__,
        "Summary": "Fused kernels of lossgraph's losses, prebuilt",
        "License-Expression": "Apache-2.0",
        "License-File": "LICENSE",
        "Requires-Python": ">=3.11",
        "Requires-Dist": f"lossgraph[cpu]=={__version__}",
        "Description-Content-Type": "text/markdown",
    }
    return "".join(f"{key}: {value}\n" for key, value in fields.items()) + f"\n{_TEXT}"


def _wheel(target: str) -> str:
    tag = f"py3-none-{TAGS[target]}"
    lines = ["Wheel-Version: 1.0", "Generator: tools/kernels", "Root-Is-Purelib: false"]
    return "\n".join([*lines, f"Tag: {tag}"]) + "\n"


def _record(files: Mapping[str, bytes], own: str) -> str:
    lines = []
    for name, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
        lines.append(f"{name},sha256={digest},{len(content)}")
    return "\n".join([*lines, f"{own},,"]) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Build the wheels that are asked for."""
    parser = argparse.ArgumentParser(prog="tools/kernels", description=__doc__)
    parser.add_argument(
        "--target", default=target_here(), metavar="TARGET,..",
        help=f"of {', '.join(SHIPPED)}; default: this machine",
    )  # fmt: skip
    parser.add_argument("--loss", action="append", metavar="NAME", help="this loss alone; repeat")
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "dist", help="default: dist")
    given = parser.parse_args(arguments)
    chosen = [entry for entry in entries() if not given.loss or entry.name in given.loss]
    unknown = set(given.loss or ()) - {entry.name for entry in chosen}
    if unknown:
        parser.error(f"no loss is called {', '.join(sorted(unknown))}")
    try:
        targets = checked_targets(given.target or "")
        found, refused = kernels(chosen)
        for name, why in refused.items():
            print(f"{name}: {why}", file=sys.stderr)
        for target in targets:
            path = wheel(found, target, given.output)
            print(f"{path}: {len(found)} kernels, {path.stat().st_size:,} bytes", flush=True)
    except LossgraphError as error:
        print(f"tools/kernels: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
