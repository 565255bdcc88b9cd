"""`minigrad neighbors`: the words whose vectors are nearest to a word's, and analogies.

minigrad neighbors runs/word2vec love death
minigrad neighbors vectors.bin "king - man + woman"
minigrad neighbors glove-6b-50d paris london berlin --plot cities.png
"""

from pathlib import Path
from typing import Literal

from models.errors import UserError
from models.training.plots import plot_words
from models.vectors.projection import pca, tsne
from models.vectors.word_vectors import WordVectors


def main(argv: list[str] | None = None) -> int:
    """Run `minigrad neighbors DIR|FILE WORD ...`. Raises UserError or DataError for what a user can put right."""
    import tyro

    tyro.cli(show, args=argv, prog="minigrad neighbors")
    return 0


def show(
    source: str,
    words: tuple[str, ...],
    /,
    count: int = 10,
    method: Literal["3cosadd", "3cosmul"] = "3cosadd",
    plot: Path | None = None,
    projection: Literal["tsne", "pca"] = "tsne",
) -> None:
    """The nearest words of each word; with + and - between words, of their sum, which answers analogies.

    Args:
        source: A checkpoint of word2vec or GloVe, a file of word vectors, or glove-6b-50d.
        words: Words, or sums such as "king - man + woman".
        count: How many neighbours to show.
        method: How a sum is compared: by the cosine with it (3cosadd), or term by term (3cosmul).
        plot: Draw the words and their neighbours into this image file as well.
        projection: How they are laid out: neighbours kept together (tsne), or seen from where they vary most (pca).
    """
    if count < 1:
        raise UserError(f"--count {count}: expected at least 1")
    if not words:
        raise UserError('no word is given: name one or more, or a sum such as "king - man + woman"')
    vectors = WordVectors.load(source)
    groups = {}
    for title, positive, negative in queries(words):
        found = vectors.most_similar(positive, negative, count, method)
        groups[title] = [*positive, *negative, *(word for word, _ in found)]
        print(title)
        width = max((len(word) for word, _ in found), default=0)
        for word, score in found:
            print(f"  {word:{width}}  {score:.3f}")
    if plot:
        rows = vectors.units[[vectors.id(word) for group in groups.values() for word in group]]
        points = pca(rows) if projection == "pca" else tsne(rows, perplexity=count)
        print(f"picture {plot_words(groups, points, plot)}")


def queries(words: tuple[str, ...]) -> list[tuple[str, list[str], list[str]]]:
    """What is asked for: (title, positive words, negative words) for each sum, or for each word by itself."""
    tokens = " ".join(words).split()
    if not {"+", "-"} & set(tokens):
        return [(word, [word], []) for word in tokens]
    if len(words) > 1 and not {"+", "-"} & set(words):  # several arguments, some of them sums
        return [query for word in words for query in queries((word,))]
    terms = tokens if tokens[0] in "+-" else ["+", *tokens]
    signs, names = terms[::2], terms[1::2]
    if len(signs) != len(names) or set(signs) - {"+", "-"} or {"+", "-"} & set(names):
        raise UserError(f'{" ".join(tokens)!r} is not a sum of words: expected something like "king - man + woman"')
    pairs = list(zip(signs, names, strict=True))
    return [(" ".join(tokens), [n for s, n in pairs if s == "+"], [n for s, n in pairs if s == "-"])]
