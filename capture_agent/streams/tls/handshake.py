"""What both ends say in one handshake, and the secret that follows from it with a private key."""

from __future__ import annotations

import hashlib
from enum import StrEnum

from capture_agent.streams.tls import hello
from capture_agent.streams.tls.cipher_suites import RSA_EXCHANGE, TLS_1_2, TLS_1_3, CipherSuite
from capture_agent.streams.tls.hello import HandshakeMessage, ServerHello
from capture_agent.streams.tls.key_schedule import extended_master_secret, master_secret
from capture_agent.streams.tls.key_store import MASTER, KeyStore
from capture_agent.streams.tls.private_keys import PrivateKey


class TlsReject(StrEnum):
    """Why a connection is not decrypted, or not any more. Each value is a metric label."""

    NO_KEY = "no_key"  # no key log has a secret of it, and no private key decrypts one
    JOINED = "joined"  # its handshake was not captured
    UNSUPPORTED = "unsupported"  # another version or cipher suite, or compression
    BROKEN = "broken"  # a record that is not TLS, or is not authentic with these keys
    GAP = "gap"  # packets are missing, and the records after them could not be found


class Undecryptable(Exception):
    """Nothing more of this direction can be decrypted."""

    def __init__(self, why: TlsReject) -> None:
        super().__init__(why)
        self.why = why


class Transcript:
    """The hash of all messages up to the client's key exchange, RFC 7627 3. Those of the server must come first."""

    __slots__ = ("_hash", "_hello", "_is_whole")

    def __init__(self, client_hello: HandshakeMessage) -> None:
        self._hello = client_hello.whole or b""
        self._hash: hashlib._Hash | None = None
        self._is_whole = True

    @property
    def buffered(self) -> int:
        return len(self._hello)

    def begin(self, hash_name: str) -> None:
        """The server has chosen it."""
        self._hash = hashlib.new(hash_name, self._hello)
        self._hello = b""

    def add(self, message: HandshakeMessage) -> None:
        whole = message.whole
        if whole is None:
            self._is_whole = False
        elif self._hash is not None:
            self._hash.update(whole)

    def miss(self) -> None:
        """A message was not captured, or will not be."""
        self._hello, self._is_whole = b"", False

    def digest(self) -> bytes | None:
        """None: not all messages are known."""
        return self._hash.digest() if self._hash is not None and self._is_whole else None


class Handshake:
    """What both hellos have said. A connection of TLS 1.2 may have several.

    `is_server_speaking`: what the server says is still needed before the client's answer can be understood.
    """

    __slots__ = (
        "_private_key",
        "_ticket",
        "client",
        "early_accepted",
        "is_retried",
        "is_server_speaking",
        "server",
        "transcript",
    )

    def __init__(self, message: HandshakeMessage, transcribes: bool) -> None:
        """Of the client's hello. Raises Malformed. `transcribes`: a private key may need all that is said."""
        self.client = hello.client_hello(message.body)
        self.server: ServerHello | None = None
        self.is_retried = False  # there was a HelloRetryRequest: the client says hello once more
        self.early_accepted: bool | None = None  # None: not known yet
        self.is_server_speaking = False
        self.transcript = Transcript(message) if transcribes else None
        self._private_key: PrivateKey | None = None
        self._ticket = b""  # that the server has given

    @property
    def suite(self) -> CipherSuite:
        """Raises Undecryptable."""
        assert self.server is not None
        suites = {hello.VERSION_1_3: TLS_1_3, hello.VERSION_1_2: TLS_1_2}.get(self.server.version, {})
        suite = suites.get(self.server.suite)
        if suite is None or self.server.compressed:
            raise Undecryptable(TlsReject.UNSUPPORTED)
        return suite

    @property
    def is_1_3(self) -> bool:
        return self.is_retried or (self.server is not None and self.server.version == hello.VERSION_1_3)

    def answer(self, server: ServerHello, message: HandshakeMessage) -> None:
        """The server's hello. Raises Undecryptable if it chose what is not supported."""
        self.server = server
        suite = self.suite
        if self.transcript is not None and server.suite in RSA_EXCHANGE and not self._is_resumed:
            self.is_server_speaking = True
            self.transcript.begin(suite.hash)
            self.transcript.add(message)
        else:
            self.transcript = None

    def hear(self, message: HandshakeMessage, by_client: bool, store: KeyStore) -> None:
        """Another message of TLS 1.2, without keys or with those of the handshake before. Raises Malformed."""
        if self.transcript is not None and message.kind != hello.HELLO_REQUEST:
            self.transcript.add(message)
        if by_client:
            if message.kind == hello.CLIENT_KEY_EXCHANGE and self._private_key is not None:
                self._exchange(self._private_key, message.body, store)
                self.transcript = self._private_key = None
        elif message.kind == hello.CERTIFICATE and self.is_server_speaking:
            self._private_key = store.private_key(hello.own_certificate(message.body))
        elif message.kind == hello.SERVER_HELLO_DONE:
            self.is_server_speaking = False
        elif message.kind == hello.NEW_SESSION_TICKET:
            self._ticket = hello.new_ticket(message.body)

    def miss(self) -> None:
        """A message was not captured, or will not be."""
        self.is_server_speaking = False
        if self.transcript is not None:
            self.transcript.miss()

    def _exchange(self, key: PrivateKey, body: bytes, store: KeyStore) -> None:
        assert self.server is not None
        versions = (self.client.version, self.server.version)
        premaster = key.premaster(hello.encrypted_premaster(body), versions)
        if premaster is None:
            return
        if not self.server.extended_master:
            master = master_secret(self.suite, premaster, self.client.random, self.server.random)
        elif self.transcript is not None and (session_hash := self.transcript.digest()) is not None:
            master = extended_master_secret(self.suite, premaster, session_hash)
        else:
            return
        store.learn_master(self.client.random, master)

    @property
    def _is_resumed(self) -> bool:
        """Whether the server goes on with a session: RFC 5246 7.4.1.3, RFC 5077 3.4."""
        assert self.server is not None
        return bool(self.client.session_id) and self.client.session_id == self.server.session_id

    def master(self, store: KeyStore) -> bytes | None:
        """The master secret of TLS 1.2, if it is known."""
        master = store.secret(MASTER, self.client.random)
        if master is None and self.server is not None and self._is_resumed:
            master = store.recall(self.client.ticket or self.client.session_id)
        return master

    def remember(self, store: KeyStore, master: bytes) -> None:
        """What can resume this session."""
        assert self.server is not None
        for session in filter(None, (self.server.session_id, self._ticket)):
            store.remember(session, master)
