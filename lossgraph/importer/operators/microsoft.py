"""Operators of ``com.microsoft`` that exporters and ONNX Runtime's optimizers write.

Each is read by its definition in ONNX Runtime. What some variant of it means that is not here is
refused on the way from a parameter to a loss.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from ...ir import ops
from ...ir.dims import Dim
from ...ir.expr import Expr, const
from ..node import Node
from ..translations import NotTranslatedError, translates, translation_of
from .activations import gelu

DOMAIN = "com.microsoft"
_STANDARD = 26  # the version that standard operators are meant in here
_MASKED = -10000.0  # what is added to scores of keys that are masked, unless an attribute says it


def _standard(node: Node, operator: str, *inputs: Expr | None, **attributes: Any) -> list[Expr]:
    """The outputs of a standard operator."""
    translation = translation_of("", operator, _STANDARD)
    assert translation is not None
    made = translation(node.other(operator, _STANDARD, inputs, **attributes))
    return [made] if isinstance(made, Expr) else list(made)


def _attributes(node: Node, *names: str) -> dict[str, Any]:
    """Those attributes of some names that the node has."""
    return {name: node.attributes[name] for name in names if name in node.attributes}


def _plus(x: Expr, *others: Expr | None) -> Expr:
    for other in others:
        x = x if other is None else ops.add(x, other)
    return x


# --- activations -------------------------------------------------------------------------------


@translates("Gelu", domain=DOMAIN)
def _gelu(node: Node) -> Expr:
    return gelu(node[0])


@translates("BiasGelu", domain=DOMAIN)
def _bias_gelu(node: Node) -> Expr:
    return gelu(ops.add(node[0], node[1]))


@translates("FastGelu", domain=DOMAIN)
def _fast_gelu(node: Node) -> Expr:
    return gelu(_plus(node[0], node.optional(1)), "tanh")


@translates("QuickGelu", domain=DOMAIN)
def _quick_gelu(node: Node) -> Expr:
    x = node[0]
    return x * ops.sigmoid(x * const(node.attribute("alpha", 1.702), x.dtype))


def _activated(node: Node, x: Expr, numbers: Sequence[float]) -> Expr:
    """The function that a fused operator ends with."""
    name = node.attribute("activation", "")
    if name in ("", "Relu", "Sigmoid", "Tanh"):
        return _standard(node, name, x)[0] if name else x
    if name == "LeakyRelu":
        return _standard(node, name, x, alpha=numbers[0])[0]
    if name == "HardSigmoid":
        return _standard(node, name, x, alpha=numbers[0], beta=numbers[1])[0]
    if name == "Clip":
        return ops.clip(x, numbers[0], numbers[1])
    raise NotTranslatedError(f"it ends with {name}")


# --- products ------------------------------------------------------------------------------------


@translates("FusedMatMul", "TransposeMatMul", domain=DOMAIN)
def _fused_matmul(node: Node) -> Expr:
    """alpha a b, of which the last two axes are exchanged, or the first ones put last but one."""
    turns = [(node.attribute(f"transBatch{x}", 0), node.attribute(f"trans{x}", 0)) for x in "AB"]
    a, b = (_turned(node[place], *which) for place, which in enumerate(turns))
    (product,) = _standard(node, "MatMul", a, b)
    alpha = node.attribute("alpha", 1.0)
    return product if alpha == 1.0 else product * const(alpha, product.dtype)


def _turned(x: Expr, batch: int, last: int) -> Expr:
    if x.rank < 2:
        return x
    axes = list(range(x.rank))
    if batch:
        axes = [*axes[1:-1], axes[0], axes[-1]]
    if last:
        axes[-2:] = axes[:-3:-1]
    return ops.transpose(x, axes)


@translates("FusedGemm", domain=DOMAIN)
def _fused_gemm(node: Node) -> Expr:
    given = _attributes(node, "alpha", "beta", "transA", "transB")
    (product,) = _standard(node, "Gemm", node[0], node[1], node.optional(2), **given)
    names = ("activation_alpha", "activation_beta", "activation_gamma")
    return _activated(node, product, [node.attribute(name, 0.0) for name in names])


@translates("FusedConv", domain=DOMAIN)
def _fused_conv(node: Node) -> Expr:
    given = _attributes(node, "auto_pad", "dilations", "group", "kernel_shape", "pads", "strides")
    (found,) = _standard(node, "Conv", node[0], node[1], node.optional(2), **given)
    return _activated(node, _plus(found, node.optional(3)), node.attribute("activation_params", ()))


# --- normalization -------------------------------------------------------------------------------


@translates("SkipLayerNormalization", domain=DOMAIN)
def _skip_layer_normalization(node: Node) -> list[Expr]:
    total = _plus(node[0], node[1], node.optional(4))
    given = {"epsilon": node.attribute("epsilon", 1e-12)}
    found = _standard(node, "LayerNormalization", total, node[2], node.optional(3), **given)
    return [*found, total]


@translates("SkipSimplifiedLayerNormalization", domain=DOMAIN)
def _skip_rms_normalization(node: Node) -> list[Expr]:
    if node.wants(1) or node.wants(2):
        raise NotTranslatedError("it gives the mean or the deviation")
    total = _plus(node[0], node[1], node.optional(3))
    given = {"epsilon": node.attribute("epsilon", 1e-12)}
    (found,) = _standard(node, "RMSNormalization", total, node[2], **given)
    return [found, found, found, total]


@translates("SimplifiedLayerNormalization")
def _rms_normalization(node: Node) -> list[Expr]:
    """ONNX Runtime has it among the standard operators."""
    if node.wants(1):
        raise NotTranslatedError("it gives the deviation")
    return _standard(
        node, "RMSNormalization", node[0], node[1], **_attributes(node, "axis", "epsilon")
    )


@translates("EmbedLayerNormalization", domain=DOMAIN)
def _embed_layer_normalization(node: Node) -> list[Expr]:
    """The sum of the embeddings of words, places and segments, normalized."""
    words, segments, mask, places = node[0], node.optional(1), node.optional(7), node.optional(8)
    if node.attribute("mask_index_type", 0) and mask is not None:
        raise NotTranslatedError("it gives a mask of another kind")
    length = words.shape[1]
    if places is None:
        places = ops.reshape(ops.iota(length), (1, length))
    total = _plus(_embedded(node[2], words), _embedded(node[3], places))
    if segments is not None:
        total = ops.add(total, _embedded(node[4], segments))
    given = {"epsilon": node.attribute("epsilon", 1e-12)}
    found = _standard(node, "LayerNormalization", total, node[5], node[6], **given)[0]
    lengths = ops.full(0, "int32", (words.shape[0],))
    if mask is not None:
        counted = ops.reduce_sum(ops.cast(mask, "int64"), (1,))
        lengths = ops.cast(ops.reshape(counted, (words.shape[0],)), "int32")
    return [found, lengths, total]


def _embedded(table: Expr, index: Expr) -> Expr:
    return ops.take(table, ops.cast(index, "int64"), 0)


# --- attention -----------------------------------------------------------------------------------


@translates("Attention", domain=DOMAIN)
def _attention(node: Node) -> list[Expr]:
    """Self-attention, which projects its input itself."""
    _require_left_out(node, {4: "a past", 6: "a past"}, ("do_rotary", "past_present_share_buffer"))
    x, weights = node[0], node[1]
    (projected,) = _standard(node, "MatMul", x, weights)
    projected = _plus(projected, node.optional(2))
    width = weights.shape[1]
    if not isinstance(width, int):
        raise NotTranslatedError("the length of its projections is known at run time")
    sizes = node.attribute("qkv_hidden_sizes") or [width // 3] * 3
    starts = (0, sizes[0], sizes[0] + sizes[1])
    q, k, v = (ops.take_range(projected, 2, s, n) for s, n in zip(starts, sizes, strict=True))
    mask = _added_mask(node, node.optional(3), (x.shape[0], x.shape[1], x.shape[1]), x.dtype)
    return [_attended(node, q, k, v, [mask, node.optional(5)])]


@translates("MultiHeadAttention", domain=DOMAIN)
def _multi_head_attention(node: Node) -> list[Expr]:
    _require_left_out(node, {6: "a past", 7: "a past", 8: "a past", 9: "a cache"})
    q, k, v, bias = node[0], node[1], node[2], node.optional(3)
    if (q.rank, k.rank, v.rank) != (3, 3, 3):
        raise NotTranslatedError("its queries, keys and values are packed")
    if bias is not None:
        sizes = [x.shape[2] for x in (q, k, v)]
        starts = (0, sizes[0], sizes[0] + sizes[1])
        q, k, v = (
            ops.add(x, ops.take_range(bias, 0, start, size))
            for x, start, size in zip((q, k, v), starts, sizes, strict=True)
        )
    shape = (q.shape[0], q.shape[1], k.shape[1])
    mask = _added_mask(node, node.optional(4), shape, q.dtype)
    return [_attended(node, q, k, v, [mask, node.optional(5)])]


def _require_left_out(node: Node, places: dict[int, str], attributes: Sequence[str] = ()) -> None:
    """Refuse variants that reach into caches."""
    for place, name in places.items():
        if node.optional(place) is not None:
            raise NotTranslatedError(f"it has {name}")
    for name in attributes:
        if node.attribute(name, 0):
            raise NotTranslatedError(f"it has the attribute {name}")
    if any(node.wants(place) for place in range(1, len(node.outputs))):
        raise NotTranslatedError("it gives more than its first output")


def _added_mask(
    node: Node, mask: Expr | None, shape: tuple[Dim, Dim, Dim], dtype: str
) -> Expr | None:
    """What is added to scores: of which keys there are, by number, by each, or by query too."""
    if mask is None:
        return None
    count, _, keys = shape
    if mask.shape == (count,):
        place = ops.reshape(ops.iota(keys), (1, keys))
        seen = ops.less(place, ops.reshape(ops.cast(mask, "int64"), (count, 1)))
        seen = ops.reshape(seen, (count, 1, 1, keys))
    elif mask.shape in ((count, keys), shape):
        ones = (1, 1) if mask.rank == 2 else (1,)
        seen = ops.greater(mask, const(0, mask.dtype))
        seen = ops.reshape(seen, (count, *ones, *mask.shape[1:]))
    else:
        raise NotTranslatedError(f"its mask has the shape {mask.shape}")
    hidden = const(node.attribute("mask_filter_value", _MASKED), dtype)
    return ops.where(seen, const(0, dtype), hidden)


def _attended(node: Node, q: Expr, k: Expr, v: Expr, added: Sequence[Expr | None]) -> Expr:
    """softmax(scale q k + what is added) v, for each head."""
    heads = node.attribute("num_heads")
    queries, keys, values = (_by_head(x, heads) for x in (q, k, v))
    width = queries.shape[-1]
    if not isinstance(width, int):
        raise NotTranslatedError("the width of a head is known at run time")
    scale = node.attribute("scale", 0.0) or 1 / math.sqrt(width)
    scores = ops.matmul(queries * const(scale, q.dtype), ops.matrix_transpose(keys))
    scores = _plus(scores, *added)
    if node.attribute("unidirectional", 0):
        rows, columns = (ops.iota(scores.shape[axis]) for axis in (-2, -1))
        before = ops.reshape(rows, (rows.shape[0], 1))
        later = ops.greater(ops.reshape(columns, (1, columns.shape[0])), before)
        hidden = const(node.attribute("mask_filter_value", _MASKED), q.dtype)
        scores = ops.where(later, hidden, scores)
    share = ops.softmax(scores, (scores.rank - 1,))
    found = ops.transpose(ops.matmul(share, values), (0, 2, 1, 3))
    return ops.reshape(found, (*found.shape[:2], v.shape[2]))


def _by_head(x: Expr, heads: int) -> Expr:
    """[N, S, heads width] as [N, heads, S, width]."""
    count, length, width = x.shape
    parts = ops.reshape(x, (count, length, heads, width // heads))
    return ops.transpose(parts, (0, 2, 1, 3))
