"""Limits of a child process: time, memory, no files written, no network, no programs. A child can't lift them."""

import ctypes
import math
import platform
import resource
import signal
import struct
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final

#: Address space of a child. The largest template of RGZ needs 90 MB.
MEMORY_BYTES: Final = 1024 * 1024 * 1024

#: Deny these system calls; a child needs none of them once its modules are loaded.
#: Numbers of x86_64 and aarch64 (Linux, arch/x86/entry/syscalls/syscall_64.tbl, include/uapi/asm-generic/unistd.h).
_DENIED: Final = {
    "x86_64": {
        "socket": 41, "connect": 42, "bind": 49, "listen": 50, "socketpair": 53,
        "clone": 56, "fork": 57, "vfork": 58, "execve": 59, "kill": 62, "ptrace": 101, "execveat": 322,
        "process_vm_readv": 310, "process_vm_writev": 311, "io_uring_setup": 425, "clone3": 435, "bpf": 321,
    },
    "aarch64": {
        "socket": 198, "connect": 203, "bind": 200, "listen": 201, "socketpair": 199,
        "clone": 220, "execve": 221, "kill": 129, "ptrace": 117, "execveat": 281, "process_vm_readv": 270,
        "process_vm_writev": 271, "io_uring_setup": 425, "clone3": 435, "bpf": 280,
    },
}  # fmt: skip
_AUDIT_ARCHITECTURES: Final = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

_PR_SET_NO_NEW_PRIVS = 38
_PR_SET_SECCOMP = 22
_SECCOMP_MODE_FILTER = 2
_ALLOW = 0x7FFF0000
_KILL_PROCESS = 0x80000000
_ERRNO_EPERM = 0x00050000 | 1
#: Offsets in struct seccomp_data (seccomp(2)).
_OFFSET_NUMBER, _OFFSET_ARCHITECTURE = 0, 4
#: System calls of the x32 interface have this bit; their numbers are others, so all of them are denied.
_X32_BIT = 0x40000000
_LOAD_WORD, _JUMP_EQUAL, _JUMP_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06

#: Python code that would open a connection or start a program is refused, too, where the kernel has no filter.
_DENIED_EVENTS = ("socket.", "subprocess.", "os.exec", "os.fork", "os.posix_spawn", "os.system", "os.spawn")


@dataclass(frozen=True, slots=True)
class TaskLimits:
    """What one task may take: seconds on the clock, and of processor time."""

    deadline_s: float
    cpu_s: int


def confine() -> None:
    """Take memory, files, network and programs away from this process, for good."""
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    sys.addaudithook(_refuse)
    filter_system_calls()


@contextmanager
def limited(limits: TaskLimits) -> Iterator[None]:
    """End this process by a signal if the block exceeds the limits.

    SIGALRM and SIGXCPU end it whatever it runs: handlers of Python would wait for the interpreter.
    """
    used_s = time.process_time()
    _, hard = resource.getrlimit(resource.RLIMIT_CPU)
    resource.setrlimit(resource.RLIMIT_CPU, (math.ceil(used_s) + limits.cpu_s, hard))
    signal.setitimer(signal.ITIMER_REAL, limits.deadline_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        resource.setrlimit(resource.RLIMIT_CPU, (hard, hard))


def _refuse(event: str, _arguments: tuple[Any, ...]) -> None:
    if event.startswith(_DENIED_EVENTS):
        raise PermissionError(f"{event} is not allowed in this process")


def filter_system_calls() -> None:
    """Have the kernel deny network and programs (seccomp); where it can't, only `_refuse` stands."""
    machine = platform.machine()
    if sys.platform != "linux" or machine not in _DENIED:
        return
    numbers = sorted(_DENIED[machine].values())
    deny_at = 3 + 1 + len(numbers) + 1
    program = [
        _instruction(_LOAD_WORD, _OFFSET_ARCHITECTURE),
        _instruction(_JUMP_EQUAL, _AUDIT_ARCHITECTURES[machine], 1, 0),
        _instruction(_RETURN, _KILL_PROCESS),
        _instruction(_LOAD_WORD, _OFFSET_NUMBER),
    ]
    program.append(_instruction(_JUMP_AT_LEAST, _X32_BIT, deny_at - len(program), 0))
    for number in numbers:
        program.append(_instruction(_JUMP_EQUAL, number, deny_at - len(program), 0))
    program += [_instruction(_RETURN, _ALLOW), _instruction(_RETURN, _ERRNO_EPERM)]
    code = ctypes.create_string_buffer(b"".join(program))
    # struct sock_fprog: the number of instructions, padding, a pointer to them.
    fprog = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(program), ctypes.addressof(code)))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0:
        libc.prctl(_PR_SET_SECCOMP, _SECCOMP_MODE_FILTER, fprog, 0, 0)


def _instruction(code: int, value: int, jump_true: int = 0, jump_false: int = 0) -> bytes:
    """One instruction of struct sock_filter: jumps count from the next one."""
    return struct.pack("HBBI", code, jump_true, jump_false, value)
