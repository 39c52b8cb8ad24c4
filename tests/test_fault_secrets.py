"""Inputs that once exposed secrets: no output contains any."""

from __future__ import annotations

from pathlib import Path

import pytest

from capture_agent.cli import main
from capture_agent.emission.privacy import masker
from capture_agent.pipeline import Pipeline
from capture_agent.sources.capture_file import CaptureFile

INPUTS = Path(__file__).parent / "faults" / "inputs"


def test_keys_and_texts() -> None:
    mask = masker(["sdes", "message-body"])
    with CaptureFile(INPUTS / "sdes_acap.pcap") as capture:
        messages = [mask(one).raw for batch in Pipeline().read(capture.batches()) for one in batch]
    assert len(messages) == 3
    for secret in (b"NzB4d1BINUAvLEw6", b"AQAFgM0X", b"SECRETd1BIN", b"my private text"):
        assert not any(secret in raw for raw in messages), secret


@pytest.mark.parametrize("command", [["config", "check"], ["config", "show"], ["calls", "--config"]])
def test_a_password_with_an_at(capsys: pytest.CaptureFixture[str], command: list[str]) -> None:
    main([*command, str(INPUTS / "password_at.toml")])
    shown = capsys.readouterr()
    assert "S3cretPW" not in shown.out + shown.err
