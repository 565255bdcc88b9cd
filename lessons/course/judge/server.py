"""A process that has numpy, numba and pytest loaded and forks a child for each trial.

`python -m lessons.course.judge.server` reads tasks from standard input and writes verdicts to standard output, one
JSON object per line. A child starts in a hundredth of a second that way. This process runs nothing of a student's.
"""

import contextlib
import gc
import json
import os
import secrets
import select
import signal
import sys
import time

KEPT = 20_000  # bytes of what a child prints
MOST_EVENTS = 1 << 24  # bytes of what it reports


def main() -> None:
    _preload()
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        replies.write(json.dumps(_judge(json.loads(line))) + "\n")
        replies.flush()


def _preload() -> None:
    import numba  # noqa: F401
    import numpy  # noqa: F401

    from lessons.course.judge import trial  # noqa: F401  pytest with it

    gc.collect()
    gc.freeze()


def _judge(task: dict) -> dict:
    """Run a trial in a child: {"ended", "seconds", "memory", "output", "printed", "events", "forged"}.

    ended  "done", "time", "exit CODE" or "signal NAME"
    """
    events, write_events = os.pipe()
    output, write_output = os.pipe()
    secret = secrets.token_hex(16)
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        _child(task, secret, write_events, write_output)
    os.close(write_events)
    os.close(write_output)
    gathered = {events: b"", output: b""}
    printed, timed_out = 0, False
    deadline = started + task["seconds"]
    try:
        waiting = {events, output}
        while waiting:
            left = deadline - time.monotonic()
            ready = select.select(waiting, [], [], max(left, 0))[0]
            if not ready:
                timed_out = True
                break
            for descriptor in ready:
                data = os.read(descriptor, 1 << 16)
                if not data:
                    waiting.discard(descriptor)
                elif descriptor == output:
                    printed += len(data)
                    gathered[output] += data[: KEPT - len(gathered[output])]
                elif len(gathered[events]) < MOST_EVENTS:
                    gathered[events] += data
    finally:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(child, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)  # before it had a group of its own
        os.close(events)
        os.close(output)
    _, status, usage = os.wait4(child, 0)
    told, forged = _events(gathered[events], secret)
    return {
        "ended": "time" if timed_out else _ended(status, told),
        "seconds": time.monotonic() - started,
        "memory": usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
        "output": gathered[output].decode(errors="replace"),
        "printed": printed,
        "events": told,
        "forged": forged,
    }


def _child(task: dict, secret: str, events: int, output: int) -> None:
    """Never returns."""
    code = 70
    try:
        from lessons.course.judge import limits, trial

        os.setsid()
        limits.die_with_parent()
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        hidden = os.dup2(events, 100 + int(secret[:2], 16), inheritable=False)
        os.closerange(3, hidden)
        os.closerange(hidden + 1, hidden + 300)
        sys.stdin, sys.stdout, sys.stderr = (
            os.fdopen(number, "w" if number else "r", 1) for number in range(3)
        )
        os.environ.update(task["environment"])
        trial.run(task, trial.channel(hidden, secret))
        code = 0
    except BaseException as error:  # whatever it is, this process must not continue as the server
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
    finally:
        os._exit(code)


def _events(data: bytes, secret: str) -> tuple[list[dict], int]:
    """What the child reported, and how many lines did not come from our side of it."""
    told, forged = [], 0
    for line in data.splitlines():
        try:
            event = json.loads(line)
            genuine = event.pop("secret", None) == secret
        except (ValueError, AttributeError):
            genuine = False
        if genuine:
            told.append(event)
        else:
            forged += 1
    return told, forged


def _ended(status: int, events: list[dict]) -> str:
    if events and events[-1]["event"] == "done":
        return "done"
    code = os.waitstatus_to_exitcode(status)
    return f"exit {code}" if code >= 0 else f"signal {signal.Signals(-code).name}"


if __name__ == "__main__":
    main()
