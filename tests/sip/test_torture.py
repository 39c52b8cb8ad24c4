"""The raw messages of RFC 4475 and RFC 5118: what each parses to, or why it is not SIP.

A malformed message is traced, with its faults as Problems. Only payloads whose first line is not SIP/2.0 are rejected.
"""

from pathlib import Path

import pytest

from capture_agent.sip.problems import Problem, Stranger
from capture_agent.sip.scan import scan
from capture_agent.sip.stranger import stranger

NONE = Problem(0)

# name: (method or status, first 12 bytes of the Call-ID, CSeq, its method, From tag, To tag, branch,
#        Content-Length, bytes of body, problems)
# fmt: off
MESSAGES = {
    "rfc4475/badaspec.dat": (b'OPTIONS', b'badaspec.sdf', 3923239, b'OPTIONS', b'433423', None, b'z9hG4bKkdju43234', 0, 0, NONE),
    "rfc4475/badbranch.dat": (b'OPTIONS', b'badbranch.sa', 8, b'OPTIONS', b'33242', None, b'z9hG4bK', 0, 0, NONE),
    "rfc4475/baddate.dat": (b'INVITE', b'baddate.2394', 1392934, b'INVITE', b'2234923', None, b'z9hG4bKkdjuw', 150, 150, NONE),
    "rfc4475/baddn.dat": (b'OPTIONS', b'baddn.31415@', 3923239, b'OPTIONS', b'43', None, b'z9hG4bKkdjuw', 0, 0, Problem.NO_HEADER_END),
    "rfc4475/badinv01.dat": (b'INVITE', b'badinv01.0ha', 8, b'INVITE', b'134161461246', None, None, 152, 152, NONE),
    "rfc4475/bcast.dat": (200, b'bcast.038484', 35, b'INVITE', b'11141343', b'2229', b'z9hG4bK1324923', 154, 154, NONE),
    "rfc4475/bext01.dat": (b'OPTIONS', b'bext01.0ha0i', 8, b'OPTIONS', b'242etr', None, b'z9hG4bKkdjuw', 0, 0, NONE),
    "rfc4475/bigcode.dat": (0, b'bigcode.asdo', 353494, b'INVITE', b'39ansfi3', b'902jndnke3', b'z9hG4bK2398ndaoe', 0, 0, Problem.BAD_START_LINE),
    "rfc4475/clerr.dat": (b'INVITE', b'clerr.0ha0is', 8, b'INVITE', b'93942939o2', None, b'z9hG4bK-39234-23523', 9999, 154, Problem.BODY_SHORT),
    "rfc4475/cparam01.dat": (b'REGISTER', b'cparam01.707', 2, b'REGISTER', b'DkfVgjkrtMwaerKKpe', None, b'z9hG4bKkdjuw', 0, 0, NONE),
    "rfc4475/cparam02.dat": (b'REGISTER', b'cparam02.707', 3, b'REGISTER', b'838293', None, b'z9hG4bKkdjuw', 0, 0, NONE),
    "rfc4475/dblreq.dat": (b'REGISTER', b'dblreq.0ha0i', 8, b'REGISTER', b'43251j3j324', None, b'z9hG4bKkdjuw23492', 0, 0, Problem.BODY_LONG),
    "rfc4475/esc01.dat": (b'INVITE', b'esc01.239409', 234234, b'INVITE', b'938', None, b'z9hG4bKkdjuw', 150, 150, NONE),
    "rfc4475/esc02.dat": (b'RE%47IST%45R', b'esc02.asdfnq', 29344, b'RE%47IST%45R', b'f232jadfj23', None, b'z9hG4bK209%fzsnel234', 0, 0, NONE),
    "rfc4475/escnull.dat": (b'REGISTER', b'escnull.3920', 14398234, b'REGISTER', b'839923423', None, b'z9hG4bKkdjuw', 0, 0, NONE),
    "rfc4475/escruri.dat": (b'INVITE', b'escruri.2394', 149209342, b'INVITE', b'341518', None, b'z9hG4bKkdjuw', 150, 150, NONE),
    "rfc4475/insuf.dat": (b'INVITE', None, 193942, b'INVITE', None, None, b'z9hG4bKkdj.insuf', 152, 152, Problem.NO_FROM | Problem.NO_TO | Problem.NO_CALL_ID),
    "rfc4475/intmeth.dat": (b"!interesting-Method0123456789_*+`.%indeed'~", b'intmeth.word', 139122385, b"!interesting-Method0123456789_*+`.%indeed'~", b"_token~1'+`*%!-.", None, b"z9hG4bK-.!%66*_+`'~", 0, 0, NONE),
    "rfc4475/inv2543.dat": (b'INVITE', b'inv2543.1717', 56, b'INVITE', None, None, None, -1, 105, NONE),
    "rfc4475/invut.dat": (b'INVITE', b'invut.0ha0is', 235448, b'INVITE', b'8392034', None, b'z9hG4bKkdjuw', 40, 40, NONE),
    "rfc4475/longreq.dat": (b'INVITE', b'longreq.oner', 3882340, b'INVITE', b'12982982982982982982982982982982982982982982982982982982982982982982982982982982982982982982982982982982982982982982982982982982982982982982982982982982424', None, None, 150, 150, NONE),
    "rfc4475/ltgtruri.dat": (b'INVITE', b'ltgtruri.1@1', 1, b'INVITE', b'39291', None, None, 159, 159, NONE),
    "rfc4475/lwsdisp.dat": (b'OPTIONS', b'lwsdisp.1234', 60, b'OPTIONS', b'323', None, b'z9hG4bKkdjuw', 0, 0, NONE),
    "rfc4475/lwsruri.dat": (b'INVITE', b'lwsruri.asdf', 2130706432, b'INVITE', b'231413434', b'3xfe-9921883-z9f', b'z9hG4bKkdjuw2395', 159, 159, NONE),
    "rfc4475/lwsstart.dat": (b'INVITE', b'lwsstart.dfk', 1893884, b'INVITE', b'8814', None, b'z9hG4bKkdjuw3923', 150, 150, NONE),
    "rfc4475/mcl01.dat": (b'OPTIONS', b'mcl01.fhn232', 15932, b'OPTIONS', b'3923942', None, b'z9hG4bK293423', 13, 13, Problem.BODY_LONG | Problem.REPEATED_HEADER),
    "rfc4475/mismatch01.dat": (b'OPTIONS', b'mismatch01.d', 8, b'INVITE', b'34525', None, b'z9hG4bKkdjuw', 0, 0, Problem.CSEQ_METHOD),
    "rfc4475/mismatch02.dat": (b'NEWMETHOD', b'mismatch02.d', 8, b'INVITE', b'34525', None, b'z9hG4bKkdjuw', 138, 138, Problem.CSEQ_METHOD),
    "rfc4475/mpart01.dat": (b'MESSAGE', b'3d9485ad0c49', 1, b'MESSAGE', b'2fb0dcc9', None, b'z9hG4bK-d87543-4dade06d0bdb11ee-1--d87543-', 553, 553, NONE),
    "rfc4475/multi01.dat": (b'INVITE', b'multi01.98as', 5, b'INVITE', b'3413415', None, b'z9hG4bKkdjuw', 154, 154, Problem.REPEATED_HEADER),
    "rfc4475/ncl.dat": (b'INVITE', b'ncl.0ha0isnd', 0, b'INVITE', b'32394234', None, b'z9hG4bKkdjuw', -2, 152, Problem.BAD_CONTENT_LENGTH),
    "rfc4475/noreason.dat": (100, b'noreason.asn', 35, b'INVITE', b'39ansfi3', b'902jndnke3', b'z9hG4bK2398ndaoe', 0, 0, NONE),
    "rfc4475/novelsc.dat": (b'OPTIONS', b'novelsc.asdf', 3923423, b'OPTIONS', b'384', None, b'z9hG4bKkdjuw39234', 0, 0, NONE),
    "rfc4475/quotbal.dat": (b'INVITE', b'quotbal.aksd', 8, b'INVITE', b'93334', None, b'z9hG4bKkdjuw39234', 152, 152, NONE),
    "rfc4475/regaut01.dat": (b'REGISTER', b'regaut01.0ha', 9338, b'REGISTER', b'87321hj23128', None, b'z9hG4bKkdjuw', 0, 0, NONE),
    "rfc4475/regbadct.dat": (b'REGISTER', b'regbadct.k34', 1, b'REGISTER', b'998332', None, b'z9hG4bKkdjuw', 0, 0, NONE),
    "rfc4475/regescrt.dat": (b'REGISTER', b'regescrt.k34', 14398234, b'REGISTER', b'8', None, b'z9hG4bKkdjuw', 0, 0, NONE),
    "rfc4475/scalar02.dat": (b'REGISTER', b'scalar02.23o', -2, b'REGISTER', b'239232jh3', None, b'z9hG4bK342sdfoi3', 0, 0, Problem.BAD_CSEQ),
    "rfc4475/scalarlg.dat": (503, b'scalarlg.noa', -2, b'OPTIONS', b'2easdjfejw', None, b'z9hG4bKzzxdiwo34sw', 0, 0, Problem.BAD_CSEQ),
    "rfc4475/sdp01.dat": (b'INVITE', b'sdp01.ndaksd', 8, b'INVITE', b'234', None, b'z9hG4bKkdjuw', 150, 150, NONE),
    "rfc4475/semiuri.dat": (b'OPTIONS', b'semiuri.0ha0', 8, b'OPTIONS', b'33242', None, b'z9hG4bKkdjuw', 0, 0, NONE),
    "rfc4475/transports.dat": (b'OPTIONS', b'transports.k', 60, b'OPTIONS', b'323', None, b'z9hG4bKkdjuw', 0, 0, NONE),
    "rfc4475/trws.dat": (b'OPTIONS', b'trws.oicu349', 238923, b'OPTIONS', b'329429089', None, b'z9hG4bK299342093', 0, 0, NONE),
    "rfc4475/unkscm.dat": (b'OPTIONS', b'unkscm.nasdf', 3923423, b'OPTIONS', b'384', None, b'z9hG4bKkdjuw39234', 0, 0, NONE),
    "rfc4475/unksm2.dat": (b'REGISTER', b'unksm2.daksd', 234902, b'REGISTER', b'3234233', None, b'z9hG4bKkdjuw', 0, 0, NONE),
    "rfc4475/unreason.dat": (200, b'unreason.123', 35, b'INVITE', b'11141343', b'2229', b'z9hG4bK1324923', 154, 154, NONE),
    "rfc4475/wsinv.dat": (b'INVITE', b'wsinv.ndaksd', 9, b'INVITE', b'98asjd8', b'1918181833n', b'390skdjuw', 150, 150, NONE),
    "rfc4475/zeromf.dat": (b'OPTIONS', b'zeromf.jfasd', 39234321, b'OPTIONS', b'3ghsd41', None, b'z9hG4bKkdjuw2349i', 0, 0, NONE),
    "rfc5118/ipv4-mapped-ipv6": (b'INVITE', b'SSG955990552', 612, b'INVITE', b'81x2', None, b'z9hG4bKbh19', 236, 236, NONE),
    "rfc5118/ipv6-bad": (b'REGISTER', b'SSG955990552', 98176, b'REGISTER', b'81x2', None, b'z9hG4bKas3-111', 0, 0, NONE),
    "rfc5118/ipv6-bug-abnf-3-colons": (b'OPTIONS', b'G95599055239', 689, b'OPTIONS', b'810x2', None, b'z9hG4bKas3-111', 0, 0, Problem.NO_HEADER_END),
    "rfc5118/ipv6-correct-abnf-2-colons": (b'OPTIONS', b'G95599055239', 689, b'OPTIONS', b'810x2', None, b'z9hG4bKas3-111', 0, 0, Problem.NO_HEADER_END),
    "rfc5118/ipv6-good": (b'REGISTER', b'SSG955990552', 98176, b'REGISTER', b'81x2', None, b'z9hG4bKas3-111', 0, 0, NONE),
    "rfc5118/ipv6-in-sdp": (b'INVITE', b'SSG955990552', 8612, b'INVITE', b'81x2', None, b'z9hG4bKas3-111', 268, 242, Problem.BODY_SHORT),
    "rfc5118/mult-ip-in-header": (b'BYE', b'997077@lau_4', 89187, b'BYE', b'81x2', b'9817--94', b'z9hG4bKas3-111', 0, 0, NONE),
    "rfc5118/mult-ip-in-sdp": (b'INVITE', b'SSG955990552', 8912, b'INVITE', b'81x2', None, b'z9hG4bKas3-111', 181, 180, Problem.BODY_SHORT),
    "rfc5118/port-ambiguous": (b'REGISTER', b'SSG955990552', 98176, b'REGISTER', b'81x2', None, b'z9hG4bKas3-111', 0, 0, NONE),
    "rfc5118/port-unambiguous": (b'REGISTER', b'SSG955990552', 98176, b'REGISTER', b'81x2', None, b'z9hG4bKas3-111', 0, 0, NONE),
    "rfc5118/via-received-param-no-delim": (b'OPTIONS', b'SSG955239970', 921, b'OPTIONS', b'81x2', None, b'z9hG4bKas3', 0, 0, NONE),
    "rfc5118/via-received-param-with-delim": (b'BYE', b'SSG955990552', 321, b'BYE', b'81x2', b'bd76ya', b'z9hG4bKas3-111', 0, 0, NONE),
}
# fmt: on

STRANGERS = {
    "rfc4475/badvers.dat": Stranger.SIP_VERSION,
    "rfc4475/test.dat": Stranger.OTHER,
}


@pytest.fixture(scope="module")
def folder(shared: Path) -> Path:
    return shared / "captures" / "torture"


@pytest.mark.parametrize("name", MESSAGES)
def test_parses_as_the_rfc_says(folder: Path, name: str) -> None:
    data = (folder / name).read_bytes()
    sip = scan(data, 0, len(data))
    assert sip is not None
    assert (
        sip.method or sip.status,
        sip.call_id and sip.call_id[:12],
        sip.cseq,
        sip.cseq_method,
        sip.from_tag,
        sip.to_tag,
        sip.via_branch,
        sip.content_length,
        len(sip.body),
        Problem(sip.problems),
    ) == MESSAGES[name]
    assert sip.raw == data


@pytest.mark.parametrize("name", STRANGERS)
def test_is_rejected(folder: Path, name: str) -> None:
    data = (folder / name).read_bytes()
    assert scan(data, 0, len(data)) is None
    assert stranger(data, 0, len(data)) == STRANGERS[name]


def test_each_one_is_in_the_table(folder: Path) -> None:
    files = {str(file.relative_to(folder)) for file in folder.glob("rfc*/*")}
    assert files == MESSAGES.keys() | STRANGERS.keys()
    assert len(files) == 62
