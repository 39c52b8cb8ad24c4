"""Byte equality: our own golden packets, and what siptrace was recorded to send."""

import pytest
from hep_samples import Golden, golden, reference

from hep import decode, encode, version_of

pytestmark = pytest.mark.once

GOLDEN = golden()


@pytest.mark.parametrize("sample", GOLDEN, ids=lambda sample: sample.name)
def test_decoded(sample: Golden) -> None:
    assert decode(sample.data) == sample.packet
    assert version_of(sample.data) == sample.version


@pytest.mark.parametrize("sample", [s for s in GOLDEN if s.encodes], ids=lambda sample: sample.name)
def test_encoded(sample: Golden) -> None:
    assert encode(sample.packet, sample.version, sample.order).hex() == sample.data.hex()


def test_siptrace_recordings_decoded() -> None:
    for sample in reference():
        assert decode(sample.data) == sample.packet, sample.name


def test_siptrace_recordings_encoded() -> None:
    samples = reference()
    assert len(samples) == 39
    for sample in samples:
        assert encode(sample.packet, sample.version, sample.order).hex() == sample.data.hex(), sample.name
