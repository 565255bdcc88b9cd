"""What texts there are, from where, under which licence.

corpora.py       plain texts; datasets.py labelled texts and word tests; both are tables of a Resource (resources.py)
artifacts.py     the packages that carry them; fetching.py gets an artifact or a URL, and checks it
converters.py    from what was fetched to plain text
labelled.py      labelled files of your own, and their split into three parts
"""
