"""An Open Inference Protocol server: KServe's, around models whose tensors we read ourselves.

KServe answers what is asked about the server and its models, has the messages of gRPC, and turns
errors into answers. It is imported here and nowhere else: who imports this module needs
``lossgraph[serve]``.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
from collections.abc import Callable, Sequence
from typing import Any

import fastapi
import uvicorn
from grpc import aio
from kserve import Model, ModelRepository, errors
from kserve.protocol.dataplane import DataPlane
from kserve.protocol.grpc import grpc_predict_v2_pb2 as messages
from kserve.protocol.grpc.grpc_predict_v2_pb2_grpc import (
    add_GRPCInferenceServiceServicer_to_server as add_servicer,
)
from kserve.protocol.grpc.interceptors import ExceptionToStatusInterceptor
from kserve.protocol.grpc.servicer import InferenceServicer
from kserve.protocol.model_repository_extension import ModelRepositoryExtension
from kserve.protocol.rest.v2_endpoints import register_v2_endpoints
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response

from .. import __version__
from ..errors import InputError
from .protocol import DATATYPES, JSON_SIZE, Tensor
from .serving import ServedModel

Ready = Callable[[str, str | None], None]

_GRACE = 10  # seconds that requests under way have at the end
_NO_LIMIT = -1


def serve(
    models: Sequence[ServedModel], host: str, port: int, grpc_port: int | None, ready: Ready
) -> None:
    """Serve until SIGINT or SIGTERM.

    Args:
        models: the models.
        host: the address to listen at.
        port: the port for HTTP; 0 for any that is free.
        grpc_port: the port for gRPC, likewise; None for no gRPC.
        ready: called with the URL, and the address for gRPC, when requests are answered.

    Raises:
        InputError: if the address cannot be had.
    """
    logging.getLogger("kserve").setLevel(logging.CRITICAL)  # what is refused is said in the answer
    registry = ModelRepository()
    for model in models:
        registry.update(_Model(model))
    with _listen(host, port, "--port") as listening:
        asyncio.run(_serve(_DataPlane(registry), listening, host, grpc_port, ready))


async def _serve(
    data: DataPlane, listening: socket.socket, host: str, grpc_port: int | None, ready: Ready
) -> None:
    application = _application(data)
    config = uvicorn.Config(application, log_config=None, timeout_graceful_shutdown=_GRACE)
    http = uvicorn.Server(config)

    def end(*_: object) -> None:
        http.should_exit = True

    for number in (signal.SIGINT, signal.SIGTERM):
        # The server's own handlers raise the signal again when it has ended: it comes here then,
        # and before they are there.
        signal.signal(number, end)
    rpc, rpc_address = None, None
    if grpc_port is not None:
        rpc, rpc_address = await _start_grpc(data, host, grpc_port)
    ready(f"http://{_address(host, listening.getsockname()[1])}", rpc_address)
    await http.serve(sockets=[listening])
    if rpc is not None:
        await rpc.stop(_GRACE)


def _listen(host: str, port: int, option: str) -> socket.socket:
    """A socket that takes connections from now on, though they wait for the server."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise InputError(
            f"cannot listen at {_address(host, port)}: {error.strerror}; "
            f"{option} 0 takes any port that is free"
        ) from error


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


# --- what KServe is given ---


class _Model(Model):
    """A model of the registry, with its metadata."""

    def __init__(self, served: ServedModel) -> None:
        super().__init__(served.name)
        self.served = served
        self.ready = True

    def get_input_types(self) -> list[dict[str, Any]]:
        return self.served.inputs

    def get_output_types(self) -> list[dict[str, Any]]:
        return self.served.outputs


class _DataPlane(DataPlane):
    """What is told of the server and its models."""

    def metadata(self) -> dict[str, Any]:
        extensions = ["binary_tensor_data"]
        return {"name": "lossgraph", "version": __version__, "extensions": extensions}

    async def model_metadata(self, model_name: str) -> dict[str, Any]:
        return {**await super().model_metadata(model_name), "platform": "onnxruntime_onnx"}


class _FixedRepository(ModelRepositoryExtension):
    """Models are loaded at the start, and stay."""

    def __init__(self) -> None:
        pass

    async def load(self, model_name: str) -> None:
        raise errors.InvalidInput("models are loaded when the server starts, and stay")

    unload = load


# --- HTTP ---


def _application(data: DataPlane) -> fastapi.FastAPI:
    async def infer(request: fastapi.Request) -> Response:
        model = data.get_model_from_registry(request.path_params["model"])
        body, size = await request.body(), request.headers.get(JSON_SIZE)
        content, json_size = await asyncio.to_thread(model.served.answer, body, size)
        if json_size is None:
            return Response(content, media_type="application/json")
        headers = {JSON_SIZE: str(json_size)}
        return Response(content, headers=headers, media_type="application/octet-stream")

    application = fastapi.FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    application.add_route("/v2/models/{model}/infer", infer, ["POST"])  # in the place of KServe's
    register_v2_endpoints(application, data, _FixedRepository())
    for error, handler in {
        ClientDisconnect: _hung_up,
        InputError: errors.invalid_input_handler,
        HTTPException: _http_error,
        errors.InvalidInput: errors.invalid_input_handler,
        errors.ModelNotFound: errors.model_not_found_handler,
        NotImplementedError: errors.not_implemented_error_handler,
        Exception: errors.generic_exception_handler,
    }.items():
        application.add_exception_handler(error, handler)
    return application


async def _hung_up(_: fastapi.Request, error: ClientDisconnect) -> Response:
    """Nobody is there to read an answer, and nothing is wrong here."""
    return Response(status_code=400)


async def _http_error(_: fastapi.Request, error: HTTPException) -> Response:
    """An address that is none, or another method."""
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


# --- gRPC ---


async def _start_grpc(data: DataPlane, host: str, port: int) -> tuple[Any, str]:
    _listen(host, port, "--grpc-port").close()  # gRPC's own error is three lines of its sources
    server = aio.server(
        interceptors=(ExceptionToStatusInterceptor(),),
        options=[
            ("grpc.max_send_message_length", _NO_LIMIT),
            ("grpc.max_receive_message_length", _NO_LIMIT),
            ("grpc.so_reuseport", 0),  # else two servers share a port in silence
        ],
    )
    add_servicer(_Servicer(data, _FixedRepository()), server)
    bound = server.add_insecure_port(_address(host, port))
    await server.start()
    return server, _address(host, bound)


class _Servicer(InferenceServicer):
    """KServe's answers, but for inference."""

    async def ModelInfer(self, request: Any, context: Any) -> Any:
        self.validate_grpc_request(request)
        model = self._data_plane.get_model_from_registry(request.model_name)
        wanted = [output.name for output in request.outputs]
        try:
            results = await asyncio.to_thread(model.served.infer, _tensors(request), wanted)
        except InputError as error:
            raise errors.InvalidInput(str(error)) from error
        outputs = [
            {"name": name, "datatype": DATATYPES[array.dtype.name], "shape": array.shape}
            for name, array in results.items()
        ]
        raw = [array.tobytes() for array in results.values()]
        return messages.ModelInferResponse(
            model_name=model.name, id=request.id, outputs=outputs, raw_output_contents=raw
        )


def _tensors(request: Any) -> list[Tensor]:
    """The inputs, whose data are bytes beside them or numbers inside, in a field of their type."""
    raw = request.raw_input_contents
    return [
        Tensor(item.name, item.datatype, list(item.shape), raw[i] if raw else _numbers(item))
        for i, item in enumerate(request.inputs)
    ]


def _numbers(item: Any) -> list[Any]:
    return [number for _, values in item.contents.ListFields() for number in values]
