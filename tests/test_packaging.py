"""What users install: with a compiler, without one, and plain on request."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.once
HAS_COMPILER = shutil.which(os.environ.get("CC", "cc")) is not None or shutil.which("gcc") is not None


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sources as a clone has them: nothing built."""
    target = tmp_path_factory.mktemp("clone") / "capture-agent"
    built = shutil.ignore_patterns(
        ".git", ".venv", ".*cache", "build", "dist", "demo", "*.so", "*.egg-info", "__pycache__"
    )
    shutil.copytree(ROOT, target, ignore=built)
    return target


def run(*command: str | Path, cwd: Path | None = None, **environ: str) -> str:
    inherited = {name: value for name, value in os.environ.items() if name != "CAPTURE_AGENT_PURE"}
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, env=inherited | environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def install(tree: Path, folder: Path, *options: str, **environ: str) -> Path:
    """`pip install .` into a new environment; its dependencies are those of the environment that runs the tests."""
    run(sys.executable, "-m", "venv", "--without-pip", folder)
    python = folder / "bin" / "python"
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))").strip())
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")
    sources = folder / "sources"  # each build in a separate copy: setuptools leaves many files
    shutil.copytree(tree, sources)
    pip = (sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check")
    run(*pip, "install", "--no-deps", "--ignore-installed", *options, sources, **environ)
    if "--editable" not in options:
        shutil.rmtree(sources)
    return folder / "bin" / "capture-agent"


@pytest.fixture(scope="module")
def compiled(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if not HAS_COMPILER:
        pytest.skip("no C compiler")
    return install(tree, tmp_path_factory.mktemp("compiled"))


def works(command: Path, flavour: str, capture: Path, **environ: str) -> None:
    assert flavour in run(command, "--version", cwd=command.parent, **environ)
    decoded = run(command, "decode", "--format", "jsonl", capture, cwd=command.parent, **environ)
    assert decoded.count('"method": "INVITE"') == 2, decoded  # before and after the proxy


def test_with_a_compiler_it_is_compiled(compiled: Path, pcaps: Path) -> None:
    works(compiled, "compiled", pcaps / "call.pcap")


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
def built(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[str]]:
    """The files in the plain wheel and in the source distribution."""
    folder = tmp_path_factory.mktemp("built")
    sources = folder / "sources"
    shutil.copytree(tree, sources)
    script = f"from setuptools.build_meta import *; build_wheel({str(folder)!r}); build_sdist({str(folder)!r})"
    run(sys.executable, "-c", script, cwd=sources, CAPTURE_AGENT_PURE="1")
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel, tarfile.open(next(folder.glob("*.tar.gz"))) as sdist:
        return {"wheel": wheel.namelist(), "sdist": sdist.getnames()}


def test_the_wheel_has_no_by_products(built: dict[str, list[str]]) -> None:
    tops = {name.split("/")[0] for name in built["wheel"] if ".dist-info" not in name}
    assert tops == {"capture_agent", "hep"}
    assert [name for name in built["wheel"] if name.endswith((".c", ".html"))] == []


@pytest.mark.parametrize("kind", ["wheel", "sdist"])
def test_every_source_is_packed(built: dict[str, list[str]], kind: str) -> None:
    suffixes = {".py", ".pxd", ".typed"}
    sources = [path for top in ("capture_agent", "hep") for path in (ROOT / top).rglob("*") if path.suffix in suffixes]
    packed = {"/".join(name.split("/")[1:]) if kind == "sdist" else name for name in built[kind]}
    assert {str(path.relative_to(ROOT)) for path in sources} <= packed
