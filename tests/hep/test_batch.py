"""The batch encoder writes the same bytes as `encode`, for every version, address family and size."""

from array import array

import pytest
from hypothesis import given
from hypothesis import strategies as st

import capture_agent  # noqa: F401 - lets CAPTURE_AGENT_PURE choose the build
from hep import Packet, StreamDecoder, encode
from hep.batch import Encoder

FIXED4, FIXED6 = 99, 123  # a HEP3 packet without payload, key and correlation id


def expected(
    version: int, addresses: bytes, ports: tuple[int, int], protocol: int, time_ns: int, payload: bytes,
    correlation_id: bytes, key: bytes, name: bytes, capture_id: int, vlan: int | None = None,
) -> bytes:  # fmt: skip
    size = len(addresses) // 2
    packet = Packet(
        source=addresses[:size],
        destination=addresses[size:],
        source_port=ports[0],
        destination_port=ports[1],
        protocol=protocol,
        seconds=time_ns // 10**9,
        microseconds=time_ns // 1000 % 10**6,
        payload=payload,
    )
    if version > 1:
        packet.capture_id = capture_id
    if version == 3:
        packet.protocol_type = 1
        packet.correlation_id = correlation_id or None
        packet.auth_key = key or None
        packet.agent_name = name or None
        packet.vlan = vlan
    return encode(packet, version)


@given(
    version=st.sampled_from([1, 2, 3]),
    addresses=st.binary(min_size=8, max_size=8) | st.binary(min_size=32, max_size=32),
    ports=st.tuples(st.integers(0, 65535), st.integers(0, 65535)),
    protocol=st.sampled_from([6, 17, 22, 132]),
    time_ns=st.integers(0, (1 << 32) * 10**9 - 1),
    payload=st.binary(max_size=300),
    correlation_id=st.binary(max_size=20),
    key=st.binary(max_size=20),
    name=st.binary(max_size=20),
    capture_id=st.integers(0, (1 << 32) - 1),
    before=st.binary(max_size=10),
    behind=st.binary(max_size=10),
)
def test_as_encode(
    version: int, addresses: bytes, ports: tuple[int, int], protocol: int, time_ns: int, payload: bytes,
    correlation_id: bytes, key: bytes, name: bytes, capture_id: int, before: bytes, behind: bytes,
) -> None:  # fmt: skip
    encoder = Encoder(version, capture_id, key, name)
    data = before + addresses + payload + behind
    start = len(before) + len(addresses)
    for _ in range(2):  # the second one must not see the first
        assert encoder.add(
            data, len(before), len(addresses) // 2, *ports, protocol, time_ns, start, start + len(payload),
            correlation_id,
        )  # fmt: skip
    want = expected(
        version, addresses, ports, protocol, time_ns, payload, correlation_id, key, name, capture_id
    )  # fmt: skip
    assert bytes(encoder.buffer) == want * 2
    assert encoder.ends == array("q", [len(want), 2 * len(want)])


@pytest.mark.parametrize(
    ("version", "size", "most"),
    [(1, 4, 65535 - 16), (1, 16, 65535 - 40), (2, 4, 65535 - 28), (3, 4, 65535 - FIXED4), (3, 16, 65535 - FIXED6)],
)
def test_the_longest_message(version: int, size: int, most: int) -> None:
    encoder = Encoder(version)
    data = bytes(2 * size) + b"x" * (most + 1)

    def add(length: int) -> bool:
        return bool(encoder.add(data, 0, size, 5060, 5060, 17, 0, 2 * size, 2 * size + length))

    assert add(10)
    kept = bytes(encoder.buffer)
    assert not add(most + 1)
    assert (bytes(encoder.buffer), encoder.count) == (kept, 1)
    assert add(most)
    assert encoder.used == len(kept) + 65535


def test_the_buffer_grows_and_clears() -> None:
    encoder = Encoder()
    data = bytes(8) + b"INVITE"
    for n in range(5000):
        encoder.add(data, 0, 4, n, 5060, 17, 0, 8, 14)
    packets = list(StreamDecoder().feed(bytes(encoder.buffer)))
    assert [packet.source_port for packet in packets] == list(range(5000))
    encoder.clear()
    assert (encoder.used, encoder.count, len(encoder.buffer), len(encoder.ends)) == (0, 0, 0, 0)


@given(st.lists(st.tuples(st.integers(0, 400_000), st.integers(0, 3)), max_size=20), st.sampled_from([1, 2, 3]))
def test_needed_buffers_stay_unchanged(batches: list[tuple[int, int]], version: int) -> None:
    """Whatever the sizes, and whenever the oldest buffers are released."""
    encoder = Encoder(version)
    needed: list[tuple[memoryview, bytes]] = []
    for n, (size, done) in enumerate(batches):
        encoder.clear(needed[0][0] if needed else None)
        payload = bytes([n + 1]) * min(size, 65_000)
        for _ in range(size // 65_000 + 1):
            assert encoder.add(bytes(8) + payload, 0, 4, n, 5060, 17, 0, 8, 8 + len(payload))
        buffer = encoder.buffer
        assert len(buffer) == encoder.ends[-1]
        assert bytes(buffer).endswith(payload)
        needed.append((buffer, bytes(buffer)))
        assert [bytes(view) for view, _ in needed] == [copy for _, copy in needed]
        needed = needed[done:]


def test_rooms_are_filled_again() -> None:
    """As many as are needed at once, and no more."""
    encoder = Encoder()
    needed: list[memoryview] = []
    rooms: dict[int, object] = {}
    for _ in range(200):
        encoder.clear(needed[0] if needed else None)
        for _ in range(3):
            encoder.add(bytes(60_000), 0, 4, 1, 2, 17, 0, 8, 60_000)
        needed.append(encoder.buffer)
        rooms[id(encoder.buffer.obj)] = encoder.buffer.obj
        needed = needed[-5:]
    assert len(rooms) == 6


def test_small_buffers_share_a_room() -> None:
    encoder = Encoder()
    needed = []
    for _ in range(100):
        encoder.clear(needed[0] if needed else None)
        encoder.add(bytes(600), 0, 4, 1, 2, 17, 0, 8, 600)
        needed.append(encoder.buffer)
    assert len({id(buffer.obj) for buffer in needed}) == 1


def test_needed_must_be_a_buffer_of_this_encoder() -> None:
    encoder, other = Encoder(), Encoder()
    other.add(bytes(600), 0, 4, 1, 2, 17, 0, 8, 600)
    with pytest.raises(ValueError, match="not a buffer of this encoder"):
        encoder.clear(other.buffer)


@pytest.mark.parametrize(
    ("bounds", "match"),
    [
        ((-1, 4, 8, 10), "do not fit"),
        ((3, 4, 8, 10), "do not fit"),
        ((0, 4, 8, 11), "do not fit"),
        ((0, 4, 9, 8), "do not fit"),
        ((0, 4, 10, 0), "do not fit"),
        ((2**63 - 1, 4, 8, 10), "do not fit"),
        ((0, 4, -(2**63), 10), "do not fit"),
        ((0, 4, 2**63 - 1, -(2**63)), "do not fit"),
        ((0, 5, 8, 10), "expected 4 or 16"),
        ((0, 16, 8, 10), "do not fit"),
    ],
)
@pytest.mark.parametrize("version", [1, 2, 3])
def test_bounds_outside_of_the_data_are_refused(version: int, bounds: tuple[int, int, int, int], match: str) -> None:
    encoder = Encoder(version)
    at, size, start, end = bounds
    with pytest.raises(ValueError, match=match):
        encoder.add(bytes(10), at, size, 1, 2, 17, 0, start, end)
    assert encoder.used == 0


@given(
    vlans=st.lists(st.sampled_from([-1, 0, 7, 4095]), min_size=1),
    key=st.binary(max_size=5),
    name=st.binary(max_size=5),
    version=st.sampled_from([1, 2, 3]),
    wanted=st.booleans(),
)
def test_vlans(vlans: list[int], key: bytes, name: bytes, version: int, wanted: bool) -> None:
    """Each packet has its own, like `encode`; none if it is not wanted or HEP has no place for it."""
    encoder = Encoder(version, 9, key, name, with_vlan=wanted)
    want = []
    for vlan in vlans:
        if encoder.with_vlan:
            encoder.set_vlan(vlan)
        encoder.add(bytes(8) + b"INVITE", 0, 4, 1, 2, 17, 10**9, 8, 14)
        shown = vlan if wanted and version == 3 and vlan >= 0 else None
        want.append(expected(version, bytes(8), (1, 2), 17, 10**9, b"INVITE", b"", key, name, 9, shown))
    assert bytes(encoder.buffer) == b"".join(want)


def test_a_version_that_is_none() -> None:
    with pytest.raises(ValueError, match="HEP version 4, expected 1, 2 or 3"):
        Encoder(4)
