"""From a table and a plan to what an engine collected of it."""

from __future__ import annotations

from dataclasses import dataclass
from types import ModuleType
from typing import Any

import pyarrow as pa

from ...errors import InputError
from ..collected import Collected
from ..plan import Plan
from ..sources import open_source
from ..sources.base import Source
from . import ray, spark
from .tasks import Job

_ENGINES: dict[str, ModuleType] = {"ray": ray, "spark": spark}


@dataclass(frozen=True)
class Frame(Source):
    """A table that an engine has: the engine reads it, and it has no parts here.

    Attributes:
        frame: the dataset of Ray, or the frame of Spark.
    """

    frame: Any = None


def is_frame(source: object) -> bool:
    """Whether an engine has it."""
    return any(engine.is_frame(source) for engine in _ENGINES.values())


def open_on(engine: str, source: Any, where: Any = None) -> Source:
    """A table for an engine: a dataset of its own, or whatever is opened here too.

    Raises:
        InputError: for a dataset of the other engine, or one that is to be filtered here.
    """
    if not is_frame(source):
        return open_source(source, where)
    if not _ENGINES[engine].is_frame(source):
        raise InputError(f"engine={engine!r}: {type(source).__name__} is of another engine")
    if where is not None:
        raise InputError("where: filter the engine's dataset by its own means, and leave it out")
    schema: pa.Schema = _ENGINES[engine].schema(source)
    return Frame(schema, [{"kind": f"{engine}: {type(source).__name__}"}], (), source)


def run(engine: str, plan: Plan, opened: Source, workers: int | None = None) -> Collected:
    """What an engine collects of a table.

    Args:
        engine: ``ray`` or ``spark``.
        plan: what is computed.
        opened: what ``open_on`` gave.
        workers: how many processes there are at most.

    Raises:
        InputError: if the engine is not here, and what a worker refuses.
    """
    module = _ENGINES[engine]
    if isinstance(opened, Frame):
        found: Collected = module.run(Job(plan), opened.frame, workers)
    else:
        found = module.run(Job(plan, tuple(opened.parts())), None, workers)
    return found
