"""siptrace's parameters with their defaults, and those without an equivalent here."""

from __future__ import annotations

import re
from collections.abc import Iterator

from capture_agent.convert.reading import Note, ScriptPlace
from capture_agent.convert.script import Parameter
from capture_agent.convert.variables import variable

DEFAULT_DATABASE = "mysql://kamailio:kamailiorw@localhost/kamailio"
NUMBERS = {
    "trace_flag": -1, "trace_on": 0, "trace_to_database": 1, "trace_sl_acks": 1, "xheaders_write": 0,
    "xheaders_read": 0, "hep_mode_on": 0, "hep_version": 1, "hep_capture_id": 1, "trace_db_mode": 0,
    "trace_delayed": 0, "trace_init_mode": 0, "trace_mode": 0, "data_mode": 0, "trace_dialog_ack": 1,
    "trace_dialog_spiral": 1, "trace_ephemeral_socket": 0,
}  # fmt: skip
TEXTS = {
    "db_url": DEFAULT_DATABASE, "table": "sip_trace", "traced_user_avp": "", "trace_table_avp": "",
    "duplicate_uri": "", "trace_local_ip": "", "send_sock_name": "", "send_sock_addr": "", "force_send_sock": "",
    "auth_key": "", "evcb_msg": "",
}  # fmt: skip
HEP, DATABASE, DUPLICATE = 1, 2, 4  # bits of trace_mode
CORE_ALONE, SCRIPT_ALONE = 1, 2  # trace_init_mode
COLUMN = re.compile(r"[a-z_]+_column")
# As in the lexer of Kamailio 5.6; a leading zero makes a number octal.
_NUMBER = re.compile(r"(-?)(?:(0x[0-9a-fA-F]{1,16})|(0[0-7]{0,11})|([1-9][0-9]{0,10}))")
WORDS = {"yes": 1, "true": 1, "on": 1, "enable": 1, "no": 0, "false": 0, "off": 0, "disable": 0}
UNSIGNED = {"hep_capture_id"}
_VARIABLE = re.compile(r"\$(?:avp\(.+\)|\(avp\(.+\)\))")


class Parameters:
    """The last modparam of a name counts. `notes`: wrong values, and unknown names."""

    def __init__(self, given: list[Parameter]) -> None:
        self._given = {parameter.name: parameter for parameter in given}
        self.notes = list(self._check())

    def place(self, name: str) -> ScriptPlace | None:
        return self._given[name].place if name in self._given else None

    def is_given(self, name: str) -> bool:
        return name in self._given

    def number(self, name: str) -> int:
        given = self._given.get(name)
        value = None if given is None or (given.quoted and given.value in WORDS) else number(given.value)
        if value is None:
            return NUMBERS[name]
        return value & 0xFFFFFFFF if name in UNSIGNED else value

    def text(self, name: str) -> str:
        return self._given[name].value if name in self._given else TEXTS[name]

    def note(self, name: str, text: str) -> Note:
        return Note(self.place(name), f"{name}: {text}")

    @property
    def core(self) -> int:
        """The sinks that get every message: the effective bits of trace_mode."""
        return 0 if self.number("trace_init_mode") == SCRIPT_ALONE else self.number("trace_mode") & 7

    @property
    def script(self) -> bool:
        """Whether the script's functions trace more than the message that they are called for."""
        return self.number("trace_init_mode") != CORE_ALONE

    @property
    def reads_x_headers(self) -> bool:
        """Whether trace_mode traces nothing."""
        return bool(self.number("xheaders_read")) and self.script and not self.core

    def variable(self, name: str) -> str:
        """The AVP that holds users or the table; empty if there is none."""
        text = self.text(name)
        return variable(text).name if _VARIABLE.fullmatch(text) and self.script else ""

    def _check(self) -> Iterator[Note]:
        for name, parameter in self._given.items():
            if COLUMN.fullmatch(name):
                yield Note(parameter.place, f"{name}: columns have siptrace's default names here")
            elif name not in NUMBERS and name not in TEXTS:
                yield Note(parameter.place, f"{name}: not a parameter of siptrace")
            elif name in NUMBERS and (
                number(parameter.value) is None or (parameter.quoted and parameter.value in WORDS)
            ):
                yield Note(parameter.place, f"{name}: value {parameter.value!r}, expected a number: left out")
            elif name in NUMBERS and parameter.quoted:
                yield Note(parameter.place, f"{name}: a number in quotes, which keeps Kamailio from starting: accepted")
        yield from self._check_values()

    def _check_values(self) -> Iterator[Note]:
        """Values that keep siptrace from starting."""
        if self.number("hep_version") not in (1, 2, 3):
            yield self.note("hep_version", f"value {self.number('hep_version')}, expected 1, 2 or 3: using 3")
        if not -1 <= self.number("trace_flag") <= 31:
            yield self.note("trace_flag", f"value {self.number('trace_flag')}, expected 0 to 31: left out")
        for name in ("traced_user_avp", "trace_table_avp"):
            if self.text(name) and not _VARIABLE.fullmatch(self.text(name)):
                yield self.note(name, f"value {self.text(name)!r} is not an AVP: left out")
        if self.number("trace_init_mode") == CORE_ALONE and not self.number("trace_mode"):
            yield self.note("trace_init_mode", "1 without a trace_mode traces nothing")


def number(text: str) -> int | None:
    """A number as Kamailio reads it: 32 bits, signed. None if it is not a number."""
    if text in WORDS:
        return WORDS[text]
    found = _NUMBER.fullmatch(text)
    if found is None:
        return None
    value = int(found[2], 16) if found[2] else int(found[3], 8) if found[3] else int(found[4])
    value = (-value if found[1] else value) & 0xFFFFFFFF
    return value - (1 << 32) if value >= 1 << 31 else value
