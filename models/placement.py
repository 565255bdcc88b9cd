"""Which device a command works on, and how arrays get to a model's."""

import minigrad as mg
from minigrad import devices
from models.errors import UserError


def choose_device(wanted: str) -> str:
    """ "cpu" or "cuda" for --device cpu, cuda or auto. Raises UserError where the GPU asked for cannot be used."""
    problem = None if wanted == "cpu" else devices.problem()
    if problem and wanted == "cuda":
        raise UserError(f"--device cuda: {problem}. `minigrad doctor` says more; --device cpu needs no GPU")
    return "cpu" if wanted == "cpu" or problem else "cuda"


def tensors_for(model, arrays) -> list[mg.Tensor]:
    """Arrays, such as a batch's, as Tensors where the model's parameters are."""
    device = next(model.parameters()).device
    return [mg.Tensor(array).to(device) for array in arrays]
