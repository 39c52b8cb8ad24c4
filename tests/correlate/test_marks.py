"""Methods and marks of messages; the state of a subscription in headers."""

from __future__ import annotations

import pytest
from correlate_samples import captured, message
from hypothesis import given
from hypothesis import strategies as st

from capture_agent.correlate.marks import expires_now, hop_of, is_terminated, mark_of, tag_key, value_of
from capture_agent.sip.methods import Method, kind_of

NAMES = [method.name.encode() for method in Method if method is not Method.OTHER]


@pytest.mark.parametrize("name", NAMES)
def test_methods(name: bytes) -> None:
    assert kind_of(b"xx" + name + b"yy", 2, 2 + len(name)) == Method[name.decode()]


@given(
    st.binary(max_size=40)
    | st.sampled_from(NAMES).map(bytes.lower)
    | st.text("INVITEACKBYE", max_size=10).map(str.encode)
)
def test_other_methods(name: bytes) -> None:
    known = {name: Method[name.decode()] for name in NAMES}
    assert kind_of(name, 0, len(name)) == known.get(name, Method.OTHER)


INVITE = "0 A>P INVITE"
RINGS = "0 P>A 180 t=b"
# Messages that count as the same, and ones that do not.
MARKS = [
    (INVITE, "5 A>P INVITE", True),
    (INVITE, "0 A>P INVITE branch=other", False),
    (INVITE, "0 A>P INVITE uri=sip:c", False),
    (INVITE, "0 P>A INVITE via=A", False),
    (INVITE, "0 A>Q INVITE", False),
    (INVITE, "0 A>P CANCEL", False),
    (INVITE, "0 A>P INVITE h=Subject:x", False),
    (RINGS, "9 P>A 180 t=b", True),
    (RINGS, "0 P>A 183 t=b", False),
    (RINGS, "0 P>A 180 t=c", False),
    (RINGS, "0 P>A 180", False),
    (RINGS, "0 P>A 180 t=b branch=other", False),
]


@pytest.mark.parametrize(("one", "other", "same"), MARKS)
def test_marks(one: str, other: str, same: bool) -> None:
    assert (mark(one) == mark(other)) is same


def mark(line: str) -> int:
    one = message(line)
    sip = one.sip
    tag = sip.to_tag or b""
    name = sip.cseq_method or b""
    return mark_of(one, kind_of(name, 0, len(name)), hop_of(sip) if sip.is_request else 0, tag_key(tag, 0, len(tag)))


@given(st.binary(max_size=64), st.binary(max_size=64))
def test_hops_differ_when_uris_do(one: bytes, other: bytes) -> None:
    hops = [
        hop_of(captured(b"INVITE sip:" + uri.hex().encode() + b" SIP/2.0\r\nVia: x\r\n\r\n").sip)
        for uri in (one, other)
    ]
    assert (hops[0] == hops[1]) is (one == other)
    assert all(hops)


HEADERS = [
    (b"Expires: 0", "expires", b"0"),
    (b"EXPIRES  :\t00", "expires", b"00"),
    (b"X-Expires: 0", "expires", None),
    (b"Expires-Never: 0", "expires", None),
    (b"Expires:\r\n 0", "expires", b"0"),
    (b"a: b\r\nexpires:7", "expires", b"7"),
    (b"", "expires", None),
]


@pytest.mark.parametrize(("header", "name", "want"), HEADERS)
def test_values(header: bytes, name: str, want: bytes | None) -> None:
    sip = captured(b"SUBSCRIBE sip:b SIP/2.0\r\n" + header + b"\r\nCall-ID: x\r\n\r\nExpires: 5\r\n").sip
    at = value_of(sip, name.encode())
    assert (None if at < 0 else sip.data[at:].split(b"\r", 1)[0]) == want


@pytest.mark.parametrize(
    ("value", "ends"),
    [
        ("0", True),
        ("000", True),
        ("0 ", True),
        ("1", False),
        ("05", False),
        ("", False),
        ("x", False),
        ("0;a=b", False),
    ],
)
def test_expires_now(value: str, ends: bool) -> None:
    assert expires_now(captured(b"SUBSCRIBE sip:b SIP/2.0\r\nExpires: %s\r\n\r\n" % value.encode()).sip) is ends


@pytest.mark.parametrize(
    ("value", "ends"),
    [("terminated", True), ("TERMINATED;reason=x", True), ("active", False), ("termi", False), ("", False)],
)
def test_is_terminated(value: str, ends: bool) -> None:
    sip = captured(b"NOTIFY sip:b SIP/2.0\r\nSubscription-State: %s\r\n\r\n" % value.encode()).sip
    assert is_terminated(sip) is ends
