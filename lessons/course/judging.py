"""Judges: processes that try exercises, each trial in a child process of their own, and the outcome in words.

What happens to a submission that loops, ends the process or is killed: the test that did it fails, and the others
are tried again without it. What a process found counts only if it came to its end and the tests that must fail
failed in it, before and after (judge/canary.py). So a process that cheats and then ends itself gains nothing.
"""

import ast
import importlib.util
import json
import os
import queue
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from lessons.course.cutting import Target
from lessons.course.errors import CourseError
from lessons.course.exercises import Check, Exercise
from lessons.course.judge.oracles import oracle_imports
from lessons.course.trees import CACHE, PACKAGES, Reference

PASSED_ON = ("PATH", "LANG", "LC_ALL", "CXX", "SYSTEMROOT", "LD_LIBRARY_PATH", "VIRTUAL_ENV")
MOST_TIME_OUTS = 2  # of an exercise
ROOM_FOR_TREES = 1 << 30  # bytes
COSTLY = {"import", "answers", "peeking"}  # no accidents: what they are found in gets no points


@dataclass(frozen=True)
class Limits:
    """Of the trial of one exercise.

    seconds      of wall-clock time
    memory       gigabytes of address space
    one_failure  whether one test that fails is enough, and the others need not be tried
    """

    seconds: float = 60
    memory: float = 4
    one_failure: bool = False


@dataclass
class Verdict:
    """The outcome of an exercise's trial.

    passed   the checks that passed, by id
    why      what went wrong in each of the others, in words
    notes    what a teacher should know: each a line
    void     why there are no points whatever passed, or None
    calls    how often each of the student's functions was entered
    output   what was printed, cut
    seconds  of all its processes
    memory   the most bytes that one of them held
    held     what the operating system held it to
    """

    passed: set[str] = field(default_factory=set)
    why: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    void: str | None = None
    calls: dict[Target, int] = field(default_factory=dict)
    output: str = ""
    seconds: float = 0.0
    memory: int = 0
    held: list[str] = field(default_factory=list)

    def note(self, line: str) -> None:
        if line not in self.notes:
            self.notes.append(line)

    def spoil(self, line: str) -> None:
        self.note(f"{line}: no points for this exercise")
        self.void = self.void or line

    def share(self, checks: list[Check]) -> float:
        """The share of the points it gets, 0 to 1."""
        if self.void or not checks:
            return 0.0
        return sum(check.id in self.passed for check in checks) / len(checks)


class Judges:
    """Several judges, for as long as the with block, and as many threads, `pool`, to call judge() in."""

    def __init__(self, number: int):
        self._judges = [_Judge(number) for _ in range(number)]
        self._idle: queue.SimpleQueue[_Judge] = queue.SimpleQueue()
        for judge in self._judges:
            self._idle.put(judge)
        self.pool = ThreadPoolExecutor(number)

    def __enter__(self):
        """CourseError where no judge can work."""
        if not hasattr(os, "fork"):
            raise CourseError("judging needs Linux or macOS; on Windows use WSL")
        if importlib.util.find_spec("pytest") is None:
            raise CourseError("judging needs pytest: in your clone, pip install -e '.[test]'")
        self._home = Path(tempfile.mkdtemp(prefix="minigrad-course-", dir=_fast_directory()))
        return self

    def __exit__(self, *exception):
        """After an error, or Ctrl-C, at once."""
        self.pool.shutdown(wait=False, cancel_futures=True)
        for judge in self._judges:
            judge.stop()
        self.pool.shutdown()
        shutil.rmtree(self._home, ignore_errors=True)

    @property
    def home(self) -> Path:
        """A directory for trees, gone with the judges."""
        return self._home

    def judge(
        self,
        exercise: Exercise,
        checks: list[Check],
        library: Reference,
        changes: dict[str, str],
        limits: Limits,
        trusted: bool = False,
    ) -> Verdict:
        """Try an exercise in a tree of the library with these files changed.

        trusted  the changes are ours: keep what is compiled for later trials
        """
        judge = self._idle.get()
        try:
            return _Trial(
                judge, self._home, exercise, checks, library, changes, limits, trusted
            ).verdict()
        finally:
            self._idle.put(judge)


def _fast_directory() -> str | None:
    """Where files are in memory, if there is room and programs may be loaded from there; making a tree is links."""
    place = "/dev/shm"
    if not os.access(place, os.W_OK):
        return None
    system = os.statvfs(place)
    roomy = system.f_bavail * system.f_frsize >= ROOM_FOR_TREES
    return place if roomy and not system.f_flag & os.ST_NOEXEC else None


class _Judge:
    """A process that runs judge/server.py."""

    def __init__(self, judges: int):
        self._threads = str(max(1, (os.cpu_count() or 1) // judges))
        self._process = None

    def ask(self, task: dict) -> dict:
        if self._process is None or self._process.poll() is not None:
            self._start()
        self._process.stdin.write(json.dumps(task) + "\n")
        self._process.stdin.flush()
        reply = self._process.stdout.readline()
        if not reply:
            raise RuntimeError(
                f"the process that judges ended with exit code {self._process.wait()}"
            )
        return json.loads(reply)

    def stop(self) -> None:
        """End it, and with it what it is trying."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _start(self) -> None:
        environment = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        environment |= {
            "PYTHONPATH": str(Path(__file__).parents[2]),
            "PYTHONHASHSEED": "0",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
            "NUMBA_NUM_THREADS": self._threads,
            "OMP_NUM_THREADS": self._threads,
            "OPENBLAS_NUM_THREADS": self._threads,
            "OPENBLAS_THREAD_TIMEOUT": "4",
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "lessons.course.judge.server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
            start_new_session=True,  # Ctrl-C is for the command, which stops this
        )


class _Trial:
    """One exercise before one judge; several processes if some end before their time."""

    def __init__(self, judge, home, exercise, checks, library, changes, limits, trusted):
        self.judge, self.home, self.exercise, self.checks = judge, home, exercise, checks
        self.library, self.changes, self.limits, self.trusted = library, changes, limits, trusted
        self.found = Verdict(calls=dict.fromkeys(exercise.write, 0))

    def verdict(self) -> Verdict:
        ids, time_outs = [check.id for check in self.checks], 0
        while ids:
            culprit, timed_out = self._process(ids)
            if culprit is None:
                break
            ids.remove(culprit)
            time_outs += timed_out
            if time_outs == MOST_TIME_OUTS or self.limits.one_failure:
                for test in ids:
                    self.found.why[test] = "not run: time was up"
                break
        for check in self.checks:
            if check.id not in self.found.passed:
                self.found.why.setdefault(check.id, "not run")
        if self.found.passed and not any(self.found.calls.values()):
            names = ", ".join(map(str, self.exercise.write))
            self.found.spoil(
                f"{names} was never called"
                if len(self.exercise.write) == 1
                else f"none of {names} was called"
            )
        return self.found

    def _process(self, ids: list[str]) -> tuple[str | None, bool]:
        """Try these checks in a process; the one that ended it early, if one did, and whether time was up."""
        tree = Path(tempfile.mkdtemp(dir=self.home)) / "tree"
        try:
            self.library.tree(tree, self.changes)
            reply = self.judge.ask(self._task(tree, ids))
            if self.trusted and reply["ended"] == "done":
                self.library.keep(tree)
            return self._read(reply, ids)
        finally:
            shutil.rmtree(tree.parent, ignore_errors=True)

    def _task(self, tree: Path, ids: list[str]) -> dict:
        temporary = tree.parent / "tmp"
        temporary.mkdir()
        places = {
            "HOME": temporary,
            "TMPDIR": temporary,
            "MINIGRAD_CACHE": tree / CACHE,
            "MPLCONFIGDIR": temporary,
        }
        return {
            "tree": str(tree),
            "tests": ids,
            "one_failure": self.limits.one_failure,
            "files": sorted(self.changes),
            "functions": [[target.path, target.name] for target in self.exercise.write],
            "library": str(self.library.path),
            "imports": self._library_imports(),
            "hidden": [str(self.library.root / name) for name in PACKAGES],
            "writable": [str(temporary)],
            "seconds": self.limits.seconds,
            "memory": int(self.limits.memory * 2**30),
            "environment": {name: str(place) for name, place in places.items()}
            | {"MPLBACKEND": "Agg", "MINIGRAD_STRICT": "1"},
        }

    def _library_imports(self) -> list[list[str]]:
        """What the library itself imports in the files that are the student's here, and in which function."""
        found = []
        for path in self.changes:
            original = self.library.path / path
            if path.endswith(".py") and original.exists():
                tree = ast.parse(original.read_text(encoding="utf-8"))
                found += [[path, function, name] for name, function, _ in oracle_imports(tree)]
        return found

    def _read(self, reply: dict, ids: list[str]) -> tuple[str | None, bool]:
        found = self.found
        found.seconds += reply["seconds"]
        found.memory = max(found.memory, reply["memory"])
        found.output = found.output or reply["output"]
        if reply["printed"] > 1_000_000:
            found.note(
                f"printed {reply['printed'] / 1e6:.0f} MB; the first {len(reply['output']) / 1e3:.0f} kB are kept"
            )
        if reply["forged"]:
            found.spoil("wrote to where the results are reported")
        passed, why, started, stopped, done = {}, {}, None, None, None
        for event in reply["events"]:
            kind = event["event"]
            if kind == "locked in":
                found.held = event["held"]
            elif kind == "refused":
                self._refused(event)
            elif kind == "started":
                started = event["test"].partition("[")[0]
            elif kind == "test":
                test = event["test"].partition("[")[0]
                passed[test] = passed.get(test, True) and event["passed"]
                if not event["passed"]:
                    why.setdefault(test, event["message"] or "skipped")
            elif kind == "not collected":
                found.note(f"could not be imported: {event['message']}")
                for test in ids:
                    if test.startswith(event["file"]):
                        why[test] = event["message"]
            elif kind == "stopped":
                stopped = event["message"]
            elif kind == "done":
                done = event
        if done is None or stopped:
            return self._ended_early(reply["ended"], stopped, started, ids)
        if done["changed"]:
            found.spoil(
                f"the tests were tampered with while running ({', '.join(done['changed'][:3])})"
            )
        if not all(done["canaries"]):
            found.spoil("the tests were tampered with while running (tests that must fail passed)")
        for path, name, count in done["calls"]:
            found.calls[Target(path, name)] += count
        found.passed = {test for test in ids if passed.get(test)}
        found.why |= {test: why.get(test, "not run") for test in ids if test not in found.passed}
        for test, message in why.items():
            if message.startswith("called sys.exit"):
                found.note(f"{test.rpartition('::')[2]} {message}")
            if message.startswith("MemoryError"):
                found.note(f"ran out of memory; the limit is {self.limits.memory:g} GB")
        return None, False

    def _refused(self, event: dict) -> None:
        line = f"{event['where']} {event['what']}"
        if event["kind"] == "import":
            self.found.spoil(f"{line}: not used, reported")
        elif event["kind"] in COSTLY:
            self.found.spoil(f"{line}: refused, reported")
        else:
            self.found.note(f"{line}: refused")

    def _ended_early(self, ended: str, stopped: str | None, started: str | None, ids: list[str]):
        """A process that did not come to its end: the test it was in is the culprit, or all of them."""
        timed_out = ended == "time"
        if timed_out:
            line = f"took longer than {self.limits.seconds:g} s"
        elif stopped:
            line = f"stopped the tests ({stopped})"
        elif ended.startswith("exit"):
            line = f"ended the process ({ended.replace('exit', 'exit code')})"
        elif ended == "signal SIGKILL":
            line = "was killed, most likely for the memory it took"
        else:
            line = f"crashed the process ({ended})"
        culprit = started if started in ids else None
        if culprit is None:
            self.found.note(f"{line} while it was imported")
            self.found.why |= dict.fromkeys(ids, f"{line} while it was imported")
            return None, timed_out
        self.found.note(f"{culprit.rpartition('::')[2]} {line}")
        self.found.why[culprit] = line
        return culprit, timed_out
