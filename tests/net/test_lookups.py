"""Names of collectors that move, and silent name servers, with the system's own getaddrinfo."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest
from faults.names import Names

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(os.geteuid() != 0, reason="network namespaces need root"),
]

ROOT = Path(__file__).parents[2]
TESTS = os.pathsep.join(map(str, (ROOT, ROOT / "tests", ROOT / "tests" / "sinks")))
# The program inside: it reads a line, acts, and prints the result: how many messages have arrived, by address.
BEGIN = """
    import socket, sys, time
    from sink_samples import batch_of
    from capture_agent.config.targets import HepTarget
    from capture_agent.net import tcp_sender as tcp, udp_sender as udp
    from capture_agent.sinks.hep.hep_sink import HepSink
    from capture_agent.net.sink_errors import SinkError

    def receiver(address, port=9060):
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.bind((address, port))
        one.setblocking(False)
        return one

    def arrived(one):
        count = 0
        while True:
            try:
                one.recv(65535)
            except BlockingIOError:
                return count
            count += 1

    def next_step(*said):
        print(*said, flush=True)
        sys.stdin.readline()

    def quickly(do):
        began = time.monotonic()
        try:
            do()
        except SinkError as error:
            print(error, end=" ")
        return time.monotonic() - began < {limit}
"""


@pytest.fixture
def host() -> Iterator[Names]:
    with Names() as names:
        yield names


class Inside:
    """A program in the namespace, which waits after each line that it prints."""

    def __init__(self, host: Names, program: str, limit: float = 60) -> None:
        text = textwrap.dedent(BEGIN).replace("{limit}", str(limit)) + textwrap.dedent(program)
        self._process = host.start(
            sys.executable, "-c", text, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": TESTS},
        )  # fmt: skip

    def __enter__(self) -> Inside:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate(timeout=10)

    def says(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().decode().strip()

    def go_on(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()


def test_datagrams_follow_a_name_that_moves(host: Names) -> None:
    host.say("collector.test", "127.0.0.2")
    program = """
        udp.LOOK_AGAIN_SECONDS = 0.0
        one, other = receiver("127.0.0.2"), receiver("127.0.0.3")
        sink = HepSink(HepTarget("collector.test", 9060))
        sink.send(batch_of(3))
        next_step(arrived(one), arrived(other), sink.endpoints_now[1][0][3])
        for _ in range(2):  # moved, with other addresses of the name or without; then no answer, and no such name
            sink.send(batch_of(4))
            next_step(arrived(one), arrived(other), sink.endpoints_now[1][0][3])
        sink.send(batch_of(5))
        next_step(arrived(one), arrived(other), sink.endpoints_now[1][0][3])
    """
    with Inside(host, program) as inside:
        assert inside.says() == "3 0 2"
        host.say("collector.test", "127.0.0.9", "127.0.0.2")  # still one of them
        inside.go_on()
        assert inside.says() == "4 0 2"
        host.say("collector.test", "127.0.0.3")
        inside.go_on()
        assert inside.says() == "0 4 3"
        host.say("collector.test")
        inside.go_on()
        assert inside.says() == "0 5 3"


@pytest.mark.parametrize("trouble", ["minute", "refused"])
def test_it_is_looked_up_again_in_time(host: Names, trouble: str) -> None:
    """After a minute; two seconds after a refusal. Not at each batch: the server has moved long before."""
    host.say("collector.test", "127.0.0.2")
    program = f"""
        clock = time.monotonic
        shift = 0
        udp.time = type("", (), dict(monotonic=staticmethod(lambda: clock() + shift)))
        one, other = receiver("127.0.0.2"), receiver("127.0.0.3")
        sink = HepSink(HepTarget("collector.test", 9060))
        sink.send(batch_of(3))
        next_step(arrived(one), arrived(other))
        if {trouble == "refused"}:
            one.close()
            shift += 30
            sink.send(batch_of(20))
            assert sink.lost["refused"] > 0
            shift += 2
            one = receiver("127.0.0.2")
        else:
            shift += 59
            sink.send(batch_of(2))
            assert (arrived(one), arrived(other)) == (2, 0)
            shift += 1
        sink.send(batch_of(4))
        next_step(arrived(one), arrived(other))
    """
    with Inside(host, program) as inside:
        assert inside.says() == "3 0"
        host.say("collector.test", "127.0.0.3")
        inside.go_on()
        assert inside.says() == "0 4"


def test_a_silent_name_server_does_not_delay_messages(host: Names) -> None:
    """Sending waits only for the first look-up; later ones continue in the background, and their answers count."""
    host.say("collector.test", "127.0.0.2")
    program = """
        one, other = receiver("127.0.0.2"), receiver("127.0.0.3")
        sink = HepSink(HepTarget("collector.test", 9060))
        sink.open()
        next_step("open")
        udp.LOOK_AGAIN_SECONDS = udp.LOOK_AGAIN_AFTER_TROUBLE = 0.0
        sink._sender._look_at = 0.0
        quick = quickly(lambda: [sink.send(batch_of(10)) for _ in range(5)])
        next_step(quick, arrived(one))
        for _ in range(200):
            sink.send(batch_of(1))
            if arrived(other):
                next_step("moved")
            time.sleep(0.1)
    """
    with Inside(host, program, limit=3) as inside:  # a look-up takes eight seconds
        assert inside.says() == "open"
        host.silence()
        inside.go_on()
        assert inside.says() == "True 50"
        host.say("collector.test", "127.0.0.3")
        host.speak()
        inside.go_on()
        assert inside.says() == "moved"


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_a_silent_name_server_is_given_up(host: Names, transport: str) -> None:
    host.silence()
    program = f"""
        udp.LOOKUP_SECONDS = tcp.CONNECT_SECONDS = 0.2
        sink = HepSink(HepTarget("collector.test", 9060, "{transport}"))
        next_step(*[quickly(sink.open) for _ in range(3)])
    """
    with Inside(host, program, limit=4) as inside:
        said = inside.says()
    assert said.count("no answer to the look-up of the host name") == 3
    assert said.endswith("True True True")


def test_one_address_of_many_that_answers_is_found_in_time(host: Names) -> None:
    """The others swallow everything: each gets its share of the time."""
    host.say("collector.test", *(f"192.0.2.{n}" for n in range(1, 10)), "127.0.0.2")
    program = """
        import subprocess
        subprocess.run(["ip", "route", "add", "192.0.2.0/24", "dev", "lo"], check=True)
        tcp.CONNECT_SECONDS = 3.0
        server = socket.create_server(("127.0.0.2", 9060))
        sink = HepSink(HepTarget("collector.test", 9060, "tcp"))
        next_step(quickly(sink.open), sink.endpoints_now[1][0][3])
    """
    with Inside(host, program, limit=6) as inside:
        assert inside.says() == "True 2"


def test_the_resolver_is_the_system_s(host: Names) -> None:
    host.say("a.test", "192.0.2.1", "2001:db8::1")
    script = "import socket; print(sorted({one[4][0] for one in socket.getaddrinfo('a.test', 1)}))"
    assert host.run(sys.executable, "-c", script).stdout == "['192.0.2.1', '2001:db8::1']\n"
    script = "import socket; socket.getaddrinfo('b.test', 1)"
    assert "gaierror" in host.run(sys.executable, "-c", script).stderr
