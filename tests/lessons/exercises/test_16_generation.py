"""Exercises of lesson 16: from logits to tokens, the cache, and a step of beam search."""

import numpy as np

import minigrad as mg
from models.generation.beam import extend_beams
from models.generation.sampling import draw, keep_top_k, keep_top_p, penalize_repetition
from nn import KVCache
from tests.lessons.exercises import expect

NO = -np.inf


class TestDraw:
    def test_it_is_where_the_running_sum_exceeds_the_number(self):
        """With 0.2, 0.5, 0.3: a number below 0.2 draws token 0, one from 0.2 to 0.7 token 1, one above token 2."""
        p = np.tile([0.2, 0.5, 0.3], (5, 1))
        expect.equal(draw(p, np.array([0.0, 0.1, 0.3, 0.69, 0.95])).tolist(), [0, 0, 1, 1, 2], "tokens drawn")

    def test_impossible_tokens_never_come(self):
        """A token of probability 0 is not drawn, also with the number 0 and also as the last."""
        p = np.array([[0.0, 1.0, 0.0], [0.0, 0.4, 0.6]])
        expect.equal(draw(p, np.array([0.0, 0.0])).tolist(), [1, 1], "tokens drawn with the number 0")
        last = np.array([[0.3, 0.7, 0.0]])
        expect.equal(draw(last, np.array([1 - 1e-12])).tolist(), [1], "token drawn with a number just below 1")

    def test_many_draws_have_the_distribution(self):
        """Of 20,000 draws each token gets its share."""
        p = np.array([0.1, 0.6, 0.05, 0.25])
        tokens = draw(np.tile(p, (20_000, 1)), np.random.default_rng(0).random(20_000))
        expect.close(np.bincount(tokens, minlength=4) / 20_000, p, "shares of 20,000 draws", atol=0.015)

    def test_sums_a_little_off_do_no_harm(self):
        """Probabilities that add up to 0.999 for rounding still give a token with a number just below 1."""
        expect.equal(draw(np.array([[0.5, 0.499]]), np.array([0.9999])).tolist(), [1], "token drawn")


class TestTopK:
    def test_the_largest_stay_as_they_are(self):
        """Of 1, 4, 2, 3 the two largest stay, the others become -inf."""
        expect.close(keep_top_k(np.array([[1.0, 4.0, 2.0, 3.0]]), 2), [[NO, 4, NO, 3]], "top-k with k = 2")

    def test_each_row_by_itself(self):
        """Two texts: each has its own largest token."""
        x = np.array([[1.0, 4.0, 2.0], [90.0, 10.0, 50.0]])
        expect.close(keep_top_k(x, 1), [[NO, 4, NO], [90, NO, NO]], "top-k with k = 1 on two rows")

    def test_ties_with_the_last_stay(self):
        """What is as large as the k-th largest stays too."""
        expect.close(keep_top_k(np.array([[2.0, 1.0, 2.0, 0.0]]), 1), [[2, NO, 2, NO]], "top-k with a tie")

    def test_a_large_k_changes_nothing(self):
        """k as large as the vocabulary or larger keeps all, and the input is not written to."""
        x = np.array([[3.0, 1.0, 2.0]])
        for k in (3, 10):
            expect.close(keep_top_k(x, k), [[3, 1, 2]], f"top-k with k = {k} of 3 tokens")
        keep_top_k(x, 1)
        expect.close(x, [[3, 1, 2]], "the input afterwards")


class TestTopP:
    x = np.log(np.array([[0.15, 0.5, 0.05, 0.3]]))

    def test_the_fewest_that_reach_p(self):
        """Of 0.15, 0.5, 0.05, 0.3 with p = 0.7: 0.5 is not enough, 0.5 and 0.3 are."""
        expect.close(keep_top_p(self.x, 0.7), [[NO, np.log(0.5), NO, np.log(0.3)]], "top-p with p = 0.7")

    def test_the_one_that_crosses_p_stays(self):
        """With p = 0.9 the third is needed, although with it the sum is 0.95."""
        expected = [[np.log(0.15), np.log(0.5), NO, np.log(0.3)]]
        expect.close(keep_top_p(self.x, 0.9), expected, "top-p with p = 0.9")

    def test_the_likeliest_always_stays(self):
        """Where one token alone has more than p, it stays."""
        expect.close(keep_top_p(np.log(np.array([[0.02, 0.98]])), 0.3), [[NO, np.log(0.98)]], "top-p with p = 0.3")

    def test_rows_and_shifted_logits(self):
        """Each row by itself, and logits need not be logarithms of probabilities: 100 added to all changes nothing."""
        x = np.log(np.array([[0.15, 0.5, 0.05, 0.3], [0.05, 0.05, 0.8, 0.1]])) + 100
        kept = keep_top_p(x, 0.7) > NO
        expect.equal(kept.tolist(), [[False, True, False, True], [False, False, True, False]], "tokens that stay")


class TestRepetitionPenalty:
    def test_positive_logits_are_divided(self):
        """With penalty 2 a seen token of logit 3 gets 1.5; one that was not seen stays."""
        got = penalize_repetition(np.array([[3.0, 3.0]]), np.array([[True, False]]), 2.0)
        expect.close(got, [[1.5, 3.0]], "logits 3 and 3, the first seen")

    def test_negative_logits_are_multiplied(self):
        """Dividing -3 by 2 would make it likelier: it becomes -6."""
        got = penalize_repetition(np.array([[-3.0, -3.0]]), np.array([[False, True]]), 2.0)
        expect.close(got, [[-3.0, -6.0]], "logits -3 and -3, the second seen")

    def test_no_seen_token_gets_likelier(self):
        """On random logits each seen token falls, or is 0 and stays; the input is not written to."""
        rng = np.random.default_rng(0)
        x, seen = rng.normal(size=(5, 40)), rng.random((5, 40)) < 0.5
        before = x.copy()
        got = penalize_repetition(x, seen, 1.3)
        expect.close(x, before, "the input afterwards")
        expect.holds((got[seen] < x[seen]).all(), "every seen token has a lower logit")
        expect.close(got[~seen], x[~seen], "logits of tokens not seen")


class TestKVCache:
    def rows(self, time, start=0):
        """Keys (1, 2, time, 3) that tell head and place; values are their negatives."""
        place = np.arange(start, start + time)[None, None, :, None]
        keys = (100 * np.arange(2)[None, :, None, None] + place + np.zeros((1, 2, time, 3))).astype("float32")
        return mg.tensor(keys), mg.tensor(-keys)

    def test_what_is_appended_comes_behind(self):
        """Three places, then one more: views of four, in order, for keys and values."""
        cache = KVCache(1, 2, 6, 3)
        cache.append(*self.rows(3))
        keys, values = cache.append(*self.rows(1, start=3))
        expected = self.rows(4)[0].numpy()
        expect.close(keys, expected, "keys after 3 and 1 places")
        expect.close(values, -expected, "values after 3 and 1 places")
        expect.equal(cache.length, 4, "length")

    def test_no_copy_is_made(self):
        """What append returns is a view into the cache's own arrays."""
        cache = KVCache(1, 2, 6, 3)
        keys, values = cache.append(*self.rows(2))
        for name, view, whole in (("keys", keys, cache.keys), ("values", values, cache.values)):
            expect.holds(np.shares_memory(view.data, whole.data), f"the returned {name} share the cache's memory")

    def test_what_does_not_fit_is_refused(self):
        """One place too many raises ValueError, and the cache stays as it was."""
        cache = KVCache(1, 2, 4, 3)
        cache.append(*self.rows(3))
        try:
            cache.append(*self.rows(2))
        except ValueError as error:
            expect.holds("4" in str(error), "the message names max_length")
        else:
            expect.holds(False, "3 places and 2 more in a cache of 4 raise ValueError")
        expect.equal(cache.length, 3, "length after the refusal")
        expect.close(cache.keys.data[:, :, 3:], np.zeros((1, 2, 1, 3)), "keys behind the filled places")

    def test_wrong_shapes_and_gradients_are_refused(self):
        """Keys of another head_dim raise ValueError; keys that require grad raise RuntimeError."""
        bad = mg.tensor(np.zeros((1, 2, 1, 5), "float32"))
        recorded = mg.tensor(np.zeros((1, 2, 1, 3), "float32"), requires_grad=True)
        for given, kind in ((bad, ValueError), (recorded, RuntimeError)):
            try:
                KVCache(1, 2, 4, 3).append(given, given)
            except kind:
                continue
            expect.holds(False, f"{kind.__name__} for keys {given.shape}, requires_grad {given.requires_grad}")


class TestBeamStep:
    ids = np.array([[7, 0], [7, 1]])
    totals = np.log([0.5, 0.4])
    table = np.log([[0.4, 0.35, 0.25], [0.8, 0.15, 0.05]])

    def test_the_best_of_all_beams_and_tokens(self):
        """Beams of 0.5 and 0.4: the best extension is of the *second* beam, 0.4 · 0.8, then 0.5 · 0.4."""
        ids, totals, ended = extend_beams(self.ids, self.totals, self.table, 2)
        expect.equal(ids.tolist(), [[7, 1, 0], [7, 0, 0]], "the new beams, the likeliest first")
        expect.close(np.exp(totals), [0.32, 0.2], "their probabilities")
        expect.equal(len(ended), 0, "number of ended texts where there is no end token")

    def test_one_beam_may_win_all_places(self):
        """Both new beams may come from the same old one."""
        ids, totals, _ = extend_beams(self.ids, np.log([0.9, 0.1]), self.table, 2)
        expect.equal(ids.tolist(), [[7, 0, 0], [7, 0, 1]], "the new beams")
        expect.close(np.exp(totals), [0.36, 0.315], "their probabilities")

    def test_an_end_leaves_the_beams(self):
        """With token 0 as the end: two texts end, and two others continue in their places."""
        ids, totals, ended = extend_beams(self.ids, self.totals, self.table, 2, eos_id=0)
        expect.equal(ids.tolist(), [[7, 0, 1], [7, 0, 2]], "the beams that continue")
        expect.close(np.exp(totals), [0.175, 0.125], "their probabilities")
        expect.equal([row.tolist() for row, _ in ended], [[7, 1, 0], [7, 0, 0]], "the texts that ended")
        expect.close(np.exp([total for _, total in ended]), [0.32, 0.2], "their probabilities")

    def test_impossible_tokens_make_no_beam(self):
        """From one beam with two possible tokens come two beams, though four are asked for."""
        ids, totals, _ = extend_beams(np.array([[5]]), np.zeros(1), np.array([[np.log(0.3), NO, np.log(0.7)]]), 4)
        expect.equal(ids.tolist(), [[5, 2], [5, 0]], "the new beams")
        expect.close(np.exp(totals), [0.7, 0.3], "their probabilities")
