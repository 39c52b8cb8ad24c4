"""The converted configuration does what Kamailio did: recordings are replayed with it, and compared with siptrace's output.

Here for trace_mode; test_convert_scripts.py covers scripts. HEP packets, duplicates and rows, byte for byte except for
the clock.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import test_siptrace_vectors as vectors
from conversion import converted

from capture_agent.config import Config

# An event route that drops: HEP packets, duplicates and rows are the module's, to the byte but for the clock.
EVENT_ROUTES = ["5.6.3/17-mode1-evrt-drop", "head/77-data-mode-1", "head/97-evrt-hep-db-drop"]


@pytest.fixture
def use_conversion(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[Path], None]:
    """Replace the vectors' settings by the converted kamailio.cfg's, with our receivers' ports."""

    def use(case: Path) -> None:
        def config(self: vectors.Settings, hep_port: int, sip_port: int, database: Path) -> Config:
            return converted(case, tmp_path, hep_port, sip_port, database)

        monkeypatch.setattr(vectors.Settings, "config", config)

    return use


# Their settings in the vectors' own tests trace more than the script does.
CORE = [name for name in vectors.CASES if name != "49-table-param"]


@pytest.mark.parametrize("name", CORE)
def test_trace_mode(use_conversion: Callable[[Path], None], shared: Path, tmp_path: Path, name: str) -> None:
    case = shared / "siptrace" / "vectors" / "5.6.3" / name
    use_conversion(case)
    vectors.compare(case, tmp_path)


@pytest.mark.parametrize("name", EVENT_ROUTES)
def test_event_routes(use_conversion: Callable[[Path], None], shared: Path, tmp_path: Path, name: str) -> None:
    case = shared / "siptrace" / "vectors" / name
    use_conversion(case)
    vectors.compare(case, tmp_path)


@pytest.mark.parametrize("name", ["mode1-hep2", "mode1-hep3", "mode2-rows", "mode4-duplicates", "mode7-all"])
def test_our_own_recordings(use_conversion: Callable[[Path], None], pcaps: Path, tmp_path: Path, name: str) -> None:
    use_conversion(pcaps / "siptrace" / name)
    vectors.compare(pcaps / "siptrace" / name, tmp_path)
