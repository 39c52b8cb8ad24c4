"""Certificates, ours and the receiver's: expired, of another name, demanded; and what `config check` and doctor say."""

from __future__ import annotations

import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest
from doctor.patients import certificate
from faults.peers import Peer, Read, until
from sink_samples import batch_of

from capture_agent.config import ConfigError, load
from capture_agent.config.targets import HepTarget, SipTarget
from capture_agent.delivery.outbox import Outbox
from capture_agent.doctor.own_certificate import own_certificate
from capture_agent.doctor.receivers import of_our_certificate, steps
from capture_agent.net.sink_errors import SinkError
from capture_agent.net.tls import TlsFileError
from capture_agent.sinks.checks import certificates
from capture_agent.sinks.hep.hep_sink import HepSink
from capture_agent.sinks.sip.sip_duplicate import SipDuplicateSink
from hep import StreamDecoder

pytestmark = pytest.mark.once


def folder(path: Path, name: str) -> Path:
    made = path / name
    made.mkdir()
    return made


class Demanding(Read):
    """A collector that demands a certificate which `trusted` has signed."""

    def __init__(self, own: Path, trusted: Path, version: ssl.TLSVersion) -> None:
        super().__init__(tls=own)
        assert self._tls is not None
        self._tls.verify_mode = ssl.CERT_REQUIRED
        self._tls.load_verify_locations(trusted)
        self._tls.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        self._tls.maximum_version = version


def target(peer: Peer, ca: Path, **options: Any) -> HepTarget:
    return HepTarget("127.0.0.1", peer.port, "tls", tls_ca=str(ca), **options)


VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
@pytest.mark.parametrize("in_one_file", [False, True])
def test_a_certificate_that_is_demanded(tmp_path: Path, version: ssl.TLSVersion, in_one_file: bool) -> None:
    own, ours = certificate(folder(tmp_path, "own")), certificate(folder(tmp_path, "ours"), "DNS:agent.test")
    with Demanding(own, ours, version) as there:
        key = "" if in_one_file else str(tmp_path / "ours" / "key.pem")
        outbox = Outbox(HepSink(target(there, own, tls_cert=str(ours), tls_key=key)))
        outbox.put(batch_of(1000))
        outbox.close(30)
        assert outbox.ledger().outcomes == {"sent": 1000, "waiting": 0}
        read = [packet.payload for packet in StreamDecoder().feed(bytes(there.streams[0]))]
    assert read == [one.message.raw for one in batch_of(1000)]


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
@pytest.mark.parametrize("ours", ["none", "unknown", "expired"])
def test_a_certificate_that_is_not_accepted(tmp_path: Path, version: ssl.TLSVersion, ours: str) -> None:
    """Nothing counts as sent, also with TLS 1.3, whose servers say so after the handshake."""
    own, known = certificate(folder(tmp_path, "own")), certificate(folder(tmp_path, "known"), "DNS:a", days=-1)
    other = certificate(folder(tmp_path, "other"), "DNS:b")
    with Demanding(own, known, version) as there:
        cert = {"none": "", "unknown": str(other), "expired": str(known)}[ours]
        one = target(there, own, tls_cert=cert)
        outbox = Outbox(HepSink(one), first_delay=0.05)
        outbox.put(batch_of(10))
        until(lambda: outbox.down() is not None)
        assert outbox.ledger().outcomes == {"sent": 0, "waiting": 10}
        outbox.close(0.1)
        assert [finding.status.value for finding in steps(one)][-1] == "broken"
        assert there.read == 0


@pytest.mark.parametrize(
    ("made", "options", "want"),
    [
        pytest.param({"days": -1}, {}, "certificate has expired", id="expired"),
        pytest.param({"names": "DNS:homer.test"}, {}, "IP address mismatch", id="another name"),
        pytest.param({"names": "DNS:homer.test"}, {"tls_server_name": "homer.test"}, "", id="its name"),
        pytest.param({"names": "DNS:*.homer.test"}, {"tls_server_name": "a.homer.test"}, "", id="a wildcard"),
        pytest.param({}, {"tls_server_name": "homer.test"}, "Hostname mismatch", id="not its name"),
    ],
)
@pytest.mark.parametrize("kind", [HepTarget, SipTarget])
def test_the_certificate_of_the_receiver(
    tmp_path: Path, made: dict[str, Any], options: dict[str, Any], want: str, kind: type
) -> None:
    own = certificate(tmp_path, **made)
    with Read(tls=own) as there:
        one = kind("127.0.0.1", there.port, "tls", tls_ca=str(own), **options)
        sink = HepSink(one) if kind is HepTarget else SipDuplicateSink(one)
        if want:
            with pytest.raises(SinkError, match=f"its certificate is not accepted: .*{want}"):
                sink.send(batch_of(1))
            assert there.read == 0
        else:
            sink.send(batch_of(1))
            sink.flush()
            assert sink.sent == 1
        sink.close()


def test_the_name_is_asked_for(tmp_path: Path) -> None:
    own, asked = certificate(tmp_path, "DNS:homer.test"), []
    with Read(tls=own) as there:
        assert there._tls is not None
        there._tls.sni_callback = lambda connection, name, context: asked.append(name)
        sink = HepSink(target(there, own, tls_server_name="homer.test"))
        sink.open()
        sink.close()
    assert asked == ["homer.test"]


def locked(path: Path) -> Path:
    """A key with a password."""
    key = path / "locked.pem"
    command = ["openssl", "ec", "-aes128", "-passout", "pass:x", "-in", str(path / "key.pem"), "-out", str(key)]
    subprocess.run(command, check=True, capture_output=True)
    return key


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    """None of them makes anybody wait for a password."""
    ours = certificate(folder(tmp_path, "ours"))
    certificate(folder(tmp_path, "other"))
    (text := tmp_path / "text").write_text("text")
    for cert, key, want in (
        (str(tmp_path / "none"), "", ("tls_cert", "expected a file that can be read (no such file or directory)")),
        (
            str(ours),
            str(tmp_path / "none"),
            ("tls_key", "expected a file that can be read (no such file or directory)"),
        ),
        (str(text), "", ("tls_cert", "expected a certificate and its key")),
        (str(ours), str(text), ("tls_key", "expected a certificate in tls_cert and its key")),
        (
            str(ours),
            str(tmp_path / "other" / "key.pem"),
            ("tls_key", "expected the key of the certificate in tls_cert"),
        ),
        (str(ours), str(locked(tmp_path / "ours")), ("tls_key", "expected a key without a password")),
    ):
        one = HepTarget("127.0.0.1", 1, "tls", tls_cert=cert, tls_key=key)
        assert list(certificates(one)) == [want]
        with pytest.raises(TlsFileError, match=f"^hep\\+tls:127.0.0.1:1: {want[0]}: "):
            HepSink(one)
        assert of_our_certificate(one).status.value == "broken"


@pytest.mark.parametrize(("days", "status"), [(-1, "broken"), (90, "ok")], ids=["expired", "valid"])
def test_the_dates_of_our_certificate(tmp_path: Path, days: int, status: str) -> None:
    ours = certificate(tmp_path, "DNS:agent.test", days=days)
    finding = of_our_certificate(HepTarget("127.0.0.1", 1, "tls", tls_cert=str(ours)))
    assert finding.status.value == status
    if days > 0:
        assert own_certificate(str(ours), str(ours))["subject"] == ((("commonName", "collector"),),)


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("transport = 'tls'\ntls_key = 'k'", "tls_key: it needs tls_cert"),
        ("tls_ca = 'c'", "tls_ca: over tls only, not udp"),
        ("transport = 'tcp'\ntls_cert = 'c'", "tls_cert: over tls only, not tcp"),
        ("transport = 'tcp'\ntls_key = 'k'", "tls_key: over tls only, not tcp"),
        ("transport = 'tcp'\ntls_verify = false", "tls_verify: over tls only, not tcp"),
        ("tls_server_name = 'n'", "tls_server_name: over tls only, not udp"),
        ("dead_after_seconds = 30", "dead_after_seconds: over tcp and tls only"),
        ("[spool]\nmib = 5", "spool: mib without a directory in [spool]"),
        ("[spool]\nbeside = true\nmax_age_hours = 3", "spool: max_age_hours, beside without a directory"),
        ("transport = 'tcp'\noversize = 'hep.1'", "oversize: over udp only"),
        ("datagram_bytes = 1400", "datagram_bytes: it needs oversize"),
        ("keep_alive_seconds = 5", "keep_alive_seconds: over tcp and tls only"),
        ("version = 2\ncompress = true", "compress: HEP 2 has no compressed payload"),
        ("duplicates_on_reconnect = 'prefer'", "duplicates_on_reconnect: over tcp and tls only"),
        ("spool = { mib = 5 }", "spool: that of hep:h:9060 needs a directory in [spool]"),
        ("dead_after_seconds = 1", "dead_after_seconds"),
        ("duplicates_on_reconnect = 'maybe'", "duplicates_on_reconnect"),
        ("oversize = 'homer'", "expected the name of a sink"),
        ("oversize = 'hep.1'", "over tcp or tls"),
        ("oversize = 'sip.1'", "over tcp or tls"),
        ("oversize = 'sql.1'", "over tcp or tls"),
    ],
)
def test_options_that_do_not_fit(tmp_path: Path, text: str, want: str) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(f"[[hep]]\nhost = 'h'\n{text}\n[[sip]]\nhost = 's'\n[[sql]]\nurl = 'sqlite:///a'\n")
    with pytest.raises(ConfigError) as raised:
        load(file)
    assert want in "\n".join(raised.value.problems)
