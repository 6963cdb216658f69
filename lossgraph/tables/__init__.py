"""Losses over tables: of any size, piece by piece, the same numbers however the table is cut.

In come a loss and a table (files, a data frame, a query); out goes a row of statistics for each
group of rows. Needs pyarrow: ``pip install 'lossgraph[tables]'``.
"""

from __future__ import annotations
