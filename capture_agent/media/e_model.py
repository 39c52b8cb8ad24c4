"""The E-model: how speech over a stream would be rated (ITU-T G.107, narrowband scale).

Of the model's parameters, a passive observer knows codec, loss and jitter. All others have G.107's defaults, with which
R is 93.2 before codec, loss and delay are subtracted. Delay is assumed: docs/media.md.
"""

from __future__ import annotations

from math import log2
from typing import NamedTuple

UNIMPAIRED = 93.2  # R with G.107's defaults
DELAY_MS = 50.0  # from mouth to ear without the jitter buffer: coding, packets, network
BUFFER = 2.0  # the jitter buffer holds so many times the jitter


class Codec(NamedTuple):
    """Ie and Bpl: the impairment without loss, and the robustness against it."""

    impairment: float
    robustness: float


G711 = Codec(0, 25.1)  # with concealment of losses, as phones have it
EFR = Codec(5, 10.0)
UNPUBLISHED = 10.0  # the lowest robustness that G.113 has for a codec that conceals losses

# By the encoding name of SDP in lower case. From ITU-T G.113 (11/2007), Appendix I; docs/media.md says which are not.
CODECS = {
    "pcmu": G711,
    "pcma": G711,
    "g723": Codec(15, 16.1),
    "g728": Codec(7, UNPUBLISHED),
    "g729": Codec(11, 19.0),
    "g726-40": Codec(2, UNPUBLISHED),
    "g726-32": Codec(7, UNPUBLISHED),
    "g726-24": Codec(25, UNPUBLISHED),
    "g726-16": Codec(50, UNPUBLISHED),
    "gsm": Codec(20, UNPUBLISHED),
    "gsm-hr-08": Codec(23, UNPUBLISHED),
    "gsm-efr": EFR,
    "amr": EFR,
    "ilbc": Codec(11, 19.0),
    "speex": Codec(11, 19.0),
    "g722": G711,
    "g7221": G711,
    "amr-wb": G711,
    "evs": G711,
    "opus": G711,
    "silk": G711,
    "l16": G711,
}


def quality(codec: str, lost_share: float, jitter_ms: float, delay_ms: float = DELAY_MS) -> tuple[float, float]:
    """The R factor (0 to 93.2) and the MOS (1 to 4.41); both are 0 for a codec that has no row.

    `lost_share` is a share of 1. `delay_ms` is without the jitter buffer.
    """
    known = CODECS.get(codec.lower().removeprefix("aal2-"))
    if known is None:
        return 0.0, 0.0
    lost = 100.0 * min(max(lost_share, 0.0), 1.0)
    # G.107 (7-29), for losses at random: BurstR is 1.
    impairment = known.impairment + (95 - known.impairment) * lost / (lost + known.robustness)
    r_factor = max(0.0, UNIMPAIRED - delay_impairment(delay_ms + BUFFER * jitter_ms) - impairment)
    return r_factor, mean_opinion_score(r_factor)


def delay_impairment(delay_ms: float) -> float:
    """Idd, G.107 (7-27, 7-28). Echo is left out: whether a call has some is not to be seen in its packets."""
    if delay_ms <= 100:
        return 0.0
    x = log2(delay_ms / 100)
    return float(25 * ((1 + x**6) ** (1 / 6) - 3 * (1 + (x / 3) ** 6) ** (1 / 6) + 2))


def mean_opinion_score(r_factor: float) -> float:
    """G.107 Annex B. For R below 6.5 its polynomial is less than 1, which no listener could have said."""
    if r_factor >= 100:
        return 4.5
    return max(1.0, 1 + 0.035 * r_factor + r_factor * (r_factor - 60) * (100 - r_factor) * 7e-6)
