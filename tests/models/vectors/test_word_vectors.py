"""WordVectors: neighbours and analogies against gensim and by hand, formats, evaluation, projections, phrases."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import DataError, UserError
from models.vectors.evaluation import analogies, similarities, spearman
from models.vectors.formats import read_vectors
from models.vectors.phrases import join_phrases, phrase_scores
from models.vectors.projection import pca, tsne
from models.vectors.word_vectors import WordVectors

WORDS = ["the", "Élan", "don't", "new_york", "猫", "naïve", "Ω", "x-ray", "a.b", "nul"]


@pytest.fixture
def vectors():
    return WordVectors(WORDS, np.random.default_rng(0).standard_normal((10, 7)).astype(np.float32))


# Queries.


@pytest.mark.parity
@pytest.mark.parametrize(("plus", "minus"), [(["猫"], []), (["the", "Ω"], ["nul"]), (["a.b", "Élan"], ["x-ray", "猫"])])
def test_neighbours_are_gensims(vectors, plus, minus):
    gensim = pytest.importorskip("gensim.models")
    theirs = gensim.KeyedVectors(7)
    theirs.add_vectors(WORDS, vectors.vectors)
    for ours, expected in (
        (vectors.most_similar(plus, minus, 5), theirs.most_similar(plus, minus, topn=5)),
        (vectors.most_similar(plus, minus, 5, "3cosmul"), theirs.most_similar_cosmul(plus, minus, topn=5)),
    ):
        assert [word for word, _ in ours] == [word for word, _ in expected]
        if expected == theirs.most_similar(plus, minus, topn=5):
            np.testing.assert_allclose([s for _, s in ours], [s for _, s in expected], rtol=1e-5)
    assert vectors.similarity("the", "猫") == pytest.approx(theirs.similarity("the", "猫"), abs=1e-6)


def test_an_analogy_that_is_true_in_the_plane():
    points = {"man": (1, 0), "king": (1, 1), "woman": (2, 0.2), "queen": (2, 1.2), "frog": (-1, -1), "apple": (0, -1)}
    vectors = WordVectors(list(points), list(points.values()))
    for method in ("3cosadd", "3cosmul"):
        assert vectors.analogy("man", "king", "woman", method=method)[0][0] == "queen"
    assert vectors.most_similar("man", count=99)[-1][0] == "frog"
    assert len(vectors.most_similar("man", count=99)) == 5
    ids = np.array([[vectors.id(word) for word in ("man", "king", "woman")]] * 600)
    assert set(vectors.answers(ids)) == {3}
    assert set(vectors.answers(ids, limit=3)) != {3}


def test_unknown_words_suggest_the_nearest_spelling(vectors):
    assert vectors.id("X-RAY") == WORDS.index("x-ray")
    assert "THE" in vectors
    with pytest.raises(UserError, match=r"'new_yrok' is not among the 10 words: did you mean 'new_york'\?"):
        vectors.most_similar("new_yrok")
    with pytest.raises(UserError, match="and none is spelt like it"):
        vectors["qqqqq"]
    with pytest.raises(UserError, match="method='add': expected one of 3cosadd, 3cosmul"):
        vectors.most_similar("the", method="add")
    with pytest.raises(UserError, match="no words are given"):
        vectors.most_similar([])


def test_vectors_that_are_none():
    for words, rows, message in (
        (["a"], np.zeros((2, 3)), r"1 words with vectors \(2, 3\)"),
        (["a", "a"], np.zeros((2, 3)), "2 words, but only 1 different"),
        ([], np.zeros((0, 3)), "0 words"),
    ):
        with pytest.raises(UserError, match=message):
            WordVectors(words, rows)
    zero = WordVectors(["a", "b"], np.zeros((2, 3)))
    assert zero.most_similar("a") == [("b", 0.0)]


# Files.


@pytest.mark.parametrize(("name", "format"), [("v.txt", "word2vec"), ("v.bin", "word2vec"), ("v.vec", "glove")])
def test_round_trip_is_exact(vectors, tmp_path, name, format):
    vectors.vectors[0, :3] = [1e-38, -3.4e38, 1 / 3]
    vectors.save(tmp_path / name, format)
    read = WordVectors.load(tmp_path / name)
    assert read.words == WORDS
    np.testing.assert_array_equal(read.vectors, vectors.vectors)


words = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zs", "Zl", "Zp"]), min_size=1, max_size=8)


@given(st.lists(words, min_size=1, max_size=6, unique=True), st.integers(1, 5), st.sampled_from([".bin", ".txt"]))
def test_any_words_and_bits_come_back(tmp_path_factory, words, dim, suffix):
    rows = np.random.default_rng(len(words)).integers(0, 2**31 - 2**24, (len(words), dim), np.int32).view(np.float32)
    path = tmp_path_factory.mktemp("files") / f"vectors{suffix}"
    WordVectors(words, rows).save(path)
    read = read_vectors(path)
    assert read.words == words
    np.testing.assert_array_equal(read.vectors, rows)


@pytest.mark.parity
@pytest.mark.parametrize("binary", [False, True])
def test_gensim_reads_ours_and_we_read_gensims(vectors, tmp_path, binary):
    keyed = pytest.importorskip("gensim.models").KeyedVectors
    path = str(tmp_path / ("v.bin" if binary else "v.txt"))
    vectors.save(path)
    theirs = keyed.load_word2vec_format(path, binary=binary)
    assert theirs.index_to_key == WORDS
    np.testing.assert_array_equal(theirs.vectors, vectors.vectors)
    theirs.save_word2vec_format(path, binary=binary)
    back = read_vectors(path)
    assert back.words == WORDS
    np.testing.assert_array_equal(back.vectors, vectors.vectors)
    vectors.save(tmp_path / "glove.txt", "glove")
    glove = keyed.load_word2vec_format(str(tmp_path / "glove.txt"), no_header=True)
    np.testing.assert_array_equal(glove.vectors, vectors.vectors)


def test_glove_words_with_spaces_and_repeated_words(tmp_path):
    path = tmp_path / "glove.txt"
    path.write_text(". . . 1 2\nthe 3 4\nthe 5 6\n")
    with pytest.raises(DataError, match="line 1 is not a word and 4 numbers"):
        read_vectors(path)
    path.write_text("the 3 4\n. . . 1 2\nthe 5 6\n")
    read = read_vectors(path)
    assert read.words == ["the", ". . ."]
    assert read.vectors.tolist() == [[3, 4], [1, 2]]
    with pytest.raises(UserError, match=r"'\. \. \.' cannot be written"):
        read.save(tmp_path / "out.txt")
    with pytest.raises(UserError, match="format='csv': expected one of word2vec, glove"):
        read.save(tmp_path / "out.csv", "csv")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b"2 3\na 1 2 3\n", "promises 2 words, and 1 lines follow"),
        (b"2 3\na 1 2 3\nb 1 2\n", "line 3 is not a word and 3 numbers: 'b 1 2'"),
        (b"2 3\na 1 2 3\nb 1 two 3\n", "line 3 is not a word and 3 numbers"),
        (b"2 3\na 1 2 3\nb 1 nan 3\n", "vector of 'b' is not finite: the file is damaged"),
        (b"a 1 2\nb 1\n", "line 2 is not a word and 2 numbers"),
        (b"word\n", "neither 'words dimensions' nor a word and its numbers"),
        (b"a 1 2\n\xff\xfe 1 2\n", "not UTF-8 at byte 6"),
        (b"9000000 300\na \x00\x00\x80\x3f\x00\x00", "promises 9,000,000 words of 300 numbers, at least"),
        (b"2 1\na \x00\x00\x80\x3f\nb \x00\x00\x80", "at least 12 bytes, and 12 follow|it ends in word 2 of 2"),
        (b"1 1\na \x00\x00\x80\x3f\nb \x00\x00\x80\x3f\n", "8 bytes are left after 1 words: its header is wrong"),
        (b"2 2\na \x00\x00\x80\x3f\nb \x00\x00\x80\x3f\nccccccccc", "not UTF-8|left after|it ends in word"),
    ],
)
def test_damaged_files(data, message, tmp_path):
    path = tmp_path / "vectors"
    path.write_bytes(data)
    with pytest.raises(DataError, match=message) as error:
        read_vectors(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


def test_a_missing_file(tmp_path):
    with pytest.raises(DataError, match=r"no such file, and not the name of pretrained vectors \(glove-6b-50d\)"):
        read_vectors(tmp_path / "none.bin")


@pytest.mark.network
def test_the_pretrained_vectors():
    vectors = read_vectors("glove-6b-50d")
    assert vectors.vectors.shape == (400_000, 50)
    assert vectors.most_similar(["king", "woman"], ["man"])[0][0] == "queen"
    assert {word for word, _ in vectors.most_similar("frog", count=3)} & {"snake", "toad", "ape", "monster"}


# Evaluation.


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=2, max_size=30))
def test_spearman_is_scipys(pairs):
    stats = pytest.importorskip("scipy.stats")
    x, y = map(np.array, zip(*pairs, strict=True))
    if len(set(x)) == 1 or len(set(y)) == 1:
        assert np.isnan(spearman(x, y))
    else:
        assert spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic, abs=1e-12)


def test_similarities_count_known_pairs_only(vectors):
    pairs = [("the", "Ω", 1.0), ("the", "猫", 2.0), ("nul", "x-ray", 3.0), ("the", "unknown", 9.0)]
    found = similarities(vectors, pairs, "mine")
    assert (found.name, found.pairs, found.known) == ("mine", 4, 3)
    expected = spearman([vectors.similarity(a, b) for a, b, _ in pairs[:3]], [1, 2, 3])
    assert found.correlation == expected
    assert np.isnan(similarities(vectors, [("a", "b", 1.0)]).correlation)


def test_analogies_by_section():
    points = {"man": (1, 0), "king": (1, 1), "woman": (2, 0.2), "queen": (2, 1.2), "frog": (-1, -1), "apple": (0, -1)}
    vectors = WordVectors(list(points), list(points.values()))
    sections = [
        ("royal", [("Man", "King", "Woman", "Queen"), ("man", "king", "woman", "frog"), ("a", "b", "c", "d")]),
        ("none", [("x", "y", "z", "w")]),
    ]
    assert [tuple(row) for row in analogies(vectors, sections)] == [("royal", 1, 2, 3), ("none", 0, 0, 1)]


@pytest.mark.parity
def test_analogies_are_gensims(tmp_path):
    keyed = pytest.importorskip("gensim.models").KeyedVectors(5)
    r = np.random.default_rng(3)
    names = [f"w{i}" for i in range(60)]
    vectors = WordVectors(names, r.standard_normal((60, 5)))
    keyed.add_vectors(names, vectors.vectors)
    questions = [tuple(r.choice(names, 4, replace=False)) for _ in range(300)]
    (tmp_path / "q.txt").write_text(": one\n" + "\n".join(map(" ".join, questions)) + "\n")
    _, sections = keyed.evaluate_word_analogies(str(tmp_path / "q.txt"))
    (ours,) = analogies(vectors, [("one", questions)])
    assert ours.correct == len(sections[0]["correct"])
    assert ours.known == 300


# Pictures.


def clusters(seed=0, each=20):
    r = np.random.default_rng(seed)
    centres = r.standard_normal((3, 30)) * 6
    return np.repeat(centres, each, 0) + r.standard_normal((3 * each, 30)), np.repeat(np.arange(3), each)


@pytest.mark.parity
def test_pca_is_sklearns():
    decomposition = pytest.importorskip("sklearn.decomposition")
    points, _ = clusters()
    ours, theirs = pca(points), decomposition.PCA(2).fit_transform(points)
    for axis in range(2):
        sign = np.sign(ours[:, axis] @ theirs[:, axis])
        np.testing.assert_allclose(ours[:, axis], sign * theirs[:, axis], atol=1e-8)
    assert pca([[1.0], [2.0]]).shape == (2, 2)


def test_tsne_keeps_neighbours_together():
    points, label = clusters()
    y = tsne(points, perplexity=10, steps=400)
    distances = ((y[:, None] - y) ** 2).sum(-1)
    np.fill_diagonal(distances, np.inf)
    assert (label[distances.argmin(1)] == label).mean() == 1
    np.testing.assert_array_equal(y, tsne(points, perplexity=10, steps=400))
    assert tsne(points[:2]).shape == (2, 2)
    assert np.isfinite(tsne(np.zeros((5, 3)), steps=20)).all()
    with pytest.raises(UserError, match="two points at least"):
        tsne(points[:1])


@pytest.mark.parity
def test_tsne_reaches_the_divergence_of_sklearns():
    manifold = pytest.importorskip("sklearn.manifold")
    from models.vectors.projection import _joint_probabilities, _squared_distances

    points, _ = clusters(1)
    theirs = manifold.TSNE(perplexity=10, method="exact", init="pca", random_state=0).fit(points)
    p = _joint_probabilities(points, 10)
    q = 1 / (1 + _squared_distances(tsne(points, perplexity=10)))
    np.fill_diagonal(q, 0)
    q /= q.sum()
    off = ~np.eye(len(p), dtype=bool)
    divergence = (p[off] * np.log(p[off] / q[off])).sum()
    assert divergence == pytest.approx(theirs.kl_divergence_, rel=0.1)


# Phrases.

SENTENCES = [["new", "york", "is", "new"], ["in", "new", "york", "city"], ["york", "is", "old"], ["new", "york"]] * 4


def test_phrases():
    scores = phrase_scores(SENTENCES, min_count=2)
    assert scores["new", "york"] == pytest.approx((12 - 2) / (16 * 16) * 52)
    joined = join_phrases(SENTENCES, threshold=1.9, min_count=2)
    assert joined[0] == ["new_york", "is", "new"]
    assert join_phrases([["a", "a", "a"]] * 5, threshold=0.1, min_count=1)[0] == ["a_a", "a"]
    assert join_phrases(SENTENCES, threshold=1e9) == SENTENCES
    assert phrase_scores([["a", "b"]] * 9, 1, "npmi") == {("a", "b"): 1.0}
    with pytest.raises(UserError, match="scoring='pmi'"):
        phrase_scores(SENTENCES, scoring="pmi")


@pytest.mark.parity
def test_phrases_are_gensims():
    phrases = pytest.importorskip("gensim.models.phrases")
    theirs = phrases.Phrases(SENTENCES, min_count=3, threshold=0.3, scoring="npmi", delimiter="_")
    found = {tuple(k.split("_")): v for k, v in theirs.find_phrases(SENTENCES).items()}
    ours = phrase_scores(SENTENCES, 3, "npmi")
    assert found
    for pair, score in found.items():
        assert ours[pair] == pytest.approx(score)
    assert join_phrases(SENTENCES, 0.3, 3, "npmi") == list(theirs[SENTENCES])
