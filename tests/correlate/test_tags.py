"""A short cut finds tags in usual From and To values: its results equal the full parser's."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture_agent.sip.parameters import branch_at, locate, parameter, tag_at, value_end

VALUES = [
    (b"<sip:a@b>;tag=x1", b"x1"),
    (b'"A" <sip:a@b>;tag=x1', b"x1"),
    (b'"A"<sip:a@b>;tag=x1', b"x1"),
    (b'"A \\" ;tag=no" <sip:a@b>;tag=x1', b"x1"),
    (b'"A <sip:no>;tag=no" <sip:a@b;tag=no>;x=y;tag=x1;z', b"x1"),
    (b"Alice <sip:a@b>;tag=x1", b"x1"),
    (b"sip:a@b;tag=x1", b"x1"),
    (b"<sip:a@b> ; TAG = x1", b"x1"),
    (b"<sip:a@b>;tag= x1", b"x1"),
    (b"<sip:a@b>;tag=", None),
    (b"<sip:a@b>;tag=;x", None),
    (b"<sip:a@b>", None),
    (b"<sip:a@b>;tagged=x1", None),
    (b"<sip:a@b", None),
    (b'"A', None),
    (b"", None),
]


def found(value: bytes) -> bytes | None:
    data = b"xyz" + value + b";tag=behind"
    end = 3 + len(value)
    at = tag_at(data, 3, end)
    return None if at < 0 else data[at : value_end(data, at, end)] or None


@pytest.mark.parametrize(("value", "want"), VALUES)
def test_tags(value: bytes, want: bytes | None) -> None:
    assert found(value) == want
    assert parameter(value, b"tag") == want


PIECES = [b'"', b"<", b">", b";", b"tag", b"=", b" ", b"\\", b",", b"sip:a", b"x", b"\r\n", b";tag=", b"TAG", b"\xff"]


@given(st.lists(st.sampled_from(PIECES), max_size=16).map(b"".join))
def test_the_short_cut_finds_what_the_long_way_does(value: bytes) -> None:
    assert found(value) == parameter(value, b"tag")
    data = b"xyz" + value
    assert tag_at(data, 3, len(data)) == locate(data, 3, len(data), b"tag")


@pytest.mark.parametrize("bounds", [(-1, 5), (0, 0), (3, 2), (0, 1000)])
def test_bounds_that_lie_outside(bounds: tuple[int, int]) -> None:
    assert tag_at(b"<sip:a@b>;tag=x", *bounds) == -1


VIA_PIECES = [b";branch=", b"SIP/2.0/UDP h", b"z9hG4bK1", *PIECES]


@given(st.lists(st.sampled_from(VIA_PIECES), max_size=16).map(b"".join))
def test_the_branch_is_what_the_long_way_finds(value: bytes) -> None:
    data = b"xyz" + value
    assert branch_at(data, 3, len(data)) == locate(data, 3, len(data), b"branch", True)
