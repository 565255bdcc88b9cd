"""How a lesson is found, read and run.

catalogue.py  the lessons there are, and the cells and sections of a lesson's file
terminal.py   runs a lesson section by section; formulas.py shows its TeX formulas as plain text
progress.py   which lessons a reader has run to the end
"""
