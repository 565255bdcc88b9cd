"""Text out of a language model.

generate.py  token by token, as they come or as a whole text, one or several
sampling.py  how the next token is drawn
beam.py      the likeliest text instead
"""
