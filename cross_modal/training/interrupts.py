"""Ctrl-C and SIGTERM between two steps and never inside one: a half-done step could not be resumed exactly.

The first signal is kept until the step is done; a second one, of somebody who does not want to wait, is obeyed at once.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any


class Interrupts:
    """Holds signals back while it is open; outside the main thread, where no handler can be set, it holds back none.

    >>> with Interrupts() as interrupts:
    ...     signal.raise_signal(signal.SIGINT)
    ...     interrupts.came
    True
    """

    def __init__(self) -> None:
        self._kept: dict[int, Any] = {}
        self._first: int | None = None

    @property
    def came(self) -> bool:
        """A signal waits."""
        return self._first is not None

    def obey(self) -> None:
        """Does what the signal that waits would have done.

        Raises:
            KeyboardInterrupt: For an interrupt; whatever the handler raises.
        """
        if self._first is not None:
            number, self._first = self._first, None
            self._kept[number](number, None)

    def __enter__(self) -> Interrupts:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                handler = signal.getsignal(number)
                if callable(handler):  # the default of SIGTERM is no handler of Python's, and SIGINT may be ignored
                    self._kept[number] = handler
                    signal.signal(number, self._hold)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._kept.items():
            signal.signal(number, handler)

    def _hold(self, number: int, frame: FrameType | None) -> None:
        if self._first is not None:
            self._kept[number](number, frame)
        self._first = number
