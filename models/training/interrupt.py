"""Stopping long work at a point of its own choosing when the user asks for it."""

import os
import signal
import sys
import threading
from typing import Self


class StopOnSignal:
    """Notes the first Ctrl-C or SIGTERM in `signal` and gives the second its usual, deadly effect.

        with StopOnSignal() as stop:
            while not stop.signal:
                ...

    Outside the main thread, where handlers cannot be set, it notes nothing.
    """

    signals = (signal.SIGINT, signal.SIGTERM)

    def __enter__(self) -> Self:
        self.signal = None
        self._before = {}
        if threading.current_thread() is threading.main_thread():  # only there may handlers be set
            self._before = {number: signal.signal(number, self._note) for number in self.signals}
        return self

    def _note(self, number, frame):
        self.signal = number
        for each in self.signals:
            signal.signal(each, signal.SIG_DFL)
        show_cursor = "\x1b[?25h" if sys.stdout.isatty() else ""  # which the progress bar has hidden
        text = f"{show_cursor}\nfinishing this step and saving; again to stop at once\n"
        os.write(2, text.encode())  # print could be in the middle of its own work

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
