"""The secrets of TLS sessions, from key logs in the format of NSS (RFC 9850) and of handshakes that were decrypted."""

from __future__ import annotations

import re
from binascii import unhexlify
from collections import deque
from hashlib import sha256
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from capture_agent.streams.tls.private_keys import PrivateKey

# RFC 9850 2.1 and 2.2: one for each direction and epoch; CLIENT_RANDOM has the master secret of TLS 1.2.
MASTER = b"CLIENT_RANDOM"
EARLY = b"CLIENT_EARLY_TRAFFIC_SECRET"
HANDSHAKE = {True: b"CLIENT_HANDSHAKE_TRAFFIC_SECRET", False: b"SERVER_HANDSHAKE_TRAFFIC_SECRET"}  # by: is the client's
TRAFFIC = {True: b"CLIENT_TRAFFIC_SECRET_0", False: b"SERVER_TRAFFIC_SECRET_0"}
SESSION = b""  # not of a key log: the master secret of a session that may be resumed
LABELS = (MASTER, EARLY, *HANDSHAKE.values(), *TRAFFIC.values())

LONGEST_LINE = 512  # bytes: the longest label, a random value and 64 bytes, in hexadecimal
MOST_NEWS = 100_000  # secrets between two batches
ENTRY_COST = 384  # bytes of memory of a secret with its place in the table
_LINE = re.compile(rb"([A-Z_0-9]{1,40}) +([0-9A-Fa-f]{64}) +([0-9A-Fa-f]{32,128})\s*")


class _Secrets:
    """By label and a name of 32 bytes, bounded: the oldest are evicted. One thread adds, any may look."""

    def __init__(self, max_bytes: int) -> None:
        self._most = max(1, max_bytes // ENTRY_COST)
        self._secrets: dict[tuple[bytes, bytes], bytes] = {}
        self._order: deque[tuple[bytes, bytes]] = deque()  # a dict looks for its first key past deleted ones

    def __len__(self) -> int:
        return len(self._secrets)

    def put(self, label: bytes, name: bytes, secret: bytes) -> None:
        key = (label, name)
        while len(self._secrets) >= self._most and key not in self._secrets:
            self._secrets.pop(self._order.popleft(), None)
        if key not in self._secrets:
            self._order.append(key)
        self._secrets[key] = secret

    def get(self, label: bytes, name: bytes) -> bytes | None:
        return self._secrets.get((label, name))


class KeyStore:
    """Secrets by label and client random: half of the memory for key logs, half for what handshakes have shown.

    One thread may add lines of key logs, while another decrypts. `news` has what has come since it was last asked.
    `private_keys`: of servers; any thread may replace them.
    """

    def __init__(self, max_bytes: int, private_keys: tuple[PrivateKey, ...] = ()) -> None:
        self.refused = 0  # lines that are not of a key log
        self.private_keys = private_keys
        self._news: deque[bytes] = deque(maxlen=MOST_NEWS)
        self._logged = _Secrets(max_bytes // 2)
        self._learned = _Secrets(max_bytes // 2)

    def __len__(self) -> int:
        return len(self._logged) + len(self._learned)

    def add(self, line: bytes) -> bool:
        """One line of a key log. False: it has no secret that is of use, or it is not such a line."""
        found = _LINE.fullmatch(line) if len(line) <= LONGEST_LINE else None
        if found is None:
            if line.strip() and not line.lstrip().startswith(b"#"):
                self.refused += 1
            return False
        label, random, secret = found.groups()
        if label not in LABELS or len(secret) % 2:
            return False
        name = unhexlify(random)
        self._logged.put(label, name, unhexlify(secret))
        self._news.append(name)
        return True

    def add_all(self, key_log: bytes) -> None:
        for line in key_log.splitlines():
            self.add(line)

    def news(self) -> list[bytes]:
        """The client randoms of the secrets that have come since the last call."""
        return [self._news.popleft() for _ in range(len(self._news))]

    def secret(self, label: bytes, random: bytes) -> bytes | None:
        return self._logged.get(label, random) or self._learned.get(label, random)

    def learn_master(self, random: bytes, master: bytes) -> None:
        """A private key has shown it."""
        self._learned.put(MASTER, random, master)

    def remember(self, session: bytes, master: bytes) -> None:
        """`session`: an id or a ticket that can resume it."""
        self._learned.put(SESSION, sha256(session).digest(), master)

    def recall(self, session: bytes) -> bytes | None:
        return self._learned.get(SESSION, sha256(session).digest())

    def private_key(self, certificate: bytes) -> PrivateKey | None:
        """The one of this certificate."""
        return next((key for key in self.private_keys if key.is_of(certificate)), None)
