"""Compiling ahead: the shares name real kernels, each once, and what is on disk is not compiled again."""

from minigrad import kernels
from minigrad.kernels import ahead


def test_shares_are_kernels_each_named_once():
    names = [name for share in ahead.SHARES for name in share]
    assert len(set(names)) == len(names)
    assert all(isinstance(getattr(kernels, name), kernels.Kernel) for name in names)


def test_every_call_is_one_the_numba_kernels_take():
    for share in ahead.SHARES:
        ahead.call(share)


def test_nothing_to_do_when_an_earlier_run_left_them_on_disk(tmp_path, monkeypatch):
    (tmp_path / "attention._forward-1.nbi").touch()
    monkeypatch.setattr(ahead, "CACHE", tmp_path)
    assert ahead.compile_ahead() is False


def test_the_other_process_gets_its_share(tmp_path, monkeypatch):
    called, started = [], []

    class Helper:
        def __init__(self, command, **options):
            started.extend(command)

        def wait(self):
            called.append("waited")

    monkeypatch.setattr(ahead, "CACHE", tmp_path)
    monkeypatch.setattr(ahead.subprocess, "Popen", Helper)
    monkeypatch.setattr(ahead, "call", lambda names: called.append(names))
    assert ahead.compile_ahead() is True
    assert called == [ahead.SHARES[1], "waited"]
    assert tuple(started[-len(ahead.SHARES[0]) :]) == ahead.SHARES[0]
