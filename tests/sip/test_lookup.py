"""Headers looked up by name, and the URIs and users in them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture_agent.sip.lookup import address, addresses, header_values, host_of, user_of
from capture_agent.sip.scan import scan

HEADERS = b"INVITE sip:b SIP/2.0\r\n%b\r\n\r\nX-A: in the body\r\n"


@pytest.mark.parametrize(
    ("lines", "name", "want"),
    [
        (b"X-A: 1\r\nx-a:2\r\nX-AB: 3\r\nX-: 4", b"x-a", [b"1", b"2"]),
        (b"X-A \t: 1", b"x-a", [b"1"]),
        (b"X-A:", b"x-a", [b""]),
        (b"X-A: 1\r\n 2\r\n\t3\r\nX-B: 4", b"x-a", [b"1 2 3"]),
        (b"X-B: 1\r\n X-A: 2", b"x-a", []),
        (b"X-A:\r\n  1", b"x-a", [b"1"]),
        (b" X-A: 1\r\nX-A: 2", b"x-a", [b"2"]),
        (b"X-A 1", b"x-a", []),
        (b"X-A: 1\nX-A: 2", b"x-a", [b"1", b"2"]),
        (b"Subject: 1\r\nS: 2\r\nSubj: 3", b"subject", [b"1", b"2"]),
        (b"\r\n".join(b"X-A: %d" % n for n in range(40)), b"x-a", [b"%d" % n for n in range(16)]),
        (b"X-A: " + b"a" * 9000, b"x-a", [b"a" * 4095]),
        (b"Via: x", b"x-a", []),
    ],
)
def test_header_values(lines: bytes, name: bytes, want: list[bytes]) -> None:
    data = b"before\r\nX-A: no\r\n" + HEADERS % lines
    message = scan(data, 16, len(data))
    assert message is not None
    assert header_values(message, name, b"s" if name == b"subject" else b"") == want


@pytest.mark.parametrize(
    ("value", "want"),
    [
        (b"<sip:a@b>;tag=1", [b"sip:a@b"]),
        (b"sip:a@b;tag=1", [b"sip:a@b"]),
        (b"sip:a@b", [b"sip:a@b"]),
        (b" \t< sip:a@b >", [b"sip:a@b"]),
        (b'"A, <x> \\" y" <sip:a@b>', [b"sip:a@b"]),
        (b"A B <sip:a@b;x=1>;y=2", [b"sip:a@b;x=1"]),
        (b"<sip:a@b>, sip:c@d;x=1 , \"E\" <tel:+1>", [b"sip:a@b", b"sip:c@d", b"tel:+1"]),
        (b"<sip:a,b@c>", [b"sip:a,b@c"]),
        (b"<sip:a@b", [b"sip:a@b"]),
        (b'"open <sip:a@b>', [b'"open <sip:a@b>']),
        (b'<sip:a@b>;x="<q>"', [b"sip:a@b"]),
        (b"", []),
        (b";tag=1", []),
        (b", ,", []),
        (b",".join([b"<sip:a>"] * 40), [b"sip:a"] * 16),
    ],
)  # fmt: skip
def test_addresses(value: bytes, want: list[bytes]) -> None:
    assert addresses(value) == want
    assert address(value) == (want[0] if want else b"")


@pytest.mark.parametrize(
    ("uri", "want"),
    [
        (b"sip:a@b", b"a"),
        (b"SIPS:a:secret@b:5060;x", b"a"),
        (b"sip:+1;phone-context=x@b", b"+1"),
        (b"tel:+1-2;ext=3", b"+1-2"),
        (b"TEL:1", b"1"),
        (b"sip:b", b""),
        (b"sip:b:5060", b""),
        (b"a@b", b""),
        (b"x@y:z", b""),
        (b"urn:service:sos", b""),
        (b"", b""),
        (b":", b""),
    ],
)
def test_user_of(uri: bytes, want: bytes) -> None:
    assert user_of(uri) == want


@pytest.mark.parametrize(
    ("uri", "want"),
    [
        (b"sip:a@b", b"b"),
        (b"SIPS:a:secret@b:5060;x", b"b"),
        (b"sip:b", b"b"),
        (b"sip:b:5060?x=y", b"b"),
        (b"sip:b;lr", b"b"),
        (b"sip:a@[2001:db8::1]:5060", b"[2001:db8::1]"),
        (b"sip:[::1", b"[::1"),
        (b"tel:+1", b""),
        (b"b", b""),
        (b"sip:", b""),
        (b"", b""),
    ],
)
def test_host_of(uri: bytes, want: bytes) -> None:
    assert host_of(uri) == want


PIECES = st.sampled_from([b'"', b"<", b">", b",", b";", b"\\", b" ", b"sip:a@b", b"tel:+1", b":", b"@", b"x"])


@given(st.lists(PIECES, max_size=12).map(b"".join))
def test_one_address_is_the_first_of_all(value: bytes) -> None:
    found = addresses(value)
    assert address(value) == (found[0] if found else b"")
    for uri in found:
        assert uri in value
        assert user_of(uri) in uri
        assert host_of(uri) in uri
