"""How good our word vectors are beside gensim's, on the same sentences with the same settings, over several seeds.

    python -m tests.benchmarks.quality_vectors                          skip-gram and CBOW, three seeds
    python -m tests.benchmarks.quality_vectors --data shakespeare --seeds 5 --epochs 5

A line for each kind and side: the correlation with WordSim-353 and SimLex-999 and the share of analogies answered
by 3CosAdd, mean ± deviation over the seeds.
"""

import argparse
import itertools

import numpy as np

import minigrad as mg
from models.glove import GloVe, GloVeConfig, GloVeTraining
from models.tasks.word_vectors import read_texts
from models.text.sources import datasets
from models.vectors import adagrad, hogwild
from models.vectors.cooccurrence import count_cooccurrences
from models.vectors.evaluation import SIMILARITIES, analogies, similarities
from models.vectors.vocabulary import LONGEST_SENTENCE, Vocabulary, split_sentences
from models.vectors.word_vectors import WordVectors
from models.word2vec import Word2Vec, Word2VecConfig, Word2VecTraining

DATA = "shakespeare,lee,reuters-text"


def ours(sentences, vocabulary, text, kind, seed, options):
    architecture, output = kind
    mg.manual_seed(seed)
    model = Word2Vec(Word2VecConfig(len(vocabulary), 100, architecture, output), vocabulary.counts)
    for _ in hogwild.HogwildTrainer(model, vocabulary, text, Word2VecTraining(options.epochs, seed=seed)):
        pass
    return WordVectors(vocabulary.words, model.vectors())


def gensims(sentences, vocabulary, text, kind, seed, options):
    from gensim.models import Word2Vec

    architecture, output = kind
    model = Word2Vec(
        sentences,
        vector_size=100,
        window=5,
        min_count=5,
        sg=int(architecture == "skip-gram"),
        hs=int(output == "hierarchical-softmax"),
        negative=5 * (output == "negative-sampling"),
        sample=1e-3,
        epochs=options.epochs,
        workers=2,
        seed=seed + 1,
    )
    return WordVectors(model.wv.index_to_key, model.wv.vectors)


def glove(sentences, vocabulary, text, kind, seed, options):
    mg.manual_seed(seed)
    cells = count_cooccurrences(text, len(vocabulary), 10)
    model = GloVe(GloVeConfig(len(vocabulary), 100))
    for _ in adagrad.HogwildTrainer(model, cells, GloVeTraining(epochs=25, x_max=10, seed=seed)):
        pass
    return WordVectors(vocabulary.words, model.vectors())


def figures(vectors) -> list[float]:
    rows = analogies(vectors, datasets.analogies())
    answered = sum(row.correct for row in rows) / max(sum(row.known for row in rows), 1)
    return [*(similarities(vectors, datasets.similarity(name)).correlation for name in SIMILARITIES), answered]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", default=DATA)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--kinds", default="skip-gram,cbow")
    parser.add_argument("--outputs", default="negative-sampling")
    parser.add_argument("--sides", default="ours,gensim,glove")
    options = parser.parse_args()
    sentences = split_sentences(read_texts(options.data))
    sentences = [s[at : at + LONGEST_SENTENCE] for s in sentences for at in range(0, len(s), LONGEST_SENTENCE)]
    vocabulary = Vocabulary.from_sentences(sentences, 5)
    text = vocabulary.encode(sentences)
    print(f"{options.data}: {len(text.ids):,} words, {len(vocabulary):,} different; {options.epochs} epochs\n")
    print("| vectors | WordSim-353 | SimLex-999 | analogies |\n|---|---|---|---|", flush=True)
    jobs = [
        (f"{side} {architecture}, {output}", {"ours": ours, "gensim": gensims}[side], (architecture, output))
        for architecture, output in itertools.product(options.kinds.split(","), options.outputs.split(","))
        for side in ("ours", "gensim")
        if side in options.sides
    ]
    if "glove" in options.sides:
        jobs.append(("ours GloVe", glove, None))
    for name, make, kind in jobs:
        rows = [figures(make(sentences, vocabulary, text, kind, seed, options)) for seed in range(options.seeds)]
        mean, deviation = np.mean(rows, 0), np.std(rows, 0)
        print(
            f"| {name} | " + " | ".join(f"{m:.3f} ± {d:.3f}" for m, d in zip(mean, deviation, strict=True)) + " |",
            flush=True,
        )


if __name__ == "__main__":
    main()
