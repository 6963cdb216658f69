"""Exports and servers: folders of models with test data and pages, Triton, KServe's protocol.

In: a loss, a training step, or a folder of models. Out: files that any engine loads, a Triton
repository, or a server that speaks the Open Inference Protocol.
Read ``export`` first, then ``page``; ``export_training``, then ``training_state``; ``serving``,
then ``server``.
"""
