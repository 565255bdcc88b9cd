"""One trial: the tests of one exercise, in a child of the server, on a tree with a student's files."""

import contextlib
import json
import os
import sys
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lessons.course.judge import canary, limits, watch
from lessons.course.judge.calls import Calls

MOST_SAID = 4000  # characters of an error
PYTEST = f"""
    -q -s -rN -c {os.devnull} --tb=no --assert=plain --continue-on-collection-errors -W ignore
    -p no:cacheprovider -p no:faulthandler
""".split()
PACKAGES = ("minigrad", "nn", "models", "lessons", "tests")


def run(task: dict, send) -> None:
    """Lock this process in, run the tests and `send` what happens, one dict after another; the last is "done".

    task  tree       directory with the packages and the tests
          tests      node ids, from the tree's root
          one_failure  whether one test that fails is enough, and the others are left out
          files      the student's files, from the tree's root
          functions  [path, qualified name] of the functions whose calls are counted
          library    where the links of the tree lead
          imports    what the library itself imports in these files, see watch.py
          hidden     directories not to be read
          writable   directories to write in besides the tree
          seconds, memory
    """
    tree = Path(task["tree"]).resolve()
    _move_in(tree)
    before, after = canary.plant(tree)
    if any(not path.endswith(".py") for path, _ in task["functions"]):
        _compile_outside()
    limits.limit(task["seconds"], task["memory"])
    writable = [str(tree), *task["writable"]]
    held = limits.lock_in(writable)
    send({"event": "locked in", "held": held})
    watch.watch(str(tree), task, writable, lambda refusal: send({"event": "refused", **refusal}))
    calls = Calls(str(tree), [tuple(function) for function in task["functions"]])
    recorder = _Recorder(tree, (before, after), set(task["tests"]), calls, send)
    recorder.one_failure = task["one_failure"]
    files = dict.fromkeys(test.partition("::")[0] for test in task["tests"])
    pytest.main([*PYTEST, f"--rootdir={tree}", before, *files, after], plugins=[recorder])
    send({"event": "done", **recorder.findings()})


def _move_in(tree: Path) -> None:
    """Make the tree the one place where the packages are found."""
    os.chdir(tree)
    for name in [name for name in sys.modules if name.partition(".")[0] in PACKAGES]:
        del sys.modules[name]
    sys.path[:] = [
        str(tree),
        *(path for path in sys.path if path and not (Path(path) / "minigrad").exists()),
    ]
    sys.meta_path[:] = [
        finder for finder in sys.meta_path if "editable" not in getattr(finder, "__module__", "")
    ]


def _compile_outside() -> None:
    """Let one thread, which is not locked in, call the C++ compiler and the tools that read what it made: no student's
    Python is in such a tree."""
    from minigrad.kernels.cuda.emulator import checked, library

    outside = ThreadPoolExecutor(1)
    outside.submit(int).result()  # the thread is made now, before the others are locked in
    compile, read = library._run, checked._output
    library._run = lambda *arguments: outside.submit(compile, *arguments).result()
    checked._output = lambda *command: outside.submit(read, *command).result()


class _Recorder:
    """A pytest plugin: sends each test's verdict, and looks after the tests themselves."""

    def __init__(self, tree: Path, canaries: tuple[str, str], tests: set[str], calls: Calls, send):
        self.tree, self.canaries, self.tests = tree, canaries, tests
        self.calls, self.send = calls, send
        self.alive = dict.fromkeys(canaries, 0)  # how many of the tests that must fail failed
        self.texts = []
        self.one_failure = self.failed = False
        self.stdout, sys.stdout = sys.stdout, open(os.devnull, "w")  # noqa: SIM115  for pytest's own reporter

    @pytest.hookimpl(trylast=True)
    def pytest_sessionstart(self, session):
        sys.stdout = self.stdout
        self.calls.start()

    def pytest_collection_modifyitems(self, items):
        items[:] = [item for item in items if self._wanted(item.nodeid)]
        modules = {item.module.__name__: item.module for item in items}
        if "tests.lessons.exercises.expect" in sys.modules:
            modules["tests.lessons.exercises.expect"] = sys.modules[
                "tests.lessons.exercises.expect"
            ]
        self.texts = [(module, _compiled(Path(module.__file__))) for module in modules.values()]

    def _wanted(self, test: str) -> bool:
        return test.partition("::")[0] in self.canaries or test.partition("[")[0] in self.tests

    def pytest_exception_interact(self, node, call, report):
        if report.when == "collect":
            error = call.excinfo.value
            error = error.__cause__ or error  # pytest wraps an ImportError
            message = _message(error, self.tree)
            self.send({"event": "not collected", "file": report.nodeid, "message": message})

    def pytest_internalerror(self, excrepr, excinfo):
        self._stopped(excinfo)

    def pytest_keyboard_interrupt(self, excinfo):
        self._stopped(excinfo)

    def _stopped(self, excinfo):
        message = f"{excinfo.typename}: {excinfo.value}".removesuffix(": ")
        self.send({"event": "stopped", "message": message})

    def pytest_runtest_logstart(self, nodeid):
        if nodeid.partition("::")[0] not in self.canaries:
            self.send({"event": "started", "test": nodeid})

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtest_protocol(self, item):
        """True: nothing more is to be done for this test."""
        is_canary = item.nodeid.partition("::")[0] in self.canaries
        return True if self.failed and self.one_failure and not is_canary else None

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_setup(self, item):
        if "minigrad" in sys.modules:
            sys.modules["minigrad"].manual_seed(0)  # as tests/conftest.py does where students work
        with self._counting(item):
            return (yield)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_call(self, item):
        with self._counting(item):
            return (yield)

    def _counting(self, item):
        """Calls are counted in tests, not in what pytest does around them: that would take twice the time."""
        if item.nodeid.partition("::")[0] in self.canaries:
            return contextlib.nullcontext()
        return self.calls.counting()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item, call):
        report = yield
        canary = item.nodeid.partition("::")[0]
        if canary in self.canaries:
            self.alive[canary] += report.failed and report.when == "call"
        elif report.when == "call" or not report.passed:
            message = _message(call.excinfo.value, self.tree) if call.excinfo else ""
            self.failed |= not report.passed
            passed = report.passed and not hasattr(report, "wasxfail")
            self.send({"event": "test", "test": item.nodeid, "passed": passed, "message": message})
        return report

    def findings(self) -> dict:
        changed = [name for module, text in self.texts for name in canary.changed(module, text)]
        failed = [self.alive[path] == canary.count() for path in self.canaries]
        counts = [[*function, count] for function, count in self.calls.total().items()]
        return {"changed": changed, "canaries": failed, "calls": counts}


def _compiled(path: Path):
    return compile(path.read_bytes(), str(path), "exec", dont_inherit=True)


def _message(error: BaseException, tree: Path) -> str:
    """The error in words, and where in the library it was raised."""
    if hasattr(error, "expected") and hasattr(error, "what"):
        return str(error)[:MOST_SAID]
    text = f"{type(error).__name__}: {error}".removesuffix(": ")[:MOST_SAID]
    if isinstance(error, SystemExit):
        text = f"called sys.exit({error.code!r})"
    frames = traceback.extract_tb(error.__traceback__)
    paths = [(Path(frame.filename), frame.lineno) for frame in frames]
    places = [
        f"{path.relative_to(tree)} line {line}"
        for path, line in paths
        if path.is_relative_to(tree) and not path.is_relative_to(tree / "tests")
    ]
    return f"{text} ({places[-1]})" if places else text


def channel(descriptor: int, secret: str):
    """A function that sends dicts as lines, each with the secret: what has none was not sent by us."""
    write, dumps = os.write, json.dumps

    def send(event: dict) -> None:
        data = (dumps({"secret": secret, **event}) + "\n").encode()
        while data:
            data = data[write(descriptor, data) :]

    return send
