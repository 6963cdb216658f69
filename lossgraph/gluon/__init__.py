"""MXNet Gluon's losses, and the bases to write one's own.

A loss written for Gluon runs after changing its import lines: ``from lossgraph import gluon`` for
``from mxnet import gluon``, ``from lossgraph.gluon.loss import Loss`` for
``from mxnet.gluon.loss import Loss``.
"""

from __future__ import annotations

from . import block, loss
from .block import Block, HybridBlock
from .loss import *  # noqa: F403
from .mxnet import autograd, init, nd, nn
from .parameter import Constant, Parameter, ParameterDict

__all__ = [
    "Block", "Constant", "HybridBlock", "Parameter", "ParameterDict", "autograd", "block", "init",
    "loss", "nd", "nn",
]  # fmt: skip
__all__ += loss.__all__
