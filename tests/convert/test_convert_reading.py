"""Kamailio's preprocessor: comments, directives, included files."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture_agent.convert.reading import DEEPEST, MOST_LINES, ConvertError, Reader

pytestmark = pytest.mark.once


def read(folder: Path, text: str) -> tuple[list[str], list[str]]:
    """The remaining lines, stripped and without empty ones, and the notes."""
    (folder / "k.cfg").write_text(text)
    reader = Reader()
    lines = [line.text.strip() for line in reader.read(folder / "k.cfg")]
    return [line for line in lines if line], [str(note).removeprefix(f"{folder}/") for note in reader.notes]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("a # b", ["a"]),
        ("a // b", ["a"]),
        ("a /* b */ c", ["a   c"]),
        ("a /* b\nc\nd */ e", ["a", "e"]),
        ("/* #!define A b\n*/ A", ["A"]),
        ('x("sip:a//b#c")', ['x("sip:a//b#c")']),
        ("x('it # /* is')", ["x('it # /* is')"]),
        (r'x("a\"# b") # c', [r'x("a\"# b")']),
        ("#!KAMAILIO\na", ["a"]),
        ("#!define A 5\nA B AB xA", ["5 B AB xA"]),
        ("!!define A 5\nA", ["5"]),
        ("#!define A\nA", ["A"]),
        ("#!define A B\n#!define B c\nA", ["c"]),
        ("#!define A A\nA", ["A"]),
        ("#!define A B\n#!define B A\nx", ["x"]),
        ('#!define URL "mysql://x"\nf(URL)', ['f("mysql://x")']),
        ("#!define A 5\nf(\"A\", 'A')", ["f(\"A\", 'A')"]),
        ("#!define A 1\n#!define A 2\nA", ["2"]),
        ("#!define A 1\n#!trydef A 2\n#!trydef B 3\nA B", ["1 3"]),
        ("#!define A 1\n#!redefine A 2\nA", ["2"]),
        ("#!define LONG one \\\n two\nLONG", ["one   two"]),
        ('#!substdef "!HOST!10.1.1.1!g"\nf("sip:HOST:5060") HOST', ['f("sip:10.1.1.1:5060") 10.1.1.1']),
        ("#!substdef '/HOST/10.1.1.1/'\nf(\"sip:HOST\")", ['f("sip:10.1.1.1")']),
        ('#!substdefs "!HOST!10.1.1.1!g"\nf(HOST)', ['f("10.1.1.1")']),
        ('#!subst "!HOST!10.1.1.1!g"\nf("HOST") HOST', ['f("10.1.1.1") HOST']),
        ('#!subst "!HOST!x!"\nf("HOST HOST")', ['f("x HOST")']),
        ('#!subst "!host!x!gi"\nf("HOST Host")', ['f("x x")']),
        (
            r'''#!subst "/db([0-9]+)\.([a-z]*)/\2-\1/"''' + '\nf("mysql://db12.example/k")',
            ['f("mysql://example-12/k")'],
        ),
        (r'''#!subst "/a\/b/c/g"''' + '\nf("a/b")', ['f("c")']),
        ('#!subst "!a+!b!g"\nf("caaad") aaa', ['f("cbd") aaa']),
        ("#!define V 5\n#!ifexp V >= 5\na\n#!else\nb\n#!endif", ["a"]),
        ("#!define V 5\n#!ifexp V > 5 || V == 4\na\n#!else\nb\n#!endif", ["b"]),
        ("#!ifdef NIX\n#!ifexp KAMAILIO_VERSION > 1\na\n#!endif\n#!endif\nb", ["b"]),
        ("#!define W\n#!ifdef W\na\n#!else\nb\n#!endif\nc", ["a", "c"]),
        ("#!ifdef W\na\n#!else\nb\n#!endif\nc", ["b", "c"]),
        ("#!ifndef W\na\n#!endif\nc", ["a", "c"]),
        ("#!ifdef A\n#!ifdef B\na\n#!else\nb\n#!endif\n#!else\nc\n#!endif", ["c"]),
        ("#!define A\n#!ifdef A\n#!ifdef B\na\n#!else\nb\n#!endif\n#!else\nc\n#!endif", ["b"]),
        ("#!ifdef A\n#!define B\n#!endif\n#!ifdef B\nx\n#!endif\ny", ["y"]),
        ("#!ifdef A\n/*\n#!endif\n*/\nx\n#!endif\ny", ["y"]),
        ("#!else\n#!endif\na", ["a"]),
        ("#!unknown thing\na", ["a"]),
    ],
)
def test_lines(tmp_path: Path, text: str, wanted: list[str]) -> None:
    assert read(tmp_path, text) == (wanted, [])


@pytest.mark.parametrize(
    ("text", "note"),
    [
        (
            "#!ifexp KAMAILIO_VERSION >= 5006000\na\n#!endif",
            "k.cfg:1: #!ifexp KAMAILIO_VERSION >= 5006000: not known here, assumed to be true",
        ),
        ("#!ifdef A\na", "k.cfg:2: an #!ifdef without its #!endif"),
        ("\n#!defenv HOME\nHOME", "k.cfg:2: HOME comes from Kamailio's environment, which is not known here"),
        ('#!subst "!a(b!c!g"', "k.cfg:1: #!subst: invalid regular expression: missing ): left out"),
        ('#!subst "!a!b!x"', "k.cfg:1: #!subst: not as /expression/text/flags: left out"),
        ("#!subst x", "k.cfg:1: #!subst: not as /expression/text/flags: left out"),
        ("#!subst", "k.cfg:1: #!subst: not as /expression/text/flags: left out"),
        (
            '#!substdef "!a.*b!c!g"',
            "k.cfg:1: #!substdef: its expression is not a name: replaced only in strings",
        ),
    ],
)
def test_notes(tmp_path: Path, text: str, note: str) -> None:
    assert read(tmp_path, text)[1] == [note]


def test_included_files(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "one.cfg").write_text("#!define A 5\none\ninclude_file 'two.cfg'\n")
    (tmp_path / "sub" / "two.cfg").write_text("two\n")
    (tmp_path / "k.cfg").write_text(
        f'#!define SUB\ninclude_file "sub/one.cfg"\nA\nimport_file "nix.cfg"\n#!import_file "{tmp_path}/sub/two.cfg"\n'
        '#!ifdef NIX\ninclude_file "nix.cfg"\n#!endif\n'
    )
    lines = [(str(line.place).removeprefix(f"{tmp_path}/"), line.text) for line in Reader().read(tmp_path / "k.cfg")]
    assert [line for line in lines if line[1]] == [
        ("sub/one.cfg:2", "one"),
        ("sub/two.cfg:1", "two"),
        ("k.cfg:3", "5"),
        ("sub/two.cfg:1", "two"),
    ]


def failure(folder: Path, name: str = "k.cfg") -> str:
    with pytest.raises(ConvertError) as raised:
        list(Reader().read(folder / name))
    return str(raised.value).replace(f"{folder}/", "")


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    assert failure(tmp_path) == "k.cfg: cannot be read: no such file or directory"
    assert failure(tmp_path.parent, tmp_path.name).endswith(": cannot be read: is a directory")
    (tmp_path / "k.cfg").write_text('\ninclude_file "nix.cfg"\n')
    assert failure(tmp_path) == "k.cfg:2: nix.cfg: cannot be read: no such file or directory"
    (tmp_path / "k.cfg").write_text('\nimport_file "."\n')
    assert failure(tmp_path).startswith("k.cfg:2: ")
    assert "not a file name" in failure(tmp_path, "a\0b")


@pytest.mark.parametrize("how", ["include_file", "import_file", "#!include_file"])
def test_files_that_include_each_other(tmp_path: Path, how: str) -> None:
    (tmp_path / "k.cfg").write_text(f'{how} "two.cfg"\n')
    (tmp_path / "two.cfg").write_text(f'{how} "k.cfg"\n')
    assert f"files include each other more than {DEEPEST} deep: " in failure(tmp_path)


def test_files_that_are_too_long(tmp_path: Path) -> None:
    (tmp_path / "k.cfg").write_text("\n" * (MOST_LINES + 1))
    assert f"too long: more than {MOST_LINES} lines" in failure(tmp_path)
    (tmp_path / "k.cfg").write_text("x" * 70_000)
    assert failure(tmp_path).startswith("k.cfg:1: too long")


def test_names_that_grow(tmp_path: Path) -> None:
    """Each name is twice the previous one: the result stays bounded."""
    defines = "".join(f"#!define A{n} A{n + 1} A{n + 1} A{n + 1} A{n + 1}\n" for n in range(40))
    lines, _ = read(tmp_path, f"{defines}A0\n")
    assert len(lines[-1]) < 4 * 65536


@given(st.text(alphabet="#!/*\"'\\ \nAdefinsubtx_-l", max_size=200))
def test_anything(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.mktemp("any")
    read(folder, text)
