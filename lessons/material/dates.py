"""Dates as people write them, and as ISO 8601 does: a translation made on the spot, data without a download."""

import datetime

import numpy as np

FIRST, DAYS = datetime.date(1900, 1, 1), 73049  # to the end of 2099
MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
FORMS = [
    "{day} {month} {year}",
    "{day}.{number}.{year}",
    "{number}/{day}/{year}",
    "{mon} {day}, {year}",
    "{month} {day}{th}, {year}",
    "{weekday}, {day}{th} of {month} {year}",
    "{wday} {day} {mon} {year}",
    "the {day}{th} of {month}, {year}",
]
PAD, START = 0, 1  # what fills up a row; what an answer begins with
ALPHABET = " ,-./0123456789ADFJMNOSTWabcdefghilmnoprstuvy"
IDS = {character: i for i, character in enumerate(ALPHABET, START + 1)}
VOCABULARY = len(ALPHABET) + 2


def dates(n: int, seed: int) -> list[tuple[str, str]]:
    """n days of 1900 to 2099 at random: pairs such as ("Tuesday, 3rd of March 1998", "1998-03-03")."""
    rng = np.random.default_rng(seed)
    days = [FIRST + datetime.timedelta(int(day)) for day in rng.integers(0, DAYS, n)]
    forms = rng.integers(0, len(FORMS), n)
    return [
        (_written(day, FORMS[form]), day.isoformat()) for day, form in zip(days, forms, strict=True)
    ]


def encoded(texts: list[str]) -> np.ndarray:
    """Texts as rows of ids, (n, longest) of int64, filled up with PAD."""
    ids = np.full((len(texts), max(map(len, texts))), PAD)
    for row, text in zip(ids, texts, strict=True):
        row[: len(text)] = [IDS[character] for character in text]
    return ids


def decoded(ids: np.ndarray) -> list[str]:
    """The texts of rows of ids; what is not a character, such as PAD, is left out."""
    return ["".join(ALPHABET[i - START - 1] for i in row if i > START) for row in ids]


def _written(day: datetime.date, form: str) -> str:
    special = {1: "st", 2: "nd", 3: "rd"}
    th = "th" if 10 < day.day < 20 else special.get(day.day % 10, "th")
    month, weekday = MONTHS[day.month - 1], WEEKDAYS[day.weekday()]
    parts = {"day": day.day, "th": th, "number": day.month, "year": day.year, "month": month}
    return form.format(**parts, mon=month[:3], weekday=weekday, wday=weekday[:3])
