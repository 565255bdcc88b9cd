"""`minigrad eval`: how good a trained model is.

minigrad eval runs/play
minigrad eval runs/play --data my-text.txt --split all --json
minigrad eval runs/topics --split test
minigrad eval runs/word2vec
minigrad eval vectors.bin

What is measured depends on the model; models/registry.py says where it is.
"""

import dataclasses
from importlib import import_module
from json import dumps
from pathlib import Path
from typing import Literal

from models import registry
from models.errors import UserError
from models.placement import choose_device
from models.tasks.evaluation import evaluate
from models.text.batching import train_val_split
from models.text.sources import corpora
from models.vectors.evaluation import evaluate_vectors
from models.vectors.formats import PRETRAINED, read_vectors
from models.vectors.word_vectors import WordVectors
from models.weights.checkpoint import architecture_of, load_checkpoint


def main(argv: list[str]) -> int:
    """Run `minigrad eval DIR ...`. Raises UserError or DataError for what a user can put right."""
    directory = next((argument for argument in argv if Path(argument).is_dir()), None)
    name = architecture_of(directory) if directory else "gpt"
    module, _, function = registry.architecture(name).evaluation.partition(":")
    return getattr(import_module(module), function)(argv)


def language_or_vectors(argv: list[str]) -> int:
    """Run `minigrad eval DIR ...` for a language model or for word vectors."""
    import tyro

    tyro.cli(report, args=argv, prog="minigrad eval")
    return 0


def report(
    directory: Path,
    /,
    data: str | None = None,
    split: Literal["val", "train", "all"] = "val",
    batch_size: int = 16,
    json: bool = False,
    device: Literal["auto", "cpu", "cuda"] = "auto",
) -> None:
    """Loss, perplexity and bits per character of a trained model, over every token of a text once.

    Of word vectors, which no text is needed for: correlation with people's judgements of how similar words are,
    and analogies answered.

    Args:
        directory: A checkpoint, as `minigrad train` makes them, or a file of word vectors.
        data: A text of `minigrad data list`, or a UTF-8 text file; the one it was trained on, if not given.
        split: The part to predict: the last tenth (val), which training leaves out, the rest (train), or all.
        batch_size: Windows that are predicted at once.
        json: Print one JSON object.
        device: Where to compute; auto: on the GPU if there is one.
    """
    if batch_size < 1:
        raise UserError(f"--batch-size {batch_size}: expected at least 1")
    if directory.is_file() or str(directory) in PRETRAINED:
        return report_vectors(read_vectors(directory), json)
    checkpoint = load_checkpoint(directory, with_optimizer=False)
    if hasattr(checkpoint.model, "vectors"):
        return report_vectors(WordVectors(checkpoint.tokenizer.words, checkpoint.model.vectors()), json)
    if checkpoint.tokenizer is None:
        raise UserError(f"{directory} was saved without a tokenizer: it cannot read text")
    data = data or checkpoint.state.get("run", {}).get("data")
    if data is None:
        raise UserError(f"{directory} does not say what it was trained on: name a text with --data")
    ids = checkpoint.tokenizer.encode(corpora.text(data))
    if split != "all":
        training, validation = train_val_split(ids)  # as the trainer does
        ids = validation if split == "val" else training
    result = evaluate(checkpoint.model.to(choose_device(device)), checkpoint.tokenizer, ids, batch_size)
    found = {"data": data, "split": split} | dataclasses.asdict(result)
    print(dumps(found) if json else _table(found))


def report_vectors(vectors: WordVectors, json: bool) -> None:
    """Print what evaluate_vectors finds, as a table or as one JSON object."""
    found = evaluate_vectors(vectors)
    if json:
        print(dumps({name: [row._asdict() for row in rows] for name, rows in found.items()}))
        return
    print(f"{len(vectors):,} words of {vectors.vectors.shape[1]} numbers\n")
    print(f"{'similarity':30}  Spearman  pairs known")
    for row in found["similarities"]:
        print(f"{row.name:30}  {row.correlation:8.3f}  {row.known:,} of {row.pairs:,}")
    print(f"\n{'analogies':30}   3CosAdd   3CosMul  questions known")
    for add, multiply in zip(found["3cosadd"], found["3cosmul"], strict=True):
        shares = (f"{row.correct / row.known:9.1%}" if row.known else f"{'-':>9}" for row in (add, multiply))
        print(f"{add.section:30} {' '.join(shares)}  {add.known:,} of {add.questions:,}")


def _table(found: dict) -> str:
    def shown(value) -> str:
        return f"{value:.4f}" if isinstance(value, float) else f"{value:,}" if isinstance(value, int) else value

    width = max(map(len, found))
    return "\n".join(f"{name.replace('_', ' '):{width}}  {shown(value)}" for name, value in found.items())
