"""lossgraph bound to arrays: it reads the same ones at each call, and writes into the same."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .peer_lossgraph import Lossgraph


class LossgraphBind(Lossgraph):
    name = "lossgraph-bind"
    title = "lossgraph bind"
    home = "lossgraph"

    def _call(
        self, loss: Any, types: dict[str, Any], grad: tuple[str, ...], arrays: list[Any]
    ) -> Callable[[], Any]:
        bound: Callable[[], Any] = self._compiled(loss, types, grad).bind(*arrays)
        return bound
