"""The dialogs of the generated traffic, as tables of messages."""

from __future__ import annotations

from dataclasses import dataclass

Fields = dict[str, str]  # names in braces in the texts below

ALLOW = "Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, REFER, NOTIFY, MESSAGE, SUBSCRIBE, INFO, PUBLISH, UPDATE\r\n"
AGENT = "User-Agent: {agent}\r\n"
SERVER = "Server: kamailio (5.7.4 (x86_64/linux))\r\n"
FROM_CLIENT = "Contact: <sip:{user}@{client}:{client_port};transport=udp>\r\n"
FROM_SERVER = "Contact: <sip:{callee}@{server}:5060;transport=udp>\r\n"
RECORD_ROUTE = "Record-Route: <sip:{server};lr;ftag={client_tag};did=5a1.9c41>\r\n"
ROUTE = "Route: <sip:{server};lr>\r\n"
TIMER = "Supported: timer\r\nSession-Expires: 1800;refresher=uas\r\n"
OFFERS = "Supported: replaces, timer, path, 100rel\r\nSession-Expires: 1800\r\nMin-SE: 90\r\n"
IDENTITY = "P-Asserted-Identity: <sip:{user}@{client}>\r\nP-Charging-Vector: icid-value={digest}\r\n"
CHALLENGE = 'WWW-Authenticate: Digest realm="{server}", nonce="{nonce}", algorithm=MD5, qop="auth"\r\n'
ANSWER = (
    'Authorization: Digest username="{user}", realm="{server}", nonce="{nonce}", uri="sip:{server}", '
    'response="{digest}", algorithm=MD5, cnonce="5e2b7a90", qop=auth, nc=00000001\r\n'
)
DATE = "Date: Sun, 22 Nov 2026 22:00:00 GMT\r\n"
CODECS = (
    "a=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:9 G722/8000\r\na=rtpmap:18 G729/8000\r\n"
    "a=fmtp:18 annexb=no\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\n"
)
SDP = (
    "v=0\r\no=- {{session}} {{session}} IN IP4 {{{0}}}\r\ns=-\r\nc=IN IP4 {{{0}}}\r\nt=0 0\r\n"
    "m=audio {{{0}_rtp}} RTP/AVP 8 0 9 18 101\r\n" + CODECS
)
DIALOG_INFO = (
    '<?xml version="1.0" encoding="UTF-8"?>\r\n<dialog-info xmlns="urn:ietf:params:xml:ns:dialog-info" version="1" '
    'state="full" entity="sip:{user}@{server}">\r\n<dialog id="5e2b7a90"><state>confirmed</state></dialog>\r\n'
    "</dialog-info>\r\n"
)


@dataclass(frozen=True, slots=True)
class Step:
    """A message, `after` to `after + spread` seconds after the previous one; `up`: from client to server."""

    after: float
    up: bool
    first: str
    cseq: str
    headers: str = ""
    body: str = ""
    kind: str = ""
    spread: float = 0.0
    asked_by_server: bool = False

    @property
    def is_request(self) -> bool:
        return not self.first.startswith("SIP/2.0")


def message(step: Step, fields: Fields) -> bytes:
    """The text of a message. A response's Via is that of the request before it."""
    via, here, there = ("server", "server", "client") if step.asked_by_server else ("client", "client", "server")
    port = "5060" if step.asked_by_server else "{client_port}"
    received = "" if step.is_request else f"={port};received={{{via}}}"
    client, server = '"{user}" <sip:{user}@{client}>', "<sip:{callee}@{server}>"
    names = (server, client) if step.asked_by_server else (client, server)
    tagged = ";tag={" + there + "_tag}" if TAGS[step.cseq.split()[1]] or not step.is_request else ""
    body = step.body.format_map(fields)
    lines = [
        step.first,
        f"Via: SIP/2.0/UDP {{{via}}}:{port};branch=z9hG4bK{{branch}};rport{received}",
        *(["Max-Forwards: 70"] if step.is_request else []),
        f"From: {names[0]};tag={{{here}_tag}}",
        f"To: {names[1]}{tagged}",
        "Call-ID: {call_id}",
        f"CSeq: {step.cseq}",
        *step.headers.splitlines(),
        *([f"Content-Type: {step.kind}"] if step.kind else []),
        f"Content-Length: {len(body)}",
    ]
    return ("\r\n".join(lines).format_map(fields) + "\r\n\r\n" + body).encode()


# Requests inside a dialog have both tags.
TAGS = {"ACK": True, "BYE": True, "NOTIFY": True} | dict.fromkeys(("INVITE", "REGISTER", "OPTIONS", "SUBSCRIBE"), False)
UP, DOWN = True, False
SDP_TYPE = "application/sdp"
NUMBER = "sip:{callee}@{server}"
CALL = (
    Step(0, UP, f"INVITE {NUMBER};user=phone SIP/2.0", "102 INVITE", FROM_CLIENT + AGENT + ALLOW + OFFERS + IDENTITY,
         SDP.format("client"), SDP_TYPE),
    Step(0.002, DOWN, "SIP/2.0 100 Trying", "102 INVITE", SERVER),
    Step(0.3, DOWN, "SIP/2.0 180 Ringing", "102 INVITE", RECORD_ROUTE + FROM_SERVER + ALLOW + SERVER),
    Step(2, DOWN, "SIP/2.0 200 OK", "102 INVITE", RECORD_ROUTE + FROM_SERVER + ALLOW + TIMER + SERVER,
         SDP.format("server"), SDP_TYPE),
    Step(0.01, UP, f"ACK {NUMBER}:5060 SIP/2.0", "102 ACK", ROUTE + FROM_CLIENT + AGENT),
    Step(2, UP, f"BYE {NUMBER}:5060 SIP/2.0", "103 BYE",
         ROUTE + AGENT + 'Reason: Q.850;cause=16;text="Normal call clearing"\r\n', spread=28),
    Step(0.01, DOWN, "SIP/2.0 200 OK", "103 BYE", SERVER),
)  # fmt: skip
REGISTRATION = (
    Step(0, UP, "REGISTER sip:{server} SIP/2.0", "1 REGISTER", FROM_CLIENT + AGENT + "Expires: 300\r\n" + ALLOW),
    Step(0.01, DOWN, "SIP/2.0 401 Unauthorized", "1 REGISTER", CHALLENGE + SERVER),
    Step(0.05, UP, "REGISTER sip:{server} SIP/2.0", "2 REGISTER",
         FROM_CLIENT + AGENT + ANSWER + "Expires: 300\r\n" + ALLOW),
    Step(0.01, DOWN, "SIP/2.0 200 OK", "2 REGISTER", FROM_CLIENT + SERVER + DATE),
)  # fmt: skip
KEEP_ALIVE = (
    Step(0, UP, "OPTIONS sip:{server} SIP/2.0", "1 OPTIONS", FROM_CLIENT + AGENT + f"Accept: {SDP_TYPE}\r\n"),
    Step(0.01, DOWN, "SIP/2.0 200 OK", "1 OPTIONS", FROM_SERVER + ALLOW + f"Accept: {SDP_TYPE}\r\n" + SERVER),
)
WANTED = "Event: dialog\r\nAccept: application/dialog-info+xml\r\nExpires: 600\r\n"
NOTIFIED = "Event: dialog\r\nSubscription-State: active;expires=600\r\n"
SUBSCRIPTION = (
    Step(0, UP, f"SUBSCRIBE {NUMBER} SIP/2.0", "1 SUBSCRIBE", FROM_CLIENT + AGENT + WANTED),
    Step(0.01, DOWN, "SIP/2.0 200 OK", "1 SUBSCRIBE", FROM_SERVER + SERVER + "Expires: 600\r\n"),
    Step(0.05, DOWN, "NOTIFY sip:{user}@{client}:{client_port} SIP/2.0", "2 NOTIFY", FROM_SERVER + SERVER + NOTIFIED,
         DIALOG_INFO, "application/dialog-info+xml", asked_by_server=True),
    Step(0.01, UP, "SIP/2.0 200 OK", "2 NOTIFY", FROM_CLIENT + AGENT, asked_by_server=True),
)  # fmt: skip
DIALOGS: tuple[tuple[tuple[Step, ...], int], ...] = (
    (CALL, 62),
    (REGISTRATION, 16),
    (KEEP_ALIVE, 15),
    (SUBSCRIPTION, 7),
)
