"""``python -m bench LOSS``, for which there are commands such as ``tools/bench_ctc``."""

from __future__ import annotations

import sys

from .command import main

sys.exit(main())
