"""The exercises of lesson 7."""

import itertools

import numpy as np
import pytest

from minigrad.kernels.reference import embedding
from models.errors import DataError
from models.text import batching
from models.text.batching import TokenBatches
from models.text.tokenizers import CharTokenizer, WordTokenizer
from tests.lessons.exercises import expect

GRADIENT = np.arange(1.0, 13.0).reshape(2, 3, 2)
IDS = np.array([[3, 0, 3], [1, 3, 0]])


class TestEmbeddingGradient:
    def test_rows_are_added_up_by_id(self):
        """Id 3 was looked up three times, id 0 twice, id 1 once, id 2 never: each row is the sum of its gradients."""
        got = embedding.embedding_backward(GRADIENT.copy(), IDS, np.zeros((4, 2)), None)
        expected = [[3 + 11, 4 + 12], [7, 8], [0, 0], [1 + 5 + 9, 2 + 6 + 10]]
        expect.close(got, expected, "the gradient of a table of 4 rows, looked up at [[3, 0, 3], [1, 3, 0]]")

    def test_it_adds_to_what_is_there_in_place(self):
        """The table of gradients that is given is changed and returned, and what it held before stays in the sum."""
        table = np.full((4, 2), 100.0)
        got = embedding.embedding_backward(GRADIENT.copy(), IDS, table, None)
        expect.holds(got is table, "the array that is returned is dweight itself")
        expected = [[114, 116], [107, 108], [100, 100], [115, 118]]
        expect.close(got, expected, "a gradient added to a table that held 100 everywhere")

    def test_padding_gathers_nothing(self):
        """The row of padding_idx stays as it was, the others get their gradients; grad itself is not changed."""
        grad = GRADIENT.copy()
        got = embedding.embedding_backward(grad, IDS, np.zeros((4, 2)), 0)
        expect.close(got, [[0, 0], [7, 8], [0, 0], [15, 18]], "the gradient with padding_idx=0")
        expect.equal(grad, GRADIENT, "the upstream gradient after the call")

    def test_it_is_a_product_with_one_hot_vectors(self):
        """For random ids it equals one-hot vectors, transposed, times the gradient, in every shape of ids."""
        rng = np.random.default_rng(0)
        for shape in ((), (5,), (2, 3, 4)):
            ids, grad = rng.integers(0, 6, shape), rng.standard_normal((*shape, 3))
            expected = np.eye(6)[ids].reshape(-1, 6).T @ grad.reshape(-1, 3)
            got = embedding.embedding_backward(grad, ids, np.zeros((6, 3)), None)
            expect.close(got, expected, f"the gradient for ids of shape {shape}")


TEXT = "b a c a c c. d a"


class TestVocabularies:
    def test_words_by_frequency(self):
        """The most frequent first, and of equally frequent words the first in the alphabet."""
        got = WordTokenizer.from_text(TEXT, whitespace=False).words
        expect.equal(
            got, ["a", "c", ".", "b", "d"], f"the vocabulary of {TEXT!r}: a and c occur 3 times, the rest once"
        )

    def test_rare_words_are_left_out(self):
        """With min_count 2, words that occur twice or more stay."""
        text = "to be or not to be to you or me"
        got = WordTokenizer.from_text(text, min_count=2, whitespace=False)
        expect.equal(got.words, ["to", "be", "or"], f"the words that occur at least twice in {text!r}")
        expect.equal(got.vocab_size, 4, "ids: the three words and <unk>")

    def test_max_size_counts_special_tokens(self):
        """max_size bounds words and special tokens together; if nothing is left for words, that is a DataError."""
        got = WordTokenizer.from_text(TEXT, max_size=4, whitespace=False, special_tokens=["<unk>", "<pad>"])
        expect.equal(got.words, ["a", "c"], "words that fit in max_size=4 beside two special tokens")
        expect.equal(got.vocab_size, 4, "ids of a tokenizer with max_size=4")
        with pytest.raises(DataError):
            WordTokenizer.from_text(TEXT, max_size=1)

    def test_characters_in_order_of_code_points(self):
        """All characters that occur, each once, sorted; nothing is unknown, so there is no <unk>."""
        got = CharTokenizer.from_text("héllo, 你")
        expect.equal(got.characters, " ,hloé你", "the characters of 'héllo, 你'")
        expect.equal(got.special_tokens, [], "special tokens, if all characters fit")

    def test_the_most_frequent_characters_if_not_all_fit(self):
        """With max_size the most frequent stay, sorted by code point, and <unk> takes one of the ids."""
        got = CharTokenizer.from_text("zzzzccabbb", max_size=3)
        expect.equal(got.characters, "bz", "of z 4 times, b 3, c 2, a once, those that fit in 3 ids with <unk>")
        expect.equal(got.special_tokens, ["<unk>"], "special tokens, if a character is left out")
        expect.equal(CharTokenizer.from_text("zzabc", max_size=3).characters, "az", "a, b and c tie: a stays")


class TestWindows:
    def test_targets_are_one_token_later(self):
        """Windows [[0, 1, 2], [5, 6, 7]] are inputs [[0, 1], [5, 6]] and targets [[1, 2], [6, 7]], int64."""
        x, y = batching._inputs_and_targets(np.array([[0, 1, 2], [5, 6, 7]], np.int32))
        expect.equal(x, np.array([[0, 1], [5, 6]]), "inputs")
        expect.equal(y, np.array([[1, 2], [6, 7]]), "targets")
        expect.holds(x.flags.c_contiguous and y.flags.c_contiguous, "both are contiguous arrays")

    def test_random_windows_are_stretches_of_the_text(self):
        """Every row of a random batch is a stretch of the text, its targets are one token on, and all starts occur."""
        ids, starts = np.arange(100, 112), set()
        for x, y in itertools.islice(TokenBatches(ids, batch_size=4, context_length=3, seed=0), 100):
            expect.equal(x.shape, (4, 3), "the shape of the inputs")
            expect.equal(x, x[:, :1] + np.arange(3), "inputs: tokens that follow each other in the text 100, 101, …")
            expect.equal(y, x + 1, "targets in the text 100, 101, 102, …")
            starts |= set(x[:, 0].tolist())
        expect.equal(sorted(starts), list(range(100, 109)), "first tokens of windows of 3 + 1 in the text 100 to 111")

    def test_evaluation_has_every_target_once(self):
        """Each token but the first is a target exactly once, in order, whatever the sizes."""
        for length, batch_size, context in ((11, 2, 3), (13, 2, 3), (4, 8, 16), (2, 1, 1)):
            batches = list(batching.evaluation_batches(np.arange(length), batch_size, context))
            what = f"of {length} tokens with batch_size={batch_size}, context_length={context}"
            targets = np.concatenate([y.ravel() for _, y in batches])
            expect.equal(targets, np.arange(1, length), f"all targets {what}, in order")
            inputs = np.concatenate([x.ravel() for x, _ in batches])
            expect.equal(inputs, np.arange(length - 1), f"all inputs {what}, in order")

    def test_evaluation_batches_have_their_shapes(self):
        """11 tokens in windows of 3, two rows per batch: (2, 3), then one row, then what is left, 1 token."""
        shapes = [x.shape for x, _ in batching.evaluation_batches(np.arange(11), 2, 3)]
        expect.equal(shapes, [(2, 3), (1, 3), (1, 1)], "the shapes of the batches of 11 tokens")


class TestPadding:
    def test_on_the_right(self):
        """Shorter sequences are filled up at the end with pad_id, and the mask is True at tokens only."""
        ids, mask = batching.pad_sequences([[5, 6, 7], [8], []], pad_id=9)
        expect.equal(ids, np.array([[5, 6, 7], [8, 9, 9], [9, 9, 9]]), "[[5, 6, 7], [8], []] padded with 9")
        expect.equal(mask, np.array([[1, 1, 1], [1, 0, 0], [0, 0, 0]], bool), "its mask")

    def test_on_the_left(self):
        """On the left the padding comes first, and the tokens end together."""
        ids, mask = batching.pad_sequences([[5, 6, 7], [8]], pad_id=0, side="left")
        expect.equal(ids, np.array([[5, 6, 7], [0, 0, 8]]), "[[5, 6, 7], [8]] padded on the left with 0")
        expect.equal(mask, np.array([[1, 1, 1], [0, 0, 1]], bool), "its mask")

    def test_long_sequences_are_cut_on_the_side_of_the_padding(self):
        """max_length=2 keeps the first two tokens of a document, and the last two of a prompt (side='left')."""
        right, _ = batching.pad_sequences([[1, 2, 3], [4]], pad_id=0, max_length=2)
        expect.equal(right, np.array([[1, 2], [4, 0]]), "cut to 2 on the right")
        left, _ = batching.pad_sequences([[1, 2, 3], [4]], pad_id=0, max_length=2, side="left")
        expect.equal(left, np.array([[2, 3], [0, 4]]), "cut to 2 on the left")
        short, _ = batching.pad_sequences([[1, 2, 3], [4]], pad_id=0, max_length=8)
        expect.equal(short.shape, (2, 3), "no wider than the longest sequence, though max_length is 8")

    def test_the_mask_knows_lengths_not_values(self):
        """A token that happens to equal pad_id is a token; the types are int64 and bool."""
        ids, mask = batching.pad_sequences([[0, 3, 0], [0]], pad_id=0)
        expect.equal(mask, np.array([[1, 1, 1], [1, 0, 0]], bool), "the mask of [[0, 3, 0], [0]] padded with 0")
        expect.equal(ids.dtype, np.dtype("int64"), "the dtype of the ids")
