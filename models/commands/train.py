"""`minigrad train`: teach a model.

minigrad train gpt --data shakespeare --out runs/play --num-layers 6 --steps 5000
minigrad train gpt --out runs/play --resume

How each kind of model is taught stands in models/tasks/.
"""

from importlib import import_module

from models import registry

USAGE = "usage: minigrad train MODEL [options]\n       minigrad train MODEL --help"


def main(argv: list[str]) -> int:
    """Run `minigrad train MODEL ...`: the recipe of that model. Raises UserError for a model there is not."""
    if not argv or argv[0] in ("-h", "--help"):
        print(f"{USAGE}\n\nmodels:\n{_models()}")
        return 0 if argv else 2
    name, *flags = argv
    module, _, function = registry.architecture(name).recipe.partition(":")
    return getattr(import_module(module), function)(name, flags)


def _models() -> str:
    """A line for each: its name and the first line of what its class says about itself."""
    width = max(map(len, registry.MODELS))
    summaries = {name: entry.model.__doc__.partition("\n")[0] for name, entry in registry.MODELS.items()}
    return "\n".join(f"  {name:{width}}  {summary}" for name, summary in summaries.items())
