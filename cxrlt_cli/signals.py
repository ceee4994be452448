"""SIGTERM, SIGUSR1 and SIGINT (Ctrl-C) ask a command to save and stop at the next safe moment."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from cxrlt_cli.errors import INTERRUPTED, STOPPED_BY_SIGTERM, STOPPED_BY_SIGUSR1, Stopped

_CODES = {signal.SIGTERM: STOPPED_BY_SIGTERM, signal.SIGINT: INTERRUPTED}
if hasattr(signal, "SIGUSR1"):  # not on Windows
    _CODES[signal.SIGUSR1] = STOPPED_BY_SIGUSR1

#: The signals that ask a command to stop.
STOP_SIGNALS = tuple(_CODES)


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
    """Inside, these signals set the request instead of ending the process; the old handlers are restored at the end.

    A second SIGINT raises KeyboardInterrupt at once: the user does not want to wait.
    """
    request = StopRequest()

    def handler(number: int, _frame: FrameType | None) -> None:
        if number == signal.SIGINT == request.signal:
            raise KeyboardInterrupt
        request.signal = signal.Signals(number)

    before = {number: signal.signal(number, handler) for number in _CODES}
    try:
        yield request
    finally:
        for number, former in before.items():
            signal.signal(number, former)


@contextmanager
def stops_at_once(lost: str) -> Iterator[None]:
    """Inside, these signals end the command at once with their exit codes; for phases with nothing to save.

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
