"""TLS to receivers: the context of a target, from its certificate files."""

from __future__ import annotations

import ssl
from pathlib import Path

from capture_agent.config.targets import HepTarget, SipTarget
from capture_agent.net.sink_errors import SinkError
from capture_agent.os_errors import in_words

KEY_OF_ANOTHER = "KEY_VALUES_MISMATCH"  # OpenSSL's name


class TlsFileError(SinkError):
    """A file that an option names cannot be used."""

    def __init__(self, target: HepTarget | SipTarget, option: str, expected: str, cause: OSError | None) -> None:
        self.option = option
        why = f" ({in_words(cause)})" if cause is not None and not isinstance(cause, ssl.SSLError) else ""
        self.expected = expected + why
        super().__init__(f"{target}: {option}: {getattr(target, option)}: not {self.expected}")


def tls_context(target: HepTarget | SipTarget) -> ssl.SSLContext:
    """Certificate and host name are checked unless the target disables that. Raises TlsFileError."""
    try:
        context = ssl.create_default_context(cafile=target.tls_ca or None)
    except OSError as error:
        raise TlsFileError(target, "tls_ca", "a file of certificates", error) from error
    if not target.tls_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if target.tls_cert:
        load_own(context, target)
    return context


def load_own(context: ssl.SSLContext, target: HepTarget | SipTarget) -> None:
    """The certificate that identifies us. Raises TlsFileError: nobody is asked for a key's password."""
    asked = False

    def password() -> str:
        nonlocal asked
        asked = True
        return ""

    key = target.tls_key or target.tls_cert
    for option, file in (("tls_cert", target.tls_cert), ("tls_key", key)):
        try:
            Path(file).read_bytes()
        except OSError as error:
            raise TlsFileError(target, option, "a file that can be read", error) from error
    try:
        context.load_cert_chain(target.tls_cert, key, password)
    except OSError as error:
        option = "tls_key" if target.tls_key else "tls_cert"
        if asked:
            raise TlsFileError(target, option, "a key without a password", None) from error
        if isinstance(error, ssl.SSLError) and error.reason == KEY_OF_ANOTHER:
            raise TlsFileError(target, option, "the key of the certificate in tls_cert", None) from error
        expected = "a certificate and its key" if not target.tls_key else "a certificate in tls_cert and its key"
        raise TlsFileError(target, option, expected, None) from error


def server_name(target: HepTarget | SipTarget) -> str:
    """The name that the receiver's certificate must have, and that it is told (SNI)."""
    return target.tls_server_name or target.host
