"""Plausible inputs of the losses of vectors, lists, transport and preferences."""

from __future__ import annotations

from .example import MATRIX, Example, Table

_CLASS = Example("int64", ("N",), "class")
_LABEL = Example("int64", ("N",))
_LIST = Example(shape=("N", "L"))
_PROBABILITY = Example(shape=("N",), values="log_simplex")

TABLE: Table = {
    **{(loss, "mask"): (Example("bool", ("N", "L")), {})
       for loss in ("approx_ndcg", "list_mle", "list_net", "rank_net")},
    **{(loss, "relevance"): (Example(shape=("N", "L"), values="count"), {})
       for loss in ("approx_ndcg", "list_mle", "list_net", "rank_net")},
    **{(loss, "score"): (_LIST, {})
       for loss in ("approx_ndcg", "list_mle", "list_net", "rank_net")},
    **{(loss, "embedding"): (MATRIX, {})
       for loss in ("arcface", "batch_hard_triplet", "circle", "cosface", "proxy_nca", "supcon")},
    **{(loss, "label"): (_CLASS, {}) for loss in ("batch_hard_triplet", "circle", "supcon")},
    **{(loss, "label"): (_LABEL, {}) for loss in ("arcface", "cosface", "entmax", "proxy_nca")},
    **{(loss, "weight"): (Example(shape=("C", "D")), {}) for loss in ("arcface", "cosface")},
    **{(loss, name): (MATRIX, {})
       for loss in ("barlow_twins", "contrastive", "vicreg") for name in ("x1", "x2")},
    **{(loss, f"{model}_{answer}"): (_PROBABILITY, {})
       for loss in ("dpo", "ipo") for model in ("policy", "reference")
       for answer in ("chosen", "rejected")},
    ("contrastive", "label"): (Example(shape=("N",), values="class"), {}),
    ("info_nce", "key"): (MATRIX, {}),
    ("info_nce", "negative"): (Example(shape=("M", "D")), {}),
    ("info_nce", "query"): (MATRIX, {}),
    ("n_pair", "anchor"): (MATRIX, {}),
    ("n_pair", "positive"): (MATRIX, {}),
    ("orpo", "chosen"): (_PROBABILITY, {}),
    ("orpo", "rejected"): (_PROBABILITY, {}),
    ("proxy_nca", "proxy"): (Example(shape=("C", "D")), {}),
    ("siglip", "image"): (MATRIX, {}),
    ("siglip", "text"): (MATRIX, {}),
    ("sinkhorn", "cost"): (Example(shape=("N", "A", "B"), values="positive"), {}),
    ("sinkhorn", "source"): (Example(shape=("N", "A"), values="simplex"), {}),
    ("sinkhorn", "target"): (Example(shape=("N", "B"), values="simplex"), {}),
    ("wasserstein_1d", "x"): (Example(shape=("N", "A")), {}),
    ("wasserstein_1d", "x_weight"): (Example(shape=("N", "A"), values="positive"), {}),
    ("wasserstein_1d", "y"): (Example(shape=("N", "B")), {}),
    ("wasserstein_1d", "y_weight"): (Example(shape=("N", "B"), values="positive"), {}),
    ("wasserstein_histogram", "pred"): (Example(values="simplex"), {}),
    ("wasserstein_histogram", "target"): (Example(values="simplex"), {}),
}  # fmt: skip
