"""What can be found out about [http] before it listens."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from importlib.util import find_spec

from capture_agent.config import Config
from capture_agent.config.config_errors import where
from capture_agent.config.precedence import Layers
from capture_agent.config.sections import Http

NEEDED = ("starlette", "uvicorn")


def unusable(config: Config, layers: Layers) -> Iterator[str]:
    """A line for each reason that it could never listen: its libraries, its certificate."""
    http = config.http
    if http.listen and not all(map(find_spec, NEEDED)):
        yield f"{where(layers, ('http', 'listen'))}: needs {' and '.join(NEEDED)}: pip install 'capture-agent[http]'"
    try:
        tls_of(http)
    except (OSError, ValueError) as error:
        why = f" ({error.strerror})" if isinstance(error, FileNotFoundError | PermissionError) else ""
        yield f"{where(layers, ('http', 'tls_cert'))}: expected a certificate and its key{why}"


def tls_of(http: Http) -> ssl.SSLContext | None:
    """None: without TLS. Raises OSError (ssl.SSLError is one) or ValueError: the files cannot be used."""
    if not (http.tls_cert or http.tls_key):
        return None
    if not http.tls_cert:
        raise ValueError("a key without a certificate")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # A key with a passphrase would ask for it on the terminal.
    context.load_cert_chain(http.tls_cert, http.tls_key or None, password=lambda: "")
    return context
