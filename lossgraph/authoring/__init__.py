"""What one writes a loss with: the block and its call, functions as losses, inputs and options.

In: mathematics on F, as a method or a function. Out: an object that is called with arrays,
differentiated, exported, and used inside other losses.
Read ``signature`` and ``block`` first, which say what a loss takes and what it can do, then
``functions``; ``annotations`` is for who writes losses, ``expressions`` is ``lg.grad`` and its kin.
"""
