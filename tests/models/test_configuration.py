"""What the fields of configurations may be: one table for all of them, and nothing without sense gets through."""

import dataclasses
import json
import math

import numpy as np
import pytest

from models.classifiers.config import ClassifierConfig
from models.classifiers.training import FitConfig
from models.errors import DataError, UserError
from models.glove import GloVeConfig, GloVeTraining
from models.gpt import GPTConfig
from models.rnn import RNNConfig
from models.training.train_config import TrainConfig
from models.word2vec import Word2VecConfig, Word2VecTraining

CONFIGS = (
    ClassifierConfig(), FitConfig(), GloVeConfig(5), GloVeTraining(), GPTConfig(), RNNConfig(), TrainConfig(),
    Word2VecConfig(5), Word2VecTraining(),
)  # fmt: skip
FIELDS = [(config, field.name) for config in CONFIGS for field in dataclasses.fields(config)]
NUMBERS = [(c, name) for c, name in FIELDS if type(getattr(c, name)) in (int, float) and name != "vocab_size"]


@pytest.mark.parametrize("value", [-1, math.nan, math.inf, "3", None, True, [2]], ids=repr)
@pytest.mark.parametrize(("config", "name"), NUMBERS, ids=lambda x: x if isinstance(x, str) else type(x).__name__)
def test_a_number_without_sense_is_named(config, name, value):
    with pytest.raises(UserError, match=rf"^{name}=.*: expected "):
        dataclasses.replace(config, **{name: value})


@pytest.mark.parametrize(("config", "name"), NUMBERS, ids=lambda x: x if isinstance(x, str) else type(x).__name__)
def test_whole_numbers_are_whole_and_numpys_are_pythons(config, name):
    value = getattr(config, name)
    if isinstance(value, int):
        with pytest.raises(UserError, match=rf"^{name}=.*: expected a whole number"):
            dataclasses.replace(config, **{name: 2.5})
    scalar = np.int64(value) if isinstance(value, int) else np.float64(value)
    changed = dataclasses.replace(config, **{name: scalar})
    assert changed == config
    assert json.loads(json.dumps(getattr(changed, name))) == value


def test_presets():
    assert GPTConfig.preset("nano", vocab_size=65) == GPTConfig(65, 64, 4, 4, 128)
    with pytest.raises(UserError, match="no RNN preset 'nanoo': did you mean 'nano'"):
        RNNConfig.preset("nanoo")


def test_one_root_for_what_users_cause():
    assert issubclass(DataError, UserError)
    assert issubclass(UserError, ValueError)
