"""The pages in Debian's chromium: search, open, legs, difference, export, live updates, what SIP tries to inject."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from cli_samples import Packet, capture_agent, pcap, sip
from faults.peers import end_process
from free_ports import free_port
from installed_programs import npm_package
from page_samples import Served, many_calls, served, store_of

from capture_agent.config.targets import SqlTarget
from capture_agent.page.table_source import TableSource

playwright = pytest.importorskip("playwright.sync_api", reason="no playwright here")

CHROMIUM = shutil.which("chromium")
ROOT = Path(__file__).parents[2]
PATIENCE = 60_000  # milliseconds: only to end a test that hangs
AXE = "4.10.2"
SERIOUS = ("serious", "critical")

pytestmark = [pytest.mark.once, pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright.sync_playwright() as driver:
        made = driver.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"] if os.geteuid() == 0 else [], timeout=PATIENCE
        )
        yield made
        made.close()


@contextmanager
def opened(browser: Any, port: int, **options: Any) -> Iterator[Any]:
    """A page that may ask nobody but the server, and must have nothing to complain about."""
    context = browser.new_context(base_url=f"http://127.0.0.1:{port}", **options)
    context.set_default_timeout(PATIENCE)
    complaints: list[str] = []
    context.on("request", lambda one: complaints.extend(elsewhere(one.url, port)))
    page = context.new_page()
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("console", lambda line: complaints.append(line.text) if line.type in ("error", "warning") else None)
    try:
        yield page
    finally:
        context.close()
    assert complaints == []


def elsewhere(url: str, port: int) -> list[str]:
    split = urlsplit(url)
    return [] if split.scheme in ("blob", "data") or split.netloc == f"127.0.0.1:{port}" else [url]


@contextmanager
def pages_of(*files: Path) -> Iterator[Served]:
    with store_of(*files) as source, served(source) as ask:
        yield ask


@pytest.fixture(scope="module")
def lab() -> Iterator[Served]:
    """Recorded calls: answered, cancelled, forked, two legs, a registration."""
    with pages_of(*sorted((ROOT / "pcaps" / "look").glob("*.pcap"))) as ask:
        yield ask


def texts(page: Any, selector: str) -> list[str]:
    return [one.strip() for one in page.locator(selector).all_inner_texts()]


def test_from_a_number_to_both_legs_and_a_capture_for_the_vendor(browser: Any, lab: Served, tmp_path: Path) -> None:
    with opened(browser, lab.port) as page:
        page.goto("/")
        page.keyboard.press("/")
        page.keyboard.type("first-leg")
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile("search=first-leg"))
        assert texts(page, "tr[data-key] .to") == ["bob"]
        page.keyboard.press("j")
        page.keyboard.press("Enter")
        page.wait_for_selector("#pane .sip")
        alone = page.locator("a.row").count()
        page.get_by_role("link", name="show together").click()
        page.wait_for_url(re.compile("legs=1"))
        page.wait_for_selector("#pane .sip")
        assert page.locator(".ids code").count() == 2
        both = page.locator("a.row").count()
        assert both > alone
        with page.expect_download() as download:
            page.get_by_role("link", name="pcapng").click()
        download.value.save_as(tmp_path / "call.pcapng")
        with page.expect_download() as download:
            page.get_by_role("button", name="PNG").click()
        assert Path(download.value.path()).read_bytes().startswith(b"\x89PNG\r\n")
    command = ["tshark", "-r", tmp_path / "call.pcapng", "-Y", "sip", "-T", "fields", "-e", "sip.Call-ID"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert len(done.stdout.split()) == both
    assert len(set(done.stdout.split())) == 2


def test_keys_choose_a_message_and_compare_it(browser: Any, lab: Served) -> None:
    with opened(browser, lab.port) as page:
        page.goto("/call?id=first-leg%40sip.example.com")
        page.wait_for_selector("#pane .sip .start")
        for _ in range(2):
            page.keyboard.press("j")
        page.locator("#pane .count", has_text="3").wait_for()
        assert page.evaluate("new URL(location.href).searchParams.get('n')") == "3"
        page.keyboard.press("d")
        page.wait_for_selector("#pane .difference .added")
        page.get_by_role("link", name="Back to message 3").click()
        page.locator("#pane .count", has_text="3").wait_for()
        page.keyboard.press("t")
        page.wait_for_url(re.compile("time=delta"))
        assert page.locator(".ladder .time").nth(1).text_content().startswith("+")


def test_columns_sort_by_links(browser: Any, lab: Served) -> None:
    """By keyboard, without scripts; the search keeps the order. On a phone there is a choice instead of titles."""
    with opened(browser, lab.port, java_script_enabled=False) as page:
        page.goto("/?search=alice")
        page.get_by_role("link", name="Messages").focus()
        for way in ("descending", "ascending"):
            page.keyboard.press("Enter")
            page.wait_for_selector(f"th[aria-sort={way}]")
            assert texts(page, "th[aria-sort]") == ["Messages"]
            page.get_by_role("link", name="Messages").focus()
        found = [int(one) for one in texts(page, "td.sorted")]
        assert found == sorted(found)
        page.locator("#search").fill("sip.example.com")
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile("sort=messages"))
    with opened(browser, lab.port, viewport={"width": 390, "height": 800}) as page:
        page.goto("/")
        page.get_by_label("Order").select_option("Slowest set-up first")
        page.wait_for_url(re.compile("sort=-setup"))
        assert page.locator("td.sorted").first.is_visible()
        page.goto("/statistics")
        sizes = page.locator("svg.plot:visible .tick").evaluate_all(
            "all => all.map(one => one.getBoundingClientRect().height)"
        )
        assert min(sizes) > 9


def test_the_heads_stay_while_the_ladder_is_scrolled(browser: Any, lab: Served) -> None:
    with opened(browser, lab.port, viewport={"width": 1200, "height": 500}) as page:
        page.goto("/call?id=first-leg%40sip.example.com&legs=1")
        page.wait_for_selector("#pane .sip")
        before = page.locator(".heads").bounding_box()
        page.locator(".ladder").evaluate("one => one.scrollTop = 300")
        assert page.locator(".ladder").evaluate("one => one.scrollTop") > 100
        assert page.locator(".heads").bounding_box() == before


def test_without_scripts_everything_is_reached_by_links(browser: Any, lab: Served) -> None:
    with opened(browser, lab.port, java_script_enabled=False) as page:
        page.goto("/")
        page.locator("a.open").first.click()
        page.locator("a.row").first.click()
        page.wait_for_selector(".sip .start")
        page.get_by_role("button", name="Compare").click()
        page.wait_for_selector(".difference")


@pytest.mark.parametrize(("scheme", "wide"), [("light", 390), ("dark", 1300)])
def test_everybody_can_read_it(browser: Any, lab: Served, scheme: str, wide: int) -> None:
    axe = (npm_package("axe-core", AXE) / "axe-core" / "axe.min.js").read_text()
    with opened(browser, lab.port, color_scheme=scheme, viewport={"width": wide, "height": 800}) as page:
        for path in ("/", "/call?id=first-leg%40sip.example.com&legs=1", "/statistics"):
            page.goto(path)
            if path.startswith("/call"):
                page.wait_for_selector("#pane .sdp")
                page.locator(".as-table summary").click()
            assert page.evaluate("document.documentElement.scrollWidth") <= wide
            page.evaluate(axe)
            found = page.evaluate("axe.run()")["violations"]
            assert [(one["id"], one["nodes"][0]["html"]) for one in found if one["impact"] in SERIOUS] == []


INJECTIONS = (
    "<script>window.hit=1</script>",
    '"><img src=x onerror=window.hit=1>',
    "'onmouseover='window.hit=1",
    "</title></style></svg></pre><svg onload=window.hit=1>",
    "{{7*7}}${7*7}<!--",
    "javascript:window.hit=1",
    "\u202e\x1b[31m\x07\x85",
)


def hostile(text: str) -> bytes:
    """Every field of an INVITE and of its answer has the text."""
    bare = text.replace(" ", "")
    body = f"v=0\r\no={text} 1 1 IN IP4 {bare}\r\ns={text}\r\nc=IN IP4 {bare}\r\nm=audio 4000 RTP/AVP 0 97\r\na=rtpmap:97 {text}/8000\r\n"
    head = (
        f'Via: SIP/2.0/UDP {bare};branch=z9hG4bK{bare}\r\nFrom: "{text}" <sip:{bare}@{bare}>;tag={bare}\r\n'
        f"To: {text} <sip:{bare}@{bare}>;tag={bare}\r\nCall-ID: {bare}\r\nCSeq: 1 INVITE\r\nContact: {text}\r\n"
        f'User-Agent: {text}\r\nX-{bare}: {text}\r\nReason: Q.850;cause=1;text="{text}"\r\n'
        f"Content-Type: application/sdp\r\nContent-Length: {len(body.encode())}\r\n\r\n{body}"
    )
    invite = f"INVITE sip:{bare}@{bare} SIP/2.0\r\n{head}".encode()
    refusal = f"SIP/2.0 503 {text}\r\n{head}".encode()
    return pcap([Packet(1, "10.0.0.1", "10.0.0.2", invite), Packet(2, "10.0.0.2", "10.0.0.1", refusal)])


def as_shown(text: str) -> str:
    return "".join(one if one.isprintable() else ascii(one)[1:-1] for one in text)


def test_what_sip_says_is_text(browser: Any, tmp_path: Path) -> None:
    """On every page, and in every file that is exported, opened on a page without a policy."""
    files = [tmp_path / f"{number}.pcap" for number in range(len(INJECTIONS))]
    for file, text in zip(files, INJECTIONS, strict=True):
        file.write_bytes(hostile(text))
    pictures = []
    with pages_of(*files) as ask, opened(browser, ask.port) as page:
        calls = ask("/api/calls").json["calls"]
        assert [call["status"] for call in calls] == [503] * len(INJECTIONS)
        for path in ("/statistics", "/"):
            page.goto(path)
            page.wait_for_selector("table")
            nothing_runs(page)
        for call in calls:
            page.goto(f"/call?id={quote(call['call_id'])}")
            page.wait_for_selector("#pane .sdp")
            assert {f"User-Agent: {as_shown(text)}" for text in INJECTIONS} & set(
                texts(page, "#pane .sip")[0].split("\n")
            )
            page.get_by_role("button", name="Compare").click()
            page.wait_for_selector("#pane .difference")
            nothing_runs(page)
            exported = f"/export?id={quote(call['call_id'])}&format="
            assert b"<" not in ask(exported + "mermaid").body
            pictures += [ask(exported + kind).text for kind in ("svg", "html")]
    with opened(browser, ask.port) as page:
        for content in pictures:
            page.set_content(content)
            page.wait_for_selector("svg", state="attached")
            nothing_runs(page)


def nothing_runs(page: Any) -> None:
    assert page.evaluate("window.hit") is None
    assert (
        page.locator("script:not([src]), iframe, [onerror], [onload], [onmouseover], [href^='javascript']").count() == 0
    )
    assert not set("\x1b\x07\x85\u202e") & set(page.content())


def test_names_from_right_to_left_stay_where_they_are(browser: Any, tmp_path: Path) -> None:
    """The caller is left of the callee, whatever script their names are in."""
    caller, callee = "\u05d0\u05d1\u05d2", "\u05d3\u05d4\u05d5"
    message = sip("INVITE sip:b SIP/2.0", "rtl@b").replace(b"alice", caller.encode()).replace(b"bob", callee.encode())
    file = tmp_path / "rtl.pcap"
    file.write_bytes(pcap([Packet(1, "10.0.0.1", "10.0.0.2", message)]))
    with pages_of(file) as ask, opened(browser, ask.port) as page:
        page.goto("/call?id=rtl@b")
        names = page.locator("h1 bdi")
        assert names.all_inner_texts() == [caller, callee]
        assert names.first.bounding_box()["x"] < names.last.bounding_box()["x"]


def test_a_list_says_when_its_table_is_away_and_goes_on(browser: Any, tmp_path: Path) -> None:
    table, away, url = tmp_path / "trace.db", tmp_path / "away.db", f"sqlite:///{tmp_path}/trace.db"
    many_calls(url, 1)
    with served(TableSource(SqlTarget(url))) as ask, opened(browser, ask.port) as page:
        page.goto("/")
        page.wait_for_selector("#live[data-open]", state="attached")
        table.rename(away)
        page.locator("#live.off", has_text="Not reading").wait_for()
        assert "no such file" in page.locator("#problems").inner_text()
        away.rename(table)
        page.locator("#live:not(.off)", has_text="Live").wait_for()
        assert page.locator("#problems").inner_text() == ""
        assert capture_agent("replay", ROOT / "pcaps" / "demo.pcap", "--db", url).status == 0
        playwright.expect(page.locator("tr[data-key]")).to_have_count(8, timeout=PATIENCE)


def test_a_list_follows_calls_that_sipp_makes(browser: Any, tmp_path: Path) -> None:
    """Captured by the command itself, on loopback."""
    if os.geteuid() != 0 or shutil.which("sipp") is None:
        pytest.skip("capturing needs root; calls need sipp")
    callee, caller, port = free_port(), free_port(), free_port()
    config = tmp_path / "web.toml"
    config.write_text(f'[capture]\nfilter = "udp port {callee}"\n')
    command = [sys.executable, "-m", "capture_agent", "web", "-c", config, "-i", "lo", "--listen", f"127.0.0.1:{port}"]
    with running(command) as web:
        assert web.stderr is not None
        assert b" shows lo;" in web.stderr.readline()
        sipp = ["sipp", "-nostdin", "-i", "127.0.0.1"]
        with running([*sipp, "-sn", "uas", "-p", str(callee)]), opened(browser, port) as page:
            page.goto("/")
            page.wait_for_selector("#live[data-open]", state="attached")
            assert page.locator("tr[data-key]").count() == 0
            calls = [*sipp, "-sn", "uac", f"127.0.0.1:{callee}", "-p", str(caller), "-m", "3", "-r", "10", "-d", "100"]
            subprocess.run(calls, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=60, check=True)
            playwright.expect(page.locator(".pill", has_text="completed")).to_have_count(3, timeout=PATIENCE)


@contextmanager
def running(command: list[Any]) -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=ROOT) as process:
        try:
            yield process
        finally:
            end_process(process, 60)
