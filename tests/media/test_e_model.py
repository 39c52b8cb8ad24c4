"""Compared with published values: ITU-T G.107 Annex B, and the impairment at 2 % loss of G.113's earlier table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture_agent.media.e_model import CODECS, delay_impairment, mean_opinion_score, quality

pytestmark = pytest.mark.once


@pytest.mark.parametrize(
    ("r_factor", "mos"),
    [(0, 1.0), (50, 2.58), (60, 3.10), (70, 3.60), (80, 4.03), (90, 4.34), (93.2, 4.41), (100, 4.5)],
)
def test_mos_of_r(r_factor: float, mos: float) -> None:
    assert mean_opinion_score(r_factor) == pytest.approx(mos, abs=0.01)


@pytest.mark.parametrize(
    ("codec", "lost_share", "impairment"),
    [
        ("PCMU", 0, 0),
        ("PCMA", 0.02, 7),
        ("G729", 0, 11),
        ("G729", 0.02, 19),
        ("G723", 0, 15),
        ("G723", 0.02, 24),
        ("GSM-EFR", 0, 5),
        ("AAL2-G726-32", 0, 7),
    ],
)
def test_r_falls_by_the_impairment(codec: str, lost_share: float, impairment: float) -> None:
    r_factor, mos = quality(codec, lost_share, jitter_ms=0)
    assert 93.2 - r_factor == pytest.approx(impairment, abs=0.5)
    assert mos == mean_opinion_score(r_factor)


@pytest.mark.parametrize(
    ("delay_ms", "impairment"), [(0, 0), (100, 0), (150, 0.13), (200, 3.0), (300, 14.7), (400, 24.1)]
)
def test_r_falls_with_delay(delay_ms: float, impairment: float) -> None:
    assert delay_impairment(delay_ms) == pytest.approx(impairment, abs=0.1)


def test_jitter_is_the_delay_of_a_buffer() -> None:
    assert quality("PCMU", 0, jitter_ms=25) == quality("PCMU", 0, jitter_ms=0)
    assert 93.2 - quality("PCMU", 0, jitter_ms=75)[0] == pytest.approx(delay_impairment(200))


@pytest.mark.parametrize("codec", ["", "H264", "VP8", "telephone-event", "x" * 1000])
def test_a_codec_without_a_row_is_not_rated(codec: str) -> None:
    assert quality(codec, 0, 0) == (0.0, 0.0)


@given(st.sampled_from(sorted(CODECS)), st.floats(-1, 2), st.floats(0, 1e9), st.floats(0, 1e9))
def test_any_stream_has_a_rating_in_the_scale(codec: str, lost_share: float, jitter_ms: float, delay_ms: float) -> None:
    r_factor, mos = quality(codec.upper(), lost_share, jitter_ms, delay_ms)
    assert 0 <= r_factor <= 93.2
    assert 1 <= mos <= 4.42
