"""Reads the certificate that identifies us: the standard library shows only what a handshake has accepted."""

from __future__ import annotations

import ssl
from typing import Any

MOST_STEPS = 10  # a handshake in memory takes 4


def own_certificate(cert: str, key: str, serves: bool = False) -> dict[str, Any]:
    """Its fields, as ssl.SSLSocket.getpeercert() has them. Raises OSError; ssl.SSLCertVerificationError: its dates.

    A client with this certificate meets a server that trusts this one alone; if it `serves`, a server with it such a
    client.
    """
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.maximum_version = ssl.TLSVersion.TLSv1_2  # both certificates are a part of the handshake
    for context in (client, server):
        context.load_cert_chain(cert, key, lambda: "")
    checking = client if serves else server
    checking.verify_mode = ssl.CERT_REQUIRED
    checking.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    checking.load_verify_locations(cert)
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [client.wrap_bio(to_client, to_server), server.wrap_bio(to_server, to_client, server_side=True)]
    for n in range(MOST_STEPS):
        try:
            ends[n % 2].do_handshake()
        except ssl.SSLWantReadError:
            continue
        if n % 2 != serves:
            return ends[n % 2].getpeercert() or {}
    raise OSError("the certificate cannot be read")
