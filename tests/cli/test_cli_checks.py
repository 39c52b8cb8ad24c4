"""Problems that `config check` finds before `run` fails, and messages of commands that would do nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from cli_samples import CALL, pcap
from faults.disks import can_mount, small_disk

from capture_agent.cli import main
from capture_agent.control import place

pytestmark = pytest.mark.once

NO_CA = '[[hep]]\nuri = "hep+tls:127.0.0.1:1"\ntls_ca = "nix.pem"\n'
NO_FILE = '[[sql]]\nurl = "sqlite:///nix.db"\n'
POSTGRESQL = '[[sql]]\nurl = "postgresql://u:S3cretPW@127.0.0.1:1/d"\n'


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "call.pcap").write_bytes(pcap(CALL))
    return tmp_path


@pytest.mark.parametrize(
    ("toml", "says"),
    [
        pytest.param(
            NO_CA, "agent.toml:3: hep.tls_ca: expected a file of certificates (no such file", id="certificates"
        ),
        pytest.param(NO_FILE, "agent.toml:2: sql.url: sqlite:///nix.db: no such file", id="no file"),
        pytest.param(NO_FILE.replace("nix.db", "."), "agent.toml:2: sql.url: sqlite:///.: is a directory", id="folder"),
        pytest.param(
            POSTGRESQL.replace("127.0.0.1", "-db..lan"),
            "agent.toml:2: sql.url: postgresql://u:***@-db..lan:1/d: the host is not a valid host name",
            id="host",
        ),
        pytest.param(
            NO_CA.replace("tls_ca", "tls_server_name").replace("nix.pem", "a..b"),
            "agent.toml:3: hep.tls_server_name: value 'a..b', expected a host name or an IP address",
            id="name",
        ),
        pytest.param(
            '[control]\nsocket = "/nix/a.sock"\n', "agent.toml:2: control.socket: no such folder: /nix", id="socket"
        ),
        pytest.param(
            '[capture]\nfilter = "udp prot 5060"\n', "agent.toml:2: capture.filter: value 'udp prot 5060'", id="filter"
        ),
        pytest.param(
            '[[sql]]\nurl = "sqlite:///a"\ntable = "a b"\n', "agent.toml:3: sql.table: value 'a b'", id="table"
        ),
    ],
)
@pytest.mark.parametrize("how", [[], ["--config"]], ids=["FILE", "--config FILE"])
def test_check(folder: Path, capsys: pytest.CaptureFixture[str], toml: str, says: str, how: list[str]) -> None:
    (folder / "agent.toml").write_text(toml)
    assert main(["config", "check", *how, "agent.toml"]) == 2
    assert capsys.readouterr().err.startswith(says)


def spool_at(directory: str) -> str:
    return f'[spool]\ndirectory = "{directory}"\n'


@pytest.mark.parametrize("directory", ["new", "new/below/it", "there", "there/below"])
def test_a_spool_that_can_be_made(folder: Path, directory: str) -> None:
    (folder / "there").mkdir()
    (folder / "agent.toml").write_text(spool_at(directory))
    assert main(["config", "check", "agent.toml"]) == 0
    assert not (folder / "new").exists()


@pytest.mark.parametrize(
    ("directory", "says"),
    [
        ("call.pcap", "/call.pcap is not a directory"),
        ("call.pcap/below/it", "/call.pcap is not a directory"),
        ("to nothing", "/to nothing is not a directory"),
    ],
)
def test_a_spool_that_cannot_be_made(
    folder: Path, capsys: pytest.CaptureFixture[str], directory: str, says: str
) -> None:
    (folder / "to nothing").symlink_to("nothing")
    (folder / "agent.toml").write_text(spool_at(directory))
    assert main(["config", "check", "agent.toml"]) == 2
    assert capsys.readouterr().err == f"agent.toml:2: spool.directory: {folder}{says}\n"
    assert main(["doctor", "--config", "agent.toml"]) == 2
    assert f"spool.directory: {folder}{says}" in " ".join(capsys.readouterr().out.split())


@pytest.mark.skipif(not can_mount(), reason="needs mount")
@pytest.mark.parametrize(("directory", "kind"), [("disk", "file"), ("disk/below/it", "directory")])
def test_a_spool_that_is_read_only(folder: Path, capsys: pytest.CaptureFixture[str], directory: str, kind: str) -> None:
    disk = folder / "disk"
    disk.mkdir()
    (folder / "agent.toml").write_text(spool_at(directory))
    with small_disk(disk, "1m"):
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        assert main(["config", "check", "agent.toml"]) == 2
    assert capsys.readouterr().err == f"agent.toml:2: spool.directory: cannot create a {kind} in {disk}\n"


@pytest.mark.parametrize("bpf", ["", "udp port 5060", "wlan type mgt", "vlan and udp", "udp port nobodys-port"])
def test_a_filter_that_some_link_type_or_host_takes(folder: Path, bpf: str) -> None:
    (folder / "agent.toml").write_text(f'[capture]\nfilter = "{bpf}"\n')
    assert main(["config", "check", "agent.toml"]) == 0


@pytest.mark.parametrize(
    "command", [["config", "check"], ["run", "-i", "lo", "--config"], ["replay", "call.pcap", "-c"]]
)
def test_a_driver_that_is_missing(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, command: list[str]
) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    (folder / "agent.toml").write_text(POSTGRESQL)
    assert main([*command, "agent.toml"]) == 2
    says = capsys.readouterr().err
    assert "agent.toml:2: sql.url: " in says
    assert "the driver postgresql+psycopg is not installed" in says


def test_show_takes_the_file_in_both_ways(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "agent.toml").write_text("[capture]\nbuffer_mib = 7\n")
    for how in (["agent.toml"], ["--config", "agent.toml"]):
        assert main(["config", "show", *how]) == 0
        assert "buffer_mib = 7" in capsys.readouterr().out


def test_files_that_are_not_a_kamailio_cfg(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "agent.toml").write_text("[capture]\nbuffer_mib = 7\n")
    for file in ("agent.toml", "call.pcap"):
        assert main(["config", "convert", file]) == 1
        shown = capsys.readouterr()
        assert (shown.out, "not a kamailio.cfg" in shown.err) == ("", True)


def test_status_says_where_it_looked(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(place, "SYSTEM", folder / "system.sock")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    monkeypatch.delenv("RUNTIME_DIRECTORY", raising=False)
    assert main(["status", "check"]) == 1
    says = capsys.readouterr().err
    assert f"no agent listens on {folder}/system.sock (looked at {folder}/system.sock" in says
    assert "no XDG_RUNTIME_DIR" in says


def test_hlog_without_a_correlation_id(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["hlog", "x", "--help"])
    assert "drops a line without one" in " ".join(capsys.readouterr().out.split())
