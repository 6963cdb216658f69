"""Runs that go on where they were interrupted: what was collected of the first parts, in a file.

Parts are computed in the order of the table, some at a time; after each lot what was collected so
far is written, whole or not at all, with the identities of the parts that it is of. Sums are exact,
so a run that goes on ends with the bits of one that was never interrupted.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from ..errors import InputError
from ..models.files import write_file
from .arrow import bytes_of, table_of
from .collected import Collected
from .plan import Plan
from .sources.base import Part

Run = Callable[[int, int], Collected]  # computes the parts from one to before another

_INTERVAL = 10.0  # seconds of computing between two states, at least
_SHARE = 0.02  # of the time that may go into writing states
_META = b"lossgraph.resume"


@dataclass(frozen=True)
class State:
    """What an interrupted run has left.

    Attributes:
        path: of the file.
        plan: what is computed.
        parts: of the table.
        key: what is computed, as a digest.
    """

    path: Path
    plan: Plan
    parts: Sequence[Part]
    key: str

    def load(self) -> tuple[int, Collected]:
        """How many parts are done, and what was collected of them; none if there is no file.

        Raises:
            InputError: for a file that is no state, or of another run or of other data.
        """
        if not self.path.exists():
            return 0, Collected(self.plan)
        said, tables = self._read()
        if said["key"] != self.key:
            raise InputError(
                f"{self.path} is of a run with other options, another loss or other versions: "
                "delete it, or run with what it was begun with"
            )
        done = said["parts"]
        for i, (name, identity) in enumerate(done):
            if i >= len(self.parts) or self.parts[i].identity != identity:
                raise InputError(
                    f"{self.path}: {name} has changed, moved or gone since the run began: delete "
                    "the state, and begin anew"
                )
        return len(done), Collected.from_tables(self.plan, tables)

    def save(self, done: int, collected: Collected) -> None:
        """Write what was collected of so many parts."""
        tables = collected.to_tables()
        parts = [(part.name, part.identity) for part in self.parts[:done]]
        said = json.dumps({"key": self.key, "parts": parts})
        table = pa.table(
            {
                "name": [*tables],
                "content": pa.array(map(bytes_of, tables.values()), pa.large_binary()),
            }
        )
        write_file(self.path, bytes_of(table.replace_schema_metadata({_META: said})))

    def remove(self) -> None:
        """Delete the file, as the run is at its end."""
        self.path.unlink(missing_ok=True)

    def _read(self) -> tuple[dict[str, Any], dict[str, pa.Table]]:
        try:
            table = table_of(self.path.read_bytes())
            said = json.loads(table.schema.metadata[_META])
            names, contents = table["name"].to_pylist(), table["content"].to_pylist()
            return said, dict(zip(names, map(table_of, contents), strict=True))
        except (OSError, pa.ArrowException, ValueError, KeyError, TypeError) as error:
            raise InputError(
                f"{self.path} is no state of a run over a table: delete it, or move it away"
            ) from error


def state_at(
    path: str | os.PathLike[str], plan: Plan, parts: Sequence[Part], further: Mapping[str, Any]
) -> State:
    """The state of a run.

    Args:
        path: of the file.
        plan: what is computed.
        parts: of the table.
        further: what else the result depends on, and has a text.

    Raises:
        InputError: for a table that cannot be read again from the middle: it is no files.
    """
    for part in parts:
        if part.file is None:
            raise InputError(
                f"resume: {part.name} is in no file, so no later run can go on with it"
            )
    return State(Path(path), plan, parts, _key(plan, further))


def run_in_lots(state: State, run: Run, at_once: int) -> Collected:
    """What is collected of all parts, written in between.

    Args:
        state: of the run.
        run: computes some parts.
        at_once: how many parts are computed before the first state is written.
    """
    done, collected = state.load()
    saving = 0.0
    while done < len(state.parts):
        began = time.monotonic()
        upto = min(done + at_once, len(state.parts))
        collected.merge(run(done, upto))
        done = upto
        took = time.monotonic() - began
        if took < max(_INTERVAL, saving / _SHARE):
            at_once *= 2
        began = time.monotonic()
        state.save(done, collected)
        saving = time.monotonic() - began
    return collected


def _key(plan: Plan, further: Mapping[str, Any]) -> str:
    """A digest of what is computed, and of the versions that compute it."""
    from .finish import described

    shared = {n: (str(x.dtype), x.shape, _digest(x.tobytes())) for n, x in plan.shared.items()}
    said = {
        **described(plan), **further,
        "binding": repr(plan.binding), "against": repr(plan.against), "shared": shared,
        "nulls": plan.nulls, "keep": plan.keep, "collect": repr(plan.collect),
        "accuracy": plan.accuracy, "kernels": plan.kernels,
    }  # fmt: skip
    return _digest(json.dumps(said, sort_keys=True, default=str).encode())


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
