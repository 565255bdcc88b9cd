"""What Python reports of a judged process: an audit hook, which cannot be removed again, sees and refuses.

It looks at who does a thing: the nearest frame of a file in the tree. What the library and the tests do is theirs;
what the student's files do, themselves or through the standard library, may be refused. Each refusal raises in the
student's code and is reported. One that is no accident costs the exercise its points.

It stops mistakes and what a student tries in an evening. Code that forges frames gets past it: what must hold is
in limits.py.
"""

import os
import site
import sys
import threading
from collections.abc import Callable

from lessons.course.judge.oracles import ORACLES

# Of the machinery that judges.
OURS = frozenset(("pytest", "_pytest", "unittest", "tests", "lessons"))

_OS = ("fork", "forkpty", "exec", "posix_spawn", "system", "spawn", "startfile", "kill", "killpg")
PROCESSES = [f"os.{each}" for each in _OS]
PROCESSES += ["subprocess.Popen", "pty.spawn", "signal.pthread_kill"]
NETWORK = [
    f"socket.{each}" for each in ("__new__", "connect", "bind", "getaddrinfo", "gethostbyname")
]
OF_WHAT_A_LINK_LEADS_TO = [
    f"os.{each}" for each in ("truncate", "chmod", "chown", "utime", "setxattr", "removexattr")
]
CHANGES = [f"os.{each}" for each in ("remove", "rename", "rmdir", "mkdir", "link", "symlink")]
CHANGES += ["shutil.rmtree", "shutil.move", *OF_WHAT_A_LINK_LEADS_TO]
PEEKING = ("sys._getframe", "sys._current_frames", "sys.settrace", "sys.setprofile")
PEEKING += ("gc.get_objects", "gc.get_referrers", "gc.get_referents")
NATIVE = ("ctypes.dlopen", "ctypes.dlsym")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
TRUSTED = tuple(f"{os.sep}{name}{os.sep}" for name in ("numpy", "numba", "llvmlite"))


def watch(tree: str, task: dict, writable: list[str], report: Callable[[dict], None]) -> None:
    """Refuse from now on what the student's files must not do, and report it.

    task      "files" are the student's; "library" is where the tree's links lead; "hidden" directories are not read;
              "imports" are those of the library itself, [path, name of the function, what it imports]
    writable  directories to write in
    report    gets {"kind", "what", "where"} for each refusal; kind is "import", "answers", "peeking", "process",
              "network" or "files"
    """
    _Watch(tree, task, writable, report)


class _Watch:
    def __init__(self, tree, task, writable, report):
        self.tree = os.path.realpath(tree) + os.sep
        self.files = {self.tree + file: file for file in task["files"]}
        self.library = os.path.realpath(task["library"]) + os.sep
        self.hidden = [self.library, *(os.path.realpath(path) + os.sep for path in task["hidden"])]
        self.writable = [os.path.realpath(path) + os.sep for path in writable]
        readable = [
            sys.prefix,
            sys.base_prefix,
            sys.exec_prefix,
            "/dev",
            "/proc/self",
            *site.getsitepackages(),
        ]
        self.readable = [
            self.tree,
            *(os.path.realpath(path) + os.sep for path in [*readable, *filter(None, sys.path)]),
        ]
        self.imports = {
            (self.tree + path, function, name) for path, function, name in task["imports"]
        }
        self.report = report
        self.busy = threading.local()
        self.rules = {
            "import": self.importing,
            "open": self.opening,
            "object.__getattr__": self.attribute,
            **dict.fromkeys(PROCESSES, self.process),
            **dict.fromkeys(NETWORK, self.network),
            **dict.fromkeys(CHANGES, self.changing),
            **dict.fromkeys(PEEKING, self.peeking),
            **dict.fromkeys(NATIVE, self.native),
        }
        sys.addaudithook(self.hook)
        sys.meta_path.insert(0, self)

    def find_spec(self, name, path=None, target=None):
        """As a finder of modules that finds none: importlib asks it, of whose imports Python tells nothing."""
        self.hook("import", (name,))

    def hook(self, event: str, arguments: tuple) -> None:
        rule = self.rules.get(event)
        if rule is None or getattr(self.busy, "now", False):
            return
        self.busy.now = True
        try:
            rule(event, arguments)
        finally:
            self.busy.now = False

    def importing(self, event, arguments):
        name = arguments[0]
        top = name.partition(".")[0]
        if top in ORACLES and (where := self.student(imports=top)):
            self.refuse("import", f"imports {top}", where, ImportError)
        if top in OURS and (where := self.student()):
            self.refuse("peeking", f"imports {name}, which judges it", where, ImportError)

    def opening(self, event, arguments):
        path, _, flags = arguments
        if isinstance(path, int) or path is None or not (where := self.student()):
            return
        path, real = os.path.abspath(os.fsdecode(path)), os.path.realpath(os.fsdecode(path))
        if isinstance(flags, int) and flags & WRITING:
            if real != os.devnull and not _below(real, self.writable):
                self.refuse("files", f"writes to {path}", where, PermissionError)
        elif path.startswith(self.tree) and real.startswith((self.tree, self.library)):
            return
        elif _below(real, self.hidden):
            self.refuse("answers", f"reads the library's own {real}", where, PermissionError)
        elif not _below(real, self.readable):
            self.refuse("files", f"reads {real}", where, PermissionError)

    def changing(self, event, arguments):
        where = self.student()
        for path in arguments[:2] if where else ():
            if isinstance(path, (str, bytes, os.PathLike)):
                folder, name = os.path.split(os.path.abspath(os.fsdecode(path)))
                real = os.path.join(os.path.realpath(folder), name)
                if event in OF_WHAT_A_LINK_LEADS_TO:
                    real = os.path.realpath(real)
                if not _below(real, self.writable):
                    self.refuse("files", f"changes {real} ({event})", where, PermissionError)

    def attribute(self, event, arguments):
        if arguments[1] in ("tb_frame", "gi_frame", "ag_frame", "cr_frame") and (
            where := self.student(direct=True)
        ):
            self.refuse(
                "peeking",
                f"looks at the code that calls it ({arguments[1]})",
                where,
                PermissionError,
            )

    def process(self, event, arguments):
        if where := self.student():
            self.refuse("process", f"starts or stops a process ({event})", where, PermissionError)

    def network(self, event, arguments):
        if where := self.student():
            self.refuse("network", f"uses the network ({event})", where, PermissionError)

    def peeking(self, event, arguments):
        if where := self.student(direct=True):
            self.refuse("peeking", f"looks behind the scenes ({event})", where, PermissionError)

    def native(self, event, arguments):
        if where := self.student():
            self.refuse("peeking", f"calls native code ({event})", where, PermissionError)

    def refuse(self, kind: str, what: str, where: str, error: type) -> None:
        self.report({"kind": kind, "what": what, "where": where})
        raise error(f"{what}: not allowed while an exercise is judged")

    def student(self, direct: bool = False, imports: str | None = None) -> str | None:
        """The line of the student's that does this, "minigrad/ops/loss.py line 3", or None: it is not a student's.

        direct   only if it does it itself, or through inspect: the standard library has uses of its own
        imports  what it imports, which the library's own function may
        """
        frame = sys._getframe(3)
        while frame is not None:
            file = frame.f_code.co_filename
            if file in self.files:
                if (file, frame.f_code.co_name, imports) in self.imports:
                    return None
                return f"{self.files[file]} line {frame.f_lineno}"
            if file.startswith(self.tree) or any(part in file for part in TRUSTED):
                return None
            if direct and not file.endswith("inspect.py"):
                return None
            frame = frame.f_back
        return None


def _below(path: str, directories: list[str]) -> bool:
    return any((path + os.sep).startswith(directory) for directory in directories)
