"""Text classifiers: one interface, many bodies.

text_classifier.py   TextClassifier: texts and labels in, predictions out; read this first
config.py            all settings; vocabulary.py, from texts to token ids
bodies/              what turns token ids into scores: counted words, or a network
model.py             from token ids to probabilities, and the table of the neural bodies
training.py          how a neural body is taught; batches.py, synonyms.py and class_weights.py
evaluation.py        how often it is right; comparison.py, several of them on the same texts
"""
