"""`make demo`: replays a capture to a collector and into a table, and shows the calls."""

import json
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parent.parent
PROGRAM = Path(sys.executable).parent / "capture-agent"
CAPTURE = "pcaps/demo.pcap"
DATABASE = Path("demo/trace.db")
SHOWN = 8  # lines of the collector's output


def say(text: str) -> None:
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() else f"\n{text}", flush=True)


def show(explanation: str, *arguments: str) -> None:
    """Run a command as the user would type it."""
    say(f"# {explanation}\n$ capture-agent {shlex.join(arguments)}")
    # One stream, to keep the order in a file, too.
    none, one = subprocess.DEVNULL, subprocess.STDOUT
    done = subprocess.run([PROGRAM, *arguments], cwd=ROOT, stdin=none, stderr=one, timeout=60, check=False)
    if done.returncode != 0:
        raise SystemExit(f"the demo ends here: exit status {done.returncode}")


def answered_call() -> str:
    """The Call-ID of the capture's first call."""
    command = [PROGRAM, "decode", "--format", "jsonl", CAPTURE]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    messages = map(json.loads, done.stdout.splitlines())
    return next(str(message["call_id"]) for message in messages if message["method"] == "INVITE")


def address(output: IO[str]) -> str:
    first = output.readline()
    if not first.startswith("listening on "):
        raise SystemExit("the collector did not start")
    return first.split()[2].rstrip(",")


def tour(collector: str) -> None:
    url = f"sqlite:///{DATABASE}"
    show("Create the table of Kamailio's siptrace.", "db", "create", "--db", url)
    show(
        "Replay recorded SIP into the table and to a HEP collector; the books come last.",
        *("replay", CAPTURE, "--db", url, "--hep", f"hep+tcp:{collector}", "--local", "192.0.2.10"),
    )
    show("List the calls.", "calls", "--db", url)
    show("Show the first call, message by message.", "flow", answered_call(), "--db", url)


def main() -> None:
    (ROOT / DATABASE).parent.mkdir(exist_ok=True)
    for old in (ROOT / DATABASE).parent.glob(f"{DATABASE.name}*"):
        old.unlink()
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(
            [sys.executable, ROOT / "tools" / "demo_collector.py", "0"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            text=True,
        )
        try:
            assert process.stdout is not None
            tour(address(process.stdout))
            received = process.communicate(timeout=10)[0].splitlines()  # the end of its input ends it
        finally:
            process.kill()
            process.wait()
    say("# What the collector received:")
    print("\n".join(received[:SHOWN]))
    print(f"... and {len(received) - SHOWN - 1} more")
    print(received[-1])
    say("# Next: README.md, or live, as root:")
    print("$ .venv/bin/capture-agent run -i any --hep hep:127.0.0.1:9060")


if __name__ == "__main__":
    main()
