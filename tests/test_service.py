"""The systemd unit and the Dockerfile name what exists."""

import os
import re
import shutil
import ssl
import subprocess
import sys
from contextlib import closing
from http.client import HTTPSConnection
from pathlib import Path

import pytest
from free_ports import free_port

from capture_agent.config import load
from capture_agent.delivery.spooled_outbox import LAST_SECONDS, LAST_WRITES_SECONDS

ROOT = Path(__file__).parent.parent
UNIT = ROOT / "systemd" / "capture-agent.service"
pytestmark = pytest.mark.once


def command_lines() -> list[list[str]]:
    """The commands in the unit and the Dockerfile's heading, without the words before the sub-command."""
    unit = re.search(r"^ExecStart=\S+ (.+)$", UNIT.read_text(), re.MULTILINE)
    docker = re.search(r"^# docker run .* capture-agent (.+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    assert unit
    assert docker
    return [unit[1].split(), docker[1].split()]


@pytest.mark.parametrize("arguments", command_lines(), ids=["systemd", "docker"])
def test_options_exist(arguments: list[str]) -> None:
    program = Path(sys.executable).parent / "capture-agent"
    command = [program, arguments[0], "--help"]
    help_text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    known = set(re.findall(r"(?<![\w-])--?[a-z][\w-]*", help_text))
    assert {argument for argument in arguments if argument.startswith("-")} <= known


def test_the_example_is_a_good_configuration() -> None:
    config = load(ROOT / "systemd" / "capture-agent.toml", {}, {})
    assert config.capture.interfaces == ("eth0",)


def test_its_spool_lies_in_the_state_directory_of_the_unit() -> None:
    """Which systemd makes for the service's user alone; the rest of the file system is read-only for it."""
    unit = dict(re.findall(r"^(\w+)=(.*)$", UNIT.read_text(), re.MULTILINE))
    config = load(ROOT / "systemd" / "capture-agent.toml", {}, {})
    assert Path(config.spool.directory).parent == Path("/var/lib") / unit["StateDirectory"]
    assert unit["StateDirectoryMode"] == "0700"
    # All sinks together, the last batch, the last writes: capture_agent/delivery/spooled_outbox.py.
    assert config.queue.drain_seconds + LAST_SECONDS + LAST_WRITES_SECONDS < int(unit["TimeoutStopSec"])


def test_every_example_line_is_good(tmp_path: Path) -> None:
    """Those that are commented out, too."""
    text = (ROOT / "systemd" / "capture-agent.toml").read_text()
    every = re.sub(r"^# (?=[a-z_]+ = |\[\[)", "", text, flags=re.MULTILINE)
    assert every != text
    (tmp_path / "every.toml").write_text(every)
    load(tmp_path / "every.toml", {}, {})


needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="no systemd-analyze: apt install systemd"
)


@needs_systemd
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    copy = tmp_path / UNIT.name
    program = f"ExecStart={shutil.which('true')}"  # ours is not installed where the unit says
    copy.write_text(re.sub(r"^ExecStart=\S+", program, UNIT.read_text(), flags=re.MULTILINE))
    done = subprocess.run(["systemd-analyze", "verify", copy], capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, [line for line in done.stderr.splitlines() if UNIT.name in line]) == (0, [])


@needs_systemd
def test_the_units_exposure_is_low() -> None:
    """At most 1.5 of 10; systemd counts in tenths."""
    command = ["systemd-analyze", "security", "--offline=yes", "--no-pager", "--threshold=15", UNIT]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout.splitlines()[-1]


@pytest.mark.parametrize(
    "line",
    [
        "Type=notify",
        "WatchdogSec=30",
        "ExecReload=/bin/kill -HUP $MAINPID",
        "Restart=on-failure",
        "RestartPreventExitStatus=2",
        "AmbientCapabilities=CAP_NET_RAW",
        "CapabilityBoundingSet=CAP_NET_RAW",
    ],
)
def test_the_unit_has(line: str) -> None:
    assert line in UNIT.read_text().splitlines()


def passed(folder: Path, certificate: Path) -> dict[str, str]:
    """Credentials in files, one by one, as systemd passes them to the unit. Returns their names by option."""
    names = re.findall(r"^LoadCredential=([\w-]+)$", UNIT.read_text(), re.MULTILINE)
    heading = UNIT.read_text().partition("LoadCredential=")[0]
    options = dict(re.findall(r'(\w+) = "([\w-]+)"', heading))
    assert sorted(options.values()) == sorted(names)
    folder.mkdir()
    for name in names:
        (folder / name).write_text(f"sqlite:///{name}.of-this-test\n")
    for name in ("http-cert", "http-key"):
        (folder / name).write_bytes(certificate.read_bytes())
    return options


def configured(options: dict[str, str], port: int = 9096) -> str:
    return (
        f'[http]\nlisten = "127.0.0.1:{port}"\ntoken_file = "{options["token_file"]}"\n'
        f'tls_cert = "{options["tls_cert"]}"\ntls_key = "{options["tls_key"]}"\n'
        f'[privacy]\nhash_key_file = "{options["hash_key_file"]}"\n'
        f'[[hep]]\nuri = "hep:127.0.0.1:9"\nauth_key_file = "{options["auth_key_file"]}"\n'
    )


def test_keys_that_the_unit_passes_have_the_names_that_it_says(tmp_path: Path, certificate: Path) -> None:
    """In a folder that is not the configuration's."""
    options = passed(tmp_path / "credentials", certificate)
    (tmp_path / "agent.toml").write_text(f'{configured(options)}[[sql]]\nurl_file = "{options["url_file"]}"\n')
    config = load(tmp_path / "agent.toml", {"CREDENTIALS_DIRECTORY": str(tmp_path / "credentials")}, {})
    found = (config.hep[0].auth_key, config.sql[0].url, config.privacy.hash_key, config.http.token)
    names = ("hep-key", "trace-db", "hash-key", "http-token")
    assert found == tuple(f"sqlite:///{name}.of-this-test" for name in names)


def test_an_agent_runs_with_them(tmp_path: Path, certificate: Path) -> None:
    """Its HTTP door has the certificate, the key and the token."""
    port, folder = free_port(), tmp_path / "etc"
    options = passed(tmp_path / "credentials", certificate)
    folder.mkdir()
    (folder / "agent.toml").write_text(configured(options, port))
    words = ["--config", str(folder / "agent.toml"), "--listen", f"sip:127.0.0.1:{free_port()}", "--control", ""]
    environ = os.environ | {"CREDENTIALS_DIRECTORY": str(tmp_path / "credentials")}
    command = [sys.executable, "-m", "capture_agent", "run", *words]
    with subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            assert "capturing on" in process.stderr.readline()
            context = ssl.create_default_context(cafile=str(certificate))
            with closing(HTTPSConnection("127.0.0.1", port, timeout=60, context=context)) as connection:
                token = (tmp_path / "credentials" / "http-token").read_text().strip()
                connection.request("GET", "/metrics", headers={"Authorization": f"Bearer {token}"})
                assert connection.getresponse().status == 200
        finally:
            process.kill()
