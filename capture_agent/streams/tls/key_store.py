"""The secrets of TLS sessions, from key logs in the format of NSS (RFC 9850)."""

from __future__ import annotations

import re
from binascii import unhexlify
from collections import deque

# RFC 9850 2.1 and 2.2: one for each direction and epoch; CLIENT_RANDOM has the master secret of TLS 1.2.
MASTER = b"CLIENT_RANDOM"
EARLY = b"CLIENT_EARLY_TRAFFIC_SECRET"
HANDSHAKE = {True: b"CLIENT_HANDSHAKE_TRAFFIC_SECRET", False: b"SERVER_HANDSHAKE_TRAFFIC_SECRET"}  # by: is the client's
TRAFFIC = {True: b"CLIENT_TRAFFIC_SECRET_0", False: b"SERVER_TRAFFIC_SECRET_0"}
LABELS = (MASTER, EARLY, *HANDSHAKE.values(), *TRAFFIC.values())

LONGEST_LINE = 512  # bytes: the longest label, a random value and 64 bytes, in hexadecimal
MOST_NEWS = 100_000  # secrets between two batches
ENTRY_COST = 384  # bytes of memory of a secret with its place in the table
_LINE = re.compile(rb"([A-Z_0-9]{1,40}) +([0-9A-Fa-f]{64}) +([0-9A-Fa-f]{32,128})\s*")


class KeyStore:
    """Secrets by label and client random, bounded: the oldest are evicted. Any thread may add.

    `news` has what has come since it was last asked.
    """

    def __init__(self, max_bytes: int) -> None:
        self.refused = 0  # lines that are not of a key log
        self._news: deque[bytes] = deque(maxlen=MOST_NEWS)
        self._most = max(1, max_bytes // ENTRY_COST)
        self._secrets: dict[tuple[bytes, bytes], bytes] = {}
        self._order: deque[tuple[bytes, bytes]] = deque()  # a dict looks for its first key past deleted ones

    def __len__(self) -> int:
        return len(self._secrets)

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
        key = (label, unhexlify(random))
        while len(self._secrets) >= self._most and key not in self._secrets:
            self._secrets.pop(self._order.popleft(), None)
        if key not in self._secrets:
            self._order.append(key)
        self._secrets[key] = unhexlify(secret)
        self._news.append(key[1])
        return True

    def add_all(self, key_log: bytes) -> None:
        for line in key_log.splitlines():
            self.add(line)

    def news(self) -> list[bytes]:
        """The client randoms of the secrets that have come since the last call."""
        return [self._news.popleft() for _ in range(len(self._news))]

    def secret(self, label: bytes, random: bytes) -> bytes | None:
        return self._secrets.get((label, random))
