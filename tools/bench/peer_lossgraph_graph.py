"""lossgraph without fused kernels: standard operators alone, as exports have them."""

from __future__ import annotations

from .peer_lossgraph import Lossgraph


class LossgraphGraph(Lossgraph):
    name = "lossgraph-graph"
    title = "lossgraph graph"
    home = "lossgraph"
    kernels = False
