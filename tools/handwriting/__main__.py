"""The command: tools/digits."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from .build import MissingModulesError, build

ROOT = Path(__file__).parents[2]


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page."""
    parser = argparse.ArgumentParser(
        prog="tools/digits", description="Write a page that trains in the browser."
    )
    parser.add_argument(
        "-o", "--output", type=Path, default=ROOT / "out/digits", help="default: out/digits"
    )
    parser.add_argument(
        "--modules", type=Path, default=ROOT / ".venvs/site/node_modules", metavar="DIR",
        help="the node_modules to take the engine from; default: .venvs/site/node_modules",
    )  # fmt: skip
    given = parser.parse_args(arguments)
    try:
        files = build(given.output, given.modules)
    except MissingModulesError as error:
        print(f"tools/digits: {error}", file=sys.stderr)
        return 2
    size = sum(path.stat().st_size for path in files) / 1e6
    print(f"{given.output / 'index.html'}: {size:.1f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
