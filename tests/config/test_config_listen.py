"""sip:IP:PORT to listen on."""

from __future__ import annotations

import pytest

from capture_agent.config.listen import parse_listen

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("sip:192.0.2.5", "sip:192.0.2.5:5060"),
        ("sip:192.0.2.5:5888;transport=UDP", "sip:192.0.2.5:5888"),
        ("sip:[::1]:5888;transport=tcp", "sip:[::1]:5888;transport=tcp"),
        ("sip:host.example:5060", "the host is not a valid IP address"),
        ("udp:192.0.2.5:5060", "expected sip:HOST:PORT, sip:HOST:PORT;transport=tcp or sips:HOST:PORT"),
        ("sip:192.0.2.5;transport=tls", "transport: tls, expected udp or tcp"),
        ("sip:192.0.2.5:0", "the port is not 1 to 65535"),
    ],
)
def test_where_to_listen(text: str, wanted: str) -> None:
    try:
        told = str(parse_listen(text))
    except ValueError as error:
        told = str(error)
    assert told == wanted
