"""How word vectors are taught: word2vec and GloVe.

minigrad train word2vec --data shakespeare,lee --out runs/words --architecture cbow --epochs 10
minigrad train glove --data shakespeare --out runs/glove --x-max 10
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

import minigrad as mg
from models.configuration import Sections
from models.errors import UserError
from models.glove import GloVe, GloVeConfig, GloVeTrainer, GloVeTraining
from models.tasks.run import RunOptions, exit_code, finish, read_settings, unchanged_digest, use_device
from models.text.sources import corpora
from models.text.tokenizers import WordTokenizer
from models.training.loop import Loop
from models.vectors.phrases import join_phrases
from models.vectors.vocabulary import EncodedText, Vocabulary, split_sentences
from models.vectors.word_vectors import WordVectors
from models.word2vec import Word2Vec, Word2VecConfig, Word2VecTrainer, Word2VecTraining

ENGINE_BATCH = 256
SHOWN = 4  # words whose neighbours are printed at the end


@dataclass
class VectorRun(RunOptions):
    """A run on one or more texts that are cut into sentences of words."""

    data: str = corpora.DEFAULT
    """Texts of `minigrad data list`, or UTF-8 text files; several with commas between."""
    min_count: int = 5
    """Words that occur less often are left out."""
    phrases: float = 0.0
    """Join word pairs that score above this, such as 100 (word2phrase) or 0.5 (npmi); 0: none."""
    phrase_scoring: Literal["word2phrase", "npmi"] = "word2phrase"
    """How pairs are scored."""
    engine: bool = False
    """Teach it through the engine, in batches: to be read, not to be waited for."""

    fixed: ClassVar[tuple[str, ...]] = ("min_count", "phrases", "phrase_scoring", "engine")

    def __post_init__(self):
        super().__post_init__()
        if self.min_count < 1:
            raise UserError(f"min_count={self.min_count}: expected a whole number above 0")
        if not self.phrases >= 0:
            raise UserError(f"phrases={self.phrases}: expected a number, 0 or above")


def train_word2vec(name: str, flags: list[str]) -> int:
    """Run `minigrad train word2vec ...`. Returns 0, or 128 + the signal's number if one ended it early."""
    sections = {"model": Word2VecConfig(vocab_size=2), "training": Word2VecTraining()}

    def prepare(run: VectorRun, config, training, vocabulary: Vocabulary, text: EncodedText, checkpoint):
        model = checkpoint.model if checkpoint else Word2Vec(config, vocabulary.counts)
        if run.engine:
            return Word2VecTrainer(model, vocabulary, text, training, ENGINE_BATCH)
        from models.vectors.hogwild import HogwildTrainer

        return HogwildTrainer(model, vocabulary, text, training)

    return _train(name, flags, sections, prepare, "loss (nats per example)")


def train_glove(name: str, flags: list[str]) -> int:
    """Run `minigrad train glove ...`. Returns 0, or 128 + the signal's number if one ended it early."""
    sections = {"model": GloVeConfig(vocab_size=2), "training": GloVeTraining()}

    def prepare(run: VectorRun, config, training, vocabulary: Vocabulary, text: EncodedText, checkpoint):
        from models.vectors.adagrad import HogwildTrainer
        from models.vectors.cooccurrence import count_cooccurrences

        cells = count_cooccurrences(text, len(vocabulary), training.window)
        print(f"{len(cells.counts):,} pairs of words within {training.window} of each other", flush=True)
        model = checkpoint.model if checkpoint else GloVe(config)
        return (
            GloVeTrainer(model, cells, training, ENGINE_BATCH) if run.engine else HogwildTrainer(model, cells, training)
        )

    return _train(name, flags, sections, prepare, "weighted squared error, halved (mean of a cell)")


def read_texts(names: str) -> str:
    """The texts of several names or files with commas between, one after another. Raises DataError."""
    return "\n\n".join(corpora.text(name.strip()) for name in names.split(","))


def _train(name: str, flags: list[str], sections: Sections, prepare: Callable, loss: str) -> int:
    defaults = {"run": VectorRun()} | sections
    description = f"Train {name} word vectors on texts. They are trained on the CPU."
    sections, checkpoint = read_settings(name, flags, defaults, description, hidden=("vocab_size", "device"))
    run, training = sections["run"], sections["training"]
    use_device(dataclasses.replace(run, device="cpu"))
    text = read_texts(run.data)
    digest = unchanged_digest(run, text, checkpoint)
    mg.manual_seed(training.seed)
    sentences = split_sentences(text)
    if run.phrases:
        sentences = join_phrases(sentences, run.phrases, run.min_count, run.phrase_scoring)
    vocabulary = Vocabulary.from_sentences(sentences, run.min_count)
    encoded = vocabulary.encode(sentences)
    config = checkpoint.config if checkpoint else dataclasses.replace(sections["model"], vocab_size=len(vocabulary))
    trainer = prepare(run, config, training, vocabulary, encoded, checkpoint)
    print(
        f"{name} of {len(vocabulary):,} words, {config.embedding_dim} numbers each, on {run.data}: "
        f"{len(encoded.ids):,} words in {len(encoded):,} sentences, {training.epochs} epochs",
        flush=True,
    )
    tokenizer = WordTokenizer(vocabulary.words, lowercase=True, whitespace=False, special_tokens=())
    loop = Loop(
        trainer,
        training,
        steps=trainer.steps,
        save_every=trainer.steps_an_epoch,
        tokenizer=tokenizer,
        directory=run.out,
        log=run.log,
        extra=run.record(digest),
    )
    if checkpoint:
        loop.resume(checkpoint)
    result = loop.run()
    finish(run, result, loss)
    vectors = WordVectors(vocabulary.words, trainer.model.vectors())
    for word in vocabulary.words[-len(vocabulary) // 2 :: -max(1, len(vocabulary) // 2 // SHOWN)][:SHOWN]:
        print(f"near {word}: {', '.join(near for near, _ in vectors.most_similar(word, count=5))}")
    if not result.signal:
        print(f"try: minigrad neighbors {run.out} WORD ...   minigrad eval {run.out}")
    return exit_code(result)
