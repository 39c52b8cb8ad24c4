"""The cipher suites that can be decrypted, by their numbers in the registry of IANA."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Cipher = Literal["gcm", "ccm", "ccm8", "chacha20", "cbc"]


@dataclass(frozen=True, slots=True)
class CipherSuite:
    """`hash` is that of HKDF (TLS 1.3) or of the PRF (TLS 1.2), `mac` that of the records of CBC suites."""

    cipher: Cipher
    key_size: int  # bytes
    hash: str
    mac: str = ""

    @property
    def mac_size(self) -> int:
        return {"": 0, "sha1": 20, "sha256": 32, "sha384": 48}[self.mac]

    @property
    def implicit_size(self) -> int:
        """Bytes of the nonce that the key block of TLS 1.2 has: RFC 5288 3, RFC 6655 3, RFC 7905 2."""
        return {"gcm": 4, "ccm": 4, "ccm8": 4, "chacha20": 12, "cbc": 0}[self.cipher]


TLS_1_3 = {
    0x1301: CipherSuite("gcm", 16, "sha256"),
    0x1302: CipherSuite("gcm", 32, "sha384"),
    0x1303: CipherSuite("chacha20", 32, "sha256"),
    0x1304: CipherSuite("ccm", 16, "sha256"),
    0x1305: CipherSuite("ccm8", 16, "sha256"),
}

# Of TLS 1.2: the numbers of the same cipher for each way to exchange keys: with a key log it does not matter which one.
_BY_CIPHER = {
    CipherSuite("cbc", 16, "sha256", "sha1"): (0x002F, 0x0033, 0xC009, 0xC013),
    CipherSuite("cbc", 32, "sha256", "sha1"): (0x0035, 0x0039, 0xC00A, 0xC014),
    CipherSuite("cbc", 16, "sha256", "sha256"): (0x003C, 0x0067, 0xC023, 0xC027),
    CipherSuite("cbc", 32, "sha256", "sha256"): (0x003D, 0x006B),
    CipherSuite("cbc", 32, "sha384", "sha384"): (0xC024, 0xC028),
    CipherSuite("gcm", 16, "sha256"): (0x009C, 0x009E, 0xC02B, 0xC02F),
    CipherSuite("gcm", 32, "sha384"): (0x009D, 0x009F, 0xC02C, 0xC030),
    CipherSuite("ccm", 16, "sha256"): (0xC09C, 0xC09E, 0xC0AC),
    CipherSuite("ccm", 32, "sha256"): (0xC09D, 0xC09F, 0xC0AD),
    CipherSuite("ccm8", 16, "sha256"): (0xC0A0, 0xC0A2, 0xC0AE),
    CipherSuite("ccm8", 32, "sha256"): (0xC0A1, 0xC0A3, 0xC0AF),
    CipherSuite("chacha20", 32, "sha256"): (0xCCA8, 0xCCA9, 0xCCAA),
}
TLS_1_2 = {number: suite for suite, numbers in _BY_CIPHER.items() for number in numbers}

# Those whose premaster secret is encrypted with the server's RSA key: RFC 5246 A.5, RFC 5288 3, RFC 6655 3.
RSA_EXCHANGE = frozenset((0x002F, 0x0035, 0x003C, 0x003D, 0x009C, 0x009D, 0xC09C, 0xC09D, 0xC0A0, 0xC0A1))
