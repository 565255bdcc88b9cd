"""profile: counts, bytes, times that add up, and the exported trace."""

import json
import time

import numpy as np
import pytest

import minigrad as mg
from minigrad.function import Function, observers


def row(p, name) -> dict:
    return next(row for row in p.rows() if row["name"] == name)


def test_matmul_forward_and_backward():
    a, b = mg.randn(4, 8, 16, requires_grad=True), mg.randn(4, 16, 32, requires_grad=True)
    with mg.profile() as p:
        (a @ b).backward(np.ones((4, 8, 32), np.float32))
    product = 2 * 4 * 8 * 16 * 32
    assert row(p, "MatMul")["flops"] == 3 * product
    assert row(p, "MatMul")["calls"] == 1
    sizes = 4 * (4 * 8 * 16 + 4 * 16 * 32)
    out = 4 * (4 * 8 * 32)
    assert row(p, "MatMul")["bytes"] == sizes + out + (out + sizes + sizes)


def test_views_move_no_bytes():
    x = mg.randn(100, 100, requires_grad=True)
    with mg.profile() as p:
        x.reshape(10, 1000).swapaxes(0, 1)
        x[10:]
        mg.expand(x.reshape(1, 100, 100), 5, 100, 100)
    assert sum(row["bytes"] for row in p.rows()) == 0


class Sleep(Function):
    def forward(self, x):
        time.sleep(0.02)
        return x * 1

    def backward(self, grad):
        time.sleep(0.03)
        return grad


def test_times_and_shares():
    x = mg.randn(3, requires_grad=True)
    with mg.profile() as p:
        Sleep()(x).sum().backward()
        time.sleep(0.05)
    sleep = row(p, "Sleep")
    assert p.rows()[0]["name"] == "Sleep"
    assert 20 <= sleep["forward_ms"] < 200
    assert 30 <= sleep["backward_ms"] < 200
    assert row(p, "(outside operations)")["total_ms"] >= 50
    assert sum(r["share"] for r in p.rows()) == pytest.approx(1)


def test_what_runs_inside_is_counted_there():
    x = mg.randn(3, requires_grad=True)
    with mg.profile() as p:
        mg.checkpoint(lambda x: Sleep()(x), x).sum().backward()
    assert row(p, "Sleep")["calls"] == 2
    assert row(p, "_Checkpoint")["backward_ms"] < 20
    assert sum(r["share"] for r in p.rows()) == pytest.approx(1)


def test_rates():
    a = mg.randn(64, 64, requires_grad=True)
    with mg.profile() as p:
        a @ a
    r = row(p, "MatMul")
    assert r["gflops_per_s"] == pytest.approx(r["flops"] / r["total_ms"] / 1e6)
    assert r["gb_per_s"] == pytest.approx(r["bytes"] / r["total_ms"] / 1e6)


def test_table():
    x = mg.randn(8, 8, requires_grad=True)
    with mg.profile() as p:
        mg.tanh(x @ x).sum().backward()
    lines = p.table().splitlines()
    assert lines[0].split("  ")[0] == "operation"
    assert len({len(line) for line in lines[:-1]}) == 1
    assert {"MatMul", "Tanh", "Sum", "total"} <= {line.split()[0] for line in lines[1:]}
    assert str(p) == p.table()
    assert len(p.table(limit=1).splitlines()) == len(lines) - 2


def test_empty_profile():
    with mg.profile() as p:
        pass
    assert "total" in p.table()
    assert [r["name"] for r in p.rows()] == ["(outside operations)"]


def test_export(tmp_path):
    x = mg.randn(8, 8, requires_grad=True)
    with mg.profile() as p:
        mg.tanh(x).sum().backward()
    p.export(tmp_path / "trace.json")
    events = json.loads((tmp_path / "trace.json").read_text())["traceEvents"]
    assert [e["name"] for e in events] == ["Tanh", "Sum", "Sum backward", "Tanh backward"]
    assert all(e["ph"] == "X" and e["dur"] > 0 for e in events)
    assert events[0]["args"] == {"shapes": [[8, 8]], "flops": 64, "bytes": 512}


def test_an_error_ends_it_cleanly():
    with pytest.raises(ValueError), mg.profile() as p:
        mg.ones(2) + mg.ones(3)
    assert not observers
    assert not p.events
