"""``lossgraph serve``."""

from __future__ import annotations

import json as json_
from pathlib import Path
from typing import Annotated

import typer

from ..errors import InputError
from .output import note

NAME = "serve"
EXAMPLE = "Example: lossgraph serve exported --port 8080"


def command(
    models: Annotated[
        Path,
        typer.Argument(help="An exported folder, one that holds such folders, or an .onnx file."),
    ],
    host: Annotated[str, typer.Option(help="The address to listen at.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="The port for HTTP; 0 for any that is free.")
    ] = 8080,
    grpc_port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, help="The port for gRPC, likewise; none, no gRPC."),
    ] = None,
    provider: Annotated[
        list[str] | None, typer.Option(help="Execution provider, cpu if none; repeat.")
    ] = None,
    no_kernels: Annotated[
        bool, typer.Option("--no-kernels", help="Load no libraries of exported kernels.")
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print addresses and models as a line of JSON.")
    ] = False,
) -> None:
    """Serve models over the Open Inference Protocol.

    That is its version 2; Ctrl-C ends it. A folder FOLDER is the model FOLDER, which gives the
    value, and FOLDER_training, which gives gradients too. A line on standard error says when
    requests are answered. Models that were exported with --kernels for this machine run as kernels:
    a library of theirs is loaded if it has the digest of the manifest, and nobody else can write
    it.
    """
    from ..deploy.serving import load_models

    found = load_models(models, provider or None, kernels=not no_kernels)
    try:
        from ..deploy.server import serve
    except ImportError as error:
        raise InputError("serving needs KServe: pip install 'lossgraph[serve]'") from error
    names = [model.name for model in found]
    for model in found:
        if model.remark:
            note(f"{model.name}: {model.remark}")

    def ready(url: str, grpc: str | None) -> None:
        if json:
            print(json_.dumps({"url": url, "grpc": grpc, "models": names}), flush=True)
        at = f"{url}, gRPC at {grpc}" if grpc else url
        note(f"serving {', '.join(names)} at {at}; Ctrl-C ends")

    serve(found, host, port, grpc_port, ready)
