"""Tasks: what models are taught and judged by, one file each.

base.py            Task, the protocol: what each of them says; read this first
settings.py        what `minigrad train` and `eval` ask: options, settings from three places, resuming
language.py        guess the next token of a text
classification.py  one or several labels for a text
word_vectors.py    a vector for each word
table.py           the tasks by name: a new task is one file and one line there
"""
