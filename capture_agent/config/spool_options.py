"""[spool]: what waits on disk for the sinks, and `spool` of a sink: what differs there."""

from dataclasses import dataclass, fields, replace
from typing import Annotated, Any, ClassVar

from annotated_types import Interval

SpoolMib = Annotated[int, Interval(ge=1, le=1_048_576)]
SpoolHours = Annotated[float, Interval(ge=0, le=87_600)]
SpoolPercent = Annotated[int, Interval(ge=1, le=90)]
SpoolRate = Annotated[int, Interval(ge=0, le=10_000_000)]


@dataclass(frozen=True, slots=True)
class SpoolSection:
    """What waits on disk for each sink."""

    directory: str = ""  # empty: there is none
    mib: SpoolMib = 1024  # for each sink
    max_age_hours: SpoolHours = 72.0  # 0: no limit
    above_percent: SpoolPercent = 50  # of the sink's queue: what comes then goes to disk
    beside: bool = False  # newer messages do not wait for those on disk
    drain_per_second: SpoolRate = 0  # messages; 0: no limit

    def differing(self) -> list[str]:
        """The options that differ from the defaults."""
        return [field.name for field in fields(self) if getattr(self, field.name) != field.default]


@dataclass(frozen=True, slots=True)
class SinkSpool:
    """The same for one sink; None: as in [spool]."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    on: bool = True
    mib: SpoolMib | None = None
    max_age_hours: SpoolHours | None = None
    above_percent: SpoolPercent | None = None
    beside: bool | None = None
    drain_per_second: SpoolRate | None = None

    def __str__(self) -> str:
        return str(self.given())

    def given(self) -> dict[str, Any]:
        """The options that differ from the defaults."""
        named = ((field.name, getattr(self, field.name)) for field in fields(self))
        return {name: value for name, value in named if value is not None and (name, value) != ("on", True)}

    def over(self, section: SpoolSection) -> SpoolSection:
        """What applies to the sink; without a directory if it is off."""
        changed = self.given()
        return replace(section, directory="") if changed.pop("on", True) is False else replace(section, **changed)


AS_FOR_ALL = SinkSpool()
