"""Private keys of servers, for handshakes that encrypt the premaster secret with RSA (RFC 5246 7.4.7.1)."""

from __future__ import annotations

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat, load_pem_private_key

PREMASTER_SIZE = 48  # bytes


class PrivateKey:
    """An RSA key. It appears in no text."""

    def __init__(self, key: RSAPrivateKey) -> None:
        self._key = key
        self._public = key.public_key().public_bytes(Encoding.DER, PublicFormat.PKCS1)

    def is_of(self, certificate: bytes) -> bool:
        """Whether this certificate (DER) has its public key. No certificate of a stranger is parsed for that."""
        return self._public in certificate

    def premaster(self, encrypted: bytes, versions: tuple[int, int]) -> bytes | None:
        """The secret that a client has encrypted for this key; None: it was not encrypted for it.

        `versions`: the one that the client offered, which the secret begins with, and the negotiated one, with which
        some clients begin it. OpenSSL 3.2 and later gives random bytes instead of an error if the padding is wrong:
        they have another size or another version.
        """
        try:
            secret = self._key.decrypt(encrypted, PKCS1v15())
        except ValueError:
            return None
        is_one = len(secret) == PREMASTER_SIZE and int.from_bytes(secret[:2], "big") in versions
        return secret if is_one else None


def private_key(pem: bytes, password: str) -> PrivateKey:
    """Raises ValueError, which says what is wrong with the file, without any of its text."""
    key: object
    try:
        key = load_pem_private_key(pem, None)
    except TypeError:  # it is encrypted
        key = _with_password(pem, password)
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("not a private key in PEM") from None
    if not isinstance(key, RSAPrivateKey):
        raise ValueError("not an RSA key: only those encrypt the secrets of TLS")
    return PrivateKey(key)


def _with_password(pem: bytes, password: str) -> object:
    if not password:
        raise ValueError("encrypted, and there is no keys_password")
    try:
        return load_pem_private_key(pem, password.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("keys_password does not decrypt it") from None
