"""What a failure of accept means, for listeners, the control socket and the HTTP door alike."""

from __future__ import annotations

import errno

import pytest

from capture_agent.net.accepting import PAUSE, AcceptFailures

pytestmark = pytest.mark.once


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM])
def test_out_of_something_it_pauses_and_says_so_once(number: int, caplog: pytest.LogCaptureFixture) -> None:
    failures = AcceptFailures("door")
    assert [failures.pause(OSError(number, "Some reason")) for _ in range(3)] == [PAUSE] * 3
    assert failures.pauses == 3
    assert caplog.messages == ["door: cannot accept connections for now: some reason"]


@pytest.mark.parametrize("number", [errno.ECONNABORTED, errno.EPROTO, errno.EAGAIN, errno.EPERM])
def test_a_connection_that_has_gone_away_is_nothing(number: int, caplog: pytest.LogCaptureFixture) -> None:
    failures = AcceptFailures("door")
    assert failures.pause(OSError(number, "")) == 0
    assert (failures.pauses, caplog.messages) == (0, [])


@pytest.mark.parametrize("number", [errno.EBADF, errno.EINVAL, errno.ENOTSOCK])
def test_a_socket_that_has_failed_is_not_tried_again(number: int) -> None:
    error = OSError(number, "Reason")
    with pytest.raises(OSError, match="Reason") as raised:
        AcceptFailures("door").pause(error)
    assert raised.value is error
