"""The register: every loss by name, its aliases, what it is like, and plausible inputs for it.

In: a name, or a loss. Out: its ``Entry``: documentation, formula, options, and examples of inputs.
Losses are found in the namespaces; nothing is said here that a class says itself.
Read ``entry`` first, then ``register`` and ``by_name``, then ``examples/example``.
"""

from .aliases import ALIASES
from .by_name import lookup
from .documentation import formula_of
from .entry import Entry, ExampleType, hint
from .examples import OBSERVED, VALUES, Example, example_options
from .namespaces import FRAMEWORKS, NAMESPACES
from .register import entries, entry_of, example_types, examples_of, namespace_entries
from .same_losses import SAME

__all__ = [
    "ALIASES", "FRAMEWORKS", "NAMESPACES", "OBSERVED", "SAME", "VALUES", "Entry", "Example",
    "ExampleType", "entries", "entry_of", "example_options", "example_types", "examples_of",
    "formula_of", "hint", "lookup", "namespace_entries",
]  # fmt: skip
