"""Configurations in the style of real servers (tests/deployments), each in a real Kamailio, and beside it the agent with
what `config convert` makes of it: the same messages, or the differences that the comment at the top names.

The network, the phones and the comparison are those of test_beside_kamailio.py.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import test_beside_kamailio as beside
from sip_lab import MODULES, PROXY

from capture_agent.convert import convert

pytestmark = beside.pytestmark
FOLDER = Path(__file__).parent / "deployments"
CALLS = ["register", "message-caller", "call-caller", "cancel-caller", "busy-caller", "reinvite-caller", "fork-caller"]
# What belongs to a transaction, and Kamailio's modes t and d leave out (docs/siptrace.md).
RELAYED = {"ACK proxy>callee"}


@dataclass(frozen=True)
class Case:
    """`more`, `fewer`: messages that the agent alone has, and that Kamailio alone has; `says`: the comment names them."""

    more: set[str] = field(default_factory=set)
    fewer: set[str] = field(default_factory=set)
    says: tuple[str, ...] = ()


CASES = {
    "transactions": Case(),
    "numbers": Case(),
    "users": Case(),
    "failures": Case(),
    "onsend": Case(),
    "branches": Case(),
    "everything": Case(),
    "core-and-script": Case(),
    "two-collectors": Case(),
    "dialogs": Case(),
}


def write(folder: Path, name: str) -> str:
    (folder / "lab.cfg").write_text((FOLDER / "lab.cfg").read_text().replace("@modules@", f"{MODULES}/"))
    return (FOLDER / f"{name}.cfg").read_text()


def labels(counts: Counter[beside.Sent]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for sent, count in counts.items():
        found[str(sent)] += count
    return dict(found)


@pytest.mark.parametrize(("name", "case"), CASES.items(), ids=list(CASES))
def test_deployment(name: str, case: Case, tmp_path: Path) -> None:
    text = write(tmp_path, name)
    options = beside.converted(tmp_path, text)
    found = beside.trace(tmp_path, text, options, CALLS).counted_down()
    print(name, "MORE", labels(found.only_agent()), "FEWER", labels(found.only_kamailio()), len(found.kamailio))
    assert set(labels(found.only_agent())) == case.more
    assert set(labels(found.only_kamailio())) == case.fewer
    comment = convert(tmp_path / "converted.cfg")
    assert [words for words in case.says if words not in comment] == []
    assert found.kamailio
