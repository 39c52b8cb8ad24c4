"""Another configuration while the agent runs: what changes, what stays, and that nothing is lost or doubled."""

from __future__ import annotations

import queue
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from policy_samples import CLIENT, SERVER, sip
from sink_samples import UdpReceiver

import hep
from capture_agent.app.agent import Agent
from capture_agent.app.extensions import Extensions, InUse, load_extensions
from capture_agent.app.reloading import OPTIONS, SECTIONS, NotReloaded, Reloader
from capture_agent.books import Books
from capture_agent.config import Config, load
from capture_agent.config.sections import KINDS
from capture_agent.delivery import outbox
from capture_agent.delivery.routes import FORMER, MOST_FORMER
from capture_agent.metrics import health
from capture_agent.metrics.figures import Reloaded
from capture_agent.records.frame_building import Batches, Ends, udp
from capture_agent.records.frames import Frames

PATIENCE = 60.0


class Fed:
    """A source that gives what a test feeds it."""

    name = "fed"

    def __init__(self) -> None:
        self.fed: queue.Queue[bytes] = queue.Queue()
        self.closed = False
        self._batches = Batches(self.name)

    def batches(self) -> Iterator[Frames]:
        while not self.closed:
            with suppress(queue.Empty):
                self._batches.add(self.fed.get(timeout=0.02), time.time_ns())
            yield self._batches.take()

    def dropped(self) -> Mapping[str, int]:
        return {}

    def close(self) -> None:
        self.closed = True


class Running:
    """An agent that runs in a thread of its own, and its configuration file."""

    def __init__(self, file: Path, agent: Agent) -> None:
        self.file = file
        self.agent = agent
        self.source = Fed()
        self.sent = 0
        self.books: Books | None = None
        self.reloader = Reloader(agent, self._read)
        self._thread = threading.Thread(target=lambda: agent.drain([self.source]))
        self._thread.start()

    def _read(self, in_use: InUse) -> tuple[Config, Extensions]:
        config = load(self.file)
        return config, load_extensions(config, in_use=in_use)

    def reload(self, text: str) -> list[str]:
        self.file.write_text(text)
        return self.reloader.reload()

    def send(self, raw: bytes, source: str = CLIENT, destination: str = SERVER) -> None:
        """A message on the wire; returns when it has been decided about."""
        ends = [end.split() for end in (source, destination)]
        addressed = Ends(*(part for host, port in ends for part in (ip_address(host).packed, int(port))))  # type: ignore[arg-type]
        self.source.fed.put(udp(addressed, raw))
        self.sent += 1
        self.until(lambda: self.agent.books().ledgers[0].seen == self.sent and not self.agent._pending)

    def until(self, holds: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not holds():
            assert time.monotonic() < deadline
            time.sleep(0.005)

    def stop(self) -> Books:
        self.agent.stop.set()
        self._thread.join(PATIENCE)
        self.books = self.agent.close()
        return self.books


@contextmanager
def running(tmp_path: Path, text: str) -> Iterator[Running]:
    file = tmp_path / "agent.toml"
    file.write_text(text)
    one = Running(file, Agent(load(file), lossless=False))
    try:
        yield one
    finally:
        if one.books is None:
            one.stop()


@pytest.fixture
def receivers() -> Iterator[dict[str, UdpReceiver]]:
    made = {name: UdpReceiver() for name in ("one", "two")}
    yield made
    for receiver in made.values():
        receiver.close()


def hep_to(receiver: UdpReceiver, more: str = "") -> str:
    return f'[[hep]]\nuri = "hep:127.0.0.1:{receiver.port}"\n{more}\n'


def came(receiver: UdpReceiver) -> list[bytes]:
    """The start lines of the messages."""
    return [hep.decode(one).payload.partition(b"\r\n")[0] for one in receiver.received()]


INVITE, BYE, REFUSED = sip("INVITE"), sip("BYE", to_tag="b", cseq="2 BYE"), sip("SIP/2.0 486 Busy", "1 INVITE", "b")
OPTIONS_LINE, INVITE_LINE, BYE_LINE = (
    f"{method} sip:bob@example.com SIP/2.0".encode() for method in ("OPTIONS", "INVITE", "BYE")
)


def test_messages_go_to_the_new_sinks_from_then_on(tmp_path: Path, receivers: dict[str, UdpReceiver]) -> None:
    with running(tmp_path, hep_to(receivers["one"])) as run:
        run.send(sip("OPTIONS"))
        assert run.reload(hep_to(receivers["two"])) == []
        run.send(sip("INVITE"))
        books = run.stop()
    assert (came(receivers["one"]), came(receivers["two"])) == ([OPTIONS_LINE], [INVITE_LINE])
    assert books.balanced
    assert {ledger.name: ledger.seen for ledger in books.ledgers if ledger.name.startswith("hep:")} == {
        f"hep:127.0.0.1:{receiver.port}": 1 for receiver in receivers.values()
    }


def test_a_sink_that_stays_keeps_its_queue(tmp_path: Path, receivers: dict[str, UdpReceiver]) -> None:
    one, two = (hep_to(receiver) for receiver in receivers.values())
    with running(tmp_path, one) as run:
        before = list(run.agent.routes)
        run.reload(two + one + "[queue]\nmessages = 5\n")
        assert list(run.agent.routes)[1] is before[0]
        assert before[0]._queue.limit == 5  # type: ignore[union-attr]
        run.reload(one)
        assert list(run.agent.routes) == before


def test_the_queue_of_a_sink_that_goes_is_drained(
    tmp_path: Path, receivers: dict[str, UdpReceiver], monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = threading.Event()
    deliver = outbox.Outbox._deliver

    def held_up(self: outbox.Outbox, batch: object) -> None:
        gate.wait(PATIENCE)
        deliver(self, batch)  # type: ignore[arg-type]

    monkeypatch.setattr(outbox.Outbox, "_deliver", held_up)
    with running(tmp_path, hep_to(receivers["one"])) as run:
        for _ in range(3):
            run.send(sip("OPTIONS"))
        run.reload(hep_to(receivers["two"]))
        (ledger,) = [one for one in run.agent.routes.ledgers() if str(receivers["one"].port) in one.name]
        assert (ledger.seen, ledger.outcomes["waiting"]) == (3, 3)
        gate.set()
        run.until(lambda: not run.agent.routes._leaving)
        books = run.stop()
    assert came(receivers["one"]) == [OPTIONS_LINE] * 3
    assert books.balanced


DIALOGS = '[[rule]]\nname = "calls"\nmethod = "INVITE"\ntrace = "dialog"\n'


def test_a_call_goes_on_as_it_began(tmp_path: Path, receivers: dict[str, UdpReceiver]) -> None:
    """Rules for new calls are others; this one goes on to the sink that it began with."""
    one, two = (hep_to(receiver, f'name = "{name}"') for name, receiver in receivers.items())
    with running(tmp_path, one + two + DIALOGS + 'sinks = "one"\n') as run:
        run.send(INVITE)
        run.reload(two + one + DIALOGS.replace("INVITE", "SUBSCRIBE") + 'sinks = "two"\n')
        run.send(BYE)
        run.send(sip("INVITE", call_id="another"))
        books = run.stop()
    assert (came(receivers["one"]), came(receivers["two"])) == ([INVITE_LINE, BYE_LINE], [])
    assert books.balanced


def test_what_is_held_back_is_held_on(tmp_path: Path, receivers: dict[str, UdpReceiver]) -> None:
    """A call that fails after the change is traced from its beginning."""
    failures = '[[rule]]\nstatus = ["4xx"]\ntrace = "dialog"\nlookback = 30.0\n'
    one = hep_to(receivers["one"])
    with running(tmp_path, one + failures) as run:
        run.send(INVITE)
        run.reload(one + '[[rule]]\nmethod = "OPTIONS"\n' + failures)
        run.send(REFUSED, SERVER, CLIENT)
        books = run.stop()
    assert came(receivers["one"]) == [INVITE_LINE, b"SIP/2.0 486 Busy"]
    assert books.balanced


@pytest.mark.parametrize("again", [True, False], ids=["for as long as before", "no more"])
def test_what_is_held_back_and_never_asked_for(tmp_path: Path, receivers: dict[str, UdpReceiver], again: bool) -> None:
    failures = '[[rule]]\nstatus = ["4xx"]\ntrace = "dialog"\nlookback = 30.0\n'
    one = hep_to(receivers["one"])
    with running(tmp_path, one + failures) as run:
        run.send(INVITE)
        run.reload(one + (failures if again else '[[rule]]\nmethod = "BYE"\n'))
        (messages,) = [ledger for ledger in run.agent.books().ledgers if ledger.name == "messages"]
        assert messages.outcomes["waiting" if again else "not_traced"] == 1
        assert run.stop().balanced


def test_legs_are_known_as_before(tmp_path: Path, receivers: dict[str, UdpReceiver]) -> None:
    text = hep_to(receivers["one"]) + '[legs]\ncall_id_in = ["X-CID"]\n'
    with running(tmp_path, text) as run:
        run.send(sip("INVITE"))
        run.send(sip("INVITE", call_id="second", x_cid="c1"))
        run.reload(text + "[queue]\nmessages = 7\n")
        run.send(sip("BYE", call_id="second", cseq="2 BYE"))
        run.stop()
    assert {hep.decode(one).correlation_id for one in receivers["one"].received()} == {b"c1"}


def test_masks(tmp_path: Path, receivers: dict[str, UdpReceiver]) -> None:
    one = hep_to(receivers["one"])
    with running(tmp_path, one) as run:
        run.send(sip("INVITE"))
        run.reload(one + '[privacy]\nmask = ["users:truncate"]\n')
        run.send(sip("INVITE"))
        run.stop()
    first, second = (hep.decode(one).payload for one in receivers["one"].received())
    assert b"alice" in first
    assert b"alice" not in second


def test_files_of_user_code_are_read_again(tmp_path: Path, receivers: dict[str, UdpReceiver]) -> None:
    hook = tmp_path / "trunk.py"
    hook.write_text("def on_message(message):\n    message.drop()\n")
    text = hep_to(receivers["one"]) + f'[hooks]\nmodules = ["{hook}"]\n'
    with running(tmp_path, text) as run:
        run.send(sip("INVITE"))
        hook.write_text("def on_message(message):\n    pass\n")
        run.reload(text)
        run.send(sip("OPTIONS"))
        books = run.stop()
    assert came(receivers["one"]) == [OPTIONS_LINE]
    (ledger,) = [ledger for ledger in books.ledgers if ledger.name == "hook trunk.py"]
    assert (ledger.seen, dict(ledger.outcomes)) == (2, {"passed": 1, "dropped": 1})
    assert books.balanced


def test_the_switch_stays_unless_the_configuration_has_changed_it(
    tmp_path: Path, receivers: dict[str, UdpReceiver]
) -> None:
    one = hep_to(receivers["one"])
    with running(tmp_path, one) as run:
        run.agent.tracing = False
        run.reload(one + "[queue]\nmessages = 7\n")
        assert not run.agent.tracing
        run.reload(one + "[trace]\non = false\n")
        run.agent.tracing = True
        run.reload(one + "[trace]\non = false\nmatch = 'all'\n")
        assert run.agent.tracing
        run.reload(one)
        assert run.agent.tracing


WRONG = {
    "an unknown option": ("[trace]\nonn = true\n", "agent.toml:5: trace.onn: unknown option"),
    "two mistakes": ("[trace]\non = 3\n[queue]\nmib = 'a'\n", "queue.mib: value 'a'"),
    "not TOML": ("[trace\n", "agent.toml:4"),
    "no such certificate": ('[[hep]]\nuri = "hep+tls:127.0.0.1:1"\ntls_ca = "/no/such/file"\n', "/no/such/file"),
    "no such private key": ('[tls]\nkeys = ["/no/such/key"]\n', "/no/such/key: no such file or directory"),
    "a hook that is no Python": ('[hooks]\nmodules = ["{folder}/wrong.py"]\n', "wrong.py:1:"),
    "a package that is not there": ('[[sink]]\nuse = "nowhere"\n', "no installed package provides this sink"),
}


@pytest.mark.parametrize("name", WRONG)
def test_nothing_changes_when_anything_is_wrong(
    tmp_path: Path, receivers: dict[str, UdpReceiver], name: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "wrong.py").write_text("def on_message(message)\n")
    text, says = WRONG[name]
    one, two = (hep_to(receiver) for receiver in receivers.values())
    with running(tmp_path, one + DIALOGS) as run:
        before = (run.agent.config, run.agent.pipeline.policy, list(run.agent.routes))
        with pytest.raises(NotReloaded, match=re.escape(says)):
            run.reload(two + text.replace("{folder}", str(tmp_path)))
        assert (run.agent.config, run.agent.pipeline.policy, list(run.agent.routes)) == before
        assert "the configuration is not reloaded" in caplog.text
        run.send(INVITE)
        run.stop()
    assert (came(receivers["one"]), came(receivers["two"])) == ([INVITE_LINE], [])


def test_the_old_configuration_counts_as_good_until_the_new_one_is_refused(
    tmp_path: Path, receivers: dict[str, UdpReceiver]
) -> None:
    """A scrape in the middle of a reload must not raise an alarm."""
    one = hep_to(receivers["one"])
    with running(tmp_path, one) as run:
        seen: list[bool] = []

        def read(in_use: InUse) -> tuple[Config, Extensions]:
            seen.append(run.agent.observer.reloaded.success)
            return run._read(in_use)

        run.reloader = Reloader(run.agent, read)
        at = run.agent.observer.reloaded.at
        run.reload(one + DIALOGS)
        reloaded = run.agent.observer.reloaded
        assert (seen, reloaded.success) == ([True], True)
        assert reloaded.at >= at
        for _ in range(2):
            with pytest.raises(NotReloaded):
                run.reload("nonsense")
            assert run.agent.observer.reloaded == Reloaded(False, reloaded.at)
        run.reload(one)
        assert seen == [True, True, False, False]
        assert run.agent.observer.reloaded.success


def test_a_bug_is_a_refusal_and_signals_are_heard_after_it(
    tmp_path: Path, receivers: dict[str, UdpReceiver], caplog: pytest.LogCaptureFixture
) -> None:
    with running(tmp_path, hep_to(receivers["one"])) as run:
        errors: list[Exception] = [KeyError("secret")]

        def read(in_use: InUse) -> tuple[Config, Extensions]:
            if errors:
                raise errors.pop()
            return run._read(in_use)

        reloader = Reloader(run.agent, read)
        reloader.listen()
        reloader.request()
        run.until(lambda: not run.agent.observer.reloaded.success)
        reloader.request()
        run.until(lambda: run.agent.observer.reloaded.success)
    assert "the configuration is not reloaded: internal error: KeyError" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("[capture]\nsnapshot_length = 1000\nports = [5060]\n", ["capture.snapshot_length", "capture.ports"]),
        ("[correlate]\ncalls = 5000\n", ["correlate.calls"]),
        ('[control]\nsocket = "/tmp/other"\n', ["control.socket"]),
        ('[tls]\nmib = 5\nkeys = ["{key}"]\n', ["tls.keys", "tls.mib"]),
        ('[capture]\nlocal = ["192.0.2.1"]\n[log]\nlevel = "error"\n', []),
    ],
)
def test_what_takes_a_restart_is_named(
    tmp_path: Path, receivers: dict[str, UdpReceiver], text: str, names: list[str]
) -> None:
    one, text = hep_to(receivers["one"]), text.replace("{key}", rsa_key(tmp_path / "key.pem"))
    with running(tmp_path, one) as run:
        assert run.reload(one + text) == names
        assert run.reload(one + text) == names  # it has not had one meanwhile
        assert run.reload(one) == []


def test_private_keys_are_read_again(tmp_path: Path, receivers: dict[str, UdpReceiver]) -> None:
    """Also if the configuration is the same: a certificate was renewed."""
    text = f'{hep_to(receivers["one"])}[tls]\nkeys = ["{rsa_key(tmp_path / "key.pem")}"]\n'
    with running(tmp_path, text) as run:
        store = run.agent.pipeline.keys
        assert store is not None
        seen = [store.private_keys]
        rsa_key(tmp_path / "key.pem")
        assert run.reload(text) == []
        seen.append(store.private_keys)
        (tmp_path / "key.pem").write_text("no key")
        with pytest.raises(NotReloaded, match="key.pem: not a private key in PEM"):
            run.reload(text)
        seen.append(store.private_keys)
    assert [len(keys) for keys in seen] == [1, 1, 1]
    assert seen[0] != seen[1] == seen[2]


def rsa_key(file: Path) -> str:
    """A new one."""
    made = rsa.generate_private_key(65537, 1024)
    file.write_bytes(made.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return str(file)


def test_sections_and_options_are_those_of_the_configuration() -> None:
    config = Config()
    assert all(hasattr(config, section) for section in SECTIONS | OPTIONS.keys())
    assert KINDS.keys() <= SECTIONS, "a reload opens and closes sinks of every kind"
    assert all(hasattr(getattr(config, section), name) for section, names in OPTIONS.items() for name in names)


def test_the_addresses_of_the_server(tmp_path: Path, receivers: dict[str, UdpReceiver]) -> None:
    one = hep_to(receivers["one"])
    rule = '[[rule]]\ndirection = "out"\n'
    with running(tmp_path, one + rule + '[capture]\nlocal = ["192.0.2.1"]\n') as run:
        run.send(sip("OPTIONS"))
        run.reload(one + rule + '[capture]\nlocal = ["198.51.100.7"]\n')
        run.send(sip("INVITE"))
        run.stop()
    assert came(receivers["one"]) == [INVITE_LINE]


def test_a_capture_that_stands_still(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("capture_agent.app.reloading.APPLIED_WITHIN", 0.5)
    goes_on = threading.Event()
    with running(tmp_path, '[[hep]]\nuri = "hep:127.0.0.1:9"\n') as run:
        run.agent.between_batches(lambda: goes_on.wait(PATIENCE))
        with pytest.raises(NotReloaded, match="the capture has stood still for"):
            run.reload('[[hep]]\nuri = "hep:127.0.0.1:10"\n')
        assert not run.agent.observer.reloaded.success
        goes_on.set()
        run.until(lambda: [str(target) for target in run.agent.config.targets()] == ["hep:127.0.0.1:10"])
        run.until(lambda: run.agent.observer.reloaded.success)


def test_a_hook_that_hangs_is_in_health(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, receivers: dict[str, UdpReceiver]
) -> None:
    monkeypatch.setattr(health, "STILL_SECONDS", 0.1)
    go_on = tmp_path / "go on"
    (tmp_path / "hangs.py").write_text(
        "import time, pathlib\ndef on_message(message):\n"
        f"    while not pathlib.Path({str(go_on)!r}).exists():\n        time.sleep(0.01)\n"
    )
    with running(tmp_path, hep_to(receivers["one"]) + f'[hooks]\nmodules = ["{tmp_path}/hangs.py"]\n') as run:

        def reasons() -> list[str]:
            return [one.reason for one in run.agent.health()[1]]

        assert reasons() == []
        ends = Ends(ip_address("192.0.2.9").packed, 5060, ip_address("192.0.2.1").packed, 5060)
        run.source.fed.put(udp(ends, sip("OPTIONS")))
        run.until(lambda: reasons() == ["capture_stands_still"])
        go_on.touch()
        run.until(lambda: reasons() == [])


def test_the_ledgers_of_former_sinks_are_bounded(tmp_path: Path) -> None:
    """Under one name, each reload has another place."""
    with running(tmp_path, '[[hep]]\nuri = "hep:127.0.0.1:1"\nname = "a"\n') as run:
        for port in range(2, MOST_FORMER + 12):
            run.reload(f'[[hep]]\nuri = "hep:127.0.0.1:{port}"\nname = "a"\n')
        run.until(lambda: not run.agent.routes._leaving)
        assert len(run.agent.routes.ledgers()) <= MOST_FORMER + 2
        assert FORMER in [ledger.name for ledger in run.agent.routes.ledgers()]
    assert threading.active_count() < 20


def test_fifty_times_under_load(tmp_path: Path) -> None:
    """Each message once, at one of the two collectors; which one depends on when it came."""
    receivers = {name: UdpReceiver() for name in ("one", "two")}
    found: Counter[bytes] = Counter()
    ended = threading.Event()

    def collect(receiver: UdpReceiver) -> None:
        while not ended.is_set():
            found.update(hep.decode(one).payload for one in receiver.received())
            time.sleep(0.001)

    collectors = [threading.Thread(target=collect, args=(receiver,)) for receiver in receivers.values()]
    for thread in collectors:
        thread.start()
    texts = [hep_to(receivers["one"]) + DIALOGS + '[[rule]]\nmethod = "OPTIONS"\n', hep_to(receivers["two"])]
    sent = [sip("OPTIONS", call_id=f"call{n}") for n in range(3000)]
    with running(tmp_path, texts[1]) as run:
        addressed = Ends(ip_address("192.0.2.1").packed, 5060, ip_address("192.0.2.2").packed, 5060)

        def feed() -> None:
            for raw in sent:
                run.source.fed.put(udp(addressed, raw))
                time.sleep(0.0005)

        feeder = threading.Thread(target=feed)
        feeder.start()
        for n in range(50):
            run.reload(texts[n % 2])
        feeder.join()
        run.until(lambda: run.agent.books().ledgers[0].seen == len(sent))
        books = run.stop()
    run.until(lambda: len(found) == len(sent))
    ended.set()
    for thread in collectors:
        thread.join()
    for receiver in receivers.values():
        receiver.close()
    assert books.balanced
    assert found == Counter(sent)
