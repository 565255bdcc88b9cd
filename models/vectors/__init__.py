"""Word vectors: everything around models/word2vec.py and models/glove.py.

vocabulary.py     words by frequency, and a text as sentences of their ids; phrases.py joins word pairs
draws.py          what word2vec draws at random; hogwild.py learns from it on all threads
cooccurrence.py   what GloVe learns from; adagrad.py learns it on all threads
word_vectors.py   the result: neighbours and analogies; formats.py reads and writes it
                  with pretrained vectors, whose words are in a file for parquet.py
evaluation.py     correlation with people's judgements, and analogies answered
projection.py     PCA and t-SNE, for pictures
"""
