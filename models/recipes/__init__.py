"""Recipes: how `minigrad train NAME` teaches each kind of model, from flags to a finished checkpoint.

A recipe is a function (name, flags) -> exit code that models/registry.py names; `run` holds what all share.
"""
