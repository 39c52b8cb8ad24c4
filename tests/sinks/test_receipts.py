"""Questions about a transaction whose commit was not answered."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import create_engine

from capture_agent.sinks.sql.database import parse_url
from capture_agent.sinks.sql.destinations import transaction_receipt

pytestmark = pytest.mark.once


@pytest.mark.parametrize(("ahead", "want"), [(0, True), (1_000_000, False)])
def test_a_transaction_that_a_killed_server_has_forgotten_is_not_stored(
    postgresql_url: str, ahead: int, want: bool
) -> None:
    """Its number is in the future for the restarted server."""
    engine = create_engine(parse_url(postgresql_url))
    with engine.connect() as connection:
        number = connection.exec_driver_sql("SELECT txid_current()").scalar_one() + ahead
        connection.commit()
        lost: Any = SimpleNamespace(
            dialect=connection.dialect, exec_driver_sql=lambda _: SimpleNamespace(scalar=lambda: number)
        )
        assert transaction_receipt(lost)(connection) is want
        connection.rollback()
        assert connection.exec_driver_sql("SELECT 1").scalar() == 1
    engine.dispose()
