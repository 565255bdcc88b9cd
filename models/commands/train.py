"""`minigrad train`: teach a model.

minigrad train gpt --data shakespeare --out runs/play --num-layers 6 --steps 5000
minigrad train gpt --out runs/play --resume

What each kind of model is taught, and how, is in models/tasks/.
"""

from models import registry
from models.errors import UserError
from models.tasks.base import prepare
from models.tasks.settings import exit_code, finish, read_settings
from models.tasks.table import task_of

USAGE = "usage: minigrad train MODEL [options]\n       minigrad train MODEL --help"


def main(argv: list[str]) -> int:
    """Run `minigrad train MODEL [--task TASK] ...`. Returns 0, or 128 + the signal's number if one ended it early.

    Raises UserError for a model there is not, and what the task's data and settings raise.
    """
    if not argv or argv[0] in ("-h", "--help"):
        print(f"{USAGE}\n\nmodels:\n{_models()}")
        return 0 if argv else 2
    name, flags, task_name = argv[0], argv[1:], None
    architecture = registry.architecture(name)
    if "--task" in flags:
        at = flags.index("--task")
        if at + 1 == len(flags):
            raise UserError(f"--task: name one of {', '.join(architecture.tasks)}")
        task_name, flags = flags[at + 1], flags[:at] + flags[at + 2 :]
    task = task_of(architecture, task_name)
    sections, checkpoint = read_settings(
        name, flags, task.sections(architecture), task.description.format(name=name), task.hidden
    )
    job, teacher = prepare(task, name, sections, checkpoint)
    print(task.introduction(job, teacher), flush=True)
    result = teacher.run()
    finish(job.run, result, task.loss_label)
    if not result.signal:
        print(task.conclusion(job))
    return exit_code(result)


def _models() -> str:
    """A line for each: its name and the first line of what its class says about itself."""
    known = registry.architectures()
    width = max(map(len, known))
    summaries = {name: (entry.model.__doc__ or "").partition("\n")[0] for name, entry in known.items()}
    return "\n".join(f"  {name:{width}}  {summary}" for name, summary in summaries.items())
