"""Weights on the disk: ours, and those of others.

checkpoint.py  a model with everything that a run needs to go on, as a directory
swap.py        one directory in another's place, whole or not at all
gpt2.py        GPT-2's weights in the layout of the transformers library
"""
