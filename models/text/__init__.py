"""Text in and out: tokenizers, batches, and where texts come from.

sources/         the corpora and labelled data there are, fetched, checked and converted; and reading your own
tokenizers/      characters, words, bytes, and what all tokenizers have in common
words.py         what a word is
batching.py      ids to batches
augmentation.py  small changes to a text that leave its label as it is
files.py         text files in and out
"""
