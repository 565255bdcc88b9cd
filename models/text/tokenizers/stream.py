"""Decoding token by token, as a model generates."""

import codecs

from models.text.tokenizers.base import Tokenizer


class StreamDecoder:
    """Decodes token by token, as a model generates them: a character is given out when its last byte is in.

    The pieces that feed() and finish() return join to tokenizer.decode(all ids), for any tokenizer.
    """

    def __init__(self, tokenizer: Tokenizer):
        self.tokenizer = tokenizer
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._started = False

    def feed(self, id: int) -> str:
        """The text that this token completes, "" while a character is unfinished."""
        piece = self.tokenizer.token_bytes(int(id), first=not self._started)
        self._started = self._started or self.tokenizer.is_shown(int(id))
        return self._decoder.decode(piece)

    def finish(self) -> str:
        """What is left: U+FFFD if the tokens stopped inside a character. Afterwards a new text may start."""
        rest = self._decoder.decode(b"", final=True)
        self._started = False
        return rest
