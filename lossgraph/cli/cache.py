"""``lossgraph cache``."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from typing import Annotated

import typer

from ..kernels import cache
from .options import Json
from .output import byte_size, print_json, print_table

NAME = "cache"
EXAMPLE = "Example: lossgraph cache clear"


class Action(StrEnum):
    """What to do with the cache."""

    info = "info"
    clear = "clear"


def command(
    action: Annotated[Action, typer.Argument(help="Tell what is in it, or remove that.")],
    json: Json = False,
) -> None:
    """Look at, or clear, the folder of compiled kernels.

    It is $LOSSGRAPH_CACHE/kernels if that variable is set, and else lossgraph/kernels where the
    system keeps a user's caches. What is removed is built again when it is needed.
    """
    found = cache.info()
    if action is Action.clear:
        removed = {"folder": found.folder, "libraries": found.libraries, "size": cache.clear()}
        if json:
            print_json({"removed": removed})
        else:
            print(f"removed {found.libraries} libraries, {byte_size(found.size)}: {found.folder}")
    elif json:
        print_json(asdict(found))
    else:
        print_table(("", "value"), cache_rows(found))


def cache_rows(found: cache.CacheInfo) -> list[tuple[str, str]]:
    """What is told of a cache folder, by name."""
    size = f"{found.libraries}, {byte_size(found.size)} of at most {byte_size(found.most)}"
    return [
        ("folder", str(found.folder)),
        ("libraries", size),
        ("state", found.problem or "fine"),
    ]
