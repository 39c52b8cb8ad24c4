"""Parameters of header values: tags and branches. Hot: compiled with parameters.pxd, or plain Python."""

from __future__ import annotations

import re

import cython

# The plain build searches for these patterns, while the compiled one examines each byte.
SPECIAL = re.compile(rb"[;,\"<]")
VALUE_END = re.compile(rb"[;,> \t\r\n]")

# For each byte: 1 if SPECIAL finds it, 2 if VALUE_END does, 3 if both do.
STOPS = cython.declare(bytes, bytes((c in b';,"<') + 2 * (c in b";,> \t\r\n") for c in range(256)))
TAG = cython.declare(bytes, b"tag")
BEFORE_TAG = cython.declare(bytes, b";tag=")
BRANCH = cython.declare(bytes, b"branch")
BEFORE_BRANCH = cython.declare(bytes, b";branch=")


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def find(data: bytes, byte: cython.uchar, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
    """The offset of `byte` in data[start:end], or -1."""
    if start >= end or start < 0 or end > len(data):
        return -1
    if cython.compiled:
        text: cython.p_char = data
        hit: cython.p_char = cython.cast(cython.p_char, memchr(text + start, byte, end - start))  # type: ignore[name-defined]  # noqa: F821 - cimported
        if hit == cython.NULL:
            return -1
        return hit - text  # type: ignore[no-any-return]
    return data.find(byte, start, end)


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def named(data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t, name: bytes) -> cython.bint:
    """Whether data[start:end] begins with this lower-case name, in any case."""
    if start < 0 or end > len(data) or end - start < len(name):
        return False
    if cython.compiled:
        text: cython.p_char = data
        model: cython.p_char = name
        return strncasecmp(text + start, model, len(name)) == 0  # type: ignore[name-defined, no-any-return]  # noqa: F821
    return data[start : start + len(name)].lower() == name


@cython.cfunc
@cython.exceptval(-2)
def next_special(data: bytes, i: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
    """The offset of the next of ; , " < or the end."""
    if not cython.compiled:
        match = SPECIAL.search(data, i, end)
        return match.start() if match else end
    if i < 0 or end > len(data):
        return end
    text: cython.p_uchar = data
    stops: cython.p_uchar = STOPS
    while i < end and not stops[text[i]] & 1:
        i += 1
    return i


def value_end(data: bytes, i: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
    """The end of the parameter's value that begins at i."""
    if not cython.compiled:
        match = VALUE_END.search(data, i, end)
        return match.start() if match else max(i, end)
    if i < 0 or end > len(data):
        return end
    text: cython.p_uchar = data
    stops: cython.p_uchar = STOPS
    while i < end and not stops[text[i]] & 2:
        i += 1
    return i


@cython.cfunc
@cython.exceptval(-2)
def skip_blanks(data: bytes, i: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
    while i < end and data[i] <= 0x20 and data[i] in (0x20, 0x09, 0x0D, 0x0A):
        i += 1
    return i


@cython.cfunc
@cython.exceptval(-2)
def closing_quote(data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
    """The offset of the quote that closes the quoted string opened at start (RFC 3261 25.1), or -1."""
    escapes: cython.Py_ssize_t
    close: cython.Py_ssize_t = start
    while True:
        close = find(data, 0x22, close + 1, end)
        if close < 0:
            return -1
        escapes = 0
        while data[close - 1 - escapes] == 0x5C:  # ends at the opening quote
            escapes += 1
        if escapes % 2 == 0:
            return close


def locate(
    data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t, name: bytes, first_value_only: cython.bint = False
) -> cython.Py_ssize_t:
    """The offset of the value of `;name=value` in the header value data[start:end], or -1; value_end() returns its end,
    as the value may be empty. `name` is in lower case.

    Quoted strings and <...> are skipped. If one is not closed, its bracket or quote is a byte like any other, and so
    are all later ones: searching for the end of each would take quadratic time.
    `first_value_only`: only before the first comma (a Via may hold several values).
    """
    i: cython.Py_ssize_t
    close: cython.Py_ssize_t
    quotes: cython.bint = True
    brackets: cython.bint = True
    c: cython.uchar
    if start < 0 or end > len(data):
        return -1
    i = next_special(data, start, end)
    while i < end:
        c = data[i]
        close = -1
        if c == 0x22 and quotes:
            close = closing_quote(data, i, end)
            quotes = close >= 0
        elif c == 0x3C and brackets:
            close = find(data, 0x3E, i, end)
            brackets = close >= 0
        elif c == 0x2C and first_value_only:
            return -1
        elif c == 0x3B:
            i = skip_blanks(data, i + 1, end)
            if named(data, i, end, name):
                close = skip_blanks(data, i + len(name), end)
                if close < end and data[close] == 0x3D:
                    return skip_blanks(data, close + 1, end)
            i = next_special(data, i, end)
            continue
        i = next_special(data, (i if close < 0 else close) + 1, end)
    return -1


def tag_at(data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
    """The offset of the tag in the From or To value data[start:end], or -1: the result of locate().

    The compiled build first tries the form that nearly all have: ["name"] <...>;tag=
    """
    i: cython.Py_ssize_t = start
    if start < 0 or start >= end or end > len(data):
        return -1
    if cython.compiled:
        text: cython.p_uchar = data
        if text[i] == 0x22:
            i = find(data, 0x22, i + 1, end)
            if i < 0 or text[i - 1] == 0x5C:
                return locate(data, start, end, TAG)
            i += 1
            if i < end and text[i] == 0x20:
                i += 1
        if i < end and text[i] == 0x3C:
            i = find(data, 0x3E, i, end) + 1
            if i == end:
                return -1
            if i > 0 and end - i > 5 and memcmp(text + i, PyBytes_AS_STRING(BEFORE_TAG), 5) == 0:  # type: ignore[name-defined]  # noqa: F821 - cimported
                i += 5
                if text[i] > 0x20:
                    return i
    return locate(data, start, end, TAG)


def branch_at(data: bytes, start: cython.Py_ssize_t, end: cython.Py_ssize_t) -> cython.Py_ssize_t:
    """The offset of the branch in the first value of the Via data[start:end], or -1: the result of locate().

    The compiled build first tries the form that nearly all have: SIP/2.0/UDP host;branch=
    """
    i: cython.Py_ssize_t
    if cython.compiled:
        i = find(data, 0x3B, start, end)
        if i >= 0 and end - i > 8:
            text: cython.p_uchar = data
            if (
                memcmp(text + i, PyBytes_AS_STRING(BEFORE_BRANCH), 8) == 0  # type: ignore[name-defined]  # noqa: F821 - cimported
                and text[i + 8] > 0x20
                and find(data, 0x2C, start, i) < 0
                and find(data, 0x22, start, i) < 0
                and find(data, 0x3C, start, i) < 0
            ):
                return i + 8
    return locate(data, start, end, BRANCH, True)


def parameter(value: bytes, name: bytes, first_value_only: cython.bint = False) -> bytes | None:
    """The value of `;name=value` in a header value, as found by locate(), or None."""
    i: cython.Py_ssize_t = locate(value, 0, len(value), name, first_value_only)
    if i < 0:
        return None
    return value[i : value_end(value, i, len(value))] or None


if not cython.compiled:
    # With the interpreter's own C function.
    globals().update(find=bytes.find)
