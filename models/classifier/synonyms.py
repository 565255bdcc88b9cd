"""Synonyms of a vocabulary: for each word, those whose vectors point the same way."""
