"""Text in and out: tokenizers, corpora, labelled data, batches.

corpora.py       the texts there are, and reading your own; fetching.py and converters.py get them
datasets.py      labelled texts and word tests, likewise; labelled.py reads and splits files of your own
tokenizers.py    characters, words, bytes; tokenizer.py is what they have in common
batching.py      ids to batches
"""
