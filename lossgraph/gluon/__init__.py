"""MXNet Gluon's losses, and the bases to write one's own.

A loss written for Gluon runs after changing its import lines: ``from lossgraph import gluon`` for
``from mxnet import gluon``, ``from lossgraph.gluon.loss import Loss`` for
``from mxnet.gluon.loss import Loss``.
"""

from __future__ import annotations

from . import block, loss
from .block import Block, HybridBlock
from .loss import *  # noqa: F403

__all__ = ["Block", "HybridBlock", "block", "loss"]
__all__ += loss.__all__
