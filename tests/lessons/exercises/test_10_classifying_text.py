"""Exercises of lesson 10: naive Bayes, tf-idf, precision and recall, and the convolution of TextCNN."""

import numpy as np

from minigrad.kernels.reference import convolution_max as kernel
from models.classifiers.bodies import BagOfWords, MultinomialNaiveBayes
from models.classifiers.bodies.sparse import SparseMatrix
from models.metrics import classification, confusion
from tests.lessons.exercises.expect import close, equal, holds


class TestConfusionMatrix:
    def test_counts_by_hand(self):
        """A row is the true class, a column the predicted one."""
        got = confusion.confusion_matrix([0, 0, 0, 1, 1, 2], [0, 1, 1, 1, 0, 2])
        equal(np.asarray(got).tolist(), [[1, 2, 0], [1, 1, 0], [0, 0, 1]], "the counts for six texts of three classes")

    def test_it_takes_names_in_the_order_given(self):
        """Labels may be strings, and the caller chooses their order."""
        true, given = ["spam", "ham", "ham", "ham"], ["ham", "ham", "ham", "spam"]
        got = confusion.confusion_matrix(true, given, labels=["spam", "ham"])
        equal(np.asarray(got).tolist(), [[0, 1], [1, 2]], 'the counts in the order "spam", "ham"')

    def test_without_an_order_the_labels_are_sorted(self):
        """All labels that occur among the true or the predicted ones, sorted: also one that is never right."""
        got = confusion.confusion_matrix(["b", "b", "c"], ["b", "a", "b"])
        equal(np.asarray(got).tolist(), [[0, 0, 0], [1, 1, 0], [0, 1, 0]], "the counts for a, b and c")

    def test_other_labels_are_left_out(self):
        """An example whose true or predicted label is not asked for does not count."""
        got = confusion.confusion_matrix([0, 1, 2, 1], [0, 2, 1, 1], labels=[1, 0])
        equal(np.asarray(got).tolist(), [[1, 0], [0, 1]], "the counts of labels 1 and 0 alone")


def sparse(rows) -> SparseMatrix:
    """A dense list of rows as the sparse matrix that the classifiers take."""
    rows = np.asarray(rows, np.float64)
    return SparseMatrix.from_rows([{j: x for j, x in enumerate(row) if x} for row in rows], rows.shape[1])


class TestNaiveBayes:
    counts = np.array([[2, 1, 0], [1, 0, 0], [0, 1, 3]])
    labels = np.array([0, 0, 1])

    def fitted(self, **options):
        return MultinomialNaiveBayes(**options)

    def test_word_probabilities(self):
        """weight[w, c] is ln P(w | c): class 0 has the words 3, 1, 0 times, and each is smoothed by 1."""
        model = self.fitted().fit(sparse(self.counts), self.labels)
        expected = np.log(np.array([[4, 1], [2, 2], [1, 4]]) / 7)
        close(model.weight, expected, "ln P(word | class), a row per word and a column per class")

    def test_class_probabilities(self):
        """bias[c] is ln P(c): two of the three texts have class 0."""
        model = self.fitted().fit(sparse(self.counts), self.labels)
        close(model.bias, np.log([2 / 3, 1 / 3]), "ln P(class) of both classes")

    def test_another_smoothing(self):
        """smoothing is added to every count, and so smoothing times the number of words to their sum."""
        model = self.fitted(smoothing=0.5).fit(sparse(self.counts), self.labels)
        expected = np.log(np.array([[3.5, 0.5], [1.5, 1.5], [0.5, 3.5]]) / 5.5)
        close(model.weight, expected, "ln P(word | class) with a smoothing of 0.5")

    def test_class_weights(self):
        """A text of a class with weight 2 counts twice: its words and the text itself."""
        model = self.fitted().fit(sparse(self.counts), self.labels, class_weight=[1.0, 2.0])
        close(model.bias, np.log([0.5, 0.5]), "ln P(class) where the one text of class 1 counts twice")
        close(model.weight[:, 1], np.log(np.array([1, 3, 7]) / 11), "ln P(word | class 1) where its text counts twice")

    def test_fit_returns_the_classifier(self):
        """MultinomialNaiveBayes().fit(...) can be used at once: it predicts the class with the higher score."""
        model = self.fitted().fit(sparse(self.counts), self.labels)
        holds(isinstance(model, MultinomialNaiveBayes), "fit returns the classifier itself")
        equal(model.predict(sparse([[1, 0, 0], [0, 0, 1]])).tolist(), [0, 1], "the classes of two texts of one word")


class TestPrecisionRecallF1:
    true = np.array([0, 0, 0, 0, 1, 1, 2])
    given = np.array([0, 0, 0, 1, 1, 0, 0])

    def scores(self, **options):
        return classification.precision_recall_f1(self.true, self.given, **options)

    def test_each_class(self):
        """Class 0: five texts were given it, three rightly, and four have it. Class 2 was never given: 0."""
        got = self.scores(average=None)
        close(got.precision, [3 / 5, 1 / 2, 0], "the precision of each class")
        close(got.recall, [3 / 4, 1 / 2, 0], "the recall of each class")
        close(got.f1, [2 / 3, 1 / 2, 0], "the F1 of each class")
        equal(np.asarray(got.support).tolist(), [4, 2, 1], "how many texts have each class")

    def test_macro(self):
        """The mean over the classes; for F1 the mean of their F1, not the F1 of the means."""
        got = self.scores(average="macro")
        close(got.f1, (2 / 3 + 1 / 2) / 3, "macro-F1")
        close(got.precision, 1.1 / 3, "macro precision")
        equal(int(got.support), 7, "the number of texts")

    def test_micro(self):
        """TP, FP and FN of all classes are added up first; with one label a text that is the accuracy, 4/7."""
        got = self.scores(average="micro")
        close([got.precision, got.recall, got.f1], [4 / 7] * 3, "micro precision, recall and F1")

    def test_weighted(self):
        """The mean over the classes, each weighted by the number of texts that have it."""
        close(self.scores(average="weighted").f1, (4 * 2 / 3 + 2 * 1 / 2) / 7, "weighted F1")

    def test_several_labels_a_text(self):
        """Matrices of zeros and ones: a column per label. F1 of both columns is 2/3, and 0/0 can be given a value."""
        true = np.array([[1, 0, 0], [1, 1, 0], [0, 1, 0]])
        given = np.array([[1, 1, 0], [0, 1, 0], [0, 1, 0]])
        got = classification.precision_recall_f1(true, given, average=None, zero_division=1.0)
        close(got.f1, [2 / 3, 0.8, 1], "the F1 of three labels, the last of which nothing has and nothing was given")


class TestTfIdf:
    texts = ("oil oil price", "oil wheat", "price price price wheat")

    def test_counts(self):
        """With tfidf=False the values are how often each term is in each text."""
        got = BagOfWords(tfidf=False).fit_transform(self.texts).toarray()
        close(got, [[2, 1, 0], [1, 0, 1], [0, 3, 1]], "the counts of oil, price and wheat in three texts")

    def test_idf_makes_rare_terms_count_more(self):
        """Values are tf times the term's idf, and then the row is divided by its length."""
        bag = BagOfWords()
        bag.fit(["oil price", "oil wheat", "oil maize", "oil"])
        got = bag.transform(["oil wheat wheat"]).toarray()[0]
        row = np.array([0, np.log(5 / 5) + 1, 0, 2 * (np.log(5 / 2) + 1)])
        close(got, row / np.linalg.norm(row), "oil wheat wheat, as maize, oil, price, wheat")

    def test_rows_have_length_one(self):
        """However long a text is, the squares of its row add up to 1."""
        got = BagOfWords().fit_transform(self.texts).toarray()
        close((got**2).sum(1), [1, 1, 1], "the squared lengths of three rows")

    def test_sublinear(self):
        """With sublinear=True, 1 + ln tf stands in the place of tf, before idf and length."""
        got = BagOfWords(tfidf=False, sublinear=True).fit_transform(self.texts).toarray()
        close(got[2], [0, 1 + np.log(3), 1], "price price price wheat, sublinear counts")

    def test_unknown_terms_do_not_count(self):
        """Terms that were not in the texts of fit have no column; a text of nothing else is a row of zeros."""
        bag = BagOfWords().fit(self.texts)
        got = bag.transform(["maize", "maize wheat"]).toarray()
        close(got, [[0, 0, 0], [0, 0, 1]], "maize, and maize wheat")


class TestConv1dMax:
    def parts(self, seed=0):
        rng = np.random.default_rng(seed)
        x, weight, bias = rng.standard_normal((2, 5, 3)), rng.standard_normal((4, 3, 2)), rng.standard_normal(4)
        return x, weight, bias, np.array([5, 3])

    def by_loops(self, x, weight, bias, lengths):
        """The definition, one window after the other."""
        width = weight.shape[2]
        y, start = np.zeros((len(x), len(weight))), np.zeros((len(x), len(weight)), int)
        for b, f in np.ndindex(y.shape):
            responses = {}
            for t in range(-(width - 1), lengths[b]):
                inside = [j for j in range(width) if 0 <= t + j < lengths[b]]
                responses[t] = bias[f] + sum(weight[f, :, j] @ x[b, t + j] for j in inside)
            start[b, f] = max(responses, key=responses.get)
            y[b, f] = responses[start[b, f]]
        return y, start

    def test_one_filter_by_hand(self):
        """The words 1, 5, 2 and a filter (1, -1): 0-1, 1-5, 5-2, 2-0. The largest is 3, where 5 and 2 stand."""
        x, weight = np.array([[[1.0], [5.0], [2.0]]]), np.array([[[1.0, -1.0]]])
        y, start = kernel.conv1d_max(x, weight, np.array([10.0]), np.array([3]))
        close(y, [[13.0]], "the strongest response, with a bias of 10")
        equal(np.asarray(start).tolist(), [[1]], "where the strongest window starts")

    def test_forward(self):
        """Every filter on every text, windows that stick out at both ends included."""
        parts = self.parts()
        y, start = kernel.conv1d_max(*parts)
        expected, place = self.by_loops(*parts)
        close(y, expected, "the strongest response of four filters in two texts")
        equal(np.asarray(start).tolist(), place.tolist(), "where they were found")

    def test_padding_does_not_count(self):
        """What follows a text's end counts as zero, and no window lies wholly past it."""
        x, weight, bias, lengths = self.parts()
        x, weight = -np.abs(x), np.abs(weight)  # every response is below the bias: a window of zeros would win
        x[1, 3:] = 100.0
        y, _ = kernel.conv1d_max(x, weight, bias, lengths)
        close(y, self.by_loops(x, weight, bias, lengths)[0], "the responses where large numbers follow the end")

    def test_backward(self):
        """The gradients with respect to x, weight and bias, against finite differences of the definition."""
        x, weight, bias, lengths = self.parts(3)
        grad = np.random.default_rng(1).uniform(0.5, 1.5, (2, 4))
        _, start = self.by_loops(x, weight, bias, lengths)
        got = kernel.conv1d_max_backward(grad, x, weight, start, lengths, (True, True, True))
        for name, array, gradient in zip(("x", "weight", "bias"), (x, weight, bias), got, strict=True):
            expected = np.zeros(array.shape)
            for index in np.ndindex(array.shape):
                before = array[index]
                values = []
                for array[index] in (before + 1e-6, before - 1e-6):
                    values.append((self.by_loops(x, weight, bias, lengths)[0] * grad).sum())
                array[index] = before
                expected[index] = (values[0] - values[1]) / 2e-6
            close(gradient, expected, f"the gradient with respect to {name}", rtol=1e-4, atol=1e-6)

    def test_what_is_not_needed_is_not_computed(self):
        """needs says which gradients are wanted; the others are None."""
        x, weight, bias, lengths = self.parts()
        _, start = self.by_loops(x, weight, bias, lengths)
        got = kernel.conv1d_max_backward(np.ones((2, 4)), x, weight, start, lengths, (False, True, False))
        equal([part is None for part in got], [True, False, True], "which of the three gradients are None")
