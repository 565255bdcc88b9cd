"""Checkpoints: a model and all that is needed to go on, as a directory without any pickle in it.

    model.safetensors      the weights
    optimizer.safetensors  the optimiser's tensors, "parameter name/kind"; its other state as metadata
    config.json            format, model name and configuration, sha256 of the other files
    tokenizer.json         the tokenizer
    state.json             the trainer's: step, random generators, position in the data
    best.safetensors       the weights with the lowest validation loss, where a run keeps them apart (early stopping)
    carried.safetensors    what a model carries from batch to batch, if it does: a recurrent network's state

A checkpoint is replaced as a whole: however saving ends, the old one is there or the new one (swap.py).
Other files in the directory, logs and plots, stay.
"""

import dataclasses
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import minigrad as mg
import nn
from minigrad.io import from_bytes, to_bytes
from minigrad.tensor import unwrap
from models import registry
from models.errors import DataError, UserError
from models.text import tokenizers
from models.text.tokenizers import Tokenizer
from models.weights.swap import repair, replace_directory
from nn.optim import Optimizer

FORMAT = 1
MODEL, OPTIMIZER, CONFIG, TOKENIZER, STATE, BEST, CARRIED = FILES = (
    "model.safetensors",
    "optimizer.safetensors",
    "config.json",
    "tokenizer.json",
    "state.json",
    "best.safetensors",
    "carried.safetensors",
)
DISK_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass
class Checkpoint:
    """What load_checkpoint found.

    optimizer_tensors  {"parameter name/kind": Tensor}, and optimizer_settings, the rest of the optimiser's
                       state: for restore_optimizer. Both empty if no optimiser was saved.
    best_weights       {"parameter name": Tensor}, those with the lowest validation loss; empty if not kept apart
    carried            {name: Tensor} that the loss of a run carries from batch to batch; mostly empty
    """

    model: Any
    tokenizer: Any  # a Tokenizer, or None
    config: Any
    state: dict
    optimizer_tensors: dict
    optimizer_settings: dict
    best_weights: dict
    carried: dict

    def restore_optimizer(self, optimizer: Optimizer) -> None:
        """Put an optimiser of this checkpoint's model where the saved one stood.

        Raises UserError if none was saved, or if it was one of other parameters.
        """
        if not self.optimizer_settings:
            raise UserError("the checkpoint holds no optimiser: it can be used, but its training cannot be resumed")
        optimizer.load_state_dict(_optimizer_state(self, optimizer))


def save_checkpoint(
    directory: str | os.PathLike,
    model: nn.Module,
    tokenizer: Tokenizer | None,
    optimizer: Optimizer | None = None,
    state: dict | None = None,
    best_weights: dict | None = None,
    carried: dict[str, mg.Tensor] | None = None,
) -> None:
    """Make `directory` a checkpoint, whole or not at all; whatever goes wrong, the one that was there stays.

    model         one of models.registry;  state  JSON values
    best_weights  a state_dict to be used in place of the model's, which is the one to go on training
    carried       what the loss carries from batch to batch

    Raises UserError for a directory that cannot be written, and for a full disk (with the space needed).
    """
    directory = _resolved(directory)
    if directory in (Path.cwd(), *Path.cwd().parents):
        raise UserError(
            f"{directory}: a checkpoint's directory is replaced as a whole, so it cannot be the current directory or "
            "one that holds it: name another, such as ./checkpoint"
        )
    if directory.exists() and not directory.is_dir():
        raise UserError(f"{directory} is a file: a checkpoint is a directory, name another place")
    files = _contents(model, tokenizer, optimizer, state, best_weights, carried)
    try:
        replace_directory(directory, files, FILES)
    except OSError as error:
        raise _cannot_save(directory, error, model, optimizer) from error


def load_checkpoint(directory: str | os.PathLike, model: str | None = None, with_optimizer: bool = True) -> Checkpoint:
    """Read a checkpoint back, with the model out of training mode, ready to be used.

    model           the architecture that is expected, such as "gpt"; any, by default
    with_optimizer  False: to use the model, not to go on training it. The optimiser's tensors, twice the size of
                    the model, stay unread, and where the run kept its best weights the model has those

    Raises UserError for a directory that is missing or no checkpoint, for files that are missing or
    damaged, for another architecture, a newer format, and parts that do not fit each other.
    """
    directory = _resolved(directory)
    repair(directory, FILES)
    if not directory.is_dir():
        what = "is a file, not a checkpoint's directory" if directory.exists() else "no such checkpoint"
        raise UserError(f"{directory}: {what}; `minigrad train gpt --out DIR` makes one")
    header = _read_header(directory)
    if model is not None and header["model"] != model:
        raise UserError(f"{directory} holds a model of type {header['model']!r}; a {model!r} is expected here")
    architecture = registry.architecture(header["model"])
    config = _configuration(architecture.config, header["config"], directory / CONFIG)
    tokenizer = _read_tokenizer(directory, header, config)
    state = _parse(_read(directory, STATE, header), directory / STATE)
    loaded = architecture.model(config)
    best_weights = _read_tensors(directory, BEST, header)[0] if BEST in header["files"] else {}
    weights = MODEL if with_optimizer or not best_weights else BEST
    try:
        loaded.load_state_dict(_read_tensors(directory, MODEL, header)[0] if weights == MODEL else best_weights)
    except RuntimeError as error:
        raise UserError(f"{directory / weights} and {CONFIG} do not belong together: {error}") from None
    loaded.eval()
    tensors: dict[str, mg.Tensor] = {}
    settings: dict = {}
    carried: dict[str, mg.Tensor] = {}
    if with_optimizer and CARRIED in header["files"]:
        carried = _read_tensors(directory, CARRIED, header)[0]
    if with_optimizer and OPTIMIZER in header["files"]:
        tensors, metadata = _read_tensors(directory, OPTIMIZER, header)
        settings = _parse(metadata.get("settings", ""), directory / OPTIMIZER)
    return Checkpoint(loaded, tokenizer, config, state, tensors, settings, best_weights, carried)


def load(directory: str | os.PathLike) -> tuple[nn.Module, Tokenizer | None]:
    """The model of a checkpoint, ready to be used, and its tokenizer. Errors: load_checkpoint's."""
    checkpoint = load_checkpoint(directory, with_optimizer=False)
    return checkpoint.model, checkpoint.tokenizer


# What is in it.


def _contents(model, tokenizer, optimizer, state, best_weights, carried) -> Iterator[tuple[str, bytes]]:
    """The files one by one, so that they need not all be in memory at once; the one that vouches for them last."""
    header = {"format": FORMAT, "model": registry.name_of(model), "config": dataclasses.asdict(model.config)}
    files: list[tuple[str, Callable[[], bytes]]] = [
        (STATE, partial(_json, state or {})),
        (MODEL, lambda: to_bytes(model.state_dict())),
    ]
    if optimizer is not None:
        tensors, settings = _named_state(model, optimizer)
        files.append((OPTIMIZER, lambda: to_bytes(tensors, {"settings": json.dumps(settings)})))
    if best_weights:
        files.append((BEST, lambda: to_bytes(best_weights)))
    if carried:
        files.append((CARRIED, lambda: to_bytes(carried)))
    if tokenizer is not None:
        files.append((TOKENIZER, lambda: _json(tokenizer.to_json())))
    digests = {}
    for name, make in files:
        data = make()
        digests[name] = hashlib.sha256(data).hexdigest()
        yield name, data
    yield CONFIG, _json(header | {"files": digests})


def _named_state(model, optimizer) -> tuple[dict, dict]:
    """An optimiser's state by parameter name: its tensors, and everything else in JSON's types."""
    name_of = {parameter: name for name, parameter in model.named_parameters()}
    names = [name_of[p] for group in optimizer.param_groups for p in group["params"]]
    state = optimizer.state_dict()
    tensors, numbers = {}, {}
    for i, entries in sorted(state["state"].items()):
        for kind, value in entries.items():
            if hasattr(unwrap(value), "dtype"):
                tensors[f"{names[i]}/{kind}"] = value
            else:
                numbers[f"{names[i]}/{kind}"] = value
    groups = [{**group, "params": [names[i] for i in group["params"]]} for group in state["param_groups"]]
    return tensors, {"optimizer": type(optimizer).__name__, "numbers": numbers, "param_groups": groups}


def _optimizer_state(checkpoint: Checkpoint, optimizer) -> dict:
    """The inverse: a state_dict for this optimiser, whose groups must hold the same parameters."""
    settings = checkpoint.optimizer_settings
    if settings["optimizer"] != type(optimizer).__name__:
        raise UserError(
            f"the checkpoint's optimiser is {settings['optimizer']}, this one {type(optimizer).__name__}: "
            "resume with the one it was started with"
        )
    name_of = {parameter: name for name, parameter in checkpoint.model.named_parameters()}
    groups = [[name_of.get(p, "?") for p in group["params"]] for group in optimizer.param_groups]
    if [group["params"] for group in settings["param_groups"]] != groups:
        raise UserError("the checkpoint's optimiser has other parameters, or other groups of them, than this one")
    numbers = {name: i for i, name in enumerate(name for group in groups for name in group)}
    state: dict[int, dict] = {}
    for key, value in (checkpoint.optimizer_tensors | settings["numbers"]).items():
        name, _, kind = key.rpartition("/")
        state.setdefault(numbers[name], {})[kind] = value
    return {
        "state": state,
        "param_groups": [
            {name: tuple(value) if isinstance(value, list) else value for name, value in group.items()}
            | {"params": [numbers[name] for name in group["params"]]}
            for group in settings["param_groups"]
        ],
    }


def _json(value) -> bytes:
    return json.dumps(value, ensure_ascii=False, indent=1).encode("utf-8")


# Reading, with an error for all that can be wrong.


def _read_header(directory: Path) -> dict:
    """config.json, checked as far as it can be without the rest."""
    path = directory / CONFIG
    if not path.is_file():
        found = sorted(entry.name for entry in directory.iterdir())[:8]
        raise UserError(f"{directory} is not a checkpoint: it has no {CONFIG}, only {', '.join(found) or 'nothing'}")
    header = _parse(path.read_bytes(), path)
    if not isinstance(header, dict) or not isinstance(header.get("format"), int):
        raise UserError(f"{path} is not a checkpoint's: it has no format number")
    if header["format"] > FORMAT:
        raise UserError(
            f"{directory} has checkpoint format {header['format']}, this minigrad reads {FORMAT}: upgrade minigrad"
        )
    missing = [name for name in ("model", "config", "files") if name not in header]
    if missing:
        raise UserError(f"{path} is damaged: it has no {', '.join(missing)}")
    return header


def _configuration(config_class: type, fields: dict, path: Path):
    known = {field.name for field in dataclasses.fields(config_class)}
    unknown = set(fields) - known
    if unknown:
        raise UserError(
            f"{path}: {config_class.__name__} has no {', '.join(sorted(unknown))}; it has {', '.join(sorted(known))}"
        )
    try:
        return config_class(**fields)
    except UserError as error:
        raise UserError(f"{path}: {error}") from None


def _read_tokenizer(directory: Path, header: dict, config) -> Tokenizer | None:
    if TOKENIZER not in header["files"]:
        return None
    try:
        tokenizer = tokenizers.from_json(_parse(_read(directory, TOKENIZER, header), directory / TOKENIZER))
    except DataError as error:
        raise UserError(f"{directory / TOKENIZER}: {error}") from None
    vocab_size = getattr(config, "vocab_size", None)
    if vocab_size is not None and tokenizer.vocab_size > vocab_size:
        raise UserError(
            f"{directory}: the tokenizer has {tokenizer.vocab_size} tokens, the model {vocab_size}: "
            "they do not belong together"
        )
    return tokenizer


def _read_tensors(directory: Path, name: str, header: dict) -> tuple[dict, dict]:
    """The tensors of a file, and its metadata."""
    data = _read(directory, name, header)
    try:
        tensors = from_bytes(data)
    except ValueError as error:
        raise UserError(f"{directory / name} is damaged: {error}") from None
    length = int.from_bytes(data[:8], "little")  # of the JSON header that every safetensors file begins with
    return tensors, json.loads(data[8 : 8 + length]).get("__metadata__", {})


def _read(directory: Path, name: str, header: dict) -> bytes:
    """A file's bytes, the ones that were saved."""
    path = directory / name
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"{directory} is incomplete: {name} is missing") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    if hashlib.sha256(data).hexdigest() != header["files"].get(name):
        raise UserError(
            f"{path} is damaged: its {len(data):,} bytes are not the ones that were saved (sha256 differs); "
            "take another copy of the checkpoint"
        )
    return data


def _parse(data, path: Path):
    try:
        return json.loads(data)
    except ValueError as error:
        raise UserError(f"{path} is damaged, not JSON: {error}") from None


def _resolved(directory) -> Path:
    return Path(directory).expanduser().resolve()


def _cannot_save(directory: Path, error: OSError, model, optimizer) -> UserError:
    if error.errno not in DISK_FULL:
        return UserError(f"{directory}: the checkpoint cannot be written: {error.strerror}")
    arrays = [unwrap(value) for value in model.state_dict().values()]
    if optimizer is not None:
        arrays += map(unwrap, _named_state(model, optimizer)[0].values())
    needed = sum(array.nbytes for array in arrays) / 1e6
    existing = next(parent for parent in directory.parents if parent.exists())
    free = shutil.disk_usage(existing).free / 1e6
    kept = "the checkpoint that is there is untouched" if directory.exists() else "nothing was written"
    return UserError(
        f"{directory}: no space for the checkpoint: it takes {needed:,.1f} MB beside the one before, and "
        f"{free:,.1f} MB are free; {kept}. Make room and run again"
    )
