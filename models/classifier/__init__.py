"""Text classifiers: one interface, many bodies.

text_classifier.py   TextClassifier: texts and labels in, predictions out; read this first
config.py            all settings; model.py, from token ids to probabilities, and the table of bodies
average.py mlp.py textcnn.py recurrent.py transformer.py    the neural bodies
bag.py               bags of words for naive Bayes, logistic regression, SVM and a random forest
training.py          how a neural body is taught; batches.py, augmentation.py and labels.py, what it is fed
"""
