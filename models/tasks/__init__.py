"""Tasks: what a model is taught and judged by, one file each; run.py holds what all of them share.

language.py        guess the next token of a text; reading.py and evaluation.py are its batches and its measure
classification.py  one or several labels for a text
word_vectors.py    a vector for each word
"""
