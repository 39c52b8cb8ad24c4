"""Advice for errors of destinations."""

from __future__ import annotations

import errno
import socket
import ssl

from capture_agent.net.sink_errors import ALERTS

# X509_V_ERR_ of openssl/x509_vfy.h
NOT_YET_VALID, EXPIRED, WRONG_NAME, WRONG_ADDRESS = 9, 10, 62, 64
UNKNOWN_ISSUER = (18, 19, 20, 21)
CERTIFICATE = {
    NOT_YET_VALID: "its certificate is not valid yet: check the clocks of both hosts",
    EXPIRED: "renew its certificate; if it is still valid, check the clock of this host",
    WRONG_NAME: "set tls_server_name to the name that the certificate has, or issue one for this name",
    WRONG_ADDRESS: "set tls_server_name to the name that the certificate has, or issue one for this address",
    **dict.fromkeys(UNKNOWN_ISSUER, "set tls_ca to a file with the certificate of its authority"),
}
BY_NUMBER = {
    errno.ECONNREFUSED: "nobody listens there: start the receiver, check port and transport (Homer's TCP port must be"
    " enabled), and the receiver's firewall",
    errno.ECONNRESET: "the receiver, or a load balancer before it, ends the connection: check its log and its protocol",
    errno.EPIPE: "the receiver, or a load balancer before it, ends the connection: check its log and its protocol",
    errno.ETIMEDOUT: "no answer: check the address, the route, and firewalls between the hosts",
    errno.EHOSTUNREACH: "no route to the host: check the address, and `ip route get`",
    errno.ENETUNREACH: "no route to the network: check the address, and `ip route get`",
}
LOOKUP = "check the name, and the name server: `getent hosts NAME` on this host; or use an address"
SOURCE = "correct the destination's `source`: an address or interface of this host"
OTHERWISE = "check host, port and transport of the destination"
DATABASE = (
    "check the database's URL, its server, and the permissions of its user; `capture-agent db create` makes tables"
)
KAFKA = "start a broker that it names, correct the options of TLS, user and password, or create the topic"

COLUMN = "change the column to what `capture-agent db create` makes"
EXTRA_COLUMN = "give the column a default, or let it accept NULL: the agent fills only the columns of sip_trace"


def for_error(error: BaseException) -> str:
    """By the operating system's error, or the one that it was raised from."""
    cause = error if isinstance(error, OSError) else error.__cause__
    if isinstance(cause, socket.gaierror):
        return LOOKUP
    if isinstance(cause, ssl.SSLCertVerificationError):
        return CERTIFICATE.get(cause.verify_code, "renew its certificate")
    if isinstance(cause, ssl.SSLError) and getattr(cause, "reason", None) in ALERTS:  # OpenSSL's own errors have one
        return "set tls_cert and tls_key to a certificate that the receiver accepts, and its key"
    if isinstance(cause, ssl.SSLError):
        return "is it a port for TLS? Check the transport, and the TLS versions of the receiver"
    if isinstance(cause, TimeoutError):
        return BY_NUMBER[errno.ETIMEDOUT]
    if isinstance(cause, OSError):
        if str(cause.strerror).startswith("source "):
            return SOURCE
        return BY_NUMBER.get(cause.errno or 0, OTHERWISE)
    return OTHERWISE
