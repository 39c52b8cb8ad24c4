"""The methods of SIP, as numbers. Hot: compiled with methods.pxd, or plain Python."""

# What is compiled only has names of the .pxd.
# mypy: disable-error-code="name-defined, no-any-return"
# ruff: noqa: F821

from __future__ import annotations

from enum import IntEnum

import cython


class Method(IntEnum):
    """The methods that have a name here; of the others the text counts."""

    OTHER = 0
    INVITE = 1
    ACK = 2
    CANCEL = 3
    BYE = 4
    SUBSCRIBE = 5
    NOTIFY = 6
    REFER = 7
    REGISTER = 8
    OPTIONS = 9
    MESSAGE = 10
    INFO = 11
    UPDATE = 12
    PRACK = 13
    PUBLISH = 14


NAMES = tuple(b"" if method is Method.OTHER else method.name.encode() for method in Method)

KINDS = {name: kind for kind, name in enumerate(NAMES) if kind}
# No two of these methods have the same length and the same first letter; all have 3 to 15 bytes.
SPELT = cython.declare(bytes, b"".join(name.ljust(16) for name in NAMES))
BY_LETTER = cython.declare(
    bytes,
    bytes(
        next((KINDS[name] for name in KINDS if (name[0] & 31, len(name)) == (letter, length)), 0)
        for letter in range(32)
        for length in range(16)
    ),
)


def kind_of(data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.int:
    """The Method that data[start:end] names."""
    if not cython.compiled:
        return KINDS.get(data[start:end], 0)
    return kind_within(data, start, end, KIND_TABLE, NAME_TABLE)


if cython.compiled:
    KIND_TABLE = PyBytes_AS_STRING(BY_LETTER)
    NAME_TABLE = PyBytes_AS_STRING(SPELT)
