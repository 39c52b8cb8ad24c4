"""Registrations in headers: for how long, and whether a REGISTER removes what it names."""

from __future__ import annotations

import pytest
from test_scan import parsed

from capture_agent.sip.contacts import asked_seconds, unbinds


@pytest.mark.parametrize(
    ("headers", "seconds", "removes"),
    [
        pytest.param("Contact: <sip:a@h>", 3600, False, id="no time"),
        pytest.param("Contact: <sip:a@h>\r\nExpires: 60", 60, False, id="Expires"),
        pytest.param("Contact: <sip:a@h>\r\nExpires: 0", 0, True, id="Expires: 0"),
        pytest.param("Contact: *\r\nExpires: 0", 0, True, id="all"),
        pytest.param("m: <sip:a@h>;expires=0", 0, True, id="expires=0"),
        pytest.param("Contact: <sip:a@h>;expires=0;q=0.5", 0, True, id="followed by another parameter"),
        pytest.param("Contact: <sip:a@h>;q=0.5 ; Expires = 0 ;+sip.instance=x", 0, True, id="between others"),
        pytest.param("Contact: <sip:a@h>;expires=00", 0, True, id="with two digits"),
        pytest.param("Contact: <sip:a@h>;expires=060", 60, False, id="a leading zero"),
        pytest.param("Contact: <sip:a@h>;expires=60\r\nExpires: 0", 60, False, id="its own time counts"),
        pytest.param("Contact: <sip:a@h>;expires=0, <sip:b@h>;expires=9", 9, False, id="one of two"),
        pytest.param("Contact: <sip:a@h>;expires=0\r\nContact: <sip:b@h>;expires=9", 9, False, id="in two lines"),
        pytest.param("Contact: <sip:a@h>;expires=0\r\nContact: <sip:b@h>;expires=0", 0, True, id="both"),
        pytest.param("Contact: <sip:a@h;expires=0>", 3600, False, id="a parameter of the URI"),
        pytest.param('Contact: "x;expires=0" <sip:a@h>', 3600, False, id="in the name"),
        pytest.param("Contact: <sip:a@h>\r\n ;expires=0", 0, True, id="folded"),
        pytest.param("Contact: <sip:a@h>;expires=-1", 3600, False, id="no number"),
        pytest.param("", 0, False, id="it only asks"),
        pytest.param("Expires: 0", 0, False, id="it only asks, with Expires"),
    ],
)
def test_register(headers: str, seconds: int, removes: bool) -> None:
    lines = ["REGISTER sip:h SIP/2.0", "Via: SIP/2.0/UDP h;branch=z9hG4bK1", "CSeq: 1 REGISTER", headers]
    sip = parsed("".join(f"{line}\r\n" for line in [*filter(None, lines), ""]).encode())
    assert (asked_seconds(sip), unbinds(sip)) == (seconds, removes)
