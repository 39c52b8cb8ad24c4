"""Mutations by number: case n of a seed is the same bytes on every machine and in every run."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from random import Random
from typing import Literal

PRIMES = (1_000_003, 1_000_033)  # one of them is coprime to whatever is counted here
SHARES = 4  # of four cases one is cut, one has a bit flipped, two are changed at random

NUMBERS = (0, 1, 2, 3, 4, 7, 8, 11, 12, 15, 16, 19, 20, 27, 28, 39, 40, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF,
           0x10000, 0x3FFFF, 0x40000, 0x40001, 0xFFFFFF, 0x1000000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)  # fmt: skip
EXTREMES = (-1, -2, -4, -8, -20, -(2**31), 2**31, 2**32, 2**62, 2**63 - 1, 2**63 - 8, 2**63 - 20, -(2**63))


class Mutations:
    """Mutations of samples; `pieces` are texts with a meaning to the reader."""

    def __init__(self, samples: Sequence[bytes], pieces: Sequence[bytes], seed: int) -> None:
        self._samples = [sample for sample in samples if sample]
        self._pieces = pieces
        self._seed = seed
        self._ends = list(accumulate(len(sample) for sample in self._samples))

    @property
    def size(self) -> int:
        """The bytes of all samples: each is once the first byte that a cut removes."""
        return self._ends[-1]

    def case(self, n: int) -> tuple[int, bytes]:
        """The number of a sample, and that sample changed."""
        kind, turn = n % SHARES, n // SHARES
        if kind == 0:
            number, at = self._place(spread(turn, self.size))
            return number, self._samples[number][:at]
        if kind == 1:
            byte, bit = divmod(spread(turn, 8 * self.size), 8)
            number, at = self._place(byte)
            data = bytearray(self._samples[number])
            data[at] ^= 1 << bit
            return number, bytes(data)
        draw = Random(self._seed << 40 | n)
        number = draw.randrange(len(self._samples))
        data = bytearray(self._samples[number])
        for _ in range(draw.choice((1, 1, 1, 2, 3, 5, 8))):
            draw.choice(CHANGES)(self, data, draw)
        return number, bytes(data)

    def _place(self, byte: int) -> tuple[int, int]:
        number = bisect_right(self._ends, byte)
        return number, byte - (self._ends[number - 1] if number else 0)

    def _cut(self, data: bytearray, draw: Random) -> None:
        del data[draw.randint(0, len(data)) :]

    def _remove(self, data: bytearray, draw: Random) -> None:
        at = draw.randint(0, len(data))
        del data[at : at + draw.choice((1, 1, 2, 4, 8, draw.randint(1, 100)))]

    def _insert(self, data: bytearray, draw: Random) -> None:
        at = draw.randint(0, len(data))
        data[at:at] = draw.choice(self._pieces) if draw.random() < 0.7 else draw.randbytes(draw.randint(1, 8))

    def _overwrite(self, data: bytearray, draw: Random) -> None:
        piece = draw.choice(self._pieces) if draw.random() < 0.5 else draw.randbytes(draw.randint(1, 4))
        at = draw.randint(0, len(data))
        data[at : at + len(piece)] = piece

    def _set_number(self, data: bytearray, draw: Random) -> None:
        """A length field, wherever it is: of 1, 2 or 4 bytes in either order, at once or a little off."""
        size = draw.choice((1, 2, 2, 4))
        if len(data) < size:
            return
        # Most headers are short and in front.
        at = draw.randint(0, min(len(data) - size, draw.choice((64, len(data)))))
        order: Literal["big", "little"] = "big" if draw.random() < 0.5 else "little"
        old = int.from_bytes(data[at : at + size], order)
        new = draw.choice((*NUMBERS, old + 1, old - 1, old + 8, old - 8, old * 2, len(data), len(data) - at))
        data[at : at + size] = (new % (1 << 8 * size)).to_bytes(size, order)

    def _swap_numbers(self, data: bytearray, draw: Random) -> None:
        size = draw.choice((1, 2, 2, 4))
        if len(data) < 2 * size:
            return
        window = min(len(data) - size, draw.choice((64, len(data))))
        one, other = draw.randint(0, window), draw.randint(0, window)
        data[one : one + size], data[other : other + size] = data[other : other + size], data[one : one + size]

    def _set_digits(self, data: bytearray, draw: Random) -> None:
        """A decimal number: Content-Length, CSeq, status, port."""
        at = next((at for at in range(draw.randint(0, len(data)), len(data)) if 0x30 <= data[at] <= 0x39), -1)
        if at < 0:
            return
        end = at
        while end < len(data) and 0x30 <= data[end] <= 0x39:
            end += 1
        data[at:end] = b"%d" % draw.choice((*NUMBERS, *EXTREMES, 10**30, len(data)))

    def _repeat(self, data: bytearray, draw: Random) -> None:
        at = draw.randint(0, len(data))
        data[at:at] = data[at : at + draw.randint(1, 60)] * draw.choice((1, 2, 20))

    def _splice(self, data: bytearray, draw: Random) -> None:
        other = draw.choice(self._samples)
        data[draw.randint(0, len(data)) :] = other[draw.randint(0, len(other)) :]


CHANGES = (
    Mutations._cut, Mutations._remove, Mutations._insert, Mutations._overwrite, Mutations._set_number,
    Mutations._set_number, Mutations._swap_numbers, Mutations._set_digits, Mutations._repeat, Mutations._splice,
)  # fmt: skip


def spread(turn: int, size: int) -> int:
    """Each of range(size) once in `size` turns, and the first few turns from all over it."""
    return turn * next(prime for prime in PRIMES if size % prime) % size


Run = Callable[[int, bytes, Random], None]  # the sample's number, its mutant, and the random generator


class Target:
    def __init__(self, samples: Sequence[bytes], pieces: Sequence[bytes], run: Run) -> None:
        self.samples = samples
        self.pieces = pieces
        self.run = run

    def mutations(self, seed: int) -> Mutations:
        return Mutations(self.samples, self.pieces, seed)
