"""Write the page of ONNX's operators, docs/operators-of-onnx.md, from ONNX's own test cases.

Each case is read, written again, run and differentiated (``node_cases``). With names of operators
only these are tried, and what was found is printed.
"""

from __future__ import annotations

import argparse
import re
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from node_cases import Outcome, cases, outcome
from onnx import defs

from lossgraph.importer.translations import translated_operators
from lossgraph.lowering.opsets import MAX_OPSET

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "operators-of-onnx.md"

HEAD = """\
# Operators of ONNX

<!-- Written by tools/onnx_operators: change the remarks there, then run it. -->

What becomes of each standard operator up to opset {opset} when a model is read, and of its
gradients. The figures are those of ONNX's own test cases, {right} of {all}: each is a variant of an
operator, with its inputs as they are and with those as constants that exporters write so, like axes
and sizes.

- **Variants** were read, written again and run in ONNX Runtime, with the outputs of the model as it
  was, or those that ONNX recorded where ONNX Runtime does not run it.
- **Gradients** by each floating input, in float64, were equal to central differences. A derivative
  that is 0 everywhere counts too.
- What is **kept** passes through to the outputs as the node that it was. If it stands between a
  parameter and a loss, the refusal names it with this reason.

An operator without a case is read as ONNX's definition of it by others, if it has one, or kept.
`BatchNormalization` and `Dropout` are read in training too, with running statistics and a seed that
move with each batch: see `training_mode` and `seed` of `lossgraph.training.build`.

| Operator | Variants | Gradients | Read as | Kept, or refused |
| --- | --- | --- | --- | --- |
"""


def rows(outcomes: Iterable[Outcome]) -> list[str]:
    """The rows of the table: an operator each."""
    found: dict[str, list[Outcome]] = {}
    for made in outcomes:
        found.setdefault(made.operator, []).append(made)
    names = {s.name for s in defs.get_all_schemas_with_history()
             if s.domain == "" and s.since_version <= MAX_OPSET and not s.deprecated}  # fmt: skip
    return [_row(name, found.get(name, [])) for name in sorted(names)]


def _row(operator: str, made: Sequence[Outcome]) -> str:
    ran = [m for m in made if not m.values.startswith(("not run", "not written"))]
    right = sum(m.values == "equal" for m in ran)
    gradients = [text for m in made for text in m.gradients.values()]
    checked = sum(text in ("equal", "0") for text in gradients)
    cells = [
        f"`{operator}`",
        f"{right} of {len(ran)}" if ran else "no case" if not made else "not run by the engine",
        str(checked) if checked else "",
        _read_as(operator, made),
        _remarks(made),
    ]
    return f"| {' | '.join(cells)} |"


def _read_as(operator: str, made: Sequence[Outcome]) -> str:
    if operator in translated_operators():
        return "operations"
    if made and all(m.kept and m.kept[0].startswith(f"{operator}:") for m in made):
        return "kept"
    versions = (defs.get_schema(operator, version) for version in (MAX_OPSET,))
    return next(("its definition" for s in versions
                 if s.has_function or s.has_context_dependent_function), "kept")  # fmt: skip


def _remarks(made: Sequence[Outcome]) -> str:
    reasons: Counter[str] = Counter()
    for outcome_ in made:
        said = {reason.partition(": ")[2] for reason in outcome_.kept}
        refused = (t for t in outcome_.gradients.values() if t.startswith("refused"))
        said |= {text.rpartition(": ")[2] for text in refused}
        if outcome_.values.startswith("not written"):
            said.add(outcome_.values.partition(": ")[2].partition(": ")[2].partition(": ")[0])
        wrong = (outcome_.values, *outcome_.gradients.values())
        said |= {text for text in wrong if text.startswith("WRONG")}
        reasons.update(said)
    listed = (f"{reason} ({count})" for reason, count in sorted(reasons.items()))
    return re.sub(r"[|\n]", " ", "; ".join(listed))


def main(arguments: Sequence[str] | None = None) -> int:
    """The page, or what becomes of some operators."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("operators", nargs="*", help="only these, to be printed")
    parser.add_argument("-o", "--output", type=Path, default=PAGE, help="the page")
    options = parser.parse_args(arguments)
    made = [outcome(case) for case in cases(options.operators)]
    wrong = [m for m in made if not m.is_right]
    for each in made if options.operators else wrong:
        print(each.name, each.values, each.kept, each.gradients)
    print(f"{len(made) - len(wrong)} of {len(made)} right")
    if not options.operators:
        head = HEAD.format(opset=MAX_OPSET, right=len(made) - len(wrong), all=len(made))
        options.output.write_text(head + "\n".join(rows(made)) + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
