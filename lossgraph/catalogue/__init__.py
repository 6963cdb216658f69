"""The register: every loss by name, its aliases, what it is like, and plausible inputs for it.

In: a name, or a loss. Out: its ``Entry``: documentation, formula, options, and examples of inputs.
Losses are found in the namespaces; nothing is said here that a class says itself.
Read ``register`` first, then ``examples/example``.
"""
