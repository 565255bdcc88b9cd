"""no_grad and its kin, and autocast: in blocks, decorated functions, the steps of generators, several threads."""

import threading

import pytest

import minigrad as mg
from minigrad.amp import autocast_dtype

MODES = {
    "no_grad": (mg.no_grad, mg.is_grad_enabled, False),
    "inference_mode": (mg.inference_mode, mg.is_grad_enabled, False),
    "autocast": (mg.autocast, lambda: str(autocast_dtype()), "float16"),
}
pytest.importorskip("ml_dtypes")
MODES["autocast"] = (mg.autocast, lambda: str(autocast_dtype()), "bfloat16")
every_mode = pytest.mark.parametrize(("mode", "now", "inside"), MODES.values(), ids=MODES)


@every_mode
def test_as_a_decorator_with_and_without_parentheses(mode, now, inside):
    outside = now()

    @mode
    def bare(n):
        """Its docstring."""
        return [now(), *(bare(n - 1) if n else [])]

    @mode()
    def called(n):
        return [now(), *(called(n - 1) if n else [])]

    assert bare(3) == called(3) == [inside] * 4
    assert bare.__doc__ == "Its docstring."
    assert now() == outside
    with pytest.raises(ZeroDivisionError):
        mode(lambda: 1 / 0)()
    assert now() == outside


@every_mode
def test_a_decorated_generator_has_the_mode_in_each_step_only(mode, now, inside):
    outside = now()

    @mode
    def steps():
        with mg.enable_grad():
            try:
                got = yield now()
                while got is not None:
                    got = yield got, now()
            except KeyError:
                yield "caught", now()
            finally:
                seen.append(now())
        return now()

    seen = []
    expected = True if now is mg.is_grad_enabled else inside
    one, two = steps(), steps()
    assert next(one) == next(two) == expected
    assert now() == outside
    assert one.send(5) == (5, expected)
    assert two.throw(KeyError) == ("caught", expected)
    assert now() == outside
    with pytest.raises(StopIteration) as stop:
        one.send(None)
    assert stop.value.value == inside
    two.close()
    assert seen == [expected] * 2
    assert now() == outside


def test_one_decorator_in_eight_threads():
    start, wrong = threading.Barrier(8), []
    shared = mg.no_grad()

    @shared
    def work(n):
        start.wait()
        wrong.extend([] if not mg.is_grad_enabled() else ["inside"])
        return work_again(n)

    @shared
    def work_again(n):
        return n

    def run():
        for n in range(20):
            work(n)
            wrong.extend([] if mg.is_grad_enabled() else ["outside"])
            with shared:
                wrong.extend([] if not mg.is_grad_enabled() else ["with"])

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_interleaved_generators_with_blocks_inside():
    def steps(mode):
        with mode():
            yield mg.is_grad_enabled()
            yield mg.is_grad_enabled()

    one, two = steps(mg.no_grad), steps(mg.no_grad)
    assert [next(one), next(two), next(one)] == [False] * 3
    assert list(one) == []
    assert not mg.is_grad_enabled()  # the other is still inside its block
    assert next(two) is False
    assert list(two) == []
    assert mg.is_grad_enabled()

    one, two = steps(mg.no_grad), steps(mg.enable_grad)
    next(one), next(two), next(one)
    with pytest.raises(RuntimeError, match=r"no_grad: a block was left before one .* decorate them with @no_grad\(\)"):
        next(one)
    assert list(two) == [True]
    assert mg.is_grad_enabled()


def test_set_grad_enabled():
    with mg.set_grad_enabled(False):
        assert not mg.is_grad_enabled()
        mg.set_grad_enabled(True)
        assert mg.is_grad_enabled()
    assert mg.is_grad_enabled()
    mg.set_grad_enabled(False)
    assert not mg.is_grad_enabled()
    with mg.enable_grad():
        assert mg.is_grad_enabled()
    assert not mg.is_grad_enabled()
    mg.set_grad_enabled(True)

    @mg.set_grad_enabled(False)
    def f():
        return mg.is_grad_enabled()

    assert mg.is_grad_enabled()
    assert f() is False


def test_inference_mode():
    x = mg.ones(2, requires_grad=True)
    with mg.inference_mode():
        y = x * 2.0
        with mg.inference_mode(False):
            assert (x * 2.0).requires_grad
    assert not y.requires_grad


async def _coroutine():
    return None


async def _async_generator():
    yield None


@pytest.mark.parametrize("function", [_coroutine, _async_generator])
def test_async_functions_are_refused(function):
    for decorate in (mg.no_grad, mg.no_grad()):
        with pytest.raises(TypeError, match=r"is async.*use `with` around stretches without await"):
            decorate(function)


def test_what_is_not_a_function_is_refused():
    with pytest.raises(TypeError, match="no_grad decorates functions"):
        mg.no_grad()(3)
    with pytest.raises(TypeError, match="decorate the methods"):
        mg.no_grad()(type("A", (), {}))
