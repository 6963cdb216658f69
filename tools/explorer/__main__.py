"""The command: tools/site."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from lossgraph.catalogue import entries, lookup
from lossgraph.cli.output import progress
from lossgraph.errors import InputError

from .build import MissingModulesError, build

ROOT = Path(__file__).parents[2]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page."""
    parser = argparse.ArgumentParser(prog="tools/site", description="Write the explorer page.")
    parser.add_argument("losses", nargs="*", metavar="LOSS", help="default: all losses")
    parser.add_argument(
        "-o", "--output", type=Path, default=ROOT / "out/site", help="default: out/site"
    )
    parser.add_argument(
        "--modules", type=Path, default=ROOT / ".venvs/site/node_modules", metavar="DIR",
        help="the node_modules to take the engine from; default: .venvs/site/node_modules",
    )  # fmt: skip
    given = parser.parse_args(arguments)
    try:
        chosen = [lookup(name) for name in given.losses] or entries()
        files = build(given.output, given.modules, chosen, lambda all: progress(all, "Losses"))
    except (InputError, MissingModulesError) as error:
        print(f"tools/site: {error}", file=sys.stderr)
        return 2
    size = sum(path.stat().st_size for path in files) / 1e6
    print(f"{given.output / 'index.html'}: {len(chosen)} of {len(entries())} losses, {size:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
