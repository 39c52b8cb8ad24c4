"""Numbers of texts: nobody can choose two texts with the same number, and no environment fixes the keys."""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import combinations, permutations, product
from pathlib import Path

import pytest
from correlate_samples import captured
from hypothesis import given
from hypothesis import strategies as st

from capture_agent.app.agent import Agent
from capture_agent.app.replaying import replay
from capture_agent.config import load
from capture_agent.correlate.marks import call_key, hop_of, tag_key
from capture_agent.hashing import LAST, TEXT, WITHIN, WORDS, digest, number_of

INPUTS = Path(__file__).parents[1] / "faults" / "inputs"
A, B, C, D = (letter * 8 for letter in (b"a", b"b", b"c", b"d"))
ZERO, ONES = bytes(8), b"\xff" * 8

# Texts that are one number where start and multiplier are the same or of no key, where products commute or are of
# zero, and where the length does not count.
CHOSEN = {
    "operands of one product that change places": [b"abcdefghijklmnop", b"yjklmnopqbcdefgh"],
    "in the first of two products": [b"ABCDEFGHIJKLMNOPqrstuvwxyz012345", b"iJKLMNOPaBCDEFGHqrstuvwxyz012345"],
    "words in any order": [b"".join(words) for words in permutations((A, B, C, D))],
    "blocks in any order": [b"".join(blocks) for blocks in permutations((A * 2, B * 2, C * 2))],
    "products of zero": [b"".join(words) for words in product((ZERO, ONES, A), repeat=4)],
    "zeros of any length": [bytes(length) for length in range(700)],
    "extended by zeros": [b"x" * length + bytes(zeros) for length in (1, 7, 8, 15, 16) for zeros in range(20)],
    "one letter of any number": [b"z" * length for length in range(1, 700)],
    "a bit in any place": [(1 << bit).to_bytes(40, "little") for bit in range(320)],
    "a bit in any place of a long one": [(1 << bit).to_bytes(600, "little") for bit in range(0, 4800, 7)],
    "two bits": [(1 << a | 1 << b).to_bytes(16, "little") for a, b in combinations(range(128), 2)],
    "blocks of a long one in any order": [b"".join(blocks) for blocks in permutations((b"a" * 256, b"b" * 256, b"c"))],
}


@pytest.mark.parametrize("texts", CHOSEN.values(), ids=CHOSEN)
@pytest.mark.parametrize("lane", [TEXT, WITHIN, LAST, WORDS])
def test_chosen_texts_are_not_one_number(texts: list[bytes], lane: int) -> None:
    different = len(set(texts))
    assert len({number_of(text, 0, len(text), lane, 0) for text in texts}) == different
    assert len({number_of(text, 0, len(text), lane, 1 << 63) for text in texts}) == different
    assert len({digest(text, b"") for text in texts}) == different


@pytest.mark.parametrize("texts", CHOSEN.values(), ids=CHOSEN)
def test_nor_do_numbers_agree_in_their_last_bits(texts: list[bytes]) -> None:
    """These bits select slots: with 16 bits and a few hundred texts, only a few agree.

    In the mean of several starts: with the key of one process in a hundred, a few more agree by chance.
    """
    different, starts = set(texts), range(16)
    agree = 0
    for start in starts:
        places = {number_of(text, 0, len(text), TEXT, start) & 0xFFFF for text in different}
        agree += len(different) - len(places)
    assert agree / len(starts) <= 2 + len(different) ** 2 / (1 << 16)


@given(st.binary(max_size=40), st.binary(max_size=40), st.sampled_from([1, 20, 256, 300, 5000]))
def test_equal_texts_have_one_number_and_others_have_not(one: bytes, other: bytes, times: int) -> None:
    numbers = [
        number_of(before + text * times + before, len(before), len(before) + len(text) * times, TEXT, 7)
        for text, before in ((one, b""), (one, b"xyz"), (other, b"x"))
    ]
    assert numbers[0] == numbers[1]
    assert (numbers[0] == numbers[2]) is (one * times == other * times)


@pytest.mark.parametrize(("start", "end"), [(-1, 3), (0, 4), (3, 2), (1 << 62, 1 << 62), (-5, -1)])
def test_bounds_outside_give_the_number_of_no_text(start: int, end: int) -> None:
    assert number_of(b"abc", start, end, TEXT, 5) == number_of(b"", 0, 0, TEXT, 5)


def test_call_ids_tags_and_hops_are_such_numbers() -> None:
    pair = CHOSEN["operands of one product that change places"]
    sips = [captured(b"INVITE sip:b SIP/2.0\r\nVia: x\r\nCall-ID: %s\r\n\r\n" % text).sip for text in pair]
    assert len({call_key(sip) for sip in sips}) == 2
    assert len({tag_key(text, 0, 16) for text in pair}) == 2
    moved = [(b"xy", b"sip:z"), (b"x", b"ysip:z"), (b"", b"xysip:z"), (b"sip:z", b"xy")]
    hops = {hop_of(captured(b"INVITE %s SIP/2.0\r\nVia: %s\r\n\r\n" % (uri, via)).sip) for via, uri in moved}
    assert len(hops) == len(moved)


def test_no_environment_fixes_the_keys() -> None:
    program = (
        "from capture_agent import hashing as h; print(h.number_of(b'abc', 0, 3, 0, 0), h.digest(b'abc', b'').hex())"
    )
    environ = os.environ | {"PYTHONHASHSEED": "0"}
    runs = [
        subprocess.run([sys.executable, "-c", program], env=environ, check=True, capture_output=True, timeout=60).stdout
        for _ in range(2)
    ]
    assert len({word for run in runs for word in run.split()}) == 4


def test_a_stranger_does_not_get_into_a_traced_call() -> None:
    rule = {"name": "alice", "from_user": ["alice"], "trace": "dialog"}
    agent = Agent(load(overrides={"rule": [rule]}), lossless=True)
    replay(agent, [INPUTS / "callid_collision.pcap"])
    books = {ledger.name: ledger for ledger in agent.close().ledgers}
    assert books["messages"].outcomes == {"traced": 2, "not_traced": 2, "duplicate": 0}
    assert books["calls"].seen == 4
