"""The classic text classifiers: counted words, and a weight for each.

bag_of_words.py          texts to a sparse matrix (sparse.py): counts or tf-idf of words and n-grams
naive_bayes.py           multinomial and complement naive Bayes
logistic_regression.py   by L-BFGS (lbfgs.py)
linear_svm.py            by dual coordinate descent
linear.py                what they have in common: scores are matrix @ weight + bias; one_vs_rest.py: several labels

    bag = BagOfWords(ngrams=2, tfidf=True)
    matrix = bag.fit_transform(texts)
    classifier = LogisticRegression().fit(matrix, labels)     # class numbers, or zeros and ones (texts, labels)
    classifier.predict_proba(bag.transform(others))           # (texts, classes)
"""

from models.classic.bag_of_words import BagOfWords
from models.classic.linear_svm import LinearSVM
from models.classic.logistic_regression import LogisticRegression
from models.classic.naive_bayes import ComplementNaiveBayes, MultinomialNaiveBayes
from models.classic.one_vs_rest import OneVsRest
from models.classic.sparse import SparseMatrix
