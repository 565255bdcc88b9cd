"""`minigrad eval`: how good a trained model is.

minigrad eval runs/play
minigrad eval runs/play --data my-text.txt --split all --json
minigrad eval runs/topics --split test
minigrad eval runs/word2vec
minigrad eval vectors.bin

What is measured, and what can be asked, depends on the model's task (models/tasks/).
"""

from json import dumps
from pathlib import Path

from models.configuration import parse_flags
from models.tasks.base import Task
from models.tasks.table import TASKS, task_of_checkpoint
from models.tasks.word_vectors import WordVectorTask
from models.vectors.formats import PRETRAINED, read_vectors
from models.weights.checkpoint import load_checkpoint

USAGE = "usage: minigrad eval DIR [options]\n       minigrad eval DIR --help"


def main(argv: list[str]) -> int:
    """Run `minigrad eval DIR ...`. Raises UserError or DataError for what a user can put right."""
    if not argv or argv[0].startswith("-"):
        print(USAGE)
        return 0 if argv and argv[0] in ("-h", "--help") else 2
    source, *flags = argv
    path = Path(source)
    if path.is_file() or source in PRETRAINED:
        task: Task = TASKS["word2vec"]
        options = _options(task, source, flags)
        found = WordVectorTask.judge(read_vectors(source))
    else:
        checkpoint = load_checkpoint(path, with_optimizer=False)
        task = task_of_checkpoint(checkpoint)
        options = _options(task, source, flags)
        found = task.evaluate(checkpoint, options)
    pictures = task.pictures(found, path)
    if options.json:
        print(dumps(found, ensure_ascii=False))
        return 0
    print(task.table(found))
    for shown, picture in pictures.items():
        print(f"\n{shown} {picture}")
    return 0


def _options(task: Task, source: str, flags: list[str]):
    summary = (task.evaluation.__doc__ or "").partition("\n")[0]
    return parse_flags({"options": task.evaluation()}, flags, f"minigrad eval {source}", summary)["options"]
