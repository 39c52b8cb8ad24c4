"""One direction of a TLS connection: which keys hold for which records (RFC 8446 and RFC 5246)."""

from __future__ import annotations

from collections.abc import Callable

from capture_agent.streams.tls import hello
from capture_agent.streams.tls.handshake import Handshake, TlsReject, Undecryptable
from capture_agent.streams.tls.hello import HandshakeMessage, Malformed, MessageReader
from capture_agent.streams.tls.key_schedule import key_block, next_secret
from capture_agent.streams.tls.key_store import EARLY, HANDSHAKE, TRAFFIC, KeyStore
from capture_agent.streams.tls.record_headers import APPLICATION_DATA, CHANGE_CIPHER_SPEC, HANDSHAKE_RECORD
from capture_agent.streams.tls.record_protection import Protection, protection_1_2, protection_1_3

MOST_SKIPPED = 256  # records that are not authentic: early data that was refused, a handshake without its secret
MOST_LOST = 64  # records that may be missing in a gap


Starts = Callable[["TlsDirection"], bool]


class TlsDirection:
    """Takes the records of one direction in order. `handshakes` is shared by both: the last one is that in force."""

    __slots__ = (
        "_epoch",
        "_hellos",
        "_may_skip",
        "_protection",
        "_reader",
        "_secret",
        "_sequence",
        "_starts",
        "_store",
        "handshakes",
        "is_client",
        "is_protected",
    )

    def __init__(self, is_client: bool, handshakes: list[Handshake], store: KeyStore) -> None:
        self.is_client = is_client
        self.handshakes = handshakes
        self.is_protected = False  # with the keys that application data has
        self._store = store
        self._reader = MessageReader(reads_all=bool(store.private_keys))
        self._sequence = 0
        self._protection: Protection | None = None
        self._secret = b""  # of TLS 1.3
        # Takes new keys into use; false: they are not there yet. A bound method would keep this object alive.
        self._starts: Starts | None = None
        self._epoch = b""  # the label of the secret in use
        self._may_skip = 0  # records that need not be authentic
        self._hellos = 0

    @property
    def buffered(self) -> int:
        transcript = self.handshakes[-1].transcript if self.is_client and self.handshakes else None
        return self._reader.buffered + (0 if transcript is None else transcript.buffered)

    def take(self, header: bytes, body: bytes) -> bytes | None:
        """The application data in a record; empty if it is something else; None: its keys are not known yet.

        Raises Undecryptable.
        """
        if self._protection is None and self._starts is None and self._follows_1_3:
            self._start(TlsDirection._start_1_3)
        if self._starts is not None and header[0] != CHANGE_CIPHER_SPEC:
            if not self._starts(self):
                return None
            self._starts = None
        if self._waits_for_server(header[0]):
            return None
        try:
            if self._protection is None:
                return self._take_plain(header[0], body)
            return self._take_protected(header, body)
        except Malformed:
            raise Undecryptable(TlsReject.BROKEN) from None

    def plain_size(self, size: int) -> int | None:
        """How many bytes of plaintext a record of this size has; None: not known."""
        return None if self._protection is None else self._protection.plain_size(size)

    def is_ready(self) -> bool:
        """Whether records can be decrypted with the keys of application data."""
        if self._starts is not None and self._starts(self):
            self._starts = None
        return self._protection is not None and self.is_protected

    def lose(self) -> None:
        """A record was not captured."""
        self._reader.clear()
        if self.handshakes:
            self.handshakes[-1].miss()
        self._sequence += self._protection is not None

    def end(self) -> None:
        """The other direction may live on, and with it the handshake, of which nothing more will be heard here."""
        if self.handshakes:
            self.handshakes[-1].miss()

    def resume(self, header: bytes, body: bytes) -> bytes | None:
        """The application data of the first record that is complete after a gap; None: this is none."""
        protection = self._protection
        if protection is None:
            return None
        for sequence in range(self._sequence, self._sequence + MOST_LOST):
            if protection.opened(sequence, header, body) is not None:
                self._sequence = sequence
                return self.take(header, body)
        return None

    def _take_plain(self, kind: int, body: bytes) -> bytes | None:
        if kind == HANDSHAKE_RECORD:
            for message in self._reader.feed(body):
                self._hear(message)
        elif kind == CHANGE_CIPHER_SPEC:
            if self.handshakes and not self.handshakes[-1].is_1_3:
                self._change_cipher()
        elif kind == APPLICATION_DATA and not (self._hellos and self._says_hello_again):
            raise Undecryptable(TlsReject.BROKEN)
        return b""

    def _waits_for_server(self, kind: int) -> bool:
        """What follows the client's hello is only understood with the server's, and its keys with all that it says."""
        if self._secret or not self.is_client or not self._hellos or not self._reader.is_between:
            return False
        if self._protection is not None and kind not in (HANDSHAKE_RECORD, CHANGE_CIPHER_SPEC):
            return False  # a renegotiation may be refused
        now = self.handshakes[-1]
        return (now.server is None and not self._says_hello_again) or now.is_server_speaking

    @property
    def _says_hello_again(self) -> bool:
        """After a HelloRetryRequest; early data that was refused may come first."""
        return self._hellos == 1 and self.handshakes[-1].is_retried

    def _hear(self, message: HandshakeMessage) -> None:
        """A message of the handshake, in plain or decrypted."""
        kind, content = message.kind, message.body
        if kind == hello.CLIENT_HELLO and self.is_client:
            self._hellos += 1
            if not self.handshakes or not self.handshakes[-1].is_retried or self._hellos > 2:
                self.handshakes.append(Handshake(message, bool(self._store.private_keys)))
                del self.handshakes[:-2]
        elif kind == hello.SERVER_HELLO and not self.is_client:
            self._hear_server(message)
        elif not self.handshakes:
            return
        elif kind == hello.ENCRYPTED_EXTENSIONS and not self.is_client:
            self.handshakes[-1].early_accepted = hello.accepts_early_data(content)
        elif kind == hello.END_OF_EARLY_DATA and self._epoch == EARLY:
            self._start(TlsDirection._start_handshake)
        elif kind == hello.FINISHED and self._epoch == HANDSHAKE[self.is_client]:
            self._start(TlsDirection._start_traffic)
        elif kind == hello.KEY_UPDATE and self._secret:
            if not self._reader.is_between:  # RFC 8446 5.1; else one record could ask for thousands of keys
                raise Undecryptable(TlsReject.BROKEN)
            self._use(self._epoch, next_secret(self.handshakes[-1].suite, self._secret))
        elif not self._secret:
            self.handshakes[-1].hear(message, self.is_client, self._store)

    def _hear_server(self, message: HandshakeMessage) -> None:
        if not self.handshakes:
            raise Undecryptable(TlsReject.JOINED)
        now, server = self.handshakes[-1], hello.server_hello(message.body)
        if server.is_retry:
            now.is_retried, now.early_accepted = True, False
            return
        now.answer(server, message)
        if now.is_1_3:
            self._start(TlsDirection._start_handshake)

    @property
    def _follows_1_3(self) -> bool:
        """Whether the server has answered the client's hello with one of TLS 1.3."""
        if not self.is_client or not self._hellos:
            return False
        return self.handshakes[-1].server is not None and self.handshakes[-1].is_1_3

    @property
    def misses(self) -> TlsReject:
        """What it lacks while it waits."""
        heard = self.handshakes and self.handshakes[-1].server is not None
        return TlsReject.NO_KEY if heard else TlsReject.JOINED

    def _start(self, starts: Starts) -> None:
        """Other keys from the next record on."""
        self._starts = starts
        self._protection = None
        self._reader.clear()

    def _start_1_3(self) -> bool:
        """The client's first keys: those of early data if the server takes it."""
        now = self.handshakes[-1]
        early = self._store.secret(EARLY, now.client.random) if now.client.early_data else None
        if early is None or now.early_accepted is False:
            return self._start_handshake()
        if now.early_accepted is None and self._store.secret(HANDSHAKE[False], now.client.random) is not None:
            return False  # the server will say so in what can be decrypted
        self._use(EARLY, early)
        return True

    def _start_handshake(self) -> bool:
        now = self.handshakes[-1]
        secret = self._store.secret(HANDSHAKE[self.is_client], now.client.random)
        refused = self.is_client and now.client.early_data  # then records of early data come first
        self._may_skip = MOST_SKIPPED if secret is None or refused else 0
        if secret is None:
            return self._start_traffic()  # the log lacks this line: the records of the handshake are passed over
        self._use(HANDSHAKE[self.is_client], secret)
        return True

    def _start_traffic(self) -> bool:
        secret = self._store.secret(TRAFFIC[self.is_client], self.handshakes[-1].client.random)
        if secret is None:
            return False
        self._use(TRAFFIC[self.is_client], secret)
        self.is_protected = True
        return True

    def _change_cipher(self) -> None:
        if not self.is_client:
            self.handshakes[-1].is_server_speaking = False
        self._start(TlsDirection._start_1_2)

    def _start_1_2(self) -> bool:
        now = self.handshakes[-1]
        master = now.master(self._store)
        if master is None or now.server is None:
            return False
        if not self.is_client:
            now.remember(self._store, master)
        keys = key_block(now.suite, master, now.client.random, now.server.random)[not self.is_client]
        self._protection = protection_1_2(now.suite, keys, now.server.mac_last)
        self._sequence = 0
        self.is_protected = True
        return True

    def _use(self, epoch: bytes, secret: bytes) -> None:
        self._epoch, self._secret = epoch, secret
        self._reader.reads_all = False
        self._protection = protection_1_3(self.handshakes[-1].suite, secret)
        self._sequence = 0

    def _take_protected(self, header: bytes, body: bytes) -> bytes:
        assert self._protection is not None
        kind = header[0]
        if self._secret and kind == CHANGE_CIPHER_SPEC:
            return b""  # RFC 8446 D.4
        plain = self._protection.opened(self._sequence, header, body)
        if plain is None:
            if not self._may_skip:
                raise Undecryptable(TlsReject.BROKEN)
            self._may_skip -= 1
            return b""
        self._sequence += 1
        if self._epoch in TRAFFIC.values():
            self._may_skip = 0
        if self._secret:
            plain = plain.rstrip(b"\0")
            if not plain:
                raise Undecryptable(TlsReject.BROKEN)
            kind, plain = plain[-1], plain[:-1]
        if kind == APPLICATION_DATA:
            return plain
        if kind == HANDSHAKE_RECORD:
            for message in self._reader.feed(plain):
                self._hear(message)
        elif kind == CHANGE_CIPHER_SPEC:
            self._change_cipher()
        return b""
