"""Small problems that every body can learn."""

import random

TOPICS = {
    "grain": "wheat corn barley harvest tonnes crop farmer silo",
    "crude": "oil barrel opec petroleum rig refinery drilling brent",
    "money": "dollar yen interest bank currency loan credit fed",
}
FILLING = ["the", "of", "a", "in", "to", "said", "on", "for", "and", "with", "was", "by", "at", "from", "that"]
CHINESE = {"好": "很好喜欢满意不错推荐舒服干净", "坏": "很差失望太贵退货脏乱难吃糟糕"}


def topics(n: int, seed: int = 0, multi_label: bool = False) -> tuple[list[str], list]:
    """n texts of 4 to 20 words, with words of their topics among words that mean nothing."""
    rng = random.Random(seed)
    texts, labels = [], []
    for _ in range(n):
        chosen = tuple(sorted(rng.sample(list(TOPICS), rng.randint(0, 2) if multi_label else 1)))
        words = [rng.choice(TOPICS[topic].split()) for topic in chosen for _ in range(3)]
        words += rng.choices(FILLING, k=rng.randint(1, 14))
        rng.shuffle(words)
        texts.append(" ".join(words))
        labels.append(chosen if multi_label else chosen[0])
    return texts, labels


def reviews(n: int, seed: int = 0) -> tuple[list[str], list[str]]:
    """n Chinese texts without spaces, of 5 to 25 characters."""
    rng = random.Random(seed)
    texts, labels = [], []
    for _ in range(n):
        label = rng.choice(list(CHINESE))
        characters = rng.choices(CHINESE[label], k=4) + rng.choices("的了我是这在有他们", k=rng.randint(1, 21))
        rng.shuffle(characters)
        texts.append("".join(characters))
        labels.append(label)
    return texts, labels
