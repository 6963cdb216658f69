"""The command line, ``lossgraph COMMAND``.

One command a module. Standard output carries only data; what is said about it goes to
standard error. The exit code is 0, 1 if a check failed, 2 for wrong use.
"""

from .app import app

__all__ = ["app"]
