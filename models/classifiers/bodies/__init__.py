"""The bodies of text classifiers: counted words with a weight for each, or a network.

Counted words:
bag_of_words.py          texts to a sparse matrix (sparse.py): counts or tf-idf of words and n-grams
naive_bayes.py           multinomial and complement naive Bayes
logistic_regression.py   by L-BFGS (lbfgs.py)
linear_svm.py            by dual coordinate descent
linear.py                what they have in common: scores are matrix @ weight + bias; one_vs_rest.py: several labels
forest.py                scikit-learn's random forest, to compare with
bag.py                   a bag of words and one of these, as a body

Networks: average.py mlp.py textcnn.py recurrent.py transformer.py; pooling.py, from tokens to a text

    bag = BagOfWords(ngrams=2, tfidf=True)
    matrix = bag.fit_transform(texts)
    classifier = LogisticRegression().fit(matrix, labels)     # class numbers, or zeros and ones (texts, labels)
    classifier.predict_proba(bag.transform(others))           # (texts, classes)
"""

from models.classifiers.bodies.bag_of_words import BagOfWords
from models.classifiers.bodies.linear_svm import LinearSVM
from models.classifiers.bodies.logistic_regression import LogisticRegression
from models.classifiers.bodies.naive_bayes import ComplementNaiveBayes, MultinomialNaiveBayes
from models.classifiers.bodies.one_vs_rest import OneVsRest
from models.classifiers.bodies.sparse import SparseMatrix
