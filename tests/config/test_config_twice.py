"""What would double everything is refused, in whatever spelling; what only looks alike is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from capture_agent.config import ConfigError, load

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ('[capture]\ninterfaces = ["eth0", "eth1", "eth0"]', 2, "eth0 is given twice (number 1 and 3)"),
        ('[capture]\nlisten = ["sip:192.0.2.1", "sip:192.0.2.1:5060"]', 2, "sip:192.0.2.1:5060 is given twice"),
        ('[capture]\nlisten = ["sip:[2001:db8::1]", "sip:[2001:DB8:0::1]"]', 2, "is given twice"),
        ('[[hep]]\nuri = "hep:h:9060"\n[[hep]]\nuri = "hep:h"', 3, "hep:h:9060 is given twice (number 1 and 2)"),
        ('[[hep]]\nhost = "Homer.example"\n[[hep]]\nhost = "homer.EXAMPLE."\nname = "b"', 3, "is given twice"),
        ('[[hep]]\nhost = "2001:db8::1"\n[[hep]]\nhost = "2001:db8:0::1"', 3, "is given twice"),
        ('[[sip]]\nuri = "sip:h"\n[[sip]]\nuri = "sip:H:5060;transport=udp"', 3, "is given twice"),
        ('[[sql]]\nurl = "sqlite:///a.db"\n[[sql]]\nurl = "sqlite:///./a.db"', 3, "a database table is given twice"),
        (
            '[[sql]]\nurl = "postgres://u:pw@H/d"\n[[sql]]\nurl = "postgresql+psycopg://v:q@h:5432/d"',
            3,
            "a database table is given twice",
        ),
        ('[[hep]]\nuri = "hep:localhost"\n[[hep]]\nuri = "hep:127.0.0.1"', 3, "is given twice"),
        ('[[sip]]\nuri = "sip:[::ffff:192.0.2.1]"\n[[sip]]\nuri = "sip:192.0.2.1"', 3, "is given twice"),
        (
            '[[sql]]\nurl = "postgresql://u@h/n"\n[[sql]]\nurl = "postgresql:///n?host=h&user=u&password=pw"',
            3,
            "a database table is given twice",
        ),
        (
            '[[sql]]\nurl = "mysql://u@localhost/n"\n[[sql]]\nurl = "mysql+pymysql://u@127.0.0.1/n?charset=utf8mb4"',
            3,
            "a database table is given twice",
        ),
        ('[[sink]]\nuse = "kafka"\n[[sink]]\nuse = "kafka"\nname = "b"', 3, "b is given twice"),
        ('[[source]]\nuse = "x"\noptions = {a = 1}\n[[source]]\nuse = "x"\noptions = {a = 1}', 4, "x is given twice"),
    ],
)
def test_refused(tmp_path: Path, text: str, line: int, said: str) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(file)
    (problem,) = caught.value.problems
    assert problem.startswith(f"{file}:{line}: ") and said in problem
    assert "pw" not in problem


@pytest.mark.parametrize(
    "text",
    [
        '[capture]\ninterfaces = ["eth0", "eth1", "any"]',
        '[capture]\nlisten = ["sip:192.0.2.1", "sip:192.0.2.1;transport=tcp"]',
        '[[hep]]\nuri = "hep:h"\n[[hep]]\nuri = "hep:h:9061"',
        '[[hep]]\nuri = "hep:h"\n[[hep]]\nuri = "hep+tcp:h"',
        '[[hep]]\nhost = "h"\ncapture_id = 1\n[[hep]]\nhost = "h"\ncapture_id = 2',
        '[[sip]]\nuri = "sip:h"\n[[sip]]\nhost = "h"\nx_headers = true',
        '[[sql]]\nurl = "sqlite:///a.db"\n[[sql]]\nurl = "sqlite:///a.db"\ntable = "other"',
        '[[sql]]\nurl = "postgresql://h/n?options=-csearch_path%3Da"\n[[sql]]\nurl = "postgresql://h/n"',
        '[[hep]]\nuri = "hep:localhost"\n[[hep]]\nuri = "hep:[::1]"',
        '[[sink]]\nuse = "kafka"\noptions = {topic = "a"}\n[[sink]]\nuse = "kafka"\noptions = {topic = "b"}',
    ],
)
def test_not_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(text)
    load(file)


def test_on_the_command_line() -> None:
    with pytest.raises(ConfigError, match="eth0 is given twice"):
        load(overrides={"capture": {"interfaces": ["eth0", "eth0"]}})
    with pytest.raises(ConfigError, match="hep:H:9060 is given twice"):
        load(overrides={"hep": [{"uri": "hep:h"}, {"uri": "hep:H:9060"}]})
