"""Lists the tests that no environment ran, by reason: FOLDER [REASON ..]

FOLDER has pytest's reports in JUnit's format, one of each environment. Reasons are further ones.
"""

from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterable
from pathlib import Path


def not_run(reports: Iterable[Path]) -> Counter[str]:
    """How many tests were skipped wherever they were met, by reason."""
    skipped: dict[str, str] = {}
    ran: set[str] = set()
    for report in reports:
        for case in ET.parse(report).iter("testcase"):
            module, name = case.get("classname", ""), case.get("name", "")
            reason = case.find("skipped")
            if reason is None:
                ran |= {f"{module}::{name}", module}
            else:  # a module that is skipped as a whole is a test whose name is the module's
                test = f"{module}::{name}" if module else name
                skipped.setdefault(test, _said(reason))
    return Counter(reason for test, reason in skipped.items() if test not in ran)


def _said(skipped: ET.Element) -> str:
    """The reason; that of a module stands in a tuple, with the place of it."""
    message = skipped.get("message", "")
    if message != "collection skipped":
        return message
    return re.sub(r"""^.*\bSkipped: (.*?)['"]\)$""", r"\1", skipped.text or "")


def main(folder: str, *more: str) -> None:
    """Print the list."""
    found = not_run(sorted(Path(folder).glob("*.xml")))
    lines = [f"{count} skipped: {reason}" for reason, count in sorted(found.items())]
    print("== not run here" if lines or more else "== everything ran")
    for line in (*more, *lines):
        print(f"- {line}")


if __name__ == "__main__":
    main(*sys.argv[1:])
