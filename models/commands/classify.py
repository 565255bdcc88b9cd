"""`minigrad classify`: what a trained classifier makes of a text.

minigrad classify runs/topics "crude oil prices fell"
minigrad classify runs/topics texts.txt --json
"""

from json import dumps
from pathlib import Path

from models.errors import UserError
from models.tasks.table import TASKS
from models.text.files import read_text
from models.weights.checkpoint import load_checkpoint

SHOWN = 5  # labels of a text, the likeliest


def main(argv: list[str] | None = None) -> int:
    """Run `minigrad classify DIR TEXT|FILE ...`. Raises UserError or DataError for what a user can put right."""
    import tyro

    tyro.cli(classify, args=argv, prog="minigrad classify")
    return 0


def classify(directory: Path, text: str, /, json: bool = False) -> None:
    """Print the label of a text and the probabilities; for a file, of each of its lines.

    Args:
        directory: A checkpoint, as `minigrad train classifier` makes them.
        text: The text itself, or a UTF-8 text file with one text per line.
        json: Print one JSON object per text, with all probabilities.
    """
    checkpoint = load_checkpoint(directory, "classifier", with_optimizer=False)
    texts = _texts(text)
    for text, (label, probabilities) in zip(texts, TASKS["classification"].predict(checkpoint, texts), strict=True):
        likeliest = sorted(probabilities.items(), key=lambda pair: -pair[1])
        if json:
            shown = {name: round(p, 6) for name, p in likeliest}
            print(dumps({"text": text, "label": label, "probabilities": shown}, ensure_ascii=False))
        else:
            label = label if isinstance(label, str) else ", ".join(label) or "(none)"
            rest = "  ".join(f"{name} {p:.3f}" for name, p in likeliest[:SHOWN])
            print(f"{label}\t{rest}" + (f"\t{text}" if len(texts) > 1 else ""))


def _texts(given: str) -> list[str]:
    """The lines of a file of that name, or else the text itself."""
    path = Path(given)
    try:
        is_file = path.is_file()
    except (OSError, ValueError):  # too long for a name, or with characters that none can have
        is_file = False
    if not is_file:
        return [given]
    lines = read_text(path, minimum_characters=1).rstrip("\n").split("\n")
    for number, line in enumerate(lines, 1):
        if not line.strip():
            raise UserError(f"{path}, line {number} is empty: a file to classify has one text per line")
    return lines
