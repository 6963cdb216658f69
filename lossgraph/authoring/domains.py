"""What is said where a loss is NaN because an input is outside of its domain.

A graph gives NaN there and cannot say why. A call can: where a value is NaN and no input is, the
inputs are compared with the domains that the loss declares of them, and a warning names the first
element outside. So a call that has no NaN pays for nothing but looking for one in its value. Only
what the framework of the loss refuses itself is looked at in every call.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import InputError, LossgraphWarning
from ..runtime.arrays import can_read, detached, to_numpy
from .cautions import depth_of_user
from .signature import Domain, Signature


def refuse_outside(loss: str, signature: Signature, arrays: Mapping[str, Any]) -> None:
    """Refuse what is outside of a domain that the framework of the loss insists on.

    Raises:
        InputError: naming the first element.
    """
    for name, domain in signature.domains.items():
        if domain.refused and name in arrays and can_read(arrays[name]):
            message = _outside(loss, name, to_numpy(name, detached(arrays[name])), domain)
            if message:
                raise InputError(message)


def explain_nan(
    loss: str,
    value: Any,
    signature: Signature,
    arrays: Mapping[str, Any],
    options: Mapping[str, Any],
) -> None:
    """Warn of the first element that is outside of its domain, if the value is NaN."""
    whole = value[0] if isinstance(value, tuple) else value
    if not can_read(whole) or not bool((whole != whole).any()):
        return
    known = {n: to_numpy(n, detached(x)) for n, x in arrays.items() if can_read(x)}
    if any(x.dtype.kind not in "iub" and np.isnan(x).any() for x in known.values()):
        return
    for name, domain in signature.domains.items():
        if name in known and (domain.when is None or domain.when(options)):
            message = _outside(loss, name, known[name], domain)
            if message:
                text = f"{message}: the loss is NaN there"
                warnings.warn(text, LossgraphWarning, stacklevel=depth_of_user())


def _outside(loss: str, name: str, array: Any, domain: Domain) -> str:
    """What is outside of its domain, in words; empty if nothing is."""
    if not array.size or not (array.min() < domain.low or array.max() > domain.high):
        return ""
    place = tuple(np.argwhere((array < domain.low) | (array > domain.high))[0].tolist())
    element = f"{name}[{', '.join(map(str, place))}]" if place else name
    return f"{loss}: {element} is {array[place]!s}, which is outside of its domain, {domain}"
