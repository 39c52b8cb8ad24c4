"""[media]: what is captured of the media of calls."""

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Interval


@dataclass(frozen=True, slots=True)
class MediaSection:
    """RTCP and RTP, found by the session descriptions of calls that are traced; and reports that phones send."""

    rtcp: bool = False
    rtcp_unannounced: bool = False  # also RTCP that no session description has announced
    cname: bool = False  # with the senders' canonical names, often user@host
    vq_rtcpxr: bool = False  # quality reports of phones (RFC 6035), once more for their call
    streams: Annotated[int, Interval(ge=100, le=10_000_000)] = 100_000  # announced places, and streams of RTP
    rtp: Literal["off", "sample", "all"] = "off"  # the quality of which calls is measured
    rtp_sample: Annotated[int, Interval(ge=2, le=1_000_000)] = 10  # one call of so many
    report_seconds: Annotated[int, Interval(ge=0, le=3600)] = 0  # reports of a stream while it goes on; 0: none

    def __post_init__(self) -> None:
        if not self.rtcp and (self.rtcp_unannounced or self.cname):
            raise ValueError("rtcp: expected true, because other options of RTCP are given")

    @property
    def on_any_port(self) -> Literal["", "rtcp", "rtp"]:
        """What is let through on all ports, and looked at."""
        return "rtp" if self.rtp != "off" else "rtcp" if self.rtcp else ""
