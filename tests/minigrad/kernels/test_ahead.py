"""Compiling ahead: the shares name real kernels, each once, and what is on disk is not compiled again."""

import pytest

from minigrad import kernels
from minigrad.kernels import ahead, compiled_cache
from models import registry
from models.classifiers.config import ClassifierConfig
from models.gpt import GPTConfig
from models.rnn import RNNConfig

PLANS = {"transformer": ahead.TRANSFORMER, **{cell: ahead.recurrent(cell) for cell in ("lstm", "gru", "rnn")}}


@pytest.fixture
def called(tmp_path, monkeypatch):
    """An empty cache, and a list of the kernels that are called: "helper: name" in the other process."""
    calls = []

    class Helper:
        def __init__(self, command, **options):
            names = command[command.index("minigrad.kernels.ahead") + 1 :]
            calls.extend(f"helper: {name}" for name in names)
            ahead.call(names)

        def wait(self):
            calls.append("waited")

    def stand_in(kernel):
        return lambda *args: calls.append(kernel.name)

    monkeypatch.setenv("MINIGRAD_CACHE", str(tmp_path))
    monkeypatch.delenv("NUMBA_CACHE_DIR", raising=False)
    monkeypatch.setattr(ahead.subprocess, "Popen", Helper)
    monkeypatch.setattr(kernels.Kernel, "choose", lambda kernel, *args: stand_in(kernel))
    return calls


@pytest.mark.parametrize("plan", PLANS)
def test_shares_are_kernels_each_named_once(plan):
    names = [name for share in PLANS[plan] for name in share]
    assert len(set(names)) == len(names)
    assert all(isinstance(getattr(kernels, name), kernels.Kernel) for name in names)


@pytest.mark.parametrize("plan", PLANS)
def test_every_call_is_one_the_numba_kernels_take(plan):
    with kernels.strict():
        for share in PLANS[plan]:
            ahead.call(share)


@pytest.mark.parametrize("plan", PLANS)
def test_each_process_its_share_and_nothing_twice(plan, called):
    helped, own = PLANS[plan]
    assert ahead.compile_ahead(PLANS[plan]) is True
    expected = [f"helper: {name}" for name in helped] + [*helped, *own, "waited"]
    assert called == expected
    assert ahead.compile_ahead(PLANS[plan]) is False
    assert called == expected


def test_only_what_is_missing(called):
    ahead.compile_ahead(ahead.recurrent("lstm"))
    called.clear()
    assert ahead.compile_ahead(ahead.recurrent("gru")) is True
    assert called == ["helper: gru", "helper: gru_backward", "gru", "gru_backward", "waited"]


def test_nothing_where_nothing_can_be_kept(called, monkeypatch):
    monkeypatch.setattr(compiled_cache, "is_writable", lambda: False)
    assert ahead.compile_ahead(ahead.TRANSFORMER) is False
    assert called == []


def test_each_architecture_what_it_takes():
    configs = {
        "gpt": (GPTConfig(), ahead.TRANSFORMER),
        "rnn": (RNNConfig(cell="gru"), ahead.recurrent("gru")),
        "classifier": (ClassifierConfig(body="textcnn"), ((), ())),
        "word2vec": (None, ((), ())),
    }
    for name, (config, shares) in configs.items():
        assert registry.architecture(name).kernels(config) == shares
    assert registry.architecture("classifier").kernels(ClassifierConfig(body="transformer")) == ahead.TRANSFORMER
