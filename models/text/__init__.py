"""Text in and out: tokenizers, corpora, batches.

corpora.py       the texts there are, and reading your own; fetching.py and converters.py get them
tokenizers.py    characters, words, bytes; tokenizer.py is what they have in common
batching.py      ids to batches
"""
