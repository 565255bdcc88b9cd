"""What a student handed in: read with suspicion, and put in the library's place, one exercise at a time.

An exercise is judged by itself. Its file comes from the student with the library's bodies for all other exercises
in it, and all other files come from the library. So what the student added beside (helper functions, imports, new
files) counts, and a mistake elsewhere costs nothing.
"""

import ast
import difflib
import hashlib
from functools import cached_property
from pathlib import Path, PurePosixPath

from lessons.course.cutting import body, cut, is_blank, with_answers
from lessons.course.errors import CutError
from lessons.course.exercises import Course, Exercise
from lessons.course.judge.oracles import oracle_imports
from models.errors import UserError

PACKAGES = ("minigrad", "nn", "models")  # that a student may add files to
SOURCES = (".py", ".cu", ".cuh")
NEVER = (
    "conftest.py",
    "sitecustomize.py",
    "usercustomize.py",
)  # Python or pytest would run them unasked
LARGEST, MOST_FILES = 1 << 20, 200


class Unusable(Exception):
    """A file of a submission that cannot be used; the message is a line for the report."""


class Submission:
    """The directory of a student: a course's repository, or a directory that holds nothing but one."""

    def __init__(self, path: Path, course: Course):
        self.path, self.course = path, course
        self.name = path.resolve().name
        self.root = self._find_root()

    def text(self, path: str) -> str:
        """A file's text. Unusable says why there is none."""
        file = self.root / path
        if not file.exists():
            raise Unusable(f"{path} is missing")
        if not file.is_file() or not file.resolve().is_relative_to(self.root.resolve()):
            raise Unusable(f"{path} is not a file of the submission")
        if file.stat().st_size > LARGEST:
            raise Unusable(
                f"{path} has {file.stat().st_size} bytes, more than {LARGEST} are not read"
            )
        try:
            text = file.read_bytes().decode()
        except UnicodeDecodeError:
            raise Unusable(f"{path} is not text in UTF-8") from None
        except OSError as error:
            raise Unusable(f"{path} cannot be read: {error.strerror}") from None
        if path.endswith(".py"):
            _parsed(text, path)
        return text.replace("\r\n", "\n")

    def sha256(self, path: str) -> str:
        return hashlib.sha256((self.root / path).read_bytes()).hexdigest()

    def files_for(self, exercise: Exercise) -> dict[str, str]:
        """The files that differ from the library's when this exercise is judged. Unusable if one of them cannot be."""
        files = dict(self.added)
        for path in dict.fromkeys(target.path for target in exercise.write):
            files[path] = self._solved_elsewhere(path, exercise)
        for path in dict.fromkeys(target.path for target in exercise.remove):
            if path not in files:
                removed = [target for target in exercise.remove if target.path == path]
                files[path] = cut(self.course.source(path), removed, exercise.label)
        return files

    def is_untouched(self, exercise: Exercise) -> bool:
        """Whether all its bodies are blank still."""
        try:
            return all(
                is_blank(self.text(target.path), target, exercise.label)
                for target in exercise.write
            )
        except (Unusable, CutError):
            return False

    def oracles(self, exercise: Exercise) -> list[str]:
        """Imports of libraries that have the answers, in its files outside of other exercises' bodies, as lines."""
        found = []
        others = {target.name for e in self.course.exercises if e != exercise for target in e.write}
        for path in dict.fromkeys(target.path for target in exercise.write if not target.is_cuda):
            tree = _parsed(self.text(path), path)
            spans = [(n.lineno, n.end_lineno) for name, n in _functions(tree) if name in others]
            librarys = {
                imported[:2] for imported in oracle_imports(ast.parse(self.course.source(path)))
            }
            found += [
                f"{path} line {line} imports {name}"
                for name, function, line in oracle_imports(tree)
                if (name, function) not in librarys
                and not any(first <= line <= last for first, last in spans)
            ]
        return found

    @cached_property
    def added(self) -> dict[str, str]:
        """New files in the packages, by path; what is not taken is told by `notes`."""
        return self._added[0]

    @cached_property
    def notes(self) -> list[str]:
        """What a teacher should know of the submission as a whole, one line each."""
        lines = [*self._added[1], *self._edited_tests()]
        for path, text in self.added.items():
            if path.endswith(".py"):
                imports = oracle_imports(ast.parse(text))
                lines += [f"{path} line {line} imports {name}" for name, _, line in imports]
        return lines

    def line_map(self, path: str, judged: str) -> dict[int, int]:
        """From the lines of the text that was judged to the student's: other bodies stand in between."""
        matcher = difflib.SequenceMatcher(
            None, judged.splitlines(), self.text(path).splitlines(), autojunk=False
        )
        return {
            a + i + 1: b + i + 1
            for a, b, size in matcher.get_matching_blocks()
            for i in range(size)
        }

    def _find_root(self) -> Path:
        if not self.path.is_dir():
            raise UserError(
                f"{self.path} is not a directory: give the directories that students handed in"
            )
        if any((self.path / name).is_dir() for name in PACKAGES):
            return self.path
        inside = [
            child for child in self.path.iterdir() if child.is_dir() and not child.is_symlink()
        ]
        holders = [child for child in inside if any((child / name).is_dir() for name in PACKAGES)]
        return holders[0] if len(holders) == 1 else self.path

    def _solved_elsewhere(self, path: str, exercise: Exercise) -> str:
        """The student's file with the library's bodies for all other exercises."""
        text = self.text(path)
        others = [t for e in self.course.exercises if e != exercise for t in e.targets]
        others = [
            t
            for t in dict.fromkeys(others)
            if t.path == path and t not in exercise.targets and _has(text, t)
        ]
        try:
            for target in exercise.write:
                if target.path == path:
                    body(text, target)
            return with_answers(text, self.course.source(path), others)
        except CutError as error:
            raise Unusable(str(error)) from None

    @cached_property
    def _added(self) -> tuple[dict[str, str], list[str]]:
        found, lines = {}, []
        for package in PACKAGES:
            for file in sorted((self.root / package).rglob("*")):
                path = file.relative_to(self.root).as_posix()
                if file.suffix not in SOURCES or (self.course.root / path).exists():
                    continue
                if file.name in NEVER or self._hides(path):
                    lines.append(f"{path} is not used: it would take the place of something else")
                elif len(found) == MOST_FILES:
                    lines.append(
                        f"there are more than {MOST_FILES} new files: {path} and those after it are not used"
                    )
                    break
                else:
                    try:
                        found[path] = self.text(path)
                    except Unusable as error:
                        lines.append(f"{error}: not used")
        return found, lines

    def _hides(self, path: str) -> bool:
        """Whether it lies in a package that has the name of a module of the library, and would be found first."""
        folders = PurePosixPath(path).parents
        return any((self.course.root / f"{folder}.py").exists() for folder in folders)

    def _edited_tests(self) -> list[str]:
        lines = []
        for file in sorted((self.course.root / "tests" / "lessons" / "exercises").glob("*.py")):
            path = file.relative_to(self.course.root).as_posix()
            try:
                if (self.root / path).exists() and self.text(path) != self.course.source(
                    path
                ).replace("\r\n", "\n"):
                    lines.append(f"{path} was edited: the course's own was used")
            except Unusable as error:
                lines.append(f"{error}: the course's own was used")
        return lines


def _parsed(text: str, path: str) -> ast.Module:
    try:
        return ast.parse(text)
    except SyntaxError as error:
        raise Unusable(f"{path} line {error.lineno}: syntax error ({error.msg})") from None
    except (ValueError, RecursionError, MemoryError) as error:
        raise Unusable(f"{path} is no Python ({error})") from None


def _functions(tree: ast.AST, prefix: str = ""):
    """(qualified name, node) of the functions, those of classes included."""
    for child in ast.iter_child_nodes(tree):
        if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield prefix + child.name, child
            yield from _functions(child, f"{prefix}{child.name}.")
        else:
            yield from _functions(child, prefix)


def _has(text: str, target) -> bool:
    try:
        body(text, target)
    except CutError:
        return False
    return True
