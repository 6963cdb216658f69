"""Random programs of F, run in every way and held to mirrors: what tools/fuzz does.

``programs`` draws programs of ``operators``, ``ways`` runs one in each way that a user could, and
``judge`` holds what came out to ``mirror`` and ``oracles``.
"""
