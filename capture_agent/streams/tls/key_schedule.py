"""From secrets to the keys of records: RFC 8446 7 (TLS 1.3) and RFC 5246 5 and 6.3 (TLS 1.2)."""

from __future__ import annotations

import hmac
from dataclasses import dataclass, field

from capture_agent.streams.tls.cipher_suites import CipherSuite

IV_SIZE = 12  # bytes: RFC 8446 5.3, for all suites
MASTER_SIZE = 48  # bytes


@dataclass(frozen=True, slots=True)
class RecordKeys:
    """The keys of one direction. Secrets: they appear in no text."""

    key: bytes = field(repr=False)
    iv: bytes = field(repr=False)
    mac: bytes = field(default=b"", repr=False)


def expand_label(hash_name: str, secret: bytes, label: bytes, size: int, context: bytes = b"") -> bytes:
    """HKDF-Expand-Label, RFC 8446 7.1."""
    full = b"tls13 " + label
    info = size.to_bytes(2, "big") + bytes([len(full)]) + full + bytes([len(context)]) + context
    return hkdf_expand(hash_name, secret, info, size)


def hkdf_expand(hash_name: str, secret: bytes, info: bytes, size: int) -> bytes:
    """RFC 5869 2.3."""
    out, block, number = b"", b"", 1
    while len(out) < size:
        block = hmac.digest(secret, block + info + bytes([number]), hash_name)
        out += block
        number += 1
    return out[:size]


def traffic_keys(suite: CipherSuite, secret: bytes) -> RecordKeys:
    """RFC 8446 7.3."""
    key = expand_label(suite.hash, secret, b"key", suite.key_size)
    return RecordKeys(key, expand_label(suite.hash, secret, b"iv", IV_SIZE))


def next_secret(suite: CipherSuite, secret: bytes) -> bytes:
    """After a KeyUpdate, RFC 8446 7.2."""
    return expand_label(suite.hash, secret, b"traffic upd", len(secret))


def prf(hash_name: str, secret: bytes, label: bytes, seed: bytes, size: int) -> bytes:
    """RFC 5246 5."""
    out = b""
    a = seed = label + seed
    while len(out) < size:
        a = hmac.digest(secret, a, hash_name)
        out += hmac.digest(secret, a + seed, hash_name)
    return out[:size]


def master_secret(suite: CipherSuite, premaster: bytes, client: bytes, server: bytes) -> bytes:
    """From both random values: RFC 5246 8.1."""
    return prf(suite.hash, premaster, b"master secret", client + server, MASTER_SIZE)


def extended_master_secret(suite: CipherSuite, premaster: bytes, session_hash: bytes) -> bytes:
    """RFC 7627 4."""
    return prf(suite.hash, premaster, b"extended master secret", session_hash, MASTER_SIZE)


def key_block(suite: CipherSuite, master: bytes, client: bytes, server: bytes) -> tuple[RecordKeys, RecordKeys]:
    """The keys of the client's direction and of the server's, from both random values: RFC 5246 6.3."""
    sizes = [suite.mac_size] * 2 + [suite.key_size] * 2 + [suite.implicit_size] * 2
    block = prf(suite.hash, master, b"key expansion", server + client, sum(sizes))
    parts = []
    for size in sizes:
        parts.append(block[:size])
        block = block[size:]
    return RecordKeys(parts[2], parts[4], parts[0]), RecordKeys(parts[3], parts[5], parts[1])
