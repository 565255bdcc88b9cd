"""The tasks by name."""

from models import registry
from models.errors import UserError
from models.registry import Architecture
from models.tasks.base import Task
from models.tasks.classification import Classification
from models.tasks.language import LanguageModelling
from models.tasks.word_vectors import GloVeTask, Word2VecTask
from models.weights.checkpoint import Checkpoint

TASKS: dict[str, Task] = {
    task.name: task
    for task in (
        LanguageModelling(),
        Classification(),
        Word2VecTask(),
        GloVeTask(),
    )
}


def register(task: Task) -> None:
    """Add a task. Raises UserError for a name that another one has."""
    if type(TASKS.setdefault(task.name, task)) is not type(task):
        raise UserError(f"there is a task {task.name!r} already: give this one another name")


def task_of(architecture: Architecture, name: str | None = None) -> Task:
    """The task of that name, or the architecture's first if none is named.

    Raises UserError for one that the architecture is not made for.
    """
    name = name or architecture.tasks[0]
    if name not in architecture.tasks:
        raise UserError(
            f"a {architecture.model.__name__} has no task {name!r}: there are {', '.join(architecture.tasks)}"
        )
    return TASKS[name]


def task_of_checkpoint(checkpoint: Checkpoint) -> Task:
    """The task that the model in a checkpoint was taught; its architecture's first, where nothing says so."""
    architecture = registry.architecture(registry.name_of(checkpoint.model))
    return task_of(architecture, (checkpoint.state or {}).get("run", {}).get("task"))
