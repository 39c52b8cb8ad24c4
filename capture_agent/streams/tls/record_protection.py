"""Decrypts records: RFC 8446 5.2 (TLS 1.3), RFC 5246 6.2.3 and RFC 7366 (TLS 1.2)."""

from __future__ import annotations

import hmac
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESCCM, AESGCM, ChaCha20Poly1305

from capture_agent.streams.tls.cipher_suites import CipherSuite
from capture_agent.streams.tls.key_schedule import RecordKeys, traffic_keys

EXPLICIT = 8  # bytes of the nonce that each record of GCM and CCM has in TLS 1.2
BLOCK = 16  # bytes of AES


class Protection(Protocol):
    """Of one direction, with one set of keys."""

    def opened(self, sequence: int, header: bytes, body: bytes) -> bytes | None:
        """The plaintext of this record, or None: it is not authentic. `header` has 5 bytes."""

    def plain_size(self, size: int) -> int | None:
        """Bytes of plaintext in a record's body of this size; None if only decryption shows it."""


def aead(suite: CipherSuite, key: bytes) -> AESGCM | AESCCM | ChaCha20Poly1305:
    if suite.cipher == "gcm":
        return AESGCM(key)
    if suite.cipher == "chacha20":
        return ChaCha20Poly1305(key)
    return AESCCM(key, tag_length=8 if suite.cipher == "ccm8" else 16)


class Aead:
    """`inner`: as in TLS 1.3, where the header is authenticated as it is. Else as in TLS 1.2."""

    __slots__ = ("_aead", "_explicit", "_inner", "_iv", "_number", "_tag")

    def __init__(self, suite: CipherSuite, keys: RecordKeys, inner: bool) -> None:
        self._aead = aead(suite, keys.key)
        self._iv = keys.iv
        self._number = int.from_bytes(keys.iv, "big")
        self._inner = inner
        self._tag = 8 if suite.cipher == "ccm8" else 16
        self._explicit = EXPLICIT if len(keys.iv) < 12 else 0

    def opened(self, sequence: int, header: bytes, body: bytes) -> bytes | None:
        if len(body) < self._explicit + self._tag:
            return None
        if self._explicit:
            nonce, body = self._iv + body[: self._explicit], body[self._explicit :]
        else:
            nonce = (self._number ^ sequence).to_bytes(12, "big")
        if self._inner:
            known = header
        else:
            known = sequence.to_bytes(8, "big") + header[:3] + (len(body) - self._tag).to_bytes(2, "big")
        try:
            return self._aead.decrypt(nonce, body, known)
        except InvalidTag:
            return None

    def plain_size(self, size: int) -> int | None:
        return max(0, size - self._explicit - self._tag - self._inner)


class Cbc:
    """AES-CBC with HMAC; `mac_last`: encrypt-then-MAC (RFC 7366)."""

    __slots__ = ("_cipher", "_mac", "_mac_key", "_mac_last", "_size")

    def __init__(self, suite: CipherSuite, keys: RecordKeys, mac_last: bool) -> None:
        self._cipher = algorithms.AES(keys.key)
        self._mac_key = keys.mac
        self._mac = suite.mac
        self._size = suite.mac_size
        self._mac_last = mac_last

    def opened(self, sequence: int, header: bytes, body: bytes) -> bytes | None:
        if self._mac_last:
            body, mac = body[: -self._size], body[-self._size :]
            if not self._is_authentic(sequence, header, body, mac):
                return None
        if len(body) < 2 * BLOCK or len(body) % BLOCK:
            return None
        decryptor = Cipher(self._cipher, modes.CBC(body[:BLOCK])).decryptor()
        plain = decryptor.update(body[BLOCK:]) + decryptor.finalize()
        padding = plain[-1] + 1
        if padding > len(plain) or plain[-padding:] != bytes([padding - 1]) * padding:
            return None
        plain = plain[:-padding]
        if self._mac_last:
            return plain
        content, mac = plain[: -self._size], plain[-self._size :]
        return content if self._is_authentic(sequence, header, content, mac) else None

    def _is_authentic(self, sequence: int, header: bytes, content: bytes, mac: bytes) -> bool:
        known = sequence.to_bytes(8, "big") + header[:3] + len(content).to_bytes(2, "big") + content
        return hmac.compare_digest(hmac.digest(self._mac_key, known, self._mac), mac)

    def plain_size(self, size: int) -> int | None:
        return None


def protection_1_2(suite: CipherSuite, keys: RecordKeys, mac_last: bool) -> Protection:
    return Cbc(suite, keys, mac_last) if suite.cipher == "cbc" else Aead(suite, keys, inner=False)


def protection_1_3(suite: CipherSuite, secret: bytes) -> Protection:
    return Aead(suite, traffic_keys(suite, secret), inner=True)
