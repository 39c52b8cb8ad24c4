"""What users install: with a compiler, without one, and plain on request."""

import os
import platform
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from package_fixtures import fresh_environment, run
from sink_samples import UdpReceiver

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.once


def install(tree: Path, folder: Path, *options: str, **environ: str) -> Path:
    """`pip install .` into a new environment."""
    pip = fresh_environment(folder)
    sources = folder / "sources"  # each build in a separate copy: setuptools leaves many files
    shutil.copytree(tree, sources)
    run(*pip, *options, sources, **environ)
    if "--editable" not in options:
        shutil.rmtree(sources)
    return folder / "bin" / "capture-agent"


@pytest.fixture(scope="module")
def compiled(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("compiled")
    run(*fresh_environment(folder), wheel)
    return folder / "bin" / "capture-agent"


@pytest.fixture(scope="module")
def from_sdist(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sdist")
    # Users compile with -O2, which takes thrice the time and is what the wheel is built with.
    run(*fresh_environment(folder), sdist, CAPTURE_AGENT_CFLAGS="-O0 -g0")
    return folder / "bin" / "capture-agent"


def works(command: Path, flavour: str, capture: Path, **environ: str) -> None:
    assert flavour in run(command, "--version", cwd=command.parent, **environ)
    decoded = run(command, "decode", "--format", "jsonl", capture, cwd=command.parent, **environ)
    assert decoded.count('"method": "INVITE"') == 2, decoded  # before and after the proxy


@pytest.mark.parametrize("installed", ["compiled", "from_sdist"])
def test_with_a_compiler_it_is_compiled(installed: str, request: pytest.FixtureRequest, pcaps: Path) -> None:
    works(request.getfixturevalue(installed), "compiled", pcaps / "call.pcap")


@pytest.mark.parametrize("installed", ["compiled", "from_sdist"])
def test_it_sends_to_a_collector(installed: str, request: pytest.FixtureRequest, pcaps: Path, udp: UdpReceiver) -> None:
    command = request.getfixturevalue(installed)
    run(command, "replay", pcaps / "call.pcap", "--hep", f"hep:127.0.0.1:{udp.port}", cwd=command.parent)
    packets = udp.received()
    assert len(packets) > 5
    assert {packet[:4] for packet in packets} == {b"HEP3"}


def test_the_wheel_is_for_every_linux_with_glibc(wheel: Path) -> None:
    tag = f"cp{sys.version_info.major}{sys.version_info.minor}"
    assert re.fullmatch(rf"capture_agent-[\d.]+-{tag}-{tag}-manylinux\S+_{platform.machine()}\.whl", wheel.name), (
        wheel.name
    )
    with zipfile.ZipFile(wheel) as packed:
        compiled = {name.split(".")[0] for name in packed.namelist() if name.endswith(".so")}
    hot = {
        str(pxd.relative_to(ROOT).with_suffix(""))
        for top in ("capture_agent", "hep")
        for pxd in (ROOT / top).rglob("*.pxd")
    }
    assert compiled == hot | {"capture_agent/_shared"}


def test_the_extra_all_has_every_other() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    (everything,) = extras.pop("all")
    assert everything == f"capture-agent[{','.join(extras)}]"


UV = """#!/bin/sh
while [ "$1" != --out-dir ]; do kind=$kind$1; shift; done
mkdir -p "$2"
case $kind in
*--sdist*) touch "$2/capture_agent-1.tar.gz" ;;
*) echo x >"$2/x.py" && (cd "$2" && python3 -m zipfile -c capture_agent-1-cp311-cp311-linux_x86_64.whl x.py) ;;
esac
"""


def test_a_core_that_does_not_compile_makes_no_wheel(tmp_path: Path) -> None:
    uv = tmp_path / "uv"
    uv.write_text(UV)  # what it makes then: a wheel with nothing compiled in it
    uv.chmod(0o755)
    done = subprocess.run(
        [ROOT / "tools/build-wheels", tmp_path / "dist", "python3"],
        env=os.environ | {"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (1, "python3: the core did not compile: no wheel\n")
    assert not (tmp_path / "dist").exists()


def test_cibuildwheel_builds_for_these(tree: Path) -> None:
    """Its own reader of options refuses one that it does not know."""
    built = run("cibuildwheel", "--platform", "linux", "--print-build-identifiers", tree).split()
    machines = ("x86_64", "aarch64")
    assert sorted(built) == sorted(f"cp3{n}-manylinux_{machine}" for n in (11, 12, 13) for machine in machines)


def test_the_compiled_install_runs_plain_on_request(compiled: Path, pcaps: Path) -> None:
    works(compiled, "plain", pcaps / "call.pcap", CAPTURE_AGENT_PURE="1")


@pytest.mark.parametrize(
    "environ",
    [
        pytest.param({"CC": "/bin/false"}, id="no compiler"),
        pytest.param({"CAPTURE_AGENT_PURE": "1"}, id="on request"),
    ],
)
def test_without_it_is_plain_and_works(tree: Path, tmp_path: Path, pcaps: Path, environ: dict[str, str]) -> None:
    command = install(tree, tmp_path, "--no-build-isolation", **environ)
    works(command, "plain", pcaps / "call.pcap")


def test_in_place_without_a_compiler_it_is_plain_and_works(tree: Path, tmp_path: Path, pcaps: Path) -> None:
    """As with `make demo`: setuptools then builds in other folders, which a failed build must leave alone."""
    command = install(tree, tmp_path, "--no-build-isolation", "--editable", CC="/bin/false")
    works(command, "plain", pcaps / "call.pcap")


@pytest.fixture(scope="module")
def built(wheel: Path, sdist: Path) -> dict[str, list[str]]:
    """The files in the wheel and in the source distribution."""
    with zipfile.ZipFile(wheel) as zipped, tarfile.open(sdist) as tar:
        return {"wheel": zipped.namelist(), "sdist": tar.getnames()}


def test_the_wheel_has_no_by_products(built: dict[str, list[str]]) -> None:
    tops = {name.split("/")[0] for name in built["wheel"] if ".dist-info" not in name}
    assert tops == {"capture_agent", "hep"}
    assert [name for name in built["wheel"] if name.endswith((".c", ".html"))] == []


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_every_source_is_packed(built: dict[str, list[str]], kind: str) -> None:
    suffixes = {".py", ".pxd", ".typed", ".jinja", ".css", ".js", ".svg"}
    sources = [path for top in ("capture_agent", "hep") for path in (ROOT / top).rglob("*") if path.suffix in suffixes]
    packed = {"/".join(name.split("/")[1:]) if kind == "sdist" else name for name in built[kind]}
    assert {str(path.relative_to(ROOT)) for path in sources} <= packed
