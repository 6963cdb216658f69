"""Benchmarks of losses: lossgraph and its peers, interleaved in one run.

A peer is one file, ``peer_NAME.py``, with a class that makes callables (see ``peer.py``). A loss
is one entry in ``losses.py`` and, in each peer that has it, one method of the loss's name; those of
Gluon are in ``lossgraph.compare.equivalents`` for all frameworks that have not Gluon's own.

Every peer runs in a process of its own, with the Python that has it. What such a process
imports (``worker.py``, ``peer.py``, ``peer_*.py``) therefore has to run on Python 3.8 with
nothing but numpy and the peer itself.
"""
