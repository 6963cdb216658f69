"""Which losses of the catalogue couple the samples of a batch."""

from __future__ import annotations

NOT_SEPARABLE = {
    "gluon.SDMLLoss", "losses.barlow_twins", "losses.batch_hard_triplet", "losses.circle",
    "losses.info_nce", "losses.n_pair", "losses.siglip", "losses.supcon", "losses.vicreg",
    "losses.generalized_dice", "losses.nt_xent", "nn.LinearCrossEntropyLoss",
    "losses.cox_partial_likelihood", "losses.root_mean_square",
    "optax.multiclass_generalized_dice_loss", "optax.ntxent", "optax.ranking_softmax_loss",
}  # fmt: skip


def per_sample(entry):
    """Options for one number for each sample, where the default is a mean."""
    return {"reduction": "none"} if "reduction" in entry.options else {}
