"""Questions to a server by Triton's clients, which speak the Open Inference Protocol."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

TRANSPORTS = ("http", "grpc")


class Client(NamedTuple):
    connection: Any
    module: Any

    def ask(
        self, model: str, arrays: Mapping[str, np.ndarray], outputs: Sequence[str] = ()
    ) -> dict[str, np.ndarray]:
        """The outputs by name; arrays go in their own dtypes."""
        from tritonclient.utils import np_to_triton_dtype

        inputs = []
        for name, array in arrays.items():
            tensor = self.module.InferInput(name, array.shape, np_to_triton_dtype(array.dtype))
            inputs.append(tensor.set_data_from_numpy(array))
        wanted = [self.module.InferRequestedOutput(name) for name in outputs] or None
        result = self.connection.infer(model, inputs, outputs=wanted)
        answer = result.get_response()
        if isinstance(answer, dict):
            return {said["name"]: result.as_numpy(said["name"]) for said in answer["outputs"]}
        return {said.name: result.as_numpy(said.name) for said in answer.outputs}


@contextmanager
def connected(addresses: Any) -> Iterator[dict[str, Client]]:
    import tritonclient.grpc
    import tritonclient.http

    with (
        tritonclient.http.InferenceServerClient(addresses.http, concurrency=8) as http,
        tritonclient.grpc.InferenceServerClient(addresses.grpc) as grpc,
    ):
        yield {
            "http": Client(http, tritonclient.http), "grpc": Client(grpc, tritonclient.grpc)
        }  # fmt: skip


def assert_answer(answer: Mapping[str, np.ndarray], expected: Mapping[str, np.ndarray]) -> None:
    """The same names, dtypes, shapes, and numbers up to a few roundings."""
    assert list(answer) == list(expected)
    for name, wanted in expected.items():
        value = answer[name]
        assert (value.shape, value.dtype) == (wanted.shape, wanted.dtype), name
        eps = float(2.0**-8 if wanted.dtype.name == "bfloat16" else np.finfo(wanted.dtype).eps)
        np.testing.assert_allclose(
            value.astype("float64"), wanted.astype("float64"), rtol=16 * eps, atol=4 * eps
        )
