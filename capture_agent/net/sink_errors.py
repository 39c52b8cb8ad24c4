"""The only error that a sink raises, and operating system errors as text."""

from __future__ import annotations

import errno
import os
import socket
import ssl

from capture_agent.os_errors import in_words

# What the other side says about our certificate, by OpenSSL's names (RFC 8446 6.2).
ALERTS = {
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": "it demands a client certificate",
    "TLSV1_ALERT_UNKNOWN_CA": "it does not accept our certificate: unknown authority",
    "SSLV3_ALERT_BAD_CERTIFICATE": "it does not accept our certificate",
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": "it does not accept our certificate",
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": "it does not accept our certificate: expired",
    "SSLV3_ALERT_CERTIFICATE_REVOKED": "it does not accept our certificate: revoked",
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": "it does not accept our certificate",
}


class SinkError(Exception):
    """The other side is down, or refuses the configuration. One clear line, without secrets or SIP."""


def reason(error: OSError) -> str:
    """An operating system error as text for people: `connection refused`."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return ALERTS.get(error.reason or "", f"TLS: {error.reason or 'failed'}")
    if isinstance(error, socket.gaierror):
        return "the host name is not known"
    if isinstance(error, TimeoutError) and error.strerror in (None, os.strerror(errno.ETIMEDOUT)):
        return "no answer in time"
    return in_words(error)
