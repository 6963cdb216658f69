"""Who agrees: the same loss in engines and frameworks, recorded test data, and times.

In: a loss, or models with data. Out: differences by output (in ulp, the first element), a table of
frameworks and cases, or a summary of times.
Read ``differences`` first, then ``checks`` and ``comparison``; ``equivalents`` has the frameworks,
``workers`` asks other processes, ``finite_differences`` are derivatives without rules.
"""
