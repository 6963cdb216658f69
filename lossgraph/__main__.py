"""``python -m lossgraph`` and the ``lossgraph`` command."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the command line, or say what to install for it."""
    try:
        import rich
        import typer
    except ImportError:
        print(
            "the command line needs typer and rich: pip install 'lossgraph[cli]'", file=sys.stderr
        )
        sys.exit(2)
    del rich, typer
    from .cli import app

    app(prog_name="lossgraph")


if __name__ == "__main__":
    main()
