"""The peers that are here, and the Pythons that may have them.

``python -m bench.peers`` prints what is to be installed for each, for the tools in bash.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from .peer import Peer, load

BASE = "lossgraph"  # what all others are compared with
CHECKOUT = Path(__file__).resolve().parents[2]


class Source(NamedTuple):
    """The file of a peer, and its class, of which no instance is made here."""

    file: Path
    peer: type[Peer]

    @property
    def name(self) -> str:
        return self.peer.name

    @property
    def home(self) -> str:
        """The peer in whose environment it lives."""
        return self.peer.home or self.name

    @property
    def variable(self) -> str:
        return f"LOSSGRAPH_BENCH_{self.home.upper()}"

    @property
    def environment(self) -> Path:
        """Where ``--install`` makes its virtual environment."""
        return CHECKOUT / ".venvs" / f"bench-{self.home}"


def find_peers(more: Sequence[str | Path] = ()) -> dict[str, Source]:
    """The peers by name, lossgraph first, bounds last; ``more`` are files of further ones.

    Raises:
        ImportError: for a file that has none.
    """
    files = [*sorted(Path(__file__).parent.glob("peer_*.py")), *map(Path, more)]
    sources = [Source(file.absolute(), load(file)) for file in files]
    kinds = ("itself", "rival", "bound")
    sources.sort(key=lambda source: (source.name != BASE, kinds.index(source.peer.kind)))
    return {source.name: source for source in sources}


def find_python(
    source: Source, option: str | None, environ: Mapping[str, str] = os.environ
) -> tuple[str, bool]:
    """The Python to run a peer with, and whether somebody asked for this one.

    Raises:
        ValueError: if one was asked for and is not there.
    """
    asked = option or environ.get(source.variable)
    if asked:
        found = shutil.which(os.path.expanduser(asked))
        if found is None:
            by = f"--{source.home}" if option else source.variable
            raise ValueError(f"{by}: there is no Python that runs at {asked}")
        return os.path.abspath(found), True  # not resolved: the links of environments matter
    own = source.environment / "bin" / "python"
    return (str(own) if own.exists() else sys.executable), False


def main() -> None:
    """Print name, version of Python (- for any) and pip's arguments, one peer a line."""
    for source in find_peers().values():
        if source.peer.requirements:
            print(source.name, source.peer.python or "-", *source.peer.requirements)


if __name__ == "__main__":
    main()
