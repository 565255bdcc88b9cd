"""Text from a language model, token by token.

    for piece in generate(model, tokenizer, "ROMEO:", max_tokens=500, temperature=0.8, top_k=40):
        print(piece, end="", flush=True)
    text = generate_text(model, tokenizer, "ROMEO:", seed=1)
    three = generate_samples(model, tokenizer, "ROMEO:", num_samples=3)

All take the options of `generate`; models.generation.beam looks for the likeliest text instead. A model is anything
with `next_logits(ids, caches)`, `new_caches(batch_size)`, `context_limit` (the most tokens it can look at;
None: any number) and `config.vocab_size`, as GPT and RNNGenerator have them.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np

import minigrad as mg
from minigrad.tensor import to_numpy
from models.errors import DataError, UserError
from models.generation.language_model import LanguageModel
from models.generation.sampling import Sampling
from models.text.batching import tensors_for
from models.text.tokenizers import StreamDecoder, Tokenizer


def generate(model: LanguageModel, tokenizer: Tokenizer, prompt: str = "", **options: Any) -> Iterator[str]:
    """How the model goes on after the prompt, in pieces as they come: whole characters, without the prompt.

    max_tokens          stop after this many tokens (200)
    stop                a string, or several, that ends the text and is not part of it; also ends at `<eos>`
    seed                repeats a text; None for another one each time (None)
    use_cache           keep keys and values of earlier tokens instead of computing them again (True)
    temperature, top_k, top_p, repetition_penalty    see models.generation.sampling.Sampling

    An empty prompt stands for the tokenizer's `<bos>`, or else `<eos>`, or else a newline. `<unk>` is never
    written. Cache and no cache give the same text. When the context is full, the model goes on from its
    last half.

    Raises UserError for options that make no sense and for a prompt longer than the context, and DataError
    for characters in the prompt that the tokenizer does not know; at the call, not at the first piece.
    """
    texts = _Generation(model, tokenizer, prompt, num_samples=1, **options)
    return (pieces[0] for pieces in texts.pieces() if pieces[0])


def generate_text(model: LanguageModel, tokenizer: Tokenizer, prompt: str = "", **options: Any) -> str:
    """What `generate` gives, as one string."""
    return "".join(generate(model, tokenizer, prompt, **options))


def generate_samples(
    model: LanguageModel, tokenizer: Tokenizer, prompt: str = "", *, num_samples: int, **options: Any
) -> list[str]:
    """Several texts from one prompt, computed together. With a seed the first is the one that `generate` gives."""
    texts = [""] * num_samples
    for pieces in _Generation(model, tokenizer, prompt, num_samples=num_samples, **options).pieces():
        texts = [text + piece for text, piece in zip(texts, pieces, strict=True)]
    return texts


class _Generation:
    """One call of `generate`: its options, checked, and the loop over tokens."""

    def __init__(
        self,
        model,
        tokenizer: Tokenizer,
        prompt: str,
        *,
        num_samples: int,
        max_tokens: int = 200,
        stop: str | Sequence[str] = (),
        seed: int | None = None,
        use_cache: bool = True,
        **sampling,
    ):
        self.model, self.tokenizer, self.use_cache = model, tokenizer, use_cache
        self.sampling = Sampling(**sampling)
        self.max_tokens, self.num_samples = max_tokens, num_samples
        self.stop = (stop,) if isinstance(stop, str) else tuple(stop)
        if max_tokens < 1:
            raise UserError(f"max_tokens {max_tokens}: expected at least 1")
        if num_samples < 1:
            raise UserError(f"num_samples {num_samples}: expected at least 1")
        if "" in self.stop:
            raise UserError("an empty stop string would stop everywhere: give at least one character")
        if seed is not None and seed < 0:
            raise UserError(f"seed {seed}: expected a whole number, 0 or above")
        self.prompt_ids = prompt_ids(model, tokenizer, prompt)
        start: Any = np.random.SeedSequence().entropy if seed is None else seed
        # One generator a sample, so that a sample does not depend on how many there are.
        self.random = [np.random.default_rng([start, i]) for i in range(num_samples)]
        self.texts = [_Text(tokenizer, self.stop, tokenizer.encode(prompt)) for _ in range(num_samples)]

    def pieces(self) -> Iterator[list[str]]:
        """After each token, the text that it adds to each sample."""
        for ids in self._ids():
            yield [text.feed(id) for text, id in zip(self.texts, ids.tolist(), strict=True)]
            if all(text.finished for text in self.texts):
                return
        yield [text.finish() for text in self.texts]

    def _ids(self) -> Iterator[np.ndarray]:
        """max_tokens times the next token of each sample, (samples,)."""
        limit = self.model.context_limit
        seen = np.zeros((self.num_samples, self.tokenizer.vocab_size), bool)
        seen[:, self.prompt_ids] = True
        caches = self.model.new_caches(self.num_samples) if self.use_cache else None
        window = np.tile(self.prompt_ids, (self.num_samples, 1))  # (samples, time): what the model looks at
        cached = 0  # how much of the window the caches hold
        for _ in range(self.max_tokens):
            if limit and window.shape[1] > limit:
                # Half of it is dropped, not one token: every position changes, so the caches start again,
                # and that pays off only once in a while.
                window = window[:, -max(limit // 2, 1) :]
                caches = self.model.new_caches(self.num_samples) if self.use_cache else None
                cached = 0
            logits = next_logits(self.model, self.tokenizer, window[:, cached:], caches)
            uniform = np.array([generator.random() for generator in self.random])
            ids = self.sampling.choose(logits, seen, uniform)
            seen[np.arange(self.num_samples), ids] = True
            cached = window.shape[1] if self.use_cache else 0
            window = np.concatenate([window, ids[:, None]], axis=1)
            yield ids


@mg.no_grad()
def next_logits(model: LanguageModel, tokenizer: Tokenizer, ids: np.ndarray, caches: Any = None) -> np.ndarray:
    """The logits (samples, tokenizer.vocab_size) of the token after ids (samples, time), that of `<unk>` -inf.

    Without dropout; the model's mode stays as it was. Raises UserError where they are not numbers.
    """
    training = model.training
    if training:
        model.eval()
    try:
        (tensor,) = tensors_for(model, [ids])
        logits = to_numpy(model.next_logits(tensor, caches).data)[:, : tokenizer.vocab_size]
    finally:
        if training:
            model.train()
    if tokenizer.unk_id is not None:
        logits[:, tokenizer.unk_id] = -np.inf  # it stands for what cannot be written
    if np.isnan(logits).any():
        raise UserError("the model's logits are not numbers (NaN): its training diverged, train it again")
    return logits


def prompt_ids(model: LanguageModel, tokenizer: Tokenizer, prompt: str) -> np.ndarray:
    """The prompt as the model reads it. Raises UserError where it cannot, DataError for unknown characters."""
    if tokenizer.vocab_size > model.config.vocab_size:
        raise UserError(
            f"the tokenizer has {tokenizer.vocab_size} tokens, the model {model.config.vocab_size}: "
            "they do not belong together"
        )
    ids = tokenizer.encode(prompt)
    if model.context_limit and len(ids) > model.context_limit:
        raise UserError(
            f"the prompt has {len(ids)} tokens and the model looks at {model.context_limit} at most: shorten it"
        )
    return ids if len(ids) else np.array([start_id(tokenizer)])


def start_id(tokenizer: Tokenizer) -> int:
    """What an empty prompt stands for. Raises UserError where there is nothing that could."""
    for id in (tokenizer.bos_id, tokenizer.eos_id):
        if id is not None:
            return id
    try:
        return int(tokenizer.encode("\n", errors="strict")[0])
    except (DataError, IndexError):
        raise UserError(
            "the prompt is empty, and this tokenizer has neither a start token nor a newline: give one"
        ) from None


class _Text:
    """One sample's text as it grows, given out as far as no later token can take it back.

    Held back are the bytes of an unfinished character, and an ending that may become a stop string.
    """

    def __init__(self, tokenizer: Tokenizer, stop: tuple[str, ...], prompt_ids: Iterable[int]):
        self.finished = False
        self._eos_id, self._stop, self._held = tokenizer.eos_id, stop, ""
        self._decoder = StreamDecoder(tokenizer)
        for id in prompt_ids:  # its text is not ours to give out, but ours may be joined to it by a space
            self._decoder.feed(id)

    def feed(self, id: int) -> str:
        """The text that this token settles."""
        if self.finished:
            return ""
        if id == self._eos_id:
            return self.finish()
        return self._settled(self._decoder.feed(id))

    def finish(self) -> str:
        """What was held back, if there is no more to come."""
        if self.finished:
            return ""
        settled = self._settled(self._decoder.finish())
        self.finished = True
        return settled + self._held

    def _settled(self, piece: str) -> str:
        text, self._held = self._held + piece, ""
        found = [(text.index(stop) + len(stop), text.index(stop)) for stop in self._stop if stop in text]
        if found:  # the one that is complete first ends the text
            self.finished = True
            return text[: min(found)[1]]
        longest = max((_overlap(text, stop) for stop in self._stop), default=0)
        settled = len(text) - longest
        self._held = text[settled:]
        return text[:settled]


def _overlap(text: str, stop: str) -> int:
    """The length of the longest ending of text that is a beginning of stop."""
    lengths = range(min(len(text), len(stop) - 1), 0, -1)
    return next((n for n in lengths if text.endswith(stop[:n])), 0)
