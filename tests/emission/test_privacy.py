"""Masks: what they hide, what they keep, and that any message is safe."""

from __future__ import annotations

import re
import time
from ipaddress import ip_address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from capture_agent.emission.privacy import MASKS, masker
from capture_agent.emission.rewriting import scanned
from capture_agent.emission.users import hashed, plain
from capture_agent.records.captured import CapturedMessage
from capture_agent.records.datagram import Datagram

KEY = b"secret"
ADDRESSES = ip_address("192.0.2.1").packed + ip_address("192.0.2.2").packed
ALICE, BOB, NUMBER = (hashed(KEY)(user) for user in (b"alice", b"bob", b"+49301234567"))


def message(raw: bytes) -> CapturedMessage:
    data = ADDRESSES + raw
    datagram = Datagram(data, 8, len(data), 0, 4, 5060, 5070)
    return CapturedMessage(datagram, scanned(datagram))


def masked(name: str, raw: bytes) -> bytes:
    return masker([name], KEY)(message(raw)).raw


def with_line(line: bytes) -> bytes:
    """A request with this header, and a body that no header mask may touch."""
    return b"OPTIONS sip:h SIP/2.0\r\n" + line + b"\r\nContent-Length: 4\r\n\r\nbody"


@pytest.mark.parametrize(
    ("line", "want"),
    [
        (b'Authorization: Digest username="a", response="5f"', b"Authorization: Digest ************* *************"),
        (b"proxy-authorization:Basic  YWxp", b"proxy-authorization:Basic  ****"),
        (b"AUTHORIZATION \t: Digest a=1,\r\n\tb=2\r\n c=3", b"AUTHORIZATION \t: Digest ****\r\n\t***\r\n ***"),
        (b"Authorization: YWxpOnNlY3JldA==", b"Authorization: ****************"),
        (b"Authorization: Digestive x", b"Authorization: ********* *"),
        (b"Authorization:", b"Authorization:"),
        (b"Authorization: Digest a\rb", b"Authorization: Digest *\r*"),
        (b"Authentication-Info: rspauth=1", b"Authentication-Info: *********"),
        (b"Proxy-Authentication-Info: rspauth=1", b"Proxy-Authentication-Info: *********"),
        (b"WWW-Authenticate: Digest nonce=1", b"WWW-Authenticate: Digest nonce=1"),
        (b"X-Authorization: Digest a", b"X-Authorization: Digest a"),
        (b"Refer-To: <sip:a@h?Authorization=Digest%20x&b=c>", b"Refer-To: <sip:a@h?Authorization=**********&b=c>"),
    ],
)
def test_authorization(line: bytes, want: bytes) -> None:
    assert masked("authorization", with_line(line)) == with_line(want)


def test_credentials_in_a_message_that_is_a_body() -> None:
    inner = b"REGISTER sip:h SIP/2.0\r\nAuthorization: Digest x\r\n\r\n"
    raw = b"NOTIFY sip:h SIP/2.0\nContent-Type: message/sip\n\n" + inner
    assert masked("authorization", raw) == raw.replace(b"Digest x", b"Digest *")


SUITE = b"AES_CM_128_HMAC_SHA1_80"


@pytest.mark.parametrize(
    ("line", "want"),
    [
        (b"a=crypto:1 %s inline:WVNf/+A=|2^20|1:4" % SUITE, b"a=crypto:1 %s inline:********|2^20|1:4" % SUITE),
        (b"a=crypto:1 %s inline:ab;inline:cd|9 KDR=1" % SUITE, b"a=crypto:1 %s inline:**;inline:**|9 KDR=1" % SUITE),
        (b"A = crypto : 2 %s INLINE:ab" % SUITE, b"A = crypto : 2 %s INLINE:**" % SUITE),
        (b"a=crypto:1 inline:ab", b"a=crypto:1 inline:**"),
        (b"a=crypto:1 %s uri:ab" % SUITE, b"a=crypto:1 %s ******" % SUITE),
        (b"a=crypto:1 %s inline:ab|secret" % SUITE, b"a=crypto:1 %s inline:**|******" % SUITE),
        (
            b"a=crypto:1 F8_128_HMAC_SHA1_80 inline:ab FEC_ORDER=FEC_SRTP FEC_KEY=inline:cd UNENCRYPTED_SRTCP",
            b"a=crypto:1 F8_128_HMAC_SHA1_80 inline:** FEC_ORDER=FEC_SRTP FEC_KEY=inline:** UNENCRYPTED_SRTCP",
        ),
        (b"a=crypto:", b"a=crypto:"),
        (b"k=base64:YWI=", b"k=base64:****"),
        (b"k=prompt", b"k=prompt"),
        (b"a=key-mgmt:mikey AQAF", b"a=key-mgmt:mikey ****"),
        (b"a=fingerprint:sha-256 AB:CD", b"a=fingerprint:sha-256 AB:CD"),
        (b"a=acap:1 crypto:1 %s inline:ab|2^20|1:32" % SUITE, b"a=acap:1 crypto:1 %s inline:**|2^20|1:32" % SUITE),
        (b"a = acap : 12  crypto:1 %s uri:ab" % SUITE, b"a = acap : 12  crypto:1 %s ******" % SUITE),
        (b"a=acap:2 key-mgmt:mikey AQAF", b"a=acap:2 key-mgmt:mikey ****"),
        (b"A=KEY-MGMT: mikey AQAF", b"A=KEY-MGMT: mikey ****"),
        (b"a=key-mgmt:kink AQAF", b"a=key-mgmt:**** ****"),
        (
            b"a=cryptoscale:1 client %s inline:ab|2^31|1:1" % SUITE,
            b"a=cryptoscale:1 client %s inline:**|2^31|1:1" % SUITE,
        ),
        (b"a=x-crypto:1 %s inline:ab" % SUITE, b"a=x-crypto:1 %s inline:**" % SUITE),
        (b"k = clear : ab", b"k = clear : **"),
        (b"k=other:ab", b"k=********"),
        (b"a=pcfg:1 t=1 a=1", b"a=pcfg:1 t=1 a=1"),
        (
            b'{"sdp":"v=0\\r\\na=crypto:1 %s inline:ab\\r\\n"}' % SUITE,
            b'{"sdp":"v=0\\r\\na=crypto:1 %s inline:********' % SUITE,
        ),
        (b"Refer-To: <sip:a@h?body=a%3Dcrypto>", b"Refer-To: <sip:a@h?body=**********>"),
    ],
)
@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_sdes(line: bytes, want: bytes, end: bytes) -> None:
    def invite(sdp: bytes) -> bytes:
        parts = (b"--b", b"Content-Type: application/sdp", b"", b"v=0", sdp, b"m=audio 1 RTP/SAVP 0", b"--b--")
        body = end.join(parts)
        return b"INVITE sip:h SIP/2.0\r\nContent-Length: %d\r\n\r\n" % len(body) + body

    assert masked("sdes", invite(line)) == invite(want)


@pytest.mark.parametrize(
    ("first", "cseq", "hidden"),
    [
        (b"MESSAGE sip:h SIP/2.0", b"1 MESSAGE", True),
        (b"SIP/2.0 200 OK", b"1 MESSAGE", True),
        (b"message sip:h SIP/2.0", b"1 X", True),
        (b"INVITE sip:h SIP/2.0", b"1 INVITE", False),
        (b"SIP/2.0 200 OK", b"1 INFO", False),
    ],
)
def test_message_bodies(first: bytes, cseq: bytes, hidden: bool) -> None:
    head = first + b"\r\nCSeq: " + cseq + b"\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n\r\n"
    assert masked("message-body", head + b"hi\r\nyo") == head + (b"******" if hidden else b"hi\r\nyo")


@pytest.mark.parametrize(
    ("line", "want"),
    [
        (b"From: <sip:alice@h>;tag=1", b"From: <sip:%s@h>;tag=1" % ALICE),
        (b"f:sips:alice:pw@h;x=sip:y", b"f:sips:%s:**@h;x=sip:y" % ALICE),
        (b"To: <tel:+49-30-1234567;phone-context=x>", b"To: <tel:%s;phone-context=x>" % NUMBER),
        (b"To: <sip:+49301234567;phone-context=x@h>", b"To: <sip:%s;phone-context=x@h>" % NUMBER),
        (b"Contact: *", b"Contact: *"),
        (b"Contact: <sip:10.0.0.1:5060>, <sip:bob@h>", b"Contact: <sip:10.0.0.1:5060>, <sip:%s@h>" % BOB),
        (b"P-Asserted-Identity: <sip:%61lice@h>, <tel:bob>", b"P-Asserted-Identity: <sip:%s@h>, <tel:%s>" % (ALICE, BOB)),
        (b"Diversion:\r\n <SIP:alice@h>\r\n ;reason=no-answer", b"Diversion:\r\n <SIP:%s@h>\r\n ;reason=no-answer" % ALICE),
        (b"X-Any: see sip:alice@h and sip:bob@h", b"X-Any: see sip:%s@h and sip:%s@h" % (ALICE, BOB)),
        (b"Refer-To: <sip:bob@h?Referred-By=sip%3Aalice%40h>", b"Refer-To: <sip:%s@h?Referred-By=sip%%3A%s%%40h>" % (BOB, ALICE)),
        (b'Authorization: Digest username="alice", uri="sip:bob@h"', b'Authorization: Digest username="%s", uri="sip:%s@h"' % (ALICE, BOB)),
        (b'Authorization: Digest username="alice@h"', b'Authorization: Digest username="%s@h"' % ALICE),
        (b'From: "Alice \\"A\\" B" <sip:alice@h>', b'From: "***** ***** *" <sip:%s@h>' % ALICE),
        (b"From: Alice B <sip:alice@h>;x=Y", b"From: ***** * <sip:%s@h>;x=Y" % ALICE),
        (b'Contact: "A" <sip:alice@h>;q=1, Bob <sip:bob@h>;z="A"', b'Contact: "*" <sip:%s@h>;q=1, *** <sip:%s@h>;z="A"' % (ALICE, BOB)),
        (b'From: "open <sip:alice@h>', b'From: "**** *************'),
        (b"Call-ID: alice@h", b"Call-ID: alice@h"),
        (b"From: <sip:@h>", b"From: <sip:@h>"),
    ],
)  # fmt: skip
def test_hashed_users(line: bytes, want: bytes) -> None:
    assert masked("users:hash", with_line(line)) == with_line(want)


@pytest.mark.parametrize(
    ("user", "want"),
    [(b"+49301234567", b"+4930123****"), (b"alice", b"a****"), (b"bob", b"***"), (b"%61lice-and-more", b"*" * 16)],
)
def test_truncated_users(user: bytes, want: bytes) -> None:
    assert masked("users:truncate", with_line(b"t: <sip:%s@h>" % user)) == with_line(b"t: <sip:%s@h>" % want)


def test_the_request_uri_is_one_too_and_the_body_is_not() -> None:
    raw = b"INVITE sip:alice@h SIP/2.0\r\n\r\no=x\r\nsip:alice@h"
    assert masked("users:hash", raw) == raw.replace(b"alice", ALICE, 1)


def test_a_hash_depends_on_key_and_user_alone() -> None:
    assert re.fullmatch(rb"\*[0-9a-f]{20}", ALICE)
    assert hashed(KEY)(b"alice") == ALICE == hashed(KEY)(ALICE)
    assert len({ALICE, BOB, NUMBER, hashed(b"other")(b"alice"), hashed(KEY)(b"Alice"), hashed(KEY)(b"a" * 100)}) == 6
    forged = ALICE[:-1] + (b"0" if ALICE[-1:] != b"0" else b"1")
    assert hashed(KEY)(forged) != forged
    assert plain(b"+49(30)12.3-4") == b"+4930" + b"1234"
    assert plain(b"a.b-c") == b"a.b-c"


@pytest.mark.parametrize(
    ("names", "key", "problem"),
    [
        (
            ["autorization"],
            b"",
            "mask 'autorization', expected authorization, sdes, message-body, users:hash, users:truncate",
        ),
        (["users:hash"], b"", "users:hash needs a key"),
        (["users:hash", "users:truncate"], KEY, "users:hash and users:truncate cannot be combined"),
    ],
)
def test_wrong_masks(names: list[str], key: bytes, problem: str) -> None:
    with pytest.raises(ValueError) as caught:
        masker(names, key)
    assert str(caught.value) == problem


def test_a_message_without_secrets_is_the_same_message() -> None:
    plain_one = message(with_line(b"Subject: x"))
    assert masker(["authorization", "sdes", "message-body", "users:hash"], KEY)(plain_one) is plain_one


@pytest.mark.parametrize(
    ("body", "want"),
    [
        pytest.param(b"\r\nhi\r\n\r\nyo", b"\r\n" + b"*" * 8, id="with it"),
        pytest.param(b"my text", b"*" * 7, id="a line"),
        pytest.param(b"my text\r\n\r\nmore: text", b"*" * 21, id="a line, and more"),
        pytest.param(b"note: my text", b"*" * 13, id="as a header"),
        pytest.param(b" my text", b"*" * 8, id="as a folded line"),
        pytest.param(b"Subject: my text", b"*" * 16, id="as a header of SIP"),
    ],
)
@pytest.mark.parametrize("end", [b"\r\n", b"\n"])
def test_message_bodies_without_the_empty_line(body: bytes, want: bytes, end: bytes) -> None:
    head = b"MESSAGE sip:h SIP/2.0%sCSeq: 1 MESSAGE%sContent-Length: 0%s" % (end, end, end)
    assert masked("message-body", head + body) == head + want


def test_the_text_is_hidden_where_content_length_comes_first() -> None:
    head = b"MESSAGE sip:h SIP/2.0\r\nX-A: b\r\nCSeq: 1 MESSAGE\r\n"
    assert masked("message-body", head + b"note: my text") == head + b"*" * 13


@pytest.mark.parametrize("name", ["authorization", "sdes"])
@pytest.mark.parametrize(
    "line",
    [b"Content-Encoding: gzip", b"e:deflate", b"content-encoding :\r\n gzip", b"Content-Transfer-Encoding: base64"],
)
def test_a_body_that_cannot_be_looked_into_is_hidden(name: str, line: bytes) -> None:
    head = b"INVITE sip:h SIP/2.0\r\n" + line + b"\r\nContent-Length: 6\r\n\r\n"
    assert masked(name, head + b"\x1f\x8babcd") == head + b"******"
    plain_one = head.replace(line, b"Content-Encoding: identity\r\nContent-Transfer-Encoding: 8bit")
    assert masked(name, plain_one + b"abcdef") == plain_one + b"abcdef"


KEY_TEXT = b"S3cretKeyOfMine"
END = st.sampled_from([b"\r\n", b"\n"])
KEY_LINES = st.sampled_from(
    [
        b"a=crypto:1 %s inline:KEY|2^20|1:32",
        b"a=crypto:1 %s inline:x|2^20;inline:KEY|2^20|1:4 KDR=1",
        b"a=crypto:1 %s FEC_KEY=inline:KEY",
        b"a=crypto:1 %s uri:KEY",
        b"a=acap:7 crypto:1 %s inline:KEY",
        b"a=cryptoscale:1 server %s inline:KEY|2^31",
        b"a=acap:7 cryptoscale:1 server %s inline:KEY|2^31",
    ]
).map(lambda line: (line % SUITE).replace(b"KEY", KEY_TEXT)) | st.sampled_from(
    [b"k=clear:KEY", b"k=base64:KEY", b"k=uri:KEY", b"k=x:KEY", b"a=key-mgmt:mikey KEY", b"a=acap:1 key-mgmt:mikey KEY"]
).map(lambda line: line.replace(b"KEY", KEY_TEXT))
CREDENTIAL_LINES = st.builds(
    lambda name, colon, value: name + colon + value + KEY_TEXT,
    st.sampled_from([b"Authorization", b"PROXY-authorization", b"Authentication-Info", b"proxy-authentication-info"]),
    st.sampled_from([b":", b" :", b"\t: ", b":\r\n "]),
    st.sampled_from([b"Digest response=", b"Basic ", b"Bearer\r\n\t", b"", b'Digest a="b",\n ', b"Unknown "]),
)


def nested(part: bytes, depth: int, end: bytes, closed: bool) -> bytes:
    """A part in nested multiparts whose last boundaries may be missing."""
    for level in range(depth):
        head = end.join([b"--b%d" % level, b'Content-Type: multipart/mixed; boundary="b%d"' % (level + 1), b"", b""])
        part = head + part + end + (b"--b%d--" % level + end if closed else b"")
    return part


@pytest.mark.parametrize("name", ["sdes", "authorization"])
@given(st.data())
def test_a_known_secret_is_never_in_what_comes_out(name: str, data: st.DataObject) -> None:
    line = data.draw(KEY_LINES if name == "sdes" else CREDENTIAL_LINES)
    end, depth, closed = data.draw(END), data.draw(st.integers(0, 20)), data.draw(st.booleans())
    before = data.draw(st.sampled_from([b"", b"v=0", b"INVITE sip:h SIP/2.0", b"SIP/2.0 200 OK", b"x"]))
    part = nested(before + end + line + end, depth, end, closed)
    kind = data.draw(st.sampled_from([b"multipart/mixed;boundary=b0", b"application/sdp", b"message/sipfrag", b"x/y"]))
    for place in (line + end + end, b"Content-Type: " + kind + end + end + part):
        raw = b"INVITE sip:h SIP/2.0" + end + place
        after = masked(name, raw)
        assert KEY_TEXT not in after
        assert len(after) == len(raw)


FIRST = st.sampled_from(
    [b"MESSAGE sip:alice@h SIP/2.0", b"INVITE tel:+49 SIP/2.0", b"SIP/2.0 200 OK", b"NOTIFY x SIP/2.0"]
)
TOKENS = [
    b"From:", b"To:", b"t:", b"Contact:", b"Authorization:", b"Proxy-Authorization:", b"Digest ", b'username="', b"CSeq: 1 ",
    b"MESSAGE", b"a=crypto:", b"1 ", SUITE + b" ", b"inline:", b"k=clear:", b"sip:", b"sips:", b"tel:", b"sip%3A", b"%40", b"%61",
    b"@", b"<", b">", b'"', b"\\", b";", b",", b":", b"|", b"?", b"&", b"=", b" ", b"\t", b"\r", b"\n", b"\r\n", b"\r\n\r\n", b"\0",
    b"alice", b"+49-30", b"bob", b"\xff", b"*", b"Content-Length: 9", b"authorization=", b"|2^20", b"UNENCRYPTED_SRTP", ALICE,
]  # fmt: skip
RAW = st.builds(
    lambda first, rest: first + b"".join(rest), FIRST, st.lists(st.sampled_from(TOKENS) | st.binary(max_size=3))
)
NAMES = st.sampled_from(
    [["authorization"], ["sdes"], ["message-body"], ["users:hash"], ["users:truncate"]]
) | st.sampled_from(
    [["authorization", "sdes", "message-body", "users:hash"], ["authorization", "users:truncate", "sdes"]]
)


@given(NAMES, RAW)
def test_lengths_stay_true_and_masking_twice_is_masking_once(names: list[str], raw: bytes) -> None:
    before = message(raw)
    mask = masker(names, KEY)
    after = mask(before)
    assert len(after.sip.body) == len(before.sip.body)
    assert after.sip.content_length == before.sip.content_length
    ends = re.compile(rb"[\r\n]")
    if "message-body" not in names:
        assert ends.findall(after.raw) == ends.findall(raw)
    if "users:hash" not in names:
        assert len(after.raw) == len(raw)
        assert all(new in (old, 0x2A) for old, new in zip(raw, after.raw, strict=True))
    assert mask(after).raw == after.raw


LINE = st.builds(b"".join, st.lists(st.sampled_from(TOKENS[4:]), max_size=12)).map(
    lambda line: line.replace(b"\r", b"").replace(b"\n", b"")
)


@given(st.lists(LINE), st.binary(max_size=50))
def test_bytes_outside_masked_parts_stay(lines: list[bytes], body: bytes) -> None:
    """Lines without anything that a mask searches pass unchanged."""
    raw = b"INVITE x SIP/2.0\r\n" + b"".join(line + b"\r\n" for line in lines) + b"\r\n" + body
    after = masked("users:hash", raw)
    assert after.endswith(body)
    for old, new in zip(raw.split(b"\r\n"), after.split(b"\r\n"), strict=True):
        if (
            b"@" not in old
            and b"tel:" not in old
            and b"%40" not in old
            and b"username" not in old
            and not re.match(rb"(?i)(from|to|t|contact):", old)
        ):
            assert new == old


@given(
    st.sampled_from(["authorization", "sdes", "message-body", "users:hash", "users:truncate"]), st.binary(max_size=200)
)
def test_any_bytes(name: str, raw: bytes) -> None:
    masked(name, raw)
    masked(name, b"MESSAGE sip:x SIP/2.0\r\n" + raw)


HOSTILE = [
    b"sip:", b"tel:", b"tel:,", b"sip%3A", b"sip:@", b"@", b'"', b'\\"', b'"\\', b"<", b"a <", b'username="', b"username= ", b"Authorization:",
    b"\r\n Authorization:", b"\r", b"\r ", b"\n ", b" ", b"a=crypto:", b"\na=crypto: 1 ", b"inline:", b";inline:", b"|", b"from:<", b"\nf:",
    b"\nf:\"", b"?authorization=", b"&", b"%40", b"auth", b"*" + b"0" * 20,
]  # fmt: skip


@pytest.mark.parametrize("piece", HOSTILE)
def test_time_grows_with_the_length_alone(piece: bytes) -> None:
    """Eight times the bytes take about eight times as long, not sixty-four: measured side by side."""

    def seconds(size: int) -> float:
        raw = b"INVITE sip:x SIP/2.0\r\nFrom: " + piece * (size // len(piece))
        one = message(raw)
        masks = [masker([name], KEY) for name in MASKS]
        best = float("inf")
        for _ in range(3):
            began = time.process_time()
            for mask in masks:
                mask(one)
            best = min(best, time.process_time() - began)
        return best

    assert seconds(64_000) < 30 * seconds(8_000) + 0.02
