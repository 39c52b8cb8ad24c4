"""The address of OAUTHBEARER's tokens: it is shown, so nothing secret may be in it."""

from __future__ import annotations

from pathlib import Path

import pytest
from cli_samples import capture_agent

pytestmark = pytest.mark.once

URLS = {
    "https://login.example.net/token": True,
    "http://[2001:db8::1]:8080/realms/voice/token": True,
    "https://login.example.net": True,
    "https://joe:s3cret@login.example.net/token": False,
    "https://login.example.net/token?client_secret=s3cret": False,
    "https://login.example.net/token#s3cret": False,
    "https://s3cret@login.example.net": False,
    "login.example.net/s3cret": False,
    "ftp://login.example.net/s3cret": False,
    "https:///s3cret": False,
}


@pytest.mark.parametrize("url", URLS)
@pytest.mark.parametrize("section", ["kafka", "kafka_source"])
def test_a_token_url_has_no_room_for_a_secret(tmp_path: Path, section: str, url: str) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(
        f'[[{section}]]\nbrokers = ["127.0.0.1"]\ntopic = "sip"\nsasl = "OAUTHBEARER"\nuser = "capture"\n'
        f'password = "p"\ntoken_url = "{url}"\n'
    )
    checked = capture_agent("config", "check", file)
    shown = capture_agent("config", "show", "--config", file)
    assert (checked.status == 0) == (shown.status == 0) == URLS[url]
    assert "s3cret" not in checked.out + checked.err + shown.out + shown.err
