"""The only error that a sink raises, and operating system errors in words."""

from __future__ import annotations

import errno
import os
import socket
import ssl

from capture_agent.os_errors import in_words


class SinkError(Exception):
    """The other side is down, or refuses what a user has configured. One clear line, without secrets or SIP."""


def reason(error: OSError) -> str:
    """An operating system's error as a person reads it: `connection refused`."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {error.reason or 'failed'}"
    if isinstance(error, socket.gaierror):
        return "the host name is not known"
    if isinstance(error, TimeoutError) and error.strerror in (None, os.strerror(errno.ETIMEDOUT)):
        return "no answer in time"
    return in_words(error)
