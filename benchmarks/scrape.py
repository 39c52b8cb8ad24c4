"""scrape.py PORT: each second read /metrics there; print what it says as one line of JSON per answer, until SIGTERM.

A separate, small program, because it runs in the agent's network namespace.
"""

import http.client
import json
import sys
import time

EVERY = 1.0  # seconds
PATIENCE = 10.0


def samples(text: str) -> dict[str, float]:
    """Value by name and labels, as they are written."""
    lines = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}


def main() -> None:
    connection = http.client.HTTPConnection("127.0.0.1", int(sys.argv[1]), timeout=PATIENCE)
    while True:
        began = time.monotonic()
        connection.request("GET", "/metrics")
        print(json.dumps(samples(connection.getresponse().read().decode())), flush=True)
        time.sleep(max(0.0, began + EVERY - time.monotonic()))


if __name__ == "__main__":
    main()
