"""64-bit hashes of texts that peers choose: nobody can construct a collision. Hot: compiled, or plain Python.

The keys are random for each process. They are not Python's, which an environment may fix (PYTHONHASHSEED). Equal texts
have equal hashes; for any two others chosen without the keys, the chance of a collision is at most one in 2**58, in
both builds. docs/decisions/hashes.md has the proof, and lists where peers' texts are hashed otherwise.
"""

# Code that is only compiled uses names of the .pxd.
# mypy: disable-error-code="name-defined, no-any-return"
# ruff: noqa: F821

from __future__ import annotations

import os
from hashlib import blake2b

import cython

# Each lane has its own keys: a number that is hashed again uses another lane.
LANE_KEYS = cython.declare(cython.int, 36)  # as in the .pxd
TEXT, WITHIN, LAST, WORDS = range(0, 144, 36)  # where the lanes' keys begin
ALL_KEYS = cython.declare(cython.int, 144)

SECRET = os.urandom(32)
DIGEST = 16  # bytes


def number_of(
    data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t, lane: cython.int, number: cython.ulonglong
) -> cython.ulonglong:
    """A number for another number and the text data[start:end]; for an empty text if out of bounds."""
    if not 0 <= lane <= ALL_KEYS - LANE_KEYS:
        lane = 0
    if cython.compiled:
        return keyed_part(data, start, end, KEYS + lane, number)
    if not 0 <= start < end <= len(data):
        start = end = 0
    return _digested(data[start:end], lane, number)


def number_of_words(one: int, other: int, third: int, fourth: int) -> int:
    """A number for these four. Plain only; the compiled build has keyed_words."""
    return _digested(b"", WORDS, one, other, third, fourth)


def digest(text: bytes, about: bytes) -> bytes:
    """DIGEST bytes for a text and its subject: no two are equal, by chance or otherwise."""
    made = blake2b(len(about).to_bytes(8, "little") + about, digest_size=DIGEST, key=SECRET)
    made.update(text)
    return made.digest()


def _digested(text: bytes, lane: int, *numbers: int) -> int:
    """Plain only."""
    made = blake2b(text, digest_size=8, key=SECRET, salt=bytes([lane]))
    made.update(b"".join((number & (1 << 64) - 1).to_bytes(8, "little") for number in (*numbers, len(text))))
    return int.from_bytes(made.digest(), "little")


@cython.cfunc
def _fill(random: bytes) -> cython.bint:
    """Compiled only: the keys of all lanes."""
    n: cython.int
    for n in range(ALL_KEYS):
        KEYS[n] = int.from_bytes(random[8 * n : 8 * n + 8], "little")
    return True


if cython.compiled:
    _fill(os.urandom(8 * ALL_KEYS))
