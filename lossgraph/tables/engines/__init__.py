"""Tables on clusters: Ray and Spark run the plan that the threads of one machine would run.

In come a plan and a table, as files or as a dataset of the engine; out comes what was collected of
its rows. Read ``tasks`` first: what one process does is the same on both engines.
"""

from __future__ import annotations

from .running import is_frame, open_on, run, write_rows

__all__ = ["is_frame", "open_on", "run", "write_rows"]
