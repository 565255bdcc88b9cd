"""Text classifiers: one interface, many bodies.

text_classifier.py   TextClassifier: texts and labels in, predictions out; read this first
config.py            all settings; vocabulary.py, from texts to token ids
model.py             from token ids to probabilities, and the table of the neural bodies
average.py mlp.py textcnn.py recurrent.py transformer.py    those bodies; pooling.py, from tokens to a text
bag.py               bags of words for the classifiers of models/classic and for the random forest of forest.py
training.py          how a neural body is taught; batches.py, augmentation.py, synonyms.py and class_weights.py
evaluation.py        how often it is right
"""
