"""Write exported_models/: models of every loss with plausible types, test data and pages.

Each loss has a folder, as ``lossgraph export`` writes it, with the gradients by what a model
predicts or learns; an index leads to them. Everything comes from ``lossgraph.catalogue``, and is
the same bytes in every run, and on every machine but for last bits of outputs in float64.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from lossgraph.catalogue import (
    NAMESPACES,
    Entry,
    entries,
    example_types,
    namespace_entries,
)
from lossgraph.deploy.export import export_folder
from lossgraph.deploy.page import DATA, TRAINING, VALUE, markdown
from lossgraph.errors import InputError
from lossgraph.lowering.opsets import DEFAULT_OPSET
from lossgraph.models.files import write_files

GALLERY = Path(__file__).parents[1] / "exported_models"
INDEX = "README.md"
MARK = "<!-- written by tools/export_models -->"


def gallery(losses: Iterable[Entry]) -> dict[str, bytes]:
    """The files of some losses, by path below the gallery."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        for entry in losses:
            loss = entry.make()
            export_folder(loss, example_types(loss), root / place(entry), entry.predictions)
        return contents(root)


def whole() -> dict[str, bytes]:
    """All files of the gallery."""
    files = gallery(entries())
    return {**files, INDEX: index(files).encode()}


def introduction() -> str:
    """What stands above the tables."""
    return f"""\
{MARK}

# Exported models

{len(entries())} losses of {len(NAMESPACES)} namespaces as ONNX models that any engine loads: of
float32 mostly, with dims of any size, in standard operators of opset {DEFAULT_OPSET}.
A folder holds

- `{VALUE}`: the value of the loss;
- `{TRAINING}`: the value, and the gradients of its sum by what a model predicts or learns;
- `{DATA}`: inputs, and the outputs that belong to them, in the form of ONNX's backend
  tests. They were computed in float64, not by an engine, and rounded once;
- `README.md`: formula, inputs, outputs and options, and the command that exports the loss with
  others.

`lossgraph check exported_models/gluon/HuberLoss` compares both models of a folder with its data.
`tools/export_models` writes everything here again, the same bytes; `--check` says what is stale.

## In a backend's tests

The outputs of `{VALUE}` are the first of the data. Runners of such tests want one model in a
folder, called `model.onnx`; this lays out both models of every loss like that, and hands them to
ONNX's own runner:

```python
import shutil
import unittest
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx
import onnxruntime.backend
from onnx.backend.test.case.test_case import TestCase
from onnx.backend.test.runner import Runner

runner = Runner(onnxruntime.backend)
scratch = TemporaryDirectory()
for path in sorted(Path("exported_models").glob("*/*/*.onnx")):
    name = "_".join(path.with_suffix("").parts[-3:])
    folder = Path(scratch.name, name)
    (folder / "{DATA}").mkdir(parents=True)
    shutil.copy(path, folder / "model.onnx")
    graph = onnx.load(path).graph
    for kind, count in (("input", len(graph.input)), ("output", len(graph.output))):
        for file in (f"{DATA}/{{kind}}_{{k}}.pb" for k in range(count)):
            shutil.copy(path.parent / file, folder / file)
    case = TestCase(
        name=f"test_lossgraph_{{name}}",
        model_name=name,
        url=None,
        model_dir=str(folder),
        model=None,
        data_sets=None,
        kind="simple",
        rtol=1e-3,
        atol=1e-6,
    )
    runner._add_model_test(case, "Simple")

suite = runner.include("^test_lossgraph_.*_cpu$").test_suite
result = unittest.TextTestRunner().run(suite)
```
"""


def index(files: Mapping[str, bytes]) -> str:
    """The page that leads to all losses."""
    tables = (line for namespace in NAMESPACES for line in table(namespace, files))
    return "\n".join([introduction(), *tables])


def table(namespace: str, files: Mapping[str, bytes]) -> Iterator[str]:
    """The losses of a namespace."""
    yield f"## lossgraph.{namespace}\n"
    yield "| loss | | inputs | gradients by | bytes, value + training |"
    yield "| --- | --- | --- | --- | ---: |"
    for entry in namespace_entries(namespace):
        sizes = (len(files[f"{place(entry)}/{model}"]) for model in (VALUE, TRAINING))
        cells = (
            f"[{entry.own_name}]({place(entry)}/{INDEX})",
            markdown(entry.summary),
            listed(example_types(entry.make())),
            listed(entry.predictions),
            " + ".join(f"{size:,}" for size in sizes),
        )
        yield f"| {' | '.join(cells)} |"
    yield ""


def place(entry: Entry) -> str:
    """The folder of a loss."""
    return f"{entry.namespace}/{entry.own_name}"


def listed(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def contents(root: Path) -> dict[str, bytes]:
    """Every file below a folder, by its path there."""
    paths = sorted(path for path in root.rglob("*") if path.is_file())
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in paths}


def differences(there: Mapping[str, bytes], wanted: Mapping[str, bytes]) -> list[str]:
    """What is wrong with the files that are there, a line each."""
    missing = [f"{name}: missing" for name in wanted if name not in there]
    extra = [f"{name}: belongs to no loss" for name in there if name not in wanted]
    other = [f"{k}: differs" for k, v in wanted.items() if k in there and not same(k, there[k], v)]
    return sorted(missing + extra + other)


def same(name: str, there: bytes, wanted: bytes) -> bool:
    """Whether a file is right: the same bytes, or outputs that differ by a rounding.

    Other machines and versions of NumPy may have other last bits of an exponential in float64,
    which rounding to float32 hides, almost always.
    """
    if name.endswith("/manifest.json"):  # whose digests of outputs differ as those do
        return _without_outputs(there) == _without_outputs(wanted)
    if there == wanted or f"/{DATA}/output_" not in name:
        return there == wanted
    one, other = map(onnx.TensorProto.FromString, (there, wanted))
    if (one.name, one.data_type, one.dims) != (other.name, other.data_type, other.dims):
        return False
    arrays = numpy_helper.to_array(one), numpy_helper.to_array(other)
    return np.allclose(*arrays, rtol=1e-6 if one.data_type == one.FLOAT else 1e-11, atol=1e-11)


def _without_outputs(manifest: bytes) -> dict[str, str]:
    digests = json.loads(manifest)["sha256"]
    return {name: digest for name, digest in digests.items() if "/output_" not in name}


def write(root: Path, wanted: Mapping[str, bytes]) -> None:
    """Write what of a gallery is not there yet, and remove what is left of an earlier one.

    Raises:
        InputError: for a folder that holds other things.
    """
    there = contents(root)
    if there and not there.get(INDEX, b"").startswith(MARK.encode()):
        raise InputError(f"{root} is there and is no gallery: give another folder")
    left = [name for name in there if name not in wanted]
    right = {name for name in there if name in wanted and same(name, there[name], wanted[name])}
    write_files(root, {name: wanted[name] for name in wanted if name not in right}, left)
    for path in sorted((root / name for name in left), reverse=True):
        for folder in (path.parent, path.parent.parent):
            if folder != root and folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the gallery, or say what of it is not as it would be written."""
    parser = argparse.ArgumentParser(prog="tools/export_models", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if it is stale")
    parser.add_argument(
        "-o", "--output", type=Path, default=GALLERY, help="default: exported_models"
    )
    given = parser.parse_args(arguments)
    wanted = whole()
    if not given.check:
        write(given.output, wanted)
        print(f"{given.output}: {len(wanted)} files, {sum(map(len, wanted.values())):,} bytes")
        return 0
    wrong = differences(contents(given.output), wanted)
    if wrong:
        print("\n".join(wrong))
        print(f"{given.output} is stale: run tools/export_models", file=sys.stderr)
    return int(bool(wrong))


if __name__ == "__main__":
    sys.exit(main())
