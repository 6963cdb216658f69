"""The wings of the package and the imports between them: the order that a test holds, a picture.

The documentation draws the picture from the imports when it is built, so that it cannot age.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

Module = tuple[str, ...]

PACKAGE = Path(__file__).resolve().parents[1] / "lossgraph"
# In the order of the data's way: each wing imports only those above it.
WINGS = (
    "errors", "reference", "ir", "passes", "symbolic", "lowering", "compiler", "kernels", "bridges",
    "runtime", "authoring", "losses", "compose", "gluon", "nn", "optax", "catalogue", "models",
    "importer", "tables", "training", "deploy", "compare", "view", "testing", "cli", "__main__",
)  # fmt: skip
DRAWN = WINGS[1:-1]  # every wing imports errors, and the last one is a line

_STEP, _LEFT, _RIGHT, _TOP = 30, 120, 330, 22  # of the picture: rows, names, width, the first row


def modules(package: Path = PACKAGE) -> dict[Module, Path]:
    """The package's files by module name; a package goes by its own name."""
    files = {}
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        files[parts[:-1] if parts[-1] == "__init__" else parts] = path
    return files


def imports(module: Module, path: Path, known: Mapping[Module, Path]) -> Iterator[Module]:
    """The modules of the package that a file imports, at any depth and for typing too."""
    inside = module if path.name == "__init__.py" else module[:-1]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            base = inside[: len(inside) - node.level + 1]
            target = base + tuple(node.module.split(".") if node.module else ())
            for alias in node.names:
                longer = (*target, alias.name)
                yield longer if longer in known else target


def arrows(package: Path = PACKAGE) -> Counter[tuple[str, str]]:
    """How many modules of a wing import how many of another."""
    known = modules(package)
    pairs = {
        (module, target)
        for module, path in known.items()
        for target in imports(module, path, known)
        if module and target and module[0] != target[0]
    }
    return Counter((module[0], target[0]) for module, target in pairs)


def direct(found: Mapping[tuple[str, str], int]) -> dict[tuple[str, str], int]:
    """Without the arrows that others imply: those to what a wing reaches by way of another."""
    targets: dict[str, set[str]] = {}
    for wing, target in found:
        targets.setdefault(wing, set()).add(target)
    reached: dict[str, set[str]] = {}
    for wing in WINGS:  # from the top down: what a wing imports stands above it
        near = targets.get(wing, set())
        reached[wing] = near.union(*(reached.get(target, set()) for target in near))
    return {
        (wing, target): count
        for (wing, target), count in found.items()
        if not any(target in reached[other] for other in targets[wing] - {target})
    }


def svg(package: Path = PACKAGE) -> str:
    """The picture: names in order, an arc from each wing to those that it stands on."""
    places = {wing: _TOP + i * _STEP for i, wing in enumerate(DRAWN)}
    height = 2 * _TOP + _STEP * (len(DRAWN) - 1)
    found = {pair: n for pair, n in arrows(package).items() if set(pair) <= set(DRAWN)}
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_RIGHT} {height}" '
        'class="wings" role="img" aria-label="the wings, and which each one stands on" '
        'style="max-width:34rem;width:100%;font:14px sans-serif">'
    ]
    for (wing, target), count in sorted(direct(found).items()):
        low, high = places[wing], places[target]
        reach = _LEFT + 14 + min(150, (low - high) * 0.45)
        parts.append(
            f'<path d="M{_LEFT + 8} {low}C{reach} {low} {reach} {high} {_LEFT + 8} {high}" '
            f'fill="none" stroke="currentColor" stroke-opacity="0.45" '
            f'stroke-width="{min(4.0, 0.8 + count / 12):.1f}">'
            f"<title>{wing} imports {target}: {count}</title></path>"
        )
    for wing, y in places.items():
        parts.append(f'<circle cx="{_LEFT + 8}" cy="{y}" r="3.5" fill="currentColor"/>')
        parts.append(
            f'<text x="{_LEFT - 4}" y="{y + 5}" text-anchor="end" fill="currentColor">{wing}</text>'
        )
    return "".join([*parts, "</svg>"])


if __name__ == "__main__":
    sys.stdout.write(svg() + "\n")
