"""The proof that the student's functions ran: how often each was entered, by a profile of the process."""

import contextlib
import sys
import threading
from pathlib import Path


class Calls:
    """Counts how often functions of files in a tree are entered.

    functions  (path from the tree's root, qualified name); in CUDA C the name of a kernel or of a device function
    """

    def __init__(self, tree: str, functions: list[tuple[str, str]]):
        self.tree = Path(tree).resolve()
        self.counts = {tuple(function): 0 for function in functions}
        self.python = {
            (f"{self.tree}/{path}", name): (path, name)
            for path, name in self.counts
            if path.endswith(".py")
        }
        self.cuda = [(path, name) for path, name in self.counts if not path.endswith(".py")]

    def start(self) -> None:
        """Watch the emulator, if there are functions in CUDA C."""
        if self.cuda:
            self._watch_emulator()

    @contextlib.contextmanager
    def counting(self):
        """Count in the with block, in every thread that starts there too."""
        if self.python:
            threading.setprofile(self._entered)
            sys.setprofile(self._entered)
        try:
            yield
        finally:
            sys.setprofile(None)
            threading.setprofile(None)

    def total(self) -> dict[tuple[str, str], int]:
        """How often each function was entered; of one that only compiled code calls, how many versions there are."""
        return {
            function: count
            or (self._compiled(*function) if function in self.python.values() else 0)
            for function, count in self.counts.items()
        }

    def _entered(self, frame, event, argument) -> None:
        if event == "call":
            code = frame.f_code
            function = self.python.get((code.co_filename, code.co_qualname))
            if function is not None:
                self.counts[function] += 1

    def _compiled(self, path: str, name: str) -> int:
        """For how many types numba compiled a function that Python never entered, or those of its file that call it."""
        module = sys.modules.get(path.removesuffix(".py").replace("/", "."))
        function = getattr(module, name, None)
        if not hasattr(function, "py_func"):
            return 0
        own = function.py_func.__code__.co_filename
        if own != f"{self.tree}/{path}":
            return 0
        callers = [
            each
            for each in vars(module).values()
            if hasattr(each, "py_func") and name in each.py_func.__code__.co_names
        ]
        return sum(len(each.signatures) for each in [function, *callers])

    def _watch_emulator(self) -> None:
        """Count launches of the kernels, or for a function of a GPU's those of kernels whose text has it."""
        from minigrad.kernels.cuda import emulator
        from minigrad.kernels.cuda.emulator import library as libraries

        prepare = emulator._prepare

        def counted(library, kernel, *rest):
            for path, name in self.cuda:
                file = self.tree / path
                everything = libraries._everything_included(library.text, file.parent)
                text = file.read_text(encoding="utf-8")
                is_kernel = name in {match[1] for match in libraries.KERNEL.finditer(text)}
                if text in everything and (not is_kernel or kernel.partition("<")[0] == name):
                    self.counts[path, name] += 1
            return prepare(library, kernel, *rest)

        emulator._prepare = counted
