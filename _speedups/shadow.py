"""Stands in for the few names of Cython that our sources evaluate, where Cython is not installed.

Interpreted, decorators do nothing and a declared variable is its value. Other types stand only in
annotations, which are never evaluated.
"""

from typing import TypeVar

T = TypeVar("T")

Py_ssize_t = int


def declare(_type: type, value: T) -> T:
    """Return the value of a typed module variable."""
    return value


def _unchanged(decorated: T) -> T:
    return decorated


cclass = cfunc = final = _unchanged
