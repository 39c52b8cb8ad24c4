"""TLS in capture files, with the keys beside them or in them: the same plaintext that tshark finds."""

from __future__ import annotations

import json
import shutil
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).parents[1] / "streams"))

from stream_samples import request, response
from tls_captures import write_capture
from tls_samples import Ends, certificate, dialogue

pytestmark = pytest.mark.once

TEXTS = [request(1, b"v=0\r\n" * 20), response(1), request(2, b"x" * 3000), response(2, b"y" * 9_000)]


@pytest.fixture(params=["1.2", "1.3"])
def recorded(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A folder with call.pcap and keys."""
    ends = Ends(ssl.TLSVersion.TLSv1_2 if request.param == "1.2" else ssl.TLSVersion.TLSv1_3)
    dialogue(ends, TEXTS)
    write_capture(tmp_path / "call.pcap", ends.written)
    shutil.copy(ends.log, tmp_path / "keys")
    return tmp_path


def decoded(*words: str | Path) -> tuple[list[dict[str, Any]], str]:
    """The messages, and what was said on standard error."""
    command = [sys.executable, "-m", "capture_agent", "decode", "--format", "jsonl", *map(str, words)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


def test_with_a_key_log_and_as_tshark_has_it(recorded: Path) -> None:
    messages, _ = decoded("--key-log", recorded / "keys", recorded / "call.pcap")
    assert [one["transport"] for one in messages] == ["tls"] * 4
    tshark = ["tshark", "-r", str(recorded / "call.pcap"), "-o", f"tls.keylog_file:{recorded / 'keys'}", "-Y", "sip"]
    seen = subprocess.run(
        [*tshark, "-d", "tls.port==5061,sip", "-T", "fields", "-e", "frame.number"],
        capture_output=True, text=True, timeout=120, check=True,
    ).stdout.split()  # fmt: skip
    assert [str(one["frame"]) for one in messages] == seen


def test_with_the_keys_in_the_file(recorded: Path) -> None:
    keyed = recorded / "keyed.pcapng"
    editcap = ["editcap", "--inject-secrets", f"tls,{recorded / 'keys'}", str(recorded / "call.pcap"), str(keyed)]
    subprocess.run(editcap, check=True, timeout=60)
    messages, _ = decoded(keyed)
    assert messages == decoded("--key-log", recorded / "keys", recorded / "call.pcap")[0]
    assert len(messages) == len(TEXTS)


def test_without_keys_nothing_comes_out(recorded: Path) -> None:
    messages, said = decoded(recorded / "call.pcap")
    assert messages == []
    assert "0 messages" in said


def test_a_key_log_that_is_not_there(recorded: Path) -> None:
    command = [sys.executable, "-m", "capture_agent", "decode", "--key-log", "nowhere", str(recorded / "call.pcap")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (done.returncode, done.stderr) == (2, "capture-agent: decode: nowhere: no such file or directory\n")


@pytest.fixture
def with_rsa(tmp_path: Path) -> Path:
    """A folder with call.pcap, key.pem and the same key as encrypted.pem."""
    ends = Ends(ssl.TLSVersion.TLSv1_2, "AES128-GCM-SHA256")
    dialogue(ends, TEXTS)
    write_capture(tmp_path / "call.pcap", ends.written)
    shutil.copy(certificate("rsa")[1], tmp_path / "key.pem")
    encrypt = ["openssl", "rsa", "-aes128", "-passout", "pass:b7Hq2mXw", "-in", "key.pem", "-out", "encrypted.pem"]
    subprocess.run(encrypt, cwd=tmp_path, check=True, timeout=60, capture_output=True)
    return tmp_path


def test_with_the_private_key_of_the_server(with_rsa: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAPTURE_AGENT_TLS__KEYS", str(with_rsa / "key.pem"))
    messages, _ = decoded(with_rsa / "call.pcap")
    assert [one["transport"] for one in messages] == ["tls"] * 4


CHECKS = {
    "all is well": ('keys = ["key.pem", "encrypted.pem"]\nkeys_password = "b7Hq2mXw"\n', ""),
    "no password": ('keys = ["encrypted.pem"]\n', "encrypted.pem: encrypted, and there is no keys_password"),
    "another password": ('keys = ["encrypted.pem"]\nkeys_password = "q9"\n', "encrypted.pem: keys_password does not decrypt it"),
    "no key": ('keys = ["agent.toml"]\n', "agent.toml: not a private key in PEM"),
    "no file": ('keys = ["nowhere.pem"]\n', "nowhere.pem: no such file or directory"),
}  # fmt: skip


@pytest.mark.parametrize("name", CHECKS)
def test_files_of_keys_are_checked(with_rsa: Path, name: str) -> None:
    text, problem = CHECKS[name]
    file = with_rsa / "agent.toml"
    file.write_text(f"[tls]\n{text}")
    command = [sys.executable, "-m", "capture_agent", "config", "check", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    if problem:
        assert (done.returncode, done.stderr) == (2, f"{file}:2: tls.keys: {with_rsa}/{problem}\n")
    else:
        assert (done.returncode, done.stdout) == (0, f"{file}: OK\n")


def test_config_show_has_no_key(with_rsa: Path) -> None:
    (with_rsa / "agent.toml").write_text('[tls]\nkeys = ["encrypted.pem"]\nkeys_password = "b7Hq2mXw"\n')
    command = [sys.executable, "-m", "capture_agent", "config", "show", str(with_rsa / "agent.toml")]
    shown = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    assert "encrypted.pem" in shown
    assert "b7Hq2mXw" not in shown
    assert "PRIVATE KEY" not in shown
