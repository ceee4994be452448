"""SIGTERM and SIGUSR1 ask a command to save and stop at the next safe moment."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from cxrlt_cli.errors import STOPPED_BY_SIGTERM, STOPPED_BY_SIGUSR1, Stopped

_CODES = {signal.SIGTERM: STOPPED_BY_SIGTERM, signal.SIGUSR1: STOPPED_BY_SIGUSR1}


class StopRequest:
    """A stop request, set by the signal handler and read by the loop."""

    def __init__(self) -> None:
        self.signal: signal.Signals | None = None

    def __bool__(self) -> bool:
        return self.signal is not None

    def stopped(self, saved: str) -> Stopped:
        """The exception that ends the command with the signal's exit code; `saved` says what was saved and how to continue."""
        assert self.signal is not None
        return Stopped(f"stopped by {self.signal.name}: {saved}", _CODES[self.signal])


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Inside, SIGTERM and SIGUSR1 set the request instead of ending the process; the old handlers are restored at the end."""
    request = StopRequest()

    def handler(number: int, _frame: FrameType | None) -> None:
        request.signal = signal.Signals(number)

    before = {number: signal.signal(number, handler) for number in _CODES}
    try:
        yield request
    finally:
        for number, former in before.items():
            signal.signal(number, former)


@contextmanager
def stops_at_once(lost: str) -> Iterator[None]:
    """Inside, SIGTERM and SIGUSR1 end the command at once with their exit codes; for phases with nothing to save.

    Args:
        lost: text of the message.
    """

    def handler(number: int, _frame: FrameType | None) -> None:
        request = StopRequest()
        request.signal = signal.Signals(number)
        raise request.stopped(lost)

    before = {number: signal.signal(number, handler) for number in _CODES}
    try:
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)
