"""A made-up text about which the truth is known: which words are of one kind, which differ as he and she do."""

KINDS = {  # the words of one kind, and the sentences in which they can occur
    "animal": (
        "dog cat horse cow goat",
        "the {} runs across the field | the {} has a long tail | a hungry {} eats grass | the {} sleeps outside",
    ),
    "food": (
        "bread cheese rice soup fish",
        "we eat {} for dinner | she cooks fresh {} | {} tastes good with salt | a plate of {} on the table",
    ),
    "city": (
        "paris london rome berlin vienna",
        "the train to {} leaves at noon | they live in {} | the streets of {} are full | a hotel in {} near the river",
    ),
    "day": (
        "monday tuesday friday saturday sunday",
        "on {} the shop is closed | we meet next {} morning | the party is on {} | rain is expected on {} evening",
    ),
}
PEOPLE = {  # what they do, and who: he and she
    "wears the crown in the castle": "king queen",
    "goes to school with new toys": "boy girl",
    "works all day and comes home late": "man woman",
    "waits for the crown one day": "prince princess",
    "tells the children a story at home": "father mother",
}


def small_text(sentences, rng):
    """This many sentences, one per line: half of them about things, half about people."""
    made = []
    for _ in range(sentences):
        if rng.random() < 0.5:
            words, patterns = KINDS[rng.choice(list(KINDS))]
            made.append(rng.choice(patterns.split(" | ")).format(rng.choice(words.split())))
        else:
            act, she = rng.choice(list(PEOPLE)), rng.integers(2)
            deed = act if rng.random() < 0.6 else ("shaves his beard", "mends her dress")[she]
            made.append(f"the {PEOPLE[act].split()[she]} {deed} {('he', 'she')[she]} says")
    return ".\n".join(made)
