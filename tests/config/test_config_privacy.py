"""[privacy]: masks, and the key that hashes need."""

from pathlib import Path

import pytest

from capture_agent.config import ConfigError, Privacy, load
from capture_agent.config.load import load_layers
from capture_agent.config.show import show

pytestmark = pytest.mark.once


def written(folder: Path, text: str) -> Path:
    file = folder / "agent.toml"
    file.write_text(text)
    return file


def test_the_key_is_read_from_its_file(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("s3cret\n")
    file = written(tmp_path, '[privacy]\nmask = ["users:hash", "sdes"]\nhash_key_file = "key"\n')
    assert load(file).privacy == Privacy(("users:hash", "sdes"), "s3cret")


def test_from_the_environment_and_never_shown() -> None:
    environ = {"CAPTURE_AGENT_PRIVACY__MASK": "users:hash", "CAPTURE_AGENT_PRIVACY__HASH_KEY": "s3cret"}
    config, layers = load_layers(None, environ, {})
    assert config.privacy == Privacy(("users:hash",), "s3cret")
    shown = "\n".join(show(config, layers))
    assert 'hash_key = "***"' in shown
    assert "s3cret" not in shown + repr(config)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('mask = ["users:hash"]', "1: privacy: mask: users:hash needs a hash_key or hash_key_file"),
        ('mask = ["users:hash", "users:truncate"]\nhash_key = "k"', "1: privacy: mask: users:hash and users:truncate cannot be combined"),
        ('mask = ["authorisation"]', '2: privacy.mask: value \'authorisation\', expected "authorization", "sdes", "message-body", "users:hash" or "users:truncate"'),
        ('hash_key_file = "nofile"', "2: privacy.hash_key_file: expected a file that can be read (no such file or directory)"),
    ],
)  # fmt: skip
def test_problems(tmp_path: Path, text: str, problem: str) -> None:
    file = written(tmp_path, f"[privacy]\n{text}\n")
    with pytest.raises(ConfigError) as caught:
        load(file)
    assert caught.value.problems == [f"{file}:{problem}"]
