"""What is SIP, and where its parts are: tables of in and want."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture_agent.sip import scan as scan_module
from capture_agent.sip import stranger as stranger_module
from capture_agent.sip.message import ABSENT, NOT_A_NUMBER, SipMessage
from capture_agent.sip.problems import Problem, Stranger
from capture_agent.sip.scan import scan
from capture_agent.sip.stranger import stranger

INVITE = (
    b"INVITE sip:bob@example.com SIP/2.0\r\n"
    b"Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKabc;rport\r\n"
    b"From: Alice <sip:alice@example.com>;tag=ft1\r\n"
    b"To: <sip:bob@example.com>\r\n"
    b"Call-ID: a84b4c76@192.0.2.1\r\n"
    b"CSeq: 314159 INVITE\r\n"
    b"Content-Length: 4\r\n"
    b"\r\n"
    b"v=0\n"
)


def parsed(data: bytes) -> SipMessage:
    sip = scan(data, 0, len(data))
    assert sip is not None
    return sip


def with_header(name: bytes, line: bytes) -> bytes:
    """INVITE with one header line replaced."""
    lines = [line if old.startswith(name + b":") else old for old in INVITE.split(b"\r\n")]
    return b"\r\n".join(lines)


def test_a_plain_request() -> None:
    sip = parsed(INVITE)
    assert (sip.is_request, sip.method, sip.uri, sip.status) == (True, b"INVITE", b"sip:bob@example.com", 0)
    assert (sip.call_id, sip.cseq, sip.cseq_method) == (b"a84b4c76@192.0.2.1", 314159, b"INVITE")
    assert (sip.from_tag, sip.to_tag, sip.via_branch) == (b"ft1", None, b"z9hG4bKabc")
    assert (sip.content_length, sip.body, sip.problems) == (4, b"v=0\n", 0)
    assert sip.raw == INVITE
    assert sip.start_line == b"INVITE sip:bob@example.com SIP/2.0"


@pytest.mark.parametrize(
    ("data", "method", "uri", "problems"),
    [
        (b"NEWMETHOD sip:x SIP/2.0\r\n", b"NEWMETHOD", b"sip:x", 0),
        (b"a-.!%*_+`'~ sip:x SIP/2.0\r\n", b"a-.!%*_+`'~", b"sip:x", 0),
        (b"\r\n\r\n \tBYE sip:x SIP/2.0\r\n", b"BYE", b"sip:x", 0),
        (b"BYE sip:x SIP/2.0\n", b"BYE", b"sip:x", 0),
        (b"BYE  sip:x  SIP/2.0  \r\n", b"BYE", b"sip:x", 0),
        (b"BYE sip:x sip/2.0\r\n", b"BYE", b"sip:x", 0),
        (b"BYE sip:a b;lr SIP/2.0\r\n", b"BYE", b"sip:a b;lr", 0),
        (b"BYE\tsip:x\tSIP/2.0\r\n", b"BYE", b"sip:x", 0),
        (b"I(NVITE sip:x SIP/2.0\r\n", None, None, Problem.BAD_START_LINE),
        (b"INVITE\0sip:x SIP/2.0\r\n", None, None, Problem.BAD_START_LINE),
        (b"INVITE\xc3\xa4 sip:x SIP/2.0\r\n", None, None, Problem.BAD_START_LINE),
        (b"INVITEsip:x SIP/2.0\r\n", None, None, Problem.BAD_START_LINE),
        (b"INVITE SIP/2.0\r\n", b"INVITE", b"", Problem.BAD_START_LINE),
    ],
)
def test_request_lines(data: bytes, method: bytes | None, uri: bytes | None, problems: int) -> None:
    sip = parsed(data)
    assert (sip.method, sip.uri) == (method, uri)
    assert Problem(sip.problems) & Problem.BAD_START_LINE == problems


@pytest.mark.parametrize(
    ("line", "status", "bad"),
    [
        (b"SIP/2.0 200 OK", 200, False),
        (b"SIP/2.0 100 ", 100, False),
        (b"SIP/2.0 486", 486, False),
        (b"sip/2.0 180 Ringing", 180, False),
        (b"SIP/2.0  200  OK", 200, False),
        (b"SIP/2.0 200 = 2**3 * 5**2 \xd0\xbd\xd0\xbe", 200, False),
        (b"SIP/2.0 099 low", 99, True),
        (b"SIP/2.0 700 high", 700, True),
        (b"SIP/2.0 20 short", 0, True),
        (b"SIP/2.0 4294967301 better not break the receiver", 0, True),
        (b"SIP/2.0 OK 200", 0, True),
    ],
)
def test_status_lines(line: bytes, status: int, bad: bool) -> None:
    sip = parsed(line + b"\r\n\r\n")
    assert (sip.is_request, sip.method, sip.uri, sip.status) == (False, None, None, status)
    assert bool(sip.problems & Problem.BAD_START_LINE) is bad


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (b"", Stranger.EMPTY),
        (b"\r\n\r\n", Stranger.KEEPALIVE),
        (b"\0", Stranger.KEEPALIVE),
        (b"\0\0\0\0", Stranger.KEEPALIVE),
        (b" \t", Stranger.KEEPALIVE),
        (bytes.fromhex("000100002112a442") + bytes(12), Stranger.STUN),
        (bytes.fromhex("01010008") + bytes(16) + bytes(8), Stranger.STUN),
        (bytes.fromhex("80000001") + bytes(168), Stranger.RTP),
        (bytes.fromhex("80c80006") + bytes(24), Stranger.RTCP),
        (bytes.fromhex("81ca0002") + bytes(8), Stranger.RTCP),
        (b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", Stranger.HTTP),
        (b"HTTP/1.1 200 OK\r\n\r\n", Stranger.HTTP),
        (b"OPTIONS sip:x SIP/7.0\r\n\r\n", Stranger.SIP_VERSION),
        (b"SIP/3.0 200 OK\r\n\r\n", Stranger.SIP_VERSION),
        (b"SIP/2.0\r\n", Stranger.START_LINE),
        (b"x SIP/2.0\r\n", Stranger.START_LINE),
        (b"(INVITE sip:x SIP/2.0\r\nVia: SIP/2.0/UDP x\r\n\r\n", Stranger.START_LINE),
        (b"\xffINVITE sip:x SIP/2.0\r\n", Stranger.START_LINE),
        (b"INVITE sip:x\r\nVia: SIP/2.0/UDP x\r\n", Stranger.OTHER),
        (b"INVITE sip:x SIP/2.01\r\n\r\n", Stranger.SIP_VERSION),
        (b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x07example\x03com\x00", Stranger.OTHER),
        (b"junk that is not sip\r\n", Stranger.OTHER),
        (b"\xff SIP/2.0 200 OK\r\n", Stranger.START_LINE),
        (b"HEP3\0\x1f" + bytes(25), Stranger.HEP),
        (b"HEP3\0\x40\0\0\0\x0f\0\x39INVITE sip:x SIP/2.0\r\n\r\n", Stranger.HEP),
        (bytes.fromhex("01100211 13c413c4 7f000001 7f000001") + b"INVITE sip:x SIP/2.0\r\n\r\n", Stranger.HEP),
        (bytes.fromhex("02280a11 13c413c4") + bytes(32 + 12) + b"SIP/2.0 200 OK\r\n\r\n", Stranger.HEP),
        (bytes.fromhex("021c0211 13c413c4") + bytes(8 + 12), Stranger.HEP),
        (
            bytes.fromhex("8123 0110 0001 0000 0000 0000 20")
            + b"CKAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\0"
            + bytes.fromhex("00210001"),
            Stranger.OTHER,
        ),
        (bytes.fromhex("a1b2 0100 0001 0000 0000 0000 03777777 076578616d706c65 00 0001 0001"), Stranger.OTHER),
        (
            bytes.fromhex("9000 8400 0000 0001 0000 0000 05")
            + b"_sipx\x05local\0"
            + bytes.fromhex("000c 8001 00000078 0002 c00c"),
            Stranger.OTHER,
        ),
    ],
)
def test_strangers(data: bytes, kind: Stranger) -> None:
    assert scan(data, 0, len(data)) is None
    assert stranger(data, 0, len(data)) == kind


@pytest.mark.parametrize(
    ("name", "line", "field", "want"),
    [
        (b"Call-ID", b"i: compact@x", "call_id", b"compact@x"),
        (b"Call-ID", b"CALL-ID :\t  spaced@x  ", "call_id", b"spaced@x"),
        (b"Call-ID", b"Call-ID:\r\n folded@x", "call_id", b"folded@x"),
        (b"Call-ID", b"Call-ID:", "call_id", None),
        (b"CSeq", b"CSEQ:   7   INVITE ", "cseq", 7),
        (b"CSeq", b"CSeq: 0009\r\n  INVITE", "cseq_method", b"INVITE"),
        (b"CSeq", b"CSeq: 4294967295 INVITE", "cseq", 4294967295),
        (b"CSeq", b"CSeq: 4294967296 INVITE", "cseq", NOT_A_NUMBER),
        (b"CSeq", b"CSeq: one INVITE", "cseq", NOT_A_NUMBER),
        (b"CSeq", b"X: none", "cseq", ABSENT),
        (b"From", b"f: <sip:a@b>;tag=x", "from_tag", b"x"),
        (b"From", b"From: <sip:a@b>\r\n\t;TAG = y", "from_tag", b"y"),
        (b"From", b'From: "tag;tag=no" <sip:a@b;tag=no>;tag=yes;x=1', "from_tag", b"yes"),
        (b"From", b'From: "a \\" ;tag=no" <sip:a@b>;x;tag=yes', "from_tag", b"yes"),
        (b"From", b"From: sip:a@b;tag=bare", "from_tag", b"bare"),
        (b"From", b"From: <sip:a@b>;tagged=no;tag=yes", "from_tag", b"yes"),
        (b"From", b"From: <sip:a@b>;tag=", "from_tag", None),
        (b"From", b"From: <sip:a@b>;tag", "from_tag", None),
        (b"From", b'From: "open <sip:a@b>;tag=t', "from_tag", b"t"),
        (b"From", b"From: <sip:open;tag=t", "from_tag", b"t"),
        (b"To", b"t: <sip:a@b>;tag=a=b==", "to_tag", b"a=b=="),
        (b"To", b"To: <sip:a@b>;tag=a b", "to_tag", b"a"),
        (b"Via", b"v: SIP / 2.0 / UDP x ; rport ; branch = z9hG4bK1 ; x=1", "via_branch", b"z9hG4bK1"),
        (b"Via", b"Via: SIP/2.0/UDP a;branch=one, SIP/2.0/UDP b;branch=two", "via_branch", b"one"),
        (b"Via", b"Via: SIP/2.0/UDP a, SIP/2.0/UDP b;branch=two", "via_branch", None),
        (b"Via", b"Via: SIP/2.0/UDP a;branch=one\r\nVia: SIP/2.0/UDP b;branch=two", "via_branch", b"one"),
        (b"Via", b"Via: SIP/2.0/UDP a\r\nVia: SIP/2.0/UDP b;branch=two", "via_branch", None),
        (b"Via", b"Via: SIP/2.0/UDP [2001:db8::1]:5060;branch=six", "via_branch", b"six"),
        (b"Content-Length", b"l: 4", "content_length", 4),
        (b"Content-Length", b"Content-Length: -4", "content_length", NOT_A_NUMBER),
        (b"Content-Length", b"Content-Length: 99999999999999999999", "content_length", NOT_A_NUMBER),
        (b"Content-Length", b"X: y", "content_length", ABSENT),
    ],
)
def test_headers(name: bytes, line: bytes, field: str, want: object) -> None:
    assert getattr(parsed(with_header(name, line)), field) == want


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (with_header(b"Via", b"X: y"), Problem.NO_VIA),
        (with_header(b"From", b"X: y"), Problem.NO_FROM),
        (with_header(b"From", b"From: "), Problem.NO_FROM),
        (with_header(b"To", b"To: ;tag=only"), Problem.NO_TO),
        (with_header(b"Call-ID", b"Call-ID: "), Problem.NO_CALL_ID),
        (with_header(b"CSeq", b"X: y"), Problem.NO_CSEQ),
        (with_header(b"CSeq", b"CSeq: 1"), Problem.BAD_CSEQ),
        (with_header(b"CSeq", b"CSeq: -1 INVITE"), Problem.BAD_CSEQ),
        (with_header(b"CSeq", b"CSeq: 1 BYE"), Problem.CSEQ_METHOD),
        (with_header(b"CSeq", b"CSeq: 1 invite"), Problem.CSEQ_METHOD),
        (with_header(b"Content-Length", b"Content-Length: x"), Problem.BAD_CONTENT_LENGTH),
        (with_header(b"Content-Length", b"Content-Length: 5"), Problem.BODY_SHORT),
        (with_header(b"Content-Length", b"Content-Length: 3"), Problem.BODY_LONG),
        (with_header(b"Content-Length", b"l: 4\r\nContent-Length: 4"), Problem(0)),
        (with_header(b"Content-Length", b"l: 4\r\nContent-Length: 5"), Problem.REPEATED_HEADER),
        (with_header(b"Call-ID", b"i: a\r\nCall-ID: b"), Problem.REPEATED_HEADER),
        (with_header(b"To", b"no colon here"), Problem.BAD_HEADER | Problem.NO_TO),
        (with_header(b"To", b": no name"), Problem.BAD_HEADER | Problem.NO_TO),
        (INVITE.split(b"\r\n\r\n")[0], Problem.NO_HEADER_END),
        (INVITE.split(b"\r\n\r\n")[0] + b"\r\n", Problem.NO_HEADER_END),
        (INVITE.replace(b"\r\n", b"\n"), Problem(0)),
    ],
)
def test_problems(data: bytes, problem: Problem) -> None:
    assert Problem(parsed(data).problems) == problem


@pytest.mark.parametrize(
    ("length", "body"), [(b"2", b"v="), (b"4", b"v=0\n"), (b"9", b"v=0\n"), (b"x", b"v=0\n"), (b"0", b"")]
)
def test_the_body_follows_rfc_3261_18_3_and_the_evidence_stays_whole(length: bytes, body: bytes) -> None:
    data = with_header(b"Content-Length", b"Content-Length: " + length)
    assert parsed(data).body == body
    assert parsed(data).raw == data


def test_a_binary_body_is_kept() -> None:
    body = bytes(range(256))
    data = b"MESSAGE sip:x SIP/2.0\r\nl: 256\r\n\r\n" + body
    assert parsed(data).body == body


def test_it_reads_only_its_part_of_the_buffer() -> None:
    before, behind = b"INVITE sip:x", b"Call-ID: other\r\n\r\n"
    sip = scan(before + INVITE + behind, len(before), len(before) + len(INVITE))
    assert sip is not None
    assert (sip.raw, sip.call_id, sip.problems) == (INVITE, b"a84b4c76@192.0.2.1", 0)


@pytest.mark.parametrize(
    ("start", "end"), [(-1, 5), (0, len(INVITE) + 1), (5, 4), (0, -1), (2**63 - 1, len(INVITE)), (2**62, -(2**63))]
)
def test_bounds_outside_of_the_buffer_are_refused(start: int, end: int) -> None:
    with pytest.raises(ValueError, match="lies outside"):
        scan(INVITE, start, end)


def test_headers_are_parsed_when_asked_for() -> None:
    sip = parsed(INVITE.replace(b"Content-Length: 4", b"m: <sip:a>,\r\n <sip:b>\r\nX-CID:  1 \r\nl: 4"))
    assert sip.header("Contact") == b"<sip:a>, <sip:b>"
    assert sip.header("x-cid") == b"1"
    assert sip.header("l") == sip.header("Content-Length") == b"4"
    assert sip.header("Route") is None
    assert [name for name, _ in sip.headers][:3] == ["via", "from", "to"]


def test_the_numbers_in_scan_are_those_of_the_enums() -> None:
    if not hasattr(scan_module, "BAD_START_LINE"):  # the compiled build keeps them as C integers
        return
    for problem in Problem:
        if problem is not Problem.TRUNCATED:  # what the intake adds
            assert getattr(scan_module, str(problem.name)) == problem
    for kind in Stranger:
        if kind is not Stranger.NONE:
            assert getattr(stranger_module, kind.name) == kind


ALPHABET = [b"INVITE", b" ", b"sip:a@b", b"SIP/2.0", b"\r\n", b"\n", b"Via: ", b"From:", b"t :", b"i:", b"CSeq:",
            b";tag=",
            b";branch=", b'"', b"<", b">", b",", b"\\", b"l: 3", b"\t", b"\0", b"\xff", b"1", b"200"]  # fmt: skip


@given(st.lists(st.sampled_from(ALPHABET), max_size=40).map(b"".join))
def test_nothing_raises_and_bounds_hold(data: bytes) -> None:
    sip = scan(data, 0, len(data))
    if sip is None:
        assert stranger(data, 0, len(data)) in list(Stranger)[1:]
        return
    assert 0 <= sip.headers_start <= sip.body_start <= sip.body_end <= sip.end == len(data)
    for field in ("method", "uri", "call_id", "from_tag", "to_tag", "via_branch", "cseq_method"):
        part = getattr(sip, field)
        assert part is None or part in data
    assert sip.headers is sip.headers
