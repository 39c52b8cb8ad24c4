"""[media]: what is captured of the media of calls."""

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Interval


@dataclass(frozen=True, slots=True)
class MediaSection:
    """RTCP, found by the session descriptions of calls that are traced; and reports that phones send."""

    rtcp: bool = False
    rtcp_unannounced: bool = False  # also RTCP that no session description has announced
    cname: bool = False  # with the senders' canonical names, often user@host
    vq_rtcpxr: bool = False  # quality reports of phones (RFC 6035), once more for their call
    streams: Annotated[int, Interval(ge=100, le=10_000_000)] = 100_000  # announced places that are remembered

    def __post_init__(self) -> None:
        if not self.rtcp and (self.rtcp_unannounced or self.cname):
            raise ValueError("rtcp: expected true, because other options of RTCP are given")
