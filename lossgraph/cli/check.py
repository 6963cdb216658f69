"""``lossgraph check``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from .options import Json, parse_pairs
from .output import print_json, print_table, progress
from .run import load_array

NAME = "check"
EXAMPLE = "Example: lossgraph check exported/ce"


def command(
    model: Annotated[
        Path, typer.Argument(metavar="MODEL_OR_DIR", help="An .onnx file, or a folder of them.")
    ],
    rtol: Annotated[
        float | None, typer.Option(help="Relative tolerance, instead of the dtype's own.")
    ] = None,
    atol: Annotated[
        float | None, typer.Option(help="Absolute tolerance, instead of the dtype's own.")
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME=FILE", help="Array of an input: x.npy or x.npz:name; repeat."),
    ] = None,
    json: Json = False,
) -> None:
    """Check models, and compare them with their test data.

    They have to pass the ONNX checker, to be loaded by ONNX Runtime, and to agree with
    onnx.reference. The exit code is 1 if a check failed. Test data beside the model are used;
    without them, data are made up from the types of the inputs, or come from --data. What a model
    fails for without the loss that `attach` added is no fault.
    """
    from ..compare.checks import check_file, find_models

    files = parse_pairs(data, "--data")
    given = {name: load_array("--data", name, file) for name, file in files.items()}
    found = find_models(model)
    checks = [
        (path, check)
        for path in progress(found, "checking")
        for check in check_file(path, rtol, atol, given)
    ]
    ok = all(check.ok for _, check in checks)
    if json:
        listed = [{"model": path, **asdict(check)} for path, check in checks]
        print_json({"ok": ok, "checks": listed})
    else:
        rows = [
            (path.name, check.name, "ok" if check.ok else "FAILED", check.detail)
            for path, check in checks
        ]
        print_table(("model", "check", "result", "detail"), rows)
    if not ok:
        raise typer.Exit(1)
