"""The converter compared with the real Kamailio 5.6: strings, numbers and conditions (recorded/)."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
import real_kamailio
from policy_samples import captured
from real_kamailio import MESSAGES, recorded

from capture_agent.config import load
from capture_agent.config.endpoints import parse_local
from capture_agent.convert import convert
from capture_agent.convert.modparams import Parameters
from capture_agent.convert.reading import Line, ScriptPlace
from capture_agent.convert.script import parse
from capture_agent.convert.tokens import tokens
from capture_agent.policy.policy import Policy
from capture_agent.policy.settings import Settings

STRINGS, NUMBERS, CONDITIONS = map(recorded, ("strings", "numbers", "conditions"))
SIPTRACE = """loadmodule "siptrace.so"
modparam("siptrace", "trace_on", yes)
modparam("siptrace", "hep_mode_on", 1)
modparam("siptrace", "trace_to_database", no)
modparam("siptrace", "duplicate_uri", "sip:127.0.0.9:9060")
"""
# Values that are not visible from outside, or have no matcher.
NOT_UNDERSTOOD = {
    "$(hdr(X-Multi)[1])", "$(hdr(X-Multi)[-1])", "$(hdr(X-Multi)[*])", "$hdr(X-Multi)", "$hdr(X-Trace)", "$hdr(X-Empty)", "!$hdr(X-None)", "src_ip =~",
    "$rp", "$rz", "$au", "$fn", "$ft", "$tt", "$var(x)", "$cs", "$ml", "$rb", "$cl", "$mi", "$mf", "$(hdr(X-Trace){s.tolower})",
    "$(fU{s.len})", "$(fU{s.substr", "strlen(", "proto ==", "$fU +", '("a"', "has_body(", "is_first_hop", "isflagset", "$Rn", "5061",
    '$rU =~ "(b)o', "t_check_status", "$rm =~", "$T",
}  # fmt: skip


def one_line(text: str) -> list[Line]:
    return [Line(line, ScriptPlace("k", number)) for number, line in enumerate(text.split("\n"))]


@pytest.mark.parametrize(("literal", "wanted"), STRINGS.items(), ids=list(STRINGS))
def test_strings(literal: str, wanted: str | None) -> None:
    read = [token for token in tokens(one_line(literal)) if not token.is_sign("+")]
    if wanted is not None:
        assert "".join(token.text for token in read) == wanted


def test_there_are_strings() -> None:
    assert sum(wanted is not None for wanted in STRINGS.values()) >= 30


@pytest.mark.parametrize(("spelling", "wanted"), NUMBERS.items(), ids=list(NUMBERS))
def test_numbers(spelling: str, wanted: int | None) -> None:
    """Numbers that Kamailio refuses are only reported."""
    script = parse(tokens(one_line(f'modparam("siptrace", "hep_capture_id", {spelling})')))
    parameters = Parameters(script.parameters)
    if wanted is not None:
        assert (parameters.number("hep_capture_id"), parameters.notes) == (wanted, [])
    else:
        assert parameters.notes


def traced(condition: str, folder: Path) -> tuple[list[bool], bool]:
    """Whether each message is traced, and whether the condition was understood."""
    (folder / "k.cfg").write_text(SIPTRACE + f"request_route {{ if ({condition}) {{ sip_trace(); }} exit; }}")
    toml = convert(folder / "k.cfg")
    (folder / "agent.toml").write_text(toml)
    config = load(folder / "agent.toml")
    found = []
    for name in MESSAGES:
        policy = Policy([parse_local("127.0.0.1")], Settings.of(config))
        raw = real_kamailio.message(name, 5070)
        found.append(config.trace.on and bool(policy.decide([captured(raw, "127.0.0.1 5070", "127.0.0.1 5060")])))
        policy.close()
    return found, "not understood" not in toml


@pytest.mark.parametrize(("condition", "wanted"), CONDITIONS.items(), ids=list(CONDITIONS))
def test_conditions(condition: str, wanted: list[bool | None], tmp_path: Path) -> None:
    """A supported condition holds for the same messages; with an unsupported one, more is traced, never less."""
    if None in wanted:
        return
    found, understood = traced(condition, tmp_path)
    if understood:
        assert found == wanted
    else:
        assert any(condition.startswith(each) for each in NOT_UNDERSTOOD)
        assert all(here or not there for here, there in zip(found, wanted, strict=True))


@pytest.mark.skipif(not real_kamailio.IS_INSTALLED, reason="no kamailio")
@pytest.mark.parametrize(("name", "most"), [("strings", 80), ("conditions", 200), ("numbers", 3)])
def test_recordings(name: str, most: int) -> None:
    """Kamailio still answers as recorded; refusals are not asked again, because each needs a start."""
    answers: dict[str, Any] = {
        question: answer for question, answer in recorded(name).items() if answer is not None and answer != [None] * 3
    }
    questions = random.Random(name).sample(list(answers), min(most, len(answers)))
    assert dict(zip(questions, real_kamailio.answers(name, questions), strict=True)) == {
        question: answers[question] for question in questions
    }
