"""A loss that makes losses."""

from __future__ import annotations

from typing import Any

from ..authoring.functions import FunctionLoss


class FenchelYoung(FunctionLoss):
    """``make_fenchel_young_loss``: called with a ``max_fun`` alone it gives the loss of it."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        only_option = set(kwargs) <= {"max_fun"} and len(args) + len(kwargs) == 1
        if only_option and all(
            isinstance(a, str) or callable(a) for a in (*args, *kwargs.values())
        ):
            return self.with_options(max_fun=(*args, *kwargs.values())[0])
        return super().__call__(*args, **kwargs)
