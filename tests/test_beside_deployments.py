"""Configurations in the style of real servers (tests/deployments), each in a real Kamailio, next to the agent with the
result of `config convert`: the same messages, or the differences that the comment at the top lists.

The network, the phones and the comparison are those of test_beside_kamailio.py.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import test_beside_kamailio as beside
from sip_lab import MODULES

from capture_agent.convert import convert

pytestmark = beside.pytestmark
FOLDER = Path(__file__).parent / "deployments"
CALLS = ["register", "message-caller", "call-caller", "cancel-caller", "busy-caller", "reinvite-caller", "fork-caller"]


@dataclass(frozen=True)
class Case:
    """`more`, `fewer`: messages that only the agent has, or only Kamailio; `says`: the comment lists them."""

    more: set[str] = field(default_factory=set)
    fewer: set[str] = field(default_factory=set)
    says: tuple[str, ...] = ()


CASES = {
    "transactions": Case(),
    "numbers": Case(),
    "users": Case(),
    "failures": Case(
        {
            "100 (INVITE) proxy>caller",
            "INVITE proxy>callee",
            "486 (INVITE) callee>proxy",
            "486 (INVITE) proxy>caller",
            "ACK proxy>callee",
        },
        says=(
            "here the whole transaction is traced",
            "t_is_canceled(): not known",
            "failure_route[NEVER]: never called",
        ),
    ),
    "onsend": Case({"ACK proxy>callee"}, says=("it also covers Kamailio's own messages",)),
    "branches": Case(
        {"486 (INVITE) callee>proxy", "487 (INVITE) callee>proxy", "200 (INVITE) callee>proxy"},
        {"INVITE caller>proxy"},
        ("a response does not show request_user of its request", "once per branch; here once"),
    ),
    "everything": Case(says=("$var(heartbeat)==1: not known", "1 condition was not understood")),
    "core-and-script": Case(),
    "two-collectors": Case(),
    "dialogs": Case({"ACK caller>proxy", "ACK proxy>callee"}, says=("the ACKs that confirm a dialog, in and out",)),
}


def write(folder: Path, name: str) -> str:
    (folder / "lab.cfg").write_text((FOLDER / "lab.cfg").read_text().replace("@modules@", f"{MODULES}/"))
    return (FOLDER / f"{name}.cfg").read_text()


def converted(folder: Path, text: str) -> list[str]:
    """The result of `config convert`, with ports next to Kamailio's."""
    (folder / "converted.cfg").write_text(text)
    toml = convert(folder / "converted.cfg")
    for port in (beside.KAMAILIO, beside.OTHERS[0]):
        toml = toml.replace(f"port = {port}\n", f"port = {port + 1}\n")
    (folder / "agent.toml").write_text(toml)
    return ["--config", str(folder / "agent.toml"), *(word for device in beside.DEVICES for word in ("-i", device))]


def labels(counts: Counter[beside.Sent]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for sent, count in counts.items():
        found[str(sent)] += count
    return dict(found)


@pytest.mark.parametrize(("name", "case"), CASES.items(), ids=list(CASES))
def test_deployment(name: str, case: Case, tmp_path: Path) -> None:
    text = write(tmp_path, name)
    options = converted(tmp_path, text)
    found = beside.trace(tmp_path, text, options, CALLS).counted_down()
    assert found.kamailio
    assert set(labels(found.only_agent())) == case.more
    assert set(labels(found.only_kamailio())) == case.fewer
    comment = convert(tmp_path / "converted.cfg")
    assert [words for words in case.says if words not in comment] == []
