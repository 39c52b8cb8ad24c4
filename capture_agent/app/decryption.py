"""The keys of TLS: where the configuration and capture files have them."""

from __future__ import annotations

import logging
import resource
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from capture_agent.config import Config
from capture_agent.config.config_errors import where
from capture_agent.config.key_log_listen import udp_place
from capture_agent.config.precedence import Layers
from capture_agent.config.sections import TlsSection
from capture_agent.os_errors import in_words
from capture_agent.pipeline import Pipeline
from capture_agent.sources.key_logs import KeyLogFile, KeyLogs
from capture_agent.sources.pcapng import OnSecrets
from capture_agent.sources.source import SourceError

if TYPE_CHECKING:
    from capture_agent.streams.tls.key_store import KeyStore
    from capture_agent.streams.tls.private_keys import PrivateKey

NEEDED = "cryptography"
HOW = "pip install 'capture-agent[tls]'"
LONGEST_KEY = 1 << 20  # bytes of a file

_log = logging.getLogger(__name__)


def unusable(config: Config, layers: Layers) -> Iterator[str]:
    """A line for each reason that TLS could not be decrypted: its library is missing, a file has no key."""
    tls = config.tls
    if tls.decrypts and find_spec(NEEDED) is None:
        option = next(name for name in ("key_log", "key_log_listen", "keys") if getattr(tls, name))
        yield f"{where(layers, ('tls', option))}: needs {NEEDED}: {HOW}"
        return
    for path in tls.keys:
        try:
            read_private_key(path, tls.keys_password)
        except SourceError as error:
            yield f"{where(layers, ('tls', 'keys'))}: {error}"


def key_store(tls: TlsSection) -> KeyStore | None:
    """For the secrets of TLS connections; None: none is decrypted. Raises SourceError: a private key is not there."""
    if not tls.decrypts:
        return None
    from capture_agent.streams.tls.key_store import KeyStore

    return KeyStore(tls.mib << 20, private_keys(tls))


def private_keys(tls: TlsSection) -> tuple[PrivateKey, ...]:
    """Those of servers, as their files are now. Raises SourceError."""
    return tuple(read_private_key(path, tls.keys_password) for path in tls.keys)


def read_private_key(path: str, password: str) -> PrivateKey:
    """Raises SourceError, without anything of the file's text."""
    from capture_agent.streams.tls.private_keys import private_key

    try:
        with Path(path).open("rb") as file:
            return private_key(file.read(LONGEST_KEY), password)
    except OSError as error:
        raise SourceError(f"{path}: {in_words(error)}", usage=True) from None
    except ValueError as error:
        raise SourceError(f"{path}: {error}", usage=True) from None


def dump_no_core() -> None:
    """From now on: secrets of others do not end in a file that nobody watches."""
    _, most = resource.getrlimit(resource.RLIMIT_CORE)
    resource.setrlimit(resource.RLIMIT_CORE, (0, most))


def followed(tls: TlsSection, pipeline: Pipeline) -> KeyLogs | None:
    """The key logs of a live capture, not opened yet."""
    if pipeline.keys is None:
        return None
    dump_no_core()
    place = udp_place(tls.key_log_listen) if tls.key_log_listen else None
    return KeyLogs(tls.key_log, place, pipeline.keys.add)


def read_key_log(tls: TlsSection, pipeline: Pipeline) -> None:
    """All of the key log, for captures that are there already. Raises SourceError."""
    if tls.key_log and pipeline.keys is not None:
        try:
            KeyLogFile(tls.key_log, pipeline.keys.add).read_all()
        except OSError as error:
            raise SourceError(f"{tls.key_log}: {in_words(error)}", usage=True) from None


def secrets_for(pipeline: Pipeline) -> OnSecrets:
    """Takes key logs that capture files have with their packets."""
    told = False

    def take(key_log: bytes) -> None:
        nonlocal told
        if find_spec(NEEDED) is not None:
            pipeline.take_secrets(key_log)
        elif not told:
            told = True
            _log.warning("the capture has keys of TLS, but decryption needs %s: %s", NEEDED, HOW)

    return take
