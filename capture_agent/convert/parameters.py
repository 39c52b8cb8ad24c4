"""siptrace's parameters, with its own defaults, and those that have no equivalent here."""

from __future__ import annotations

import re
from collections.abc import Iterator

from capture_agent.convert.reading import Note, Place
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
# As the lexer of Kamailio 5.6 has them; a leading zero makes an octal number.
_NUMBER = re.compile(r"(-?)(?:(0x[0-9a-fA-F]{1,16})|(0[0-7]{0,11})|([1-9][0-9]{0,10}))")
WORDS = {"yes": 1, "true": 1, "on": 1, "enable": 1, "no": 0, "false": 0, "off": 0, "disable": 0}
UNSIGNED = {"hep_capture_id"}
_VARIABLE = re.compile(r"\$(?:avp\(.+\)|\(avp\(.+\)\))")


class Parameters:
    """The last modparam of a name counts. `notes`: wrong values, and names that siptrace does not have."""

    def __init__(self, given: list[Parameter]) -> None:
        self._given = {parameter.name: parameter for parameter in given}
        self.notes = list(self._check())

    def place(self, name: str) -> Place | None:
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
        """Which sinks get every message: the bits of trace_mode that are in force."""
        return 0 if self.number("trace_init_mode") == SCRIPT_ALONE else self.number("trace_mode") & 7

    @property
    def script(self) -> bool:
        """Do the functions of the script trace more than the message that they are called for?"""
        return self.number("trace_init_mode") != CORE_ALONE

    @property
    def reads_x_headers(self) -> bool:
        """trace_mode does not."""
        return bool(self.number("xheaders_read")) and self.script and not self.core

    def variable(self, name: str) -> str:
        """The AVP that holds users or the table; empty where there is none."""
        text = self.text(name)
        return variable(text).name if _VARIABLE.fullmatch(text) and self.script else ""

    def _check(self) -> Iterator[Note]:
        for name, parameter in self._given.items():
            if COLUMN.fullmatch(name):
                yield Note(parameter.place, f"{name}: columns have siptrace's own names here")
            elif name not in NUMBERS and name not in TEXTS:
                yield Note(parameter.place, f"{name}: no parameter of siptrace")
            elif name in NUMBERS and (
                number(parameter.value) is None or (parameter.quoted and parameter.value in WORDS)
            ):
                yield Note(parameter.place, f"{name}: value {parameter.value!r}, expected a number: left out")
            elif name in NUMBERS and parameter.quoted:
                yield Note(
                    parameter.place, f"{name}: a number in quotes, with which Kamailio does not start: understood"
                )
        yield from self._check_values()

    def _check_values(self) -> Iterator[Note]:
        """With these siptrace does not start."""
        if self.number("hep_version") not in (1, 2, 3):
            yield self.note("hep_version", f"value {self.number('hep_version')}, expected 1, 2 or 3: 3 is taken")
        if not -1 <= self.number("trace_flag") <= 31:
            yield self.note("trace_flag", f"value {self.number('trace_flag')}, expected 0 to 31: left out")
        for name in ("traced_user_avp", "trace_table_avp"):
            if self.text(name) and not _VARIABLE.fullmatch(self.text(name)):
                yield self.note(name, f"value {self.text(name)!r} is no AVP: left out")
        if self.number("trace_init_mode") == CORE_ALONE and not self.number("trace_mode"):
            yield self.note("trace_init_mode", "1 without a trace_mode traces nothing")


def number(text: str) -> int | None:
    """As Kamailio takes it: 32 bits with a sign. None for what is none."""
    if text in WORDS:
        return WORDS[text]
    found = _NUMBER.fullmatch(text)
    if found is None:
        return None
    value = int(found[2], 16) if found[2] else int(found[3], 8) if found[3] else int(found[4])
    value = (-value if found[1] else value) & 0xFFFFFFFF
    return value - (1 << 32) if value >= 1 << 31 else value
