"""Word vectors: word2vec predicts words from their neighbours, GloVe how often words meet.

minigrad train word2vec --data shakespeare,lee --out runs/words --architecture cbow --epochs 10
minigrad train glove --data shakespeare --out runs/glove --x-max 10
minigrad eval runs/words
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

import nn
from models.configuration import check_number, check_whole
from models.glove import GloVe, GloVeTrainer, GloVeTraining
from models.registry import Architecture
from models.tasks.base import Job, Task
from models.tasks.settings import RunOptions
from models.text.sources import corpora
from models.text.tokenizers import WordTokenizer
from models.training.loop import Loop, Teacher
from models.vectors.evaluation import evaluate_vectors
from models.vectors.phrases import join_phrases
from models.vectors.vocabulary import EncodedText, Vocabulary, split_sentences
from models.vectors.word_vectors import WordVectors
from models.weights.checkpoint import Checkpoint
from models.word2vec import Word2Vec, Word2VecTrainer, Word2VecTraining

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
    device: Literal["auto", "cpu", "cuda"] = "cpu"
    """Word vectors are trained on the CPU."""

    fixed: ClassVar[tuple[str, ...]] = ("min_count", "phrases", "phrase_scoring", "engine")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_whole(self, "min_count")
        check_number(self, "phrases")


class Texts(NamedTuple):
    """Texts as they were read, their words, and their sentences as ids."""

    text: str
    vocabulary: Vocabulary
    encoded: EncodedText


class WordVectorTask(Task):
    """What learning word vectors has in common; a subclass gives the learner, which goes through the texts itself."""

    options = VectorRun
    hidden = ("vocab_size", "device")
    description = "Train {name} word vectors on texts. They are trained on the CPU."
    usage = "minigrad neighbors {out} WORD ...   minigrad eval {out}"

    def read(self, run: VectorRun) -> Texts:
        """The texts, with their phrases joined if the run asks for it."""
        text = read_texts(run.data)
        sentences = split_sentences(text)
        if run.phrases:
            sentences = join_phrases(sentences, run.phrases, run.min_count, run.phrase_scoring)
        vocabulary = Vocabulary.from_sentences(sentences, run.min_count)
        return Texts(text, vocabulary, vocabulary.encode(sentences))

    def fingerprint(self, data: Texts) -> str:
        """The text."""
        return data.text

    def build(self, architecture: Architecture, config: Any, run: VectorRun, data: Texts) -> tuple[Any, WordTokenizer]:
        """A vector for each word, and a tokenizer that knows the words."""
        words = data.vocabulary.words
        tokenizer = WordTokenizer(words, lowercase=True, whitespace=False, special_tokens=())
        return self.model(dataclasses.replace(config, vocab_size=len(words)), data.vocabulary), tokenizer

    def model(self, config: Any, vocabulary: Vocabulary) -> nn.Module:
        """A model of the words."""
        raise NotImplementedError(f"{type(self).__name__} has no model")

    def learner(self, job: Job) -> Any:
        """The stepper that teaches it; it has `steps` and `steps_an_epoch`."""
        raise NotImplementedError(f"{type(self).__name__} has no learner")

    def trainer(self, job: Job, **options: Any) -> Loop:
        """A loop that saves after each epoch."""
        learner = self.learner(job)
        return Loop(learner, job.training, steps=learner.steps, save_every=learner.steps_an_epoch, **options)

    def introduction(self, job: Job, loop: Teacher) -> str:
        """How many words there are, and of how many different ones."""
        text = job.data.encoded
        return (
            f"{job.name} of {len(job.data.vocabulary):,} words, {job.model.config.embedding_dim} numbers each, on "
            f"{job.run.data}: {len(text.ids):,} words in {len(text):,} sentences, {job.training.epochs} epochs"
        )

    def conclusion(self, job: Job) -> str:
        """The neighbours of some words."""
        words = job.data.vocabulary.words
        vectors = WordVectors(words, job.model.vectors())
        shown = words[-len(words) // 2 :: -max(1, len(words) // 2 // SHOWN)][:SHOWN]
        lines = [f"near {word}: {', '.join(near for near, _ in vectors.most_similar(word, count=5))}" for word in shown]
        return "\n".join([*lines, super().conclusion(job)])

    def evaluate(self, checkpoint: Checkpoint, options: Any) -> dict:
        """Correlation with people's judgements of how similar words are, and analogies answered."""
        return self.judge(WordVectors.of_checkpoint(checkpoint))

    @staticmethod
    def judge(vectors: WordVectors) -> dict:
        """The same of vectors from anywhere."""
        found = evaluate_vectors(vectors)
        size = {"words": len(vectors), "dimensions": vectors.vectors.shape[1]}
        return size | {name: [row._asdict() for row in rows] for name, rows in found.items()}

    def table(self, found: dict) -> str:
        """Similarities, then analogies."""
        lines = [f"{found['words']:,} words of {found['dimensions']} numbers\n"]
        lines.append(f"{'similarity':30}  Spearman  pairs known")
        for row in found["similarities"]:
            lines.append(f"{row['name']:30}  {row['correlation']:8.3f}  {row['known']:,} of {row['pairs']:,}")
        lines.append(f"\n{'analogies':30}   3CosAdd   3CosMul  questions known")
        for pair in zip(found["3cosadd"], found["3cosmul"], strict=True):
            add = pair[0]
            shares = (f"{row['correct'] / row['known']:9.1%}" if row["known"] else f"{'-':>9}" for row in pair)
            lines.append(f"{add['section']:30} {' '.join(shares)}  {add['known']:,} of {add['questions']:,}")
        return "\n".join(lines)

    def predict(self, checkpoint: Checkpoint, texts: Sequence[str]) -> list[list[tuple[str, float]]]:
        """The nearest words of each word, and their cosines with it."""
        vectors = WordVectors.of_checkpoint(checkpoint)
        return [vectors.most_similar(word) for word in texts]


class Word2VecTask(WordVectorTask):
    """Words are predicted from their neighbours (Mikolov et al. 2013)."""

    name = "word2vec"
    training = Word2VecTraining
    loss_label = "loss (nats per example)"

    def model(self, config: Any, vocabulary: Vocabulary) -> Word2Vec:
        """Its output layer is shaped by how often each word occurs."""
        return Word2Vec(config, vocabulary.counts)

    def learner(self, job: Job) -> Word2VecTrainer:
        """On all threads; or through the engine."""
        parts = (job.model, job.data.vocabulary, job.data.encoded, job.training)
        if job.run.engine:
            return Word2VecTrainer(*parts, ENGINE_BATCH)
        from models.vectors.hogwild import HogwildTrainer  # numba, which whoever only uses a model does not need

        return HogwildTrainer(*parts)


class GloVeTask(WordVectorTask):
    """Products of vectors are fitted to how often words meet (Pennington et al. 2014)."""

    name = "glove"
    training = GloVeTraining
    loss_label = "weighted squared error, halved (mean of a cell)"

    def model(self, config: Any, vocabulary: Vocabulary) -> GloVe:
        """Two vectors and two biases for each word."""
        return GloVe(config)

    def learner(self, job: Job) -> GloVeTrainer:
        """On all threads; or through the engine."""
        from models.vectors.adagrad import HogwildTrainer
        from models.vectors.cooccurrence import count_cooccurrences

        window = job.training.window
        cells = count_cooccurrences(job.data.encoded, len(job.data.vocabulary), window)
        print(f"{len(cells.counts):,} pairs of words within {window} of each other", flush=True)
        if job.run.engine:
            return GloVeTrainer(job.model, cells, job.training, ENGINE_BATCH)
        return HogwildTrainer(job.model, cells, job.training)


def read_texts(names: str) -> str:
    """The texts of several names or files with commas between, one after another. Raises DataError."""
    return "\n\n".join(corpora.text(name.strip()) for name in names.split(","))
