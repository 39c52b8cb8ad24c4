"""SIPp scenarios for both ends of a call, written as steps: SIPp's XML without its repetition."""

from pathlib import Path

SDP = """v=0
o=[user] 53655765 2353687637 IN IP[local_ip_type] [local_ip]
s=-
c=IN IP[media_ip_type] [media_ip]
t=0 0
m=audio [media_port] RTP/AVP 0 101
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
a=fmtp:101 0-15
a=ptime:20
"""

CONTACT = "Contact: <sip:alice@[local_ip]:[local_port];transport=[transport]>\n"


def send(text: str, retrans: bool = True) -> str:
    again = ' retrans="500"' if retrans else ""
    return f"  <send{again}><![CDATA[\n{text}\n]]></send>"


def receive(what: str, optional: bool = False, attributes: str = "") -> str:
    kind = "response" if what.isdigit() else "request"
    return f'  <recv {kind}="{what}"{" optional=" + chr(34) + "true" + chr(34) if optional else ""} {attributes}/>'


def pause(milliseconds: int) -> str:
    return f'  <pause milliseconds="{milliseconds}"/>'


SPEECH = '  <nop><action><exec rtp_stream="speech.ulaw,1,0"/></action></nop>'


def request(method: str, user: str, cseq: int, extra: str = "", body: str = "") -> str:
    """A request outside a dialog, from alice to `user`."""
    to = "alice" if method == "REGISTER" else user
    uri = "sip:sip.example.com" if method == "REGISTER" else f"sip:{user}@sip.example.com"
    contact = "" if method in ("CANCEL", "MESSAGE") else CONTACT
    return (
        f"{method} {uri} SIP/2.0\n"
        "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]\n"
        "Max-Forwards: 70\n"
        'From: "Alice" <sip:alice@sip.example.com>;tag=[pid]a[call_number]\n'
        f"To: <sip:{to}@sip.example.com>\n"
        f"Call-ID: [call_id]\nCSeq: {cseq} {method}\n"
        f"{contact}User-Agent: SIPp phone\n{extra}"
        f"Content-Length: [len]\n\n{body}"
    )


def within(method: str, cseq: int) -> str:
    """A request of the caller inside the dialog that the 200 has created."""
    return (
        f"{method} [next_url] SIP/2.0\n"
        "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]\n"
        "[routes]\nMax-Forwards: 70\n"
        'From: "Alice" <sip:alice@sip.example.com>;tag=[pid]a[call_number]\n'
        "To: [$to]\n"
        f"Call-ID: [call_id]\nCSeq: {cseq} {method}\nUser-Agent: SIPp phone\nContent-Length: 0\n"
    )


def ack_of_failure(user: str) -> str:
    """RFC 3261 17.1.1.3: to the branch of the INVITE, with the To of the answer."""
    return (
        f"ACK sip:{user}@sip.example.com SIP/2.0\n[last_Via:]\nMax-Forwards: 70\n"
        "[last_From:]\n[last_To:]\nCall-ID: [call_id]\nCSeq: 1 ACK\nContent-Length: 0\n"
    )


def reply(status: str, tag: bool = True, body: str = "") -> str:
    to = "[last_To:];tag=[pid]b[call_number]" if tag else "[last_To:]"
    kind = "Content-Type: application/sdp\n" if body else ""
    return (
        f"SIP/2.0 {status}\n[last_Via:]\n[last_Record-Route:]\n[last_From:]\n{to}\n[last_Call-ID:]\n[last_CSeq:]\n"
        f"Contact: <sip:[local_ip]:[local_port];transport=[transport]>\n{kind}Content-Length: [len]\n\n{body}"
    )


def remember(what: str, header: str, *variables: str) -> str:
    """Receive `what` and keep a header, or its first two: [last_Header:] soon belongs to another message."""
    action = "".join(
        f'<ereg regexp=".*" search_in="hdr" header="{header}:" occurence="{n}" assign_to="{variable}"/>'
        for n, variable in enumerate(variables, 1)
    )
    return f'  <recv {what} rrs="true"><action>{action}</action></recv>'


def caller(user: str, before_ack: int = 0, talk: int = 700, speech: bool = False) -> list[str]:
    sdp = SDP.replace("[user]", "alice")
    return [
        send(request("INVITE", user, 1, "Allow: INVITE, ACK, CANCEL, BYE\nContent-Type: application/sdp\n", sdp)),
        receive("100", True),
        receive("180", True),
        remember('response="200"', "To", "to"),
        *([pause(before_ack)] if before_ack else []),
        send(within("ACK", 1), retrans=False),
        *([SPEECH] if speech else []),
        pause(talk),
        send(within("BYE", 2)),
        receive("200"),
    ]


def callee(thinks: int = 0, rings: int = 300, speech: bool = False) -> list[str]:
    return [
        receive("INVITE"),
        *([pause(thinks)] if thinks else []),
        send(reply("180 Ringing"), retrans=False),
        pause(rings),
        send(reply("200 OK", body=SDP.replace("[user]", "bob"))),
        receive("ACK"),
        *([SPEECH] if speech else []),
        receive("BYE"),
        send(reply("200 OK", tag=False), retrans=False),
    ]


def from_callee(method: str, user: str, cseq: int, extra: str = "") -> str:
    """A request of the callee inside the dialog; `remember_caller` has kept the caller's headers."""
    return (
        f"{method} [$contact] SIP/2.0\n"
        "Via: SIP/2.0/[transport] [local_ip]:[local_port];branch=[branch]\n"
        "Route:[$route]\nMax-Forwards: 70\n"
        f"From: <sip:{user}@sip.example.com>;tag=[pid]b[call_number]\nTo:[$from]\n"
        f"Call-ID: [call_id]\nCSeq: {cseq} {method}\nContact: <sip:[local_ip]:[local_port]>\n{extra}"
        "Content-Length: 0\n"
    )


def remember_caller(request: str) -> str:
    action = "".join(
        f'<ereg regexp=".*" search_in="hdr" header="{header}:" assign_to="{variable}"/>'
        for header, variable in (("From", "from"), ("Record-Route", "route"))
    )
    action += '<ereg regexp="sip:[^&gt;]*" search_in="hdr" header="Contact:" assign_to="contact"/>'
    return f'  <recv request="{request}"><action>{action}</action></recv>'


def reinviting_caller() -> list[str]:
    """The caller changes the session, and the callee hangs up."""
    return [
        *caller("bob")[:5],
        pause(200),
        send(within("INVITE", 2)),
        receive("100", True),
        receive("200"),
        send(within("ACK", 2), retrans=False),
        receive("BYE"),
        send(reply("200 OK", tag=False), retrans=False),
    ]


def reinvited_callee() -> list[str]:
    sdp = SDP.replace("[user]", "bob")
    return [
        remember_caller("INVITE"),
        *callee()[1:5],
        receive("INVITE"),
        send(reply("200 OK", tag=False, body=sdp)),
        receive("ACK"),
        pause(200),
        send(from_callee("BYE", "bob", 1)),
        receive("200"),
    ]


def subscriber() -> list[str]:
    answer = send(reply("200 OK", tag=False), retrans=False)
    wanted = "Event: presence\nExpires: {0}\n"
    ending = within("SUBSCRIBE", 2).replace("User-Agent", wanted.format(0) + CONTACT + "User-Agent")
    return [
        send(request("SUBSCRIBE", "erin", 1, wanted.format(60))),
        remember('response="200"', "To", "to"),
        receive("NOTIFY"),
        answer,
        pause(300),
        send(ending),
        receive("200"),
        receive("NOTIFY"),
        answer,
    ]


def notifier() -> list[str]:
    state = "Event: presence\nSubscription-State: {0}\n"
    return [
        remember_caller("SUBSCRIBE"),
        send(reply("200 OK").replace("Contact", "Expires: 60\nContact"), retrans=False),
        pause(100),
        send(from_callee("NOTIFY", "erin", 1, state.format("active;expires=60"))),
        receive("200"),
        receive("SUBSCRIBE"),
        send(reply("200 OK", tag=False).replace("Contact", "Expires: 0\nContact"), retrans=False),
        pause(100),
        send(from_callee("NOTIFY", "erin", 2, state.format("terminated;reason=timeout"))),
        receive("200"),
    ]


def hung_up_on(steps: list[str]) -> list[str]:
    """Until the call is established; another scenario ends it."""
    answer = send(reply("200 OK", tag=False).replace("[last_Record-Route:]\n", ""), retrans=False)
    return [*steps, receive("BYE"), answer]


CREDENTIALS = "Expires: 600\n[authentication username=alice password=wonderland]\n"
SCENARIOS = {
    "call-caller": caller("bob"),
    "call-callee": callee(),
    "speech-caller": caller("bob", speech=True),
    "speech-callee": callee(speech=True),
    # It answers after the proxy has repeated the INVITE, and accepts the ACK only after its 200 was repeated, too.
    "slow-caller": caller("frank", before_ack=700, talk=200),
    "slow-callee": callee(thinks=700),
    "fork-caller": caller("gina", talk=200),
    # A back-to-back user agent: its other leg begins while it rings, and names the first.
    "b2bua-caller": caller("bob", talk=300),
    "b2bua-callee": callee(rings=600),
    "leg-caller": [
        step.replace("User-Agent: ", "X-CID: first-leg@sip.example.com\nUser-Agent: ", 1)
        for step in caller("carol", talk=400)
    ],
    "spiral-caller": caller("sam", talk=200),
    "spiral-callee": callee(),
    "reinvite-caller": reinviting_caller(),
    "reinvite-callee": reinvited_callee(),
    "subscribe-caller": subscriber(),
    "subscribe-callee": notifier(),
    "stateless-caller": caller("stan", talk=200),
    "ended-caller": hung_up_on([*caller("tim")[:5], pause(200), send(within("INFO", 2)), receive("200")]),
    "ended-callee": hung_up_on(callee()[:5]),
    # RFC 2543: a Via without a branch.
    "old-caller": [step.replace(";branch=[branch]", "") for step in caller("bob", talk=200)],
    "cancel-caller": [
        send(request("INVITE", "carol", 1, "Content-Type: application/sdp\n", SDP.replace("[user]", "alice"))),
        receive("100"),
        receive("180"),
        pause(400),
        send(request("CANCEL", "carol", 1).replace("[branch]", "[branch-4]")),
        receive("200"),
        receive("487"),
        send(ack_of_failure("carol"), retrans=False),
    ],
    "cancel-callee": [
        remember('request="INVITE"', "Via", "proxy", "caller"),
        send(reply("180 Ringing"), retrans=False),
        receive("CANCEL"),
        send(reply("200 OK"), retrans=False),
        send(
            reply("487 Request Terminated")
            .replace("[last_Via:]", "Via: [$proxy]\nVia: [$caller]")
            .replace("[last_CSeq:]", "CSeq: 1 INVITE")
        ),
        receive("ACK"),
    ],
    "busy-caller": [
        send(request("INVITE", "dave", 1, "Content-Type: application/sdp\n", SDP.replace("[user]", "alice"))),
        receive("100", True),
        receive("486"),
        send(ack_of_failure("dave"), retrans=False),
    ],
    "busy-callee": [receive("INVITE"), send(reply("486 Busy Here")), receive("ACK")],
    "register": [
        send(request("REGISTER", "alice", 1, "Expires: 600\n")),
        receive("401", attributes='auth="true"'),
        send(request("REGISTER", "alice", 2, CREDENTIALS)),
        receive("200"),
    ],
    "options": [send(request("OPTIONS", "proxy", 1, "Accept: application/sdp\n")), receive("200")],
    "message-caller": [
        send(request("MESSAGE", "erin", 1, "Content-Type: text/plain\n", "Lunch at noon?")),
        receive("100", True),
        receive("200"),
    ],
    "message-callee": [receive("MESSAGE"), send(reply("200 OK"), retrans=False)],
}


def write(folder: Path) -> dict[str, Path]:
    """Write every scenario as an XML file for SIPp, and half a second of a 400 Hz tone as speech."""
    period = bytes.fromhex("ffa79b9592 92959ba7ff 271b151211 1112151b27")
    (folder / "speech.ulaw").write_bytes(period * 200)
    paths = {}
    for name, steps in SCENARIOS.items():
        head = ['<?xml version="1.0" encoding="UTF-8"?>', f'<scenario name="{name}">']
        text = "\n".join([*head, *steps, "</scenario>\n"])
        paths[name] = folder / f"{name}.xml"
        paths[name].write_text(text)
    return paths
