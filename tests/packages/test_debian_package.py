"""The Debian package: what is in it, and its life on a system that has only what it depends on."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cli_samples import INVITE
from package_fixtures import built_once, need, run
from packages.debian import ENVIRON, Machine, machine

ROOT = Path(__file__).parents[2]
CONFFILE = "/etc/capture-agent/capture-agent.toml"
PROGRAM = "/opt/capture-agent/bin/capture-agent"
pytestmark = pytest.mark.once

# Imports what the agent and its extras require; prints how many modules that are.
IMPORT_ALL = r"""
import importlib.metadata, re
plain = lambda name: re.match(r"[\w.-]+", name)[0].lower().replace("_", "-")
required = set(map(plain, importlib.metadata.requires("capture-agent")))
for name in required:
    importlib.metadata.version(name)
modules = importlib.metadata.packages_distributions().items()
wanted = [module for module, owners in modules if module[0] != "_" and required & set(map(plain, owners))]
print(len([importlib.import_module(module) for module in wanted]))
"""


def of_debians_python(wheel: Path) -> bool:
    tag = "import sys; print('cp%d%d' % sys.version_info[:2])"
    return f"-{run('/usr/bin/python3', '-c', tag).strip()}-" in wheel.name


@pytest.fixture(scope="module")
def deb(wheel: Path, tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    need("dh")
    given = [wheel] if of_debians_python(wheel) else []
    folder = built_once(tmp_path_factory, "deb", lambda folder: run(tree / "tools/build-deb", folder, *given))
    (file,) = folder.glob("*.deb")
    return file


def control(deb: Path, field: str) -> str:
    return run("dpkg-deb", "--field", deb, field).strip()


def dependencies(deb: Path) -> list[str]:
    names = [alternatives.split()[0] for alternatives in control(deb, "Depends").split(", ")]
    return sorted(set(names))


def test_lintian_finds_nothing(deb: Path) -> None:
    need("lintian")
    found = run("lintian", "--allow-root", "--fail-on", "error,warning", "--tag-display-limit", "0", deb)
    assert [line for line in found.splitlines() if line[:2] in ("E:", "W:")] == []


def test_its_version_is_that_of_the_program(deb: Path) -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert control(deb, "Version") == version


def test_no_place_where_it_was_built_is_in_it(deb: Path, tmp_path: Path) -> None:
    run("dpkg-deb", "--extract", deb, tmp_path)
    opt = tmp_path / "opt/capture-agent"
    names = [path.name for path in (opt / "bin").iterdir()]
    assert [name for name in names if not name.startswith("python")] == ["capture-agent"]
    assert (opt / "bin/python3").readlink() == Path("/usr/bin/python3")
    texts = [opt / "pyvenv.cfg", opt / "bin/capture-agent", *opt.rglob("*.dist-info/*")]
    assert [path for path in texts if path.is_file() and b"/tmp/" in path.read_bytes()] == []


def next_version(deb: Path, folder: Path) -> Path:
    """The same package, with a higher version and another example configuration."""
    content = folder / "content"
    run("dpkg-deb", "--raw-extract", deb, content)
    file = content / "DEBIAN/control"
    file.write_text(re.sub(r"^Version: (.+)$", r"Version: \1+next", file.read_text(), flags=re.MULTILINE))
    example = content / CONFFILE.removeprefix("/")
    example.write_text(example.read_text() + "# the next example\n")
    run("dpkg-deb", "-Znone", "--build", content, folder / "next.deb")
    shutil.rmtree(content)
    return folder / "next.deb"


def unit(machine: Machine) -> dict[str, str]:
    lines = machine.path("/lib/systemd/system/capture-agent.service").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if re.match(r"\w+=", line))


@contextmanager
def service(machine: Machine) -> Iterator[subprocess.Popen[str]]:
    """What systemd does for the unit: its folders, the user, its capabilities; then ExecStart."""
    settings = unit(machine)
    credentials, runtime = machine.path("/run/credentials"), machine.path("/run/capture-agent")
    for folder in (credentials, runtime):
        folder.mkdir(exist_ok=True)
        shutil.chown(folder, *ids(machine))
    user, group = map(str, ids(machine))
    wanted = ",".join(f"+{name.removeprefix('CAP_').lower()}" for name in settings["AmbientCapabilities"].split())
    privileges = ["setpriv", "--reuid", user, "--regid", group, "--clear-groups", "--no-new-privs"]
    privileges += ["--inh-caps", wanted, "--ambient-caps", wanted, "--bounding-set", f"-all,{wanted}"]
    command = settings["ExecStart"].split()
    environ = ENVIRON | {"CREDENTIALS_DIRECTORY": "/run/credentials", "RUNTIME_DIRECTORY": "/run/capture-agent"}
    process = subprocess.Popen(
        machine.command(*privileges, *command), env=environ, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def ids(machine: Machine) -> tuple[int, int]:
    fields = next(line for line in users(machine) if line.startswith("capture-agent:")).split(":")
    return int(fields[2]), int(fields[3])


def users(machine: Machine) -> list[str]:
    return machine.path("/etc/passwd").read_text().splitlines()


def enabled(machine: Machine) -> set[Path]:
    return set(machine.path("/etc/systemd").rglob("*.wants/*"))


def captures_and_sends(machine: Machine) -> None:
    """The service, while SIP passes: it arrives at the collector, and SIGTERM ends it with its books."""
    collector, sender = machine.network.run(
        lambda: (socket.socket(type=socket.SOCK_DGRAM), socket.socket(type=socket.SOCK_DGRAM))
    )
    with collector, sender, service(machine) as process:
        collector.bind(("127.0.0.1", 9060))
        collector.settimeout(0.5)
        for _ in range(120):
            sender.sendto(INVITE, ("127.0.0.1", 5060))
            try:
                packet = collector.recv(65535)
                break
            except TimeoutError:
                assert process.poll() is None, process.communicate()
        else:
            pytest.fail("nothing arrived")
        assert packet.startswith(b"HEP3")
        assert INVITE in packet
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert "messages:" in out + err


def left(machine: Machine) -> list[str]:
    found = [path for path in machine.root.rglob("*capture*agent*") if not path.is_relative_to(machine.root / "run")]
    return [str(path.relative_to(machine.root)) for path in found]


def test_it_is_installed_used_upgraded_removed_and_purged(deb: Path, tmp_path: Path, pcaps: Path) -> None:
    need("mmdebstrap")
    if os.geteuid() != 0:
        pytest.skip("a system in a folder needs root")
    with machine(tmp_path, dependencies(deb)) as host:
        before, wanted = users(host), enabled(host)
        shutil.copy(deb, host.path("/first.deb"))
        shutil.copy(next_version(deb, tmp_path), host.path("/next.deb"))
        shutil.copy(pcaps / "call.pcap", host.path("/call.pcap"))

        host.run("dpkg", "--install", "/first.deb")
        assert "compiled" in host.run("capture-agent", "--version")
        assert host.run("capture-agent", "decode", "--format", "jsonl", "/call.pcap").count('"method": "INVITE"') == 2
        assert int(host.run("/opt/capture-agent/bin/python3", "-c", IMPORT_ALL)) > 12
        host.run("capture-agent", "config", "check", "--config", CONFFILE)
        assert stat.S_IMODE(host.path(CONFFILE).stat().st_mode) == 0o640
        assert enabled(host) == wanted
        assert host.path("/usr/share/man/man1/capture-agent.1.gz").is_file()
        assert host.path("/usr/share/capture-agent/monitoring/dashboard.json").is_file()
        user = next(line for line in users(host) if line.startswith("capture-agent:"))
        assert user.split(":")[-2:] == ["/var/lib/capture-agent", "/usr/sbin/nologin"]

        mine = 'capture.interfaces = ["lo"]\n[[hep]]\nuri = "hep:127.0.0.1:9060"\n'
        host.path(CONFFILE).write_text(mine)
        captures_and_sends(host)

        host.run("dpkg", "--install", "--force-confold", "/next.deb")
        assert host.path(CONFFILE).read_text() == mine
        assert "# the next example" in host.path(f"{CONFFILE}.dpkg-dist").read_text()
        assert user in users(host)
        captures_and_sends(host)

        assert stat.S_IMODE(host.path("/var/lib/capture-agent").stat().st_mode) == 0o700
        assert host.run("stat", "--format", "%U", "/var/lib/capture-agent") == "capture-agent\n"
        host.path("/var/lib/capture-agent/trace.db").touch()
        host.run("dpkg", "--remove", "capture-agent")
        assert not host.path("/opt/capture-agent").exists()
        assert host.path(CONFFILE).read_text() == mine
        assert host.path("/var/lib/capture-agent/trace.db").exists()

        host.run("dpkg", "--purge", "capture-agent")
        assert left(host) == []
        assert users(host) == before
