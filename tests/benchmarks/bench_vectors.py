"""Training word vectors, beside gensim: seconds for an epoch over the same sentences, each side by turns.

    python -m tests.benchmarks.bench_vectors                                  gensim, the better of 1 and 2 workers
    python -m tests.benchmarks.bench_vectors --output hierarchical-softmax
    python -m tests.benchmarks.bench_vectors --glove                          cells/s of GloVe, without an opponent

Both sides get lists of words, with the vocabulary built: an epoch is what `train` does, looking the words up included.
"""

import argparse
import itertools
import time

import numpy as np

from tests.benchmarks.turns import compare_all, machine

DATA, DIM, WINDOW, MIN_COUNT, NEGATIVES, SUBSAMPLE, EPOCHS = "shakespeare", 100, 5, 5, 5, 1e-3, 1
ARCHITECTURES = ("skip-gram", "cbow")


def sentences():
    from models.text.sources import corpora
    from models.vectors.vocabulary import split_sentences

    return split_sentences(corpora.text(DATA))


def ours(output):
    """{architecture: a training of EPOCHS epochs}, on all threads."""
    from models.vectors.hogwild import HogwildTrainer
    from models.vectors.vocabulary import Vocabulary
    from models.word2vec import Word2Vec, Word2VecConfig, Word2VecTraining

    text = sentences()
    vocabulary = Vocabulary.from_sentences(text, MIN_COUNT)

    def step(architecture):
        model = Word2Vec(Word2VecConfig(len(vocabulary), DIM, architecture, output, NEGATIVES), vocabulary.counts)

        def train():
            training = Word2VecTraining(EPOCHS, WINDOW, SUBSAMPLE)
            for _ in HogwildTrainer(model, vocabulary, vocabulary.encode(text), training):
                pass

        return train

    return {architecture: step(architecture) for architecture in ARCHITECTURES}


def gensim(output, workers):
    from gensim.models import Word2Vec

    text = sentences()

    def step(architecture):
        model = Word2Vec(
            vector_size=DIM,
            window=WINDOW,
            min_count=MIN_COUNT,
            sg=int(architecture == "skip-gram"),
            hs=int(output == "hierarchical-softmax"),
            negative=NEGATIVES * (output == "negative-sampling"),
            sample=SUBSAMPLE,
            workers=workers,
        )
        model.build_vocab(text)
        return lambda: model.train(text, total_examples=model.corpus_count, epochs=EPOCHS)

    return {architecture: step(architecture) for architecture in ARCHITECTURES}


def gensim_1(output):
    return gensim(output, 1)


def gensim_2(output):
    return gensim(output, 2)


def word2vec(output: str, rounds: int) -> None:
    here, options = "tests.benchmarks.bench_vectors", {"output": output}
    alone = compare_all("gensim, 1 worker", f"{here}:ours", f"{here}:gensim_1", options, rounds=rounds)
    both = compare_all("gensim, 2 workers", f"{here}:ours", f"{here}:gensim_2", options, rounds=rounds)
    words = sum(map(len, sentences())) * EPOCHS
    print("| work | ours, words/s | gensim's best, words/s | its workers | ratio |\n|---|---|---|---|---|")
    for a, b in zip(alone, both, strict=True):
        ours, theirs = min(a.ours, b.ours), min(a.theirs, b.theirs)
        workers = 1 if a.theirs < b.theirs else 2
        print(f"| {a.work}, {output} | {words / ours:,.0f} | {words / theirs:,.0f} | {workers} | {theirs / ours:.2f} |")


def glove() -> None:
    import minigrad as mg
    from models.glove import GloVe, GloVeConfig, GloVeTraining
    from models.vectors.adagrad import HogwildTrainer
    from models.vectors.cooccurrence import count_cooccurrences
    from models.vectors.vocabulary import Vocabulary

    text = sentences()
    vocabulary = Vocabulary.from_sentences(text, MIN_COUNT)
    encoded = vocabulary.encode(text)
    count_cooccurrences(encoded, len(vocabulary), 10)  # compiles
    started = time.perf_counter()
    cells = count_cooccurrences(encoded, len(vocabulary), 10)
    seconds = time.perf_counter() - started
    print(f"counting {len(encoded.ids):,} words, window 10: {seconds:.2f} s, {len(cells.counts):,} cells\n")
    print("| GloVe | threads | cells/s |\n|---|---|---|")
    for dim, threads in itertools.product((50, 100, 300), (1, 2)):
        mg.threads.set_num_threads(threads)
        trainer = HogwildTrainer(GloVe(GloVeConfig(len(vocabulary), dim)), cells, GloVeTraining(epochs=2))
        times, started = [], time.perf_counter()
        for _, done in trainer:
            now = time.perf_counter()
            times.append((now - started) / done)
            started = now
        print(f"| {dim}-d | {threads} | {1 / np.median(times[1:]):,.0f} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--glove", action="store_true")
    parser.add_argument("--output", default="negative-sampling", help="or hierarchical-softmax")
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    print(f"{machine()}\n")
    if arguments.glove:
        glove()
    else:
        word2vec(arguments.output, arguments.rounds)
