"""The mathematics of losses: pure functions on ``F``, unreduced.

A formula never asks which ``F`` it has, reads no values, reduces only what its definition
sums, and stands once; names, options, weighting and reduction belong to the conventions
(``gluon``).

What stands here by name are formulas that are losses by themselves, with the names and defaults
of their sources.
"""

from __future__ import annotations

from ..loss import FunctionLoss
from . import listwise, metric, preference, selfsupervised, softened, transport, tsallis

approx_ndcg = FunctionLoss(listwise.approx_ndcg)
arcface = FunctionLoss(metric.arcface)
barlow_twins = FunctionLoss(selfsupervised.barlow_twins)
batch_hard_triplet = FunctionLoss(metric.batch_hard_triplet)
circle = FunctionLoss(metric.circle)
contrastive = FunctionLoss(metric.contrastive)
cosface = FunctionLoss(metric.cosface)
distillation = FunctionLoss(softened.distillation)
dpo = FunctionLoss(preference.dpo)
entmax = FunctionLoss(tsallis.entmax)
info_nce = FunctionLoss(selfsupervised.info_nce)
ipo = FunctionLoss(preference.ipo)
list_mle = FunctionLoss(listwise.list_mle)
list_net = FunctionLoss(listwise.list_net)
n_pair = FunctionLoss(metric.n_pair)
orpo = FunctionLoss(preference.orpo)
proxy_nca = FunctionLoss(metric.proxy_nca)
rank_net = FunctionLoss(listwise.rank_net)
siglip = FunctionLoss(selfsupervised.siglip)
sinkhorn = FunctionLoss(transport.sinkhorn)
supcon = FunctionLoss(selfsupervised.supcon)
vicreg = FunctionLoss(selfsupervised.vicreg)
wasserstein_1d = FunctionLoss(transport.wasserstein_1d)
wasserstein_histogram = FunctionLoss(transport.wasserstein_histogram)
z_loss = FunctionLoss(softened.z_loss)

__all__ = [
    "approx_ndcg", "arcface", "barlow_twins", "batch_hard_triplet", "circle", "contrastive",
    "cosface", "distillation", "dpo", "entmax", "info_nce", "ipo", "list_mle", "list_net",
    "n_pair", "orpo", "proxy_nca", "rank_net", "siglip", "sinkhorn", "supcon", "vicreg",
    "wasserstein_1d", "wasserstein_histogram", "z_loss",
]  # fmt: skip
