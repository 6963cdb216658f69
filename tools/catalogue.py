"""Write the page of all losses, docs/losses.md, from what the losses say of themselves.

Nothing on the page is written here but what stands around it: names, summaries, formulas, inputs,
options and sources come from ``lossgraph.catalogue``. The page is the same bytes in every run.
"""

from __future__ import annotations

import argparse
import inspect
import re
import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from types import ModuleType

from lossgraph.catalogue import (
    NAMESPACES,
    SAME,
    Entry,
    entries,
    example_options,
    examples_of,
    lookup,
    namespace_entries,
)
from lossgraph.deploy.page import described, github_math, markdown

PAGE = Path(__file__).parents[1] / "docs" / "losses.md"

HEAD = """\
# All losses

<!-- Written by tools/catalogue: change the docstrings, then run it. -->

{count} losses in {namespaces} namespaces. `lossgraph list` prints them, `lossgraph show NAME` one
of them with its graph, and `help` of a loss in Python has shapes and remarks. A loss is named as
here, or by one of the other names that are given.

The types of inputs are plausible ones, which the command line takes where none are given: letters
are dims of any size, losses of real numbers take all floating types, and more shapes than these.
The formula is that of one element or sample; `reduction`, where a loss has it, comes after it.
"""

IN_SEVERAL = """\
## In several namespaces

The same loss up to options, constant factors and reductions.
"""


def page() -> str:
    """The whole page."""
    count, namespaces = len(entries()), len(NAMESPACES)
    parts = [HEAD.format(count=count, namespaces=namespaces), *contents(), *in_several()]
    for namespace in NAMESPACES:
        parts += section(namespace)
    return "\n".join(parts)


# --- what leads to the losses ---


def contents() -> Iterator[str]:
    """The table of contents, by namespace and family."""
    yield "## Contents\n"
    yield f"- {link('In several namespaces')}"
    for namespace in NAMESPACES:
        yield f"- {link(namespace_heading(namespace))}"
        for module, members in families(namespace):
            heading = family_heading(namespace, module)
            prefix = f"{link(heading, family_name(module))}: " if heading else ""
            yield f"  - {prefix}{', '.join(link(e.name, e.own_name) for e in members)}"
    yield ""


def in_several() -> Iterator[str]:
    """A table of the losses that are in more than one namespace."""
    yield IN_SEVERAL
    yield f"| {' | '.join(f'`{namespace}`' for namespace in NAMESPACES)} |"
    yield f"|{' --- |' * len(NAMESPACES)}"
    for group in SAME:
        found = [lookup(name) for name in group]
        cells = [
            ", ".join(link(e.name, e.own_name) for e in found if e.namespace == namespace)
            for namespace in NAMESPACES
        ]
        yield f"| {' | '.join(cells)} |"
    yield ""


def families(namespace: str) -> list[tuple[ModuleType, list[Entry]]]:
    """The losses of a namespace by the module that they are written in."""

    def family(entry: Entry) -> str:
        return entry.module.__name__

    members = sorted(namespace_entries(namespace), key=family)
    groups = [list(group) for _, group in groupby(members, key=family)]
    return [(group[0].module, group) for group in groups]


def namespace_heading(namespace: str) -> str:
    return f"lossgraph.{namespace}"


def family_name(module: ModuleType) -> str:
    return module.__name__.rpartition(".")[2].replace("_", " ")


def family_heading(namespace: str, module: ModuleType) -> str:
    """Empty where a namespace has one family alone."""
    return f"{namespace}: {family_name(module)}" if len(families(namespace)) > 1 else ""


# --- the losses ---


def section(namespace: str) -> Iterator[str]:
    """A namespace: its families, their losses."""
    yield f"## {namespace_heading(namespace)}\n"
    yield f"{paragraph(sys.modules[NAMESPACES[namespace]])}\n"
    for module, members in families(namespace):
        heading = family_heading(namespace, module)
        if heading:
            yield f"### {heading}\n"
            yield f"{paragraph(module)}\n"
        for entry in members:
            yield f"{'####' if heading else '###'} {entry.name}\n"
            yield from loss(entry)


def loss(entry: Entry) -> Iterator[str]:
    """What a loss is, its formula, and a line for each thing else."""
    yield f"{markdown(entry.summary)}\n"
    yield f"```math\n{github_math(entry.formula)}\n```\n"
    lines = {
        "Inputs": inputs(entry),
        "Options": options(entry),
        "Range": markdown(str(entry.range)),
        "Also called": ", ".join(f"`{alias}`" for alias in entry.aliases),
        "Follows": f"`{entry.original}`" if entry.original else "",
        "Same loss": ", ".join(link(name) for name in entry.same),
        "Source": markdown(entry.paper),
    }
    yield from (f"- {title}: {text}" for title, text in lines.items() if text)
    yield ""


def inputs(entry: Entry) -> str:
    """The inputs with plausible types; those that may be left out come last."""
    required = entry.inputs
    examples = examples_of(entry.make())
    given = [described(name, example) for name, example in examples.items() if required[name]]
    left = [described(name, example) for name, example in examples.items() if not required[name]]
    return "; ".join([*given, *(f"optional {text}" for text in left)])


def options(entry: Entry) -> str:
    """The options with their defaults, or a plausible value for one that must be given."""
    needed = example_options(entry.namespace, entry.own_name)
    return ", ".join(
        f"`{key}` (to be given, like `{value!r}`)" if key in needed else f"`{key}={value!r}`"
        for key, value in entry.options.items()
    )


# --- Markdown ---


def paragraph(module: ModuleType) -> str:
    """The first sentences of a module's documentation."""
    return markdown(" ".join((inspect.getdoc(module) or "").partition("\n\n")[0].split()))


def link(heading: str, text: str = "") -> str:
    """A link to a heading, whose anchor is made as GitHub makes it."""
    anchor = re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
    return f"[{text or heading}](#{anchor})"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write the page, or say whether it is what would be written."""
    parser = argparse.ArgumentParser(prog="tools/catalogue", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if it is stale")
    parser.add_argument("-o", "--output", type=Path, default=PAGE, help="default: docs/losses.md")
    given = parser.parse_args(arguments)
    text = page()
    if given.check:
        there = given.output.read_bytes() if given.output.exists() else b""
        if there == text.encode():
            return 0
        print(f"{given.output} is stale: run tools/catalogue", file=sys.stderr)
        return 1
    given.output.write_bytes(text.encode())  # with the same ends of lines everywhere
    print(given.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
