"""Everything in the documents exists, and nothing is committed that must not be."""

import ast
import re
import subprocess
from collections import Counter
from collections.abc import Iterable
from fnmatch import fnmatch
from pathlib import Path

import pytest
from slow_modules import SLOW

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.once

# Split, so that this file is not a finding itself.
UNWANTED = [
    *("py" + "pi.org", "python" + "hosted.org", "npm" + "js.org", "deb." + "debian.org", "crates" + ".io"),
    *("/wo" + "rk/", "/tmp/con" + "tract", "work" + "place"),
]


def tracked() -> list[Path]:
    """Files that are committed, or would be by `git add .`."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    names = [name for name in done.stdout.split("\0") if name]
    return [path for path in map(ROOT.joinpath, names) if path.is_file()]


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


DOCUMENTS = sorted(path for path in tracked() if path.suffix == ".md")
PACKAGES = sorted(path.parent for path in (ROOT / "capture_agent").rglob("__init__.py"))


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_links_lead_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)", document.read_text())
    local = [target for target in targets if not re.match(r"[a-z]+:", target)]
    assert [target for target in local if not (document.parent / target).exists()] == []


def test_the_architecture_names_what_exists() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    quoted = re.findall(r"`([\w./-]+(?:/|\.(?:py|pxd|toml|md|txt)))`", text)
    assert quoted
    files = {f"/{name(path)}" for path in tracked()}
    paths = files | {f"{parent}/" for path in files for parent in map(str, Path(path).parents)}
    # A module is named within the row of its folder.
    assert [path for path in quoted if not any(known.endswith(f"/{path}") for known in paths)] == []


MODULE = re.compile(r"(?<![*\w./])([a-z_][a-z0-9_]*\.py)\b")  # `tcp.py`, but not in `streams/tcp.py`
ENTRY = re.compile(r" *(?:[a-z0-9_]+\.py(?: |$))+")  # which begins a line of a map: one module, or several


def modules_of(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("*.py")} - {"__init__.py", "__main__.py"}


@pytest.mark.parametrize("package", PACKAGES, ids=name)
def test_each_folder_has_its_map(package: Path) -> None:
    docstring = ast.get_docstring(ast.parse((package / "__init__.py").read_text())) or ""
    if package.name == "capture_agent":
        return  # ARCHITECTURE.md is its map
    here, everywhere = modules_of(package), set().union(*map(modules_of, PACKAGES))
    named = set(MODULE.findall(docstring))
    entries = Counter(one for line in docstring.splitlines() if (row := ENTRY.match(line)) for one in row[0].split())
    for pattern in re.findall(r"^\*\w+\.py", docstring, re.MULTILINE):
        here -= {module for module in here - named if fnmatch(module, pattern)}
    where = f"{name(package)}/__init__.py: the map in the docstring"
    assert here - named == set(), f"{where} needs a line for each of these"
    assert named - everywhere == set(), f"{where} names modules that do not exist"
    assert entries.keys() - here == set(), f"{where} has lines for modules of other folders"
    assert [one for one, count in entries.items() if count > 1] == [], f"{where} has these twice"


def test_the_architecture_is_a_map_of_the_top_level() -> None:
    """Each folder and module of capture_agent/ has one row, and a row names only modules of its folder."""
    top = ROOT / "capture_agent"
    wanted = {f"{path.name}/" for path in top.iterdir() if (path / "__init__.py").exists()} | modules_of(top)
    table = (ROOT / "ARCHITECTURE.md").read_text().partition("## Rules")[0]
    rows = re.findall(r"^\| `capture_agent/([\w.]+/?)` \| (.*) \|$", table, re.MULTILINE)
    found = Counter(place for place, _ in rows)
    assert wanted - found.keys() == set(), "ARCHITECTURE.md: add a row for each of these"
    assert found.keys() - wanted == set(), "ARCHITECTURE.md has rows for what does not exist"
    assert [place for place, count in found.items() if count > 1] == [], "ARCHITECTURE.md has these twice"
    wrong = [
        f"capture_agent/{place}{module}"
        for place, text in rows
        for module in re.findall(r"`([a-z_]+\.py)`", text)
        if not (top / place / module).is_file()
    ]
    assert wrong == [], "ARCHITECTURE.md names modules that are not in the folder of the row"


SOURCES = [
    path for path in tracked() if path.suffix == ".py" and path.parts[len(ROOT.parts)] in ("capture_agent", "hep")
]

# Classes that may have the name of another one.
SAME_CLASSES = {
    "Dialog": "what hooks see of a record has the name of the record",
    "Transaction": "what hooks see of a record has the name of the record",
}
# They say nothing of what a module or a class is.
MEANINGLESS = {"together", "way", "ways", "made", "noting", "several", "seen"}


def repeated(names: Iterable[str]) -> set[str]:
    return {name for name, count in Counter(names).items() if count > 1}


def classes(source: Path) -> list[str]:
    return [node.name for node in ast.parse(source.read_text()).body if isinstance(node, ast.ClassDef)]


def test_a_name_means_one_module() -> None:
    names = [path.stem for path in SOURCES if path.stem not in ("__init__", "__main__")]
    assert repeated(names) == set()
    assert MEANINGLESS & set(names) == set()


def test_a_name_means_one_module_of_the_tests() -> None:
    """Mutants and some tests have several of their folders on the path."""
    own = [path for path in tracked() if path.suffix == ".py" and path.is_relative_to(ROOT / "tests")]
    assert repeated(path.stem for path in own if path.stem != "conftest") == set()


def test_a_name_means_one_class() -> None:
    names = [name for source in SOURCES for name in classes(source)]
    assert repeated(names) == set(SAME_CLASSES)
    assert MEANINGLESS & {name.strip("_").lower() for name in names} == set()


@pytest.mark.parametrize("document", DOCUMENTS, ids=name)
def test_make_targets_that_are_named_exist(document: Path) -> None:
    named = set(re.findall(r"`make ([a-z-]+)", document.read_text()))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert named <= targets


def test_nothing_unwanted_is_named() -> None:
    found = [
        f"{name(path)}: {word}"
        for path in tracked()
        if path.suffix not in (".pcap", ".pcapng", ".gz")
        for word in UNWANTED
        if word in path.read_text(errors="replace").lower()
    ]
    assert found == []


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_a_lock_names_no_index_and_has_every_hash(lock: str) -> None:
    text = (ROOT / lock).read_text()
    assert "://" not in text
    assert "--index" not in text
    pins = re.split(r"^(?=\S)", text, flags=re.MULTILINE)[1:]
    assert [pin.split()[0] for pin in pins if "==" not in pin or "--hash=sha256:" not in pin] == []


def test_the_locks_pin_the_same_versions() -> None:
    run, development = (
        set(re.findall(r"^\S+==\S+", (ROOT / lock).read_text(), re.MULTILINE))
        for lock in ("requirements.lock", "requirements-dev.lock")
    )
    assert run
    assert run <= development


def test_captures_are_small() -> None:
    sizes = {name(path): path.stat().st_size for path in tracked() if path.is_relative_to(ROOT / "pcaps")}
    assert max(sizes.values()) < 200_000
    assert sum(sizes.values()) < 2_000_000


def test_a_hot_module_names_its_own_pxd() -> None:
    """It says with which file it is compiled: the name goes with the module when that is renamed."""
    wrong = [
        f"{pxd.with_suffix('.py')}: {name}"
        for package in ("capture_agent", "hep")
        for pxd in (ROOT / package).rglob("*.pxd")
        for name in re.findall(r"compiled with (\S+\.pxd)", pxd.with_suffix(".py").read_text())
        if name != pxd.name
    ]
    assert wrong == []


def test_slow_modules_exist() -> None:
    assert [module for module in SLOW if not (ROOT / "tests" / module).is_file()] == []


def test_git_ignores_only_what_a_build_makes() -> None:
    """What the program needs and .gitignore leaves out is in this folder, and in no clone."""
    command = ["git", "ls-files", "--others", "--ignored", "--exclude-standard", "capture_agent", "hep"]
    ignored = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\n")
    needed = [
        name
        for name in filter(None, ignored)
        if "__pycache__" not in name
        and not name.endswith(".so")
        and not (name.endswith((".c", ".html")) and (ROOT / name).with_suffix(".pxd").exists())
    ]
    assert needed == []
