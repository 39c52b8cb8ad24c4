"""The only error that a sink raises, and operating system errors as text."""

from __future__ import annotations

import errno
import os
import socket
import ssl

from capture_agent.os_errors import in_words


class SinkError(Exception):
    """The other side is down, or refuses the configuration. One clear line, without secrets or SIP."""


def reason(error: OSError) -> str:
    """An operating system error as text for people: `connection refused`."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or 'failed'}"
    if isinstance(error, socket.gaierror):
        return "the host name is not known"
    if isinstance(error, TimeoutError) and error.strerror in (None, os.strerror(errno.ETIMEDOUT)):
        return "no answer in time"
    return in_words(error)
