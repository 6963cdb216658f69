"""torch.nn's softmax in clusters, for classes of very different frequency."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import Annotated, Any

from ..authoring.annotations import CONSTANT, Label
from ..authoring.options import integer, positive
from ..authoring.reductions import reduced
from ..authoring.shapes import Shape, require_same
from ..errors import InputError
from ..losses import classification
from .base import Loss


class AdaptiveLogSoftmaxWithLoss(Loss):
    r"""Cross-entropy of a softmax whose rare classes stand in clusters of lower rank.

    .. math:: \ell = -\operatorname{mean} \log p_y, \quad
        p_y = p_h(y) \text{ or } p_h(\text{cluster}) \, p_\text{cluster}(y)

    Classes below ``cutoffs[0]`` are in the head; those from one cutoff to the next are a cluster,
    whose vectors are ``div_value`` times shorter than those of the one before.

    Inputs: ``input``, (N, in_features) or (in_features,); ``target``, classes (N,) or (); and the
    parameters of torch's module by their names there: ``head.weight``, ``head.bias`` with
    ``head_bias``, and ``tail.i.0.weight``, ``tail.i.1.weight`` for each cluster i. Value: (), what
    torch calls ``.loss``.

    Args:
        in_features: the length of the input vectors.
        n_classes: the number of classes.
        cutoffs: the first class of each cluster, increasing.
        div_value: how many times shorter the vectors of a cluster are than those of the one before.
        head_bias: whether the head has a bias.

    Source: Grave et al. (2017), ICML.
    """

    def __init__(
        self,
        in_features: int,
        n_classes: int,
        cutoffs: Sequence[int],
        div_value: Annotated[float, CONSTANT] = 4.0,  # it says the shapes of the parameters
        head_bias: bool = False,
    ) -> None:
        super().__init__()
        self.in_features = integer("in_features", in_features)
        self.n_classes = integer("n_classes", n_classes)
        self.cutoffs = tuple(integer("cutoffs", cutoff) for cutoff in cutoffs)
        bounds = (0, *self.cutoffs, self.n_classes)
        if not self.cutoffs or any(a >= b for a, b in pairwise(bounds)):
            raise InputError(
                f"cutoffs: expected increasing ints from 1 to n_classes - 1 = "
                f"{self.n_classes - 1}, got {cutoffs!r}"
            )
        self.div_value = positive("div_value", div_value)
        self.head_bias = bool(head_bias)

    @property
    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        head = self.cutoffs[0] + len(self.cutoffs)
        shapes: dict[str, tuple[int, ...]] = {"head.weight": (head, self.in_features)}
        if self.head_bias:
            shapes["head.bias"] = (head,)
        ends = (*self.cutoffs, self.n_classes)
        for i, (low, high) in enumerate(pairwise(ends)):
            inner = int(self.in_features // self.div_value ** (i + 1))
            shapes[f"tail.{i}.0.weight"] = (inner, self.in_features)
            shapes[f"tail.{i}.1.weight"] = (high - low, inner)
        return shapes

    def check_shapes(self, shapes: Mapping[str, Shape]) -> None:
        self.require_shapes(shapes)
        found = {name: shapes[name] for name in self.parameter_shapes} | {
            "input": shapes["input"][-1:]
        }
        for name, shape in {"input": (self.in_features,), **self.parameter_shapes}.items():
            require_same(name, found[name], "these options", shape)

    def require_shapes(self, shapes: Mapping[str, Shape]) -> None:
        input, known = shapes["input"], self.parameter_shapes
        if len(input) not in (1, 2):
            raise InputError(f"input: expected (N, in_features), got {tuple(input)}")
        require_same("target", shapes["target"], "input without features", input[:-1])
        missing = sorted(set(known) - set(shapes))
        unknown = sorted(set(shapes) - set(known) - {"input", "target"})
        if missing or unknown:
            wrong = f"missing {missing}" if missing else f"unknown {unknown}"
            raise InputError(f"{self.name} takes the parameters {list(known)}: {wrong}")

    def hybrid_forward(self, F: Any, input: Any, target: Label, **parameters: Any) -> Any:
        if len(input.shape) < 2:
            input, target = F.reshape(input, (1, -1)), F.reshape(target, (1,))
        tails = [
            (parameters[f"tail.{i}.0.weight"], parameters[f"tail.{i}.1.weight"])
            for i in range(len(self.cutoffs))
        ]
        log_probs = classification.adaptive_log_softmax(
            F,
            input,
            target,
            (parameters["head.weight"], parameters.get("head.bias")),
            tails,
            (*self.cutoffs, self.n_classes),
        )
        return reduced(F, -log_probs, "mean")
