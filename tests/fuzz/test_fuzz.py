"""A few mutants through every hot entry point, and that the mutations are what they claim to be."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest
from fuzz import run_case
from fuzz_mutations import SHARES, Mutations, Target, spread
from fuzz_targets import targets

CASES = 400
NAMES = [
    "frames", "tunnels", "exported", "fragments", "segments", "websocket", "sctp", "copies", "scan", "parameters", "hep", "relay",
    "containers", "compressed", "framing", "live", "udp_batch", "correlate", "hooks", "policy", "rules",
    "tls_records", "tls_handshake", "tls_key_log", "rtcp", "media_addresses", "media",
]  # fmt: skip


@pytest.fixture(scope="module")
def known() -> Iterator[dict[str, Target]]:
    with targets() as found:
        yield found


def test_each_target_is_tested(known: dict[str, Target]) -> None:
    assert list(known) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_mutants(known: dict[str, Target], name: str) -> None:
    mutations = known[name].mutations(seed=7)
    for n in range(CASES):
        run_case(known[name], mutations, 7, n)


@pytest.mark.parametrize("name", NAMES)
def test_samples_as_they_are(known: dict[str, Target], name: str) -> None:
    for number, sample in enumerate(known[name].samples[:100]):
        known[name].run(number, sample, Random(number))


@pytest.mark.parametrize("size", [1, 2, 1000, 1_000_003])
def test_spread_leaves_none_out(size: int) -> None:
    turns = range(min(size, 5000))
    assert len({spread(turn, size) for turn in turns}) == len(turns)


def test_every_cut_and_every_bit_has_its_case() -> None:
    samples = [b"INVITE", b"x", b"", b"ab"]
    mutations = Mutations(samples, [b"piece"], seed=1)
    cases = [mutations.case(n) for n in range(SHARES * 8 * mutations.size)]
    cuts = {data for _, data in cases[0::SHARES]}
    bits = {data for _, data in cases[1::SHARES]}
    assert cuts == {sample[:at] for sample in samples for at in range(len(sample))}
    assert len(bits) == 8 * mutations.size
    assert cases == [mutations.case(n) for n in range(len(cases))]
    assert cases[2::SHARES] != [Mutations(samples, [b"piece"], seed=2).case(n) for n in range(2, len(cases), SHARES)]
