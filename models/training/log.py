"""The training log: a JSON Lines file, one object for each step, that survives kills and resumes.

{"step": 250, "loss": 2.31, "learning_rate": 0.001, "grad_norm": 0.9, "tokens_per_second": 41000, "val_loss": 2.35}
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from models.errors import UserError


class JsonLog:
    """Appends one JSON object per line.

    A run that resumes from step n passes `after_step=n`: what an interrupted run logged beyond its last
    checkpoint is cut off, since those steps are about to be made again. Without it the file starts empty.
    """

    def __init__(self, path: str | os.PathLike, after_step: int = 0):
        self.path = Path(path)
        kept = [record for record in read_log(path) if record["step"] <= after_step] if after_step else []
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}")
            temporary.write_text("".join(json.dumps(record) + "\n" for record in kept), encoding="utf-8")
            os.replace(temporary, self.path)
            # Line-buffered: a line is in the file as soon as it is written, whatever happens to us.
            self._file = open(self.path, "a", encoding="utf-8", buffering=1)  # noqa: SIM115
        except OSError as error:
            raise UserError(f"the log {path} cannot be written: {error.strerror}") from None

    def write(self, record: dict) -> None:
        """Append one step's record."""
        self._file.write(json.dumps(record, allow_nan=False) + "\n")

    def close(self) -> None:
        """No more records."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()


def read_log(path: str | os.PathLike) -> Iterator[dict]:
    """The records of a log, in order. A line that a kill cut short ends it; no file, no records."""
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            for line in file:
                try:
                    record = json.loads(line)
                except ValueError:
                    return
                if not isinstance(record, dict) or "step" not in record:
                    return
                yield record
    except FileNotFoundError:
        return
    except OSError as error:
        raise UserError(f"the log {path} cannot be read: {error.strerror}") from None
