"""What the operating system holds a judged process to, once and for all: nothing that runs in it can undo this.

Everywhere: memory, size of files, no core dumps, a session of its own, so that it can be killed whole. On Linux
(x86-64 and ARM), where the kernel allows it: no new processes, no other programs, no sockets, no signals to others,
no writing outside the tree. lock_in() says which of these hold. What does not hold: it may read what the user may read,
and native code may do in this process whatever it likes. For an exam among people who attack, run `grade` in a
container or a virtual machine.
"""

import contextlib
import ctypes
import errno
import os
import platform
import resource
import signal
import struct
import sys

LARGEST_FILE = 1 << 26  # bytes
ALLOW, REFUSE, MISSING, KILL = 0x7FFF0000, 0x00050000, 0x00050000 | errno.ENOSYS, 0x80000000
CLONE_THREAD = 0x00010000


def _table(text: str) -> dict[str, int]:
    words = text.split()
    return dict(zip(words[::2], map(int, words[1::2]), strict=True))


# The numbers of what is refused, from Linux's tables of system calls.
_COMMON = "io_uring_setup 425 pidfd_send_signal 424 pidfd_open 434 pidfd_getfd 438"
_X86 = f"""
    {_COMMON} fork 57 vfork 58 execve 59 execveat 322 socket 41 socketpair 53 connect 42 ptrace 101 setpgid 109
    setsid 112 setrlimit 160 unshare 272 setns 308 bpf 321 process_vm_readv 310 process_vm_writev 311 tkill 200
    rt_sigqueueinfo 129 rt_tgsigqueueinfo 297 mount 165 chroot 161 perf_event_open 298 userfaultfd 323
"""
_ARM = f"""
    {_COMMON} execve 221 execveat 281 socket 198 socketpair 199 connect 203 ptrace 117 setpgid 154 setsid 157
    setrlimit 164 unshare 97 setns 268 bpf 280 process_vm_readv 270 process_vm_writev 271 tkill 130
    rt_sigqueueinfo 138 rt_tgsigqueueinfo 240 mount 40 chroot 51 perf_event_open 241 userfaultfd 282
"""
_MACHINES = {  # architecture as seccomp names it, what is refused, and what is refused in part
    "x86_64": (
        0xC000003E,
        _table(_X86),
        _table("clone 56 clone3 435 kill 62 tgkill 234 prlimit64 302"),
    ),
    "aarch64": (
        0xC00000B7,
        _table(_ARM),
        _table("clone 220 clone3 435 kill 129 tgkill 131 prlimit64 261"),
    ),
}


def limit(seconds: float, memory: int) -> None:
    """Memory and processor time of this process. Wall-clock time is the server's to watch."""
    cores = os.cpu_count() or 1
    for what, most in (
        (resource.RLIMIT_AS, memory),
        (
            resource.RLIMIT_CPU,
            int(seconds * cores) + 5,
        ),  # should nobody watch the wall clock any more
        (resource.RLIMIT_FSIZE, LARGEST_FILE),
        (resource.RLIMIT_CORE, 0),
    ):
        # macOS has no limit on memory, and a lower one may be set already.
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(what, (most, most))


def die_with_parent() -> None:
    """On Linux: be killed when the process ends that made this one."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)  # PR_SET_PDEATHSIG


def lock_in(writable: list[str]) -> list[str]:
    """Refuse processes, programs, sockets and writing elsewhere to this thread and those it starts. What holds."""
    held = []
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(38, 1, 0, 0, 0)  # PR_SET_NO_NEW_PRIVS
        if _write_only_below(writable):
            held.append("files")
        if _refuse_calls():
            held.append("processes and network")
    return held


def _write_only_below(writable: list[str]) -> bool:
    """Landlock (Linux 5.13): files may be changed in these directories only."""
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(444, None, ctypes.c_size_t(0), 1)
    if version < 1:
        return False
    newest = 12 if version == 1 else 13 if version == 2 else 14
    changing = sum(
        1 << bit for bit in range(newest + 1) if bit not in (0, 2, 3)
    )  # not to execute, read, list
    attributes = ctypes.create_string_buffer(struct.pack("<Q", changing))
    ruleset = libc.syscall(444, attributes, ctypes.c_size_t(8), 0)
    if ruleset < 0:
        return False
    for path in [*writable, "/dev/null"]:
        allowed = changing if os.path.isdir(path) else changing & (1 << 1 | 1 << 14)
        opened = os.open(path, os.O_PATH | os.O_CLOEXEC)
        rule = ctypes.create_string_buffer(struct.pack("<Qi", allowed, opened))
        libc.syscall(445, ruleset, 1, rule, 0)
        os.close(opened)
    locked = libc.syscall(446, ruleset, 0) == 0
    os.close(ruleset)
    return locked


def _refuse_calls() -> bool:
    """A seccomp filter: a program that the kernel runs at every system call."""
    if platform.machine() not in _MACHINES:
        return False
    architecture, refused, partly = _MACHINES[platform.machine()]
    load, equal, at_least, any_bit, give = 0x20, 0x15, 0x35, 0x45, 0x06
    number, first, third = 0, 16, 32  # where these lie in what the filter sees
    pid = os.getpid()
    program = [
        (load, 0, 0, 4),
        (equal, 1, 0, architecture),
        (give, 0, 0, KILL),
        (load, 0, 0, number),
    ]
    if platform.machine() == "x86_64":
        program += [
            (at_least, 0, 1, 0x40000000),
            (give, 0, 0, REFUSE | errno.EPERM),
        ]  # the x32 numbers
    for call in refused.values():
        program += [(equal, 0, 1, call), (give, 0, 0, REFUSE | errno.EPERM)]
    # glibc makes threads by clone when there is no clone3, whose flags a filter cannot see.
    program += [(equal, 0, 1, partly["clone3"]), (give, 0, 0, MISSING)]
    program += [
        (equal, 0, 4, partly["clone"]),
        (load, 0, 0, first),
        (any_bit, 1, 0, CLONE_THREAD),
        (give, 0, 0, REFUSE | errno.EPERM),
        (give, 0, 0, ALLOW),
    ]
    for call in (partly["kill"], partly["tgkill"]):  # only to itself
        program += [
            (equal, 0, 4, call),
            (load, 0, 0, first),
            (equal, 1, 0, pid),
            (give, 0, 0, REFUSE | errno.EPERM),
            (give, 0, 0, ALLOW),
        ]
    program += [  # limits may be read
        (equal, 0, 6, partly["prlimit64"]),
        (load, 0, 0, third),
        (equal, 0, 3, 0),
        (load, 0, 0, third + 4),
        (equal, 0, 1, 0),
        (give, 0, 0, ALLOW),
        (give, 0, 0, REFUSE | errno.EPERM),
        (give, 0, 0, ALLOW),
    ]
    filters = ctypes.create_string_buffer(b"".join(struct.pack("<HBBI", *step) for step in program))
    head = ctypes.create_string_buffer(
        struct.pack("<HxxxxxxQ", len(program), ctypes.addressof(filters))
    )
    return ctypes.CDLL(None, use_errno=True).prctl(22, 2, head, 0, 0) == 0  # PR_SET_SECCOMP
