"""Special tokens: what they are called, which ids they have, what each is for, and where they go around a text.

    special = SpecialTokens({"[PAD]": 0, "[CLS]": 2, "[SEP]": 3}, ordinary=100)
    special.ids                                          # {"[PAD]": 0, "[CLS]": 2, "[SEP]": 3}
    special.role_ids["pad"]                              # 0
    Template("[CLS] $A [SEP] $B:1 [SEP]:1", special.ids)

A template is written as the library `tokenizers` writes it: $A is the text, $B the one it is paired with, anything
else a special token, and `:1` after a part is its token type, which is 0 if not given.
"""

from collections.abc import Iterable, Mapping

import numpy as np

from models.errors import DataError

# What a special token is for, and the names by which that is understood without saying so.
ROLES = {role: (f"<{role}>", f"[{role.upper()}]") for role in ("unk", "bos", "eos", "pad", "cls", "sep", "mask")}
LIMIT = 2**24  # of ids: no vocabulary is as large, and a damaged file must not ask for all memory


class SpecialTokens:
    """Names and ids of the special tokens of a vocabulary that has `ordinary` other tokens.

    tokens  names, whose ids follow those of the vocabulary; or {name: id}: the ordinary tokens then take the free ids
    roles   {"pad": "<|end|>", …} where a name does not say what it is for; one token may have several roles

    ids and names are {name: id} and {id: name}; roles and role_ids {role: name} and {role: id}.
    Raises DataError for names or ids that occur twice, and for roles that there are not.
    """

    def __init__(
        self, tokens: Iterable[str] | Mapping[str, int], ordinary: int, roles: Mapping[str, str] | None = None
    ):
        if isinstance(tokens, str):
            raise DataError(f"special tokens are a list of names or {{name: id}}, not the string {tokens!r}")
        names = list(tokens)
        if not all(isinstance(name, str) and name for name in names) or len(set(names)) < len(names):
            raise DataError(f"special tokens {names}: expected names, each once and none of them empty")
        ids = list(tokens.values()) if isinstance(tokens, Mapping) else range(ordinary, ordinary + len(names))
        if any(type(id) is not int or not 0 <= id < LIMIT for id in ids) or len(set(ids)) < len(ids):
            raise DataError(
                f"special tokens {dict(zip(names, ids, strict=True))}: expected ids from 0 to {LIMIT:,}, each once"
            )
        self.ids = dict(zip(names, ids, strict=True))
        self.names = {id: name for name, id in self.ids.items()}
        self.roles = {role: name for role, known in ROLES.items() for name in known if name in self.ids}
        self.roles |= self._checked(roles or {})
        self.role_ids = {role: self.ids[name] for role, name in self.roles.items()}

    def _checked(self, roles: Mapping[str, str]) -> Mapping[str, str]:
        for role, name in roles.items():
            if role not in ROLES:
                raise DataError(f"special token role {role!r}: expected one of {', '.join(ROLES)}")
            if name not in self.ids:
                raise DataError(f"the {role} token {name!r} is not among the special tokens {list(self.ids)}")
        return roles

    def ordinary_ids(self, ordinary: int) -> np.ndarray:
        """The ids of the other tokens, int64 (ordinary,): the lowest that no special token has."""
        free = np.setdiff1d(np.arange(ordinary + len(self.ids)), list(self.names), assume_unique=True)
        return free[:ordinary]


class Template:
    """The parts of an input in order, each (segment, special id, token type).

    The segment is "$A" or "$B", and the id then -1; or it is None, and the part the special token of that id.
    Raises DataError for names that there are not, and for segments that are missing or out of order.
    """

    def __init__(self, written: str, ids: Mapping[str, int], pair: bool):
        self.parts: list[tuple[str | None, int, int]] = []
        for part in written.split():
            name, _, token_type = part.rpartition(":") if part not in ids and part[-2:-1] == ":" else (part, "", "0")
            if not token_type.isdecimal() or (name not in ("$A", "$B") and name not in ids):
                raise DataError(
                    f"template {written!r}: {part!r} is neither $A, $B nor one of the special tokens {list(ids)}"
                )
            segment = name if name in ("$A", "$B") else None
            self.parts.append((segment, -1 if segment else ids[name], int(token_type)))
        segments = [name for name, _, _ in self.parts if name]
        if segments != (["$A", "$B"] if pair else ["$A"]):
            expected = "$A and then $B, each once" if pair else "$A once and no $B"
            raise DataError(f"template {written!r}: expected {expected}")
        self.added = len(self.parts) - len(segments)  # how many special tokens it puts in
