"""Templates to HTML. Every text is made printable and escaped, whatever a template does."""

from __future__ import annotations

from datetime import tzinfo
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from capture_agent.page.call_source import MOST_BEFORE
from capture_agent.page.plots import plots_of
from capture_agent.sip.headers import text
from capture_agent.view.call import SipCall
from capture_agent.view.media_marks import summary
from capture_agent.view.text import printable, shortened
from capture_agent.view.time_text import duration, moment, zone_text

HERE = Path(__file__).parent
MOST = 60  # columns of a value
TONES = {
    "calling": "wait", "ringing": "wait", "waiting": "wait", "in call": "up", "completed": "good", "cancelled": "gone",
    "busy": "bad", "no answer": "bad", "rejected": "bad", "failed": "bad", "redirected": "gone", "registered": "good",
    "subscribed": "good", "unregistered": "gone", "done": "good",
}  # fmt: skip


def shown(value: object) -> object:
    return value if isinstance(value, Markup | int | float) else printable(str(value))


def short(value: str | bytes | None, most: int = MOST) -> str:
    return shortened(printable(text(value) if not isinstance(value, str) else value), most)


def setup_text(call: SipCall) -> str:
    return "" if call.setup_seconds is None else f"{call.setup_seconds:.3f} s"


def duration_text(call: SipCall) -> str:
    return "" if call.seconds is None else duration(call.seconds)


def day_of(time_ns: int, zone: tzinfo | None) -> str:
    return moment(time_ns, zone).partition(" ")[0]


def clock_of(time_ns: int, zone: tzinfo | None, decimals: int = 0) -> str:
    return moment(time_ns, zone, decimals).rpartition(" ")[2]


def call_url(*call_ids: str, path: str = "/call", **options: object) -> str:
    """Options with the empty value, or 0, are left out."""
    pairs = [("id", one) for one in call_ids] + [(name, str(value)) for name, value in options.items() if value]
    return f"{path}?{urlencode(pairs, errors='surrogateescape')}"


def environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=shown,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.globals.update(
        b_invite=b"INVITE",
        call_url=call_url,
        clock_of=clock_of,
        day_of=day_of,
        duration_text=duration_text,
        moment=moment,
        most_before=MOST_BEFORE,
        plots_of=plots_of,
        setup_text=setup_text,
        summary=summary,
        text=text,
        tones=TONES,
        zone_text=zone_text,
    )
    made.filters["short"] = short
    return made


class Templates:
    def __init__(self) -> None:
        self._environment = environment()

    def html(self, name: str, **values: Any) -> str:
        made = self._environment.get_template(name).render(**values)
        return made.encode("utf-8", "replace").decode()
