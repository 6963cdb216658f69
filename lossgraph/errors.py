"""The errors of lossgraph: one tree, so that a caller can catch all of them at once."""

from __future__ import annotations

from typing import Self


class LossgraphError(Exception):
    """Base of every error that lossgraph raises."""


class LossgraphWarning(UserWarning):
    """What is allowed, and is more likely a mistake."""


class InputError(LossgraphError, ValueError):
    """An argument, an array or a file is not what the loss needs.

    Attributes:
        reason: of what an operator of ``F`` refuses, the reason without the operator and its
            types, which who calls a loss by name does not know; None for all else.
    """

    reason: str | None = None

    def reworded(self, text: str) -> Self:
        """The same refusal, with all that it knows, in other words."""
        made = type(self).__new__(type(self))
        made.__dict__.update(self.__dict__)
        made.args = (text,)
        return made


class DtypeError(InputError, TypeError):
    """A dtype that an operation or a loss cannot take."""


class GradientError(InputError):
    """A gradient was asked for that does not exist."""


class UnknownOperatorError(InputError, AttributeError):
    """An operator that F, or a method that a symbol has not."""


class LoweringError(LossgraphError):
    """An expression that the chosen opset cannot say."""


class ValidationError(LossgraphError):
    """A model that the ONNX checker refuses, or that contradicts lossgraph's own types."""


class ProviderError(InputError):
    """An execution provider that is not there, or ONNX Runtime itself missing."""


class SpecializationError(InputError):
    """The traced code needs the value of a symbolic dim.

    A loss called with arrays catches it, makes the dim static and traces again; where only a
    name is known it reaches the user as the input error that it also is.
    """

    broadcasts = False  # whether it was about axes of which one may be 1 and then is repeated

    def __init__(self, names: tuple[str, ...], why: str, number: int | None = None) -> None:
        self.names = names
        self.number = number  # the only value that the first of them can have, if there is one
        listed = ", ".join(repr(name) for name in names)
        super().__init__(f"{why}: give dim {listed} as an int in the shapes of the inputs")


class UnequalDimsError(InputError):
    """Two dims of different names would have to be equal.

    Attributes:
        dims: the two; who reads a model in which they were named by chance may take one for both.
        broadcasts: whether it was about axes of which one may be 1 and then is repeated.
    """

    broadcasts = False

    def __init__(self, why: str, dims: tuple[object, object]) -> None:
        self.dims = dims
        super().__init__(why)
