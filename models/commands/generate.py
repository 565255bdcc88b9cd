"""`minigrad generate`: let a trained model write.

minigrad generate runs/play --prompt "ROMEO:" --max-tokens 500 --temperature 0.8
"""

from pathlib import Path
from typing import Literal

from models.configuration import choose_device
from models.errors import UserError
from models.generation.generate import generate, generate_samples
from models.generation.language_model import LanguageModel
from models.registry import name_of
from models.tasks.table import task_of_checkpoint
from models.weights.checkpoint import load_checkpoint


def main(argv: list[str] | None = None) -> int:
    """Run `minigrad generate DIR ...`. Raises UserError or DataError for what a user can put right."""
    import tyro

    tyro.cli(write, args=argv, prog="minigrad generate")
    return 0


def write(
    directory: Path,
    /,
    *,
    prompt: str = "",
    max_tokens: int = 500,
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
    repetition_penalty: float = 1.0,
    stop: tuple[str, ...] = (),
    seed: int | None = None,
    num_samples: int = 1,
    cache: bool = True,
    device: Literal["auto", "cpu", "cuda"] = "auto",
) -> None:
    """Continue a text with a trained model, to standard output as it is written.

    Args:
        directory: A checkpoint, as `minigrad train` makes them.
        prompt: What the text begins with.
        max_tokens: The most tokens to write.
        temperature: Below 1 safer, above 1 wilder; 0: always the likeliest token.
        top_k: Choose among this many of the likeliest tokens only.
        top_p: Choose among the fewest tokens that hold this much probability only.
        repetition_penalty: Above 1: what has occurred before becomes less likely.
        stop: Strings that end the text; they are not written.
        seed: Repeats a text; without it, another one each time.
        num_samples: How many texts to write.
        device: Where to compute; auto: on the GPU if there is one.
        cache: Keep keys and values of earlier tokens. Without it the text is the same, only slower.
    """
    checkpoint = load_checkpoint(directory, with_optimizer=False)
    if checkpoint.tokenizer is None:
        raise UserError(f"{directory} was saved without a tokenizer: it cannot write text")
    if not isinstance(checkpoint.model, LanguageModel):
        usage = task_of_checkpoint(checkpoint).usage.format(out=directory)
        raise UserError(f"{directory} holds a {name_of(checkpoint.model)}, which writes no text: try {usage}")
    model, tokenizer = checkpoint.model.to(choose_device(device)), checkpoint.tokenizer
    options = {
        "max_tokens": max_tokens,
        "temperature": temperature,
        "top_k": top_k,
        "top_p": top_p,
        "repetition_penalty": repetition_penalty,
        "stop": stop,
        "seed": seed,
        "use_cache": cache,
    }
    if num_samples != 1:
        for i, text in enumerate(generate_samples(model, tokenizer, prompt, num_samples=num_samples, **options), 1):
            print(f"--- {i} of {num_samples}\n{prompt}{text}")
        return
    pieces = generate(model, tokenizer, prompt, **options)
    print(prompt, end="", flush=True)
    for piece in pieces:
        print(piece, end="", flush=True)
    print()
