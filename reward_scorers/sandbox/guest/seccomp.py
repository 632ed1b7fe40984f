"""Which system calls a program may make, and the seccomp filter that says so.

Allowed is what Python and NumPy need for computing, files, threads and processes. Refused (EPERM)
is what an honest program may try and must do without: sockets, other programs, other users.
Forbidden kills the process, which the verdict tells as a violation: nothing but an attack needs it.
Whatever is in no list does not exist (ENOSYS), so that libraries fall back on what does.
"""

from __future__ import annotations

import struct

from .kernel import MACHINE, MACHINES
from .numbers import NUMBERS

ALLOWED = frozenset(
    [
        "access",
        "alarm",
        "arch_prctl",
        "brk",
        "chdir",
        "chmod",
        "clock_getres",
        "clock_gettime",
        "clock_nanosleep",
        "clone",
        "close",
        "close_range",
        "copy_file_range",
        "creat",
        "dup",
        "dup2",
        "dup3",
        "epoll_create",
        "epoll_create1",
        "epoll_ctl",
        "epoll_pwait",
        "epoll_pwait2",
        "epoll_wait",
        "eventfd",
        "eventfd2",
        "exit",
        "exit_group",
        "faccessat",
        "faccessat2",
        "fadvise64",
        "fallocate",
        "fchdir",
        "fchmod",
        "fchmodat",
        "fchmodat2",
        "fcntl",
        "fdatasync",
        "fgetxattr",
        "flistxattr",
        "flock",
        "fork",
        "fstat",
        "fstatfs",
        "fsync",
        "ftruncate",
        "futex",
        "futex_requeue",
        "futex_wait",
        "futex_waitv",
        "futex_wake",
        "futimesat",
        "get_robust_list",
        "getcpu",
        "getcwd",
        "getdents",
        "getdents64",
        "getegid",
        "geteuid",
        "getgid",
        "getgroups",
        "getitimer",
        "getpeername",
        "getpgid",
        "getpgrp",
        "getpid",
        "getppid",
        "getpriority",
        "getrandom",
        "getresgid",
        "getresuid",
        "getrlimit",
        "getrusage",
        "getsid",
        "getsockname",
        "getsockopt",
        "gettid",
        "gettimeofday",
        "getuid",
        "getxattr",
        "ioctl",
        "kill",
        "landlock_add_rule",
        "landlock_create_ruleset",
        "landlock_restrict_self",
        "lgetxattr",
        "link",
        "linkat",
        "listxattr",
        "llistxattr",
        "lseek",
        "lstat",
        "madvise",
        "membarrier",
        "mincore",
        "mkdir",
        "mkdirat",
        "mlock",
        "mmap",
        "mprotect",
        "mremap",
        "msync",
        "munlock",
        "munmap",
        "nanosleep",
        "newfstatat",
        "open",
        "openat",
        "openat2",
        "pause",
        "pidfd_open",
        "pidfd_send_signal",
        "pipe",
        "pipe2",
        "poll",
        "ppoll",
        "prctl",
        "pread64",
        "preadv",
        "preadv2",
        "prlimit64",
        "pselect6",
        "pwrite64",
        "pwritev",
        "pwritev2",
        "read",
        "readahead",
        "readlink",
        "readlinkat",
        "readv",
        "recvfrom",
        "recvmmsg",
        "recvmsg",
        "rename",
        "renameat",
        "renameat2",
        "restart_syscall",
        "rmdir",
        "rseq",
        "rt_sigaction",
        "rt_sigpending",
        "rt_sigprocmask",
        "rt_sigqueueinfo",
        "rt_sigreturn",
        "rt_sigsuspend",
        "rt_sigtimedwait",
        "rt_tgsigqueueinfo",
        "sched_get_priority_max",
        "sched_get_priority_min",
        "sched_getaffinity",
        "sched_getparam",
        "sched_getscheduler",
        "sched_rr_get_interval",
        "sched_yield",
        "seccomp",
        "select",
        "sendfile",
        "sendmmsg",
        "sendmsg",
        "sendto",
        "set_robust_list",
        "set_tid_address",
        "setitimer",
        "setpgid",
        "setrlimit",
        "setsid",
        "setsockopt",
        "shutdown",
        "sigaltstack",
        "signalfd",
        "signalfd4",
        "socketpair",
        "stat",
        "statfs",
        "statx",
        "symlink",
        "symlinkat",
        "sync_file_range",
        "sysinfo",
        "tgkill",
        "time",
        "timer_create",
        "timer_delete",
        "timer_getoverrun",
        "timer_gettime",
        "timer_settime",
        "timerfd_create",
        "timerfd_gettime",
        "timerfd_settime",
        "times",
        "tkill",
        "truncate",
        "umask",
        "uname",
        "unlink",
        "unlinkat",
        "utime",
        "utimensat",
        "utimes",
        "vfork",
        "wait4",
        "waitid",
        "write",
        "writev",
    ]
)
REFUSED = frozenset(
    [
        "accept",
        "accept4",
        "bind",
        "capget",
        "capset",
        "chown",
        "connect",
        "execve",
        "execveat",
        "fchown",
        "fchownat",
        "fremovexattr",
        "fsetxattr",
        "ioprio_set",
        "lchown",
        "listen",
        "lremovexattr",
        "lsetxattr",
        "memfd_create",
        "memfd_secret",
        "mknod",
        "mknodat",
        "mlock2",
        "mlockall",
        "mq_getsetattr",
        "mq_notify",
        "mq_open",
        "mq_timedreceive",
        "mq_timedsend",
        "mq_unlink",
        "msgctl",
        "msgget",
        "msgrcv",
        "msgsnd",
        "munlockall",
        "personality",
        "removexattr",
        "sched_setaffinity",
        "sched_setattr",
        "sched_setparam",
        "sched_setscheduler",
        "semctl",
        "semget",
        "semop",
        "semtimedop",
        "setdomainname",
        "setfsgid",
        "setfsuid",
        "setgid",
        "setgroups",
        "sethostname",
        "setpriority",
        "setregid",
        "setresgid",
        "setresuid",
        "setreuid",
        "setuid",
        "setxattr",
        "shmat",
        "shmctl",
        "shmdt",
        "shmget",
        "socket",
        "splice",
        "tee",
        "vmsplice",
    ]
)
FORBIDDEN = frozenset(
    [
        "acct",
        "add_key",
        "adjtimex",
        "bpf",
        "chroot",
        "clock_adjtime",
        "clock_settime",
        "delete_module",
        "fanotify_init",
        "fanotify_mark",
        "finit_module",
        "fsconfig",
        "fsmount",
        "fsopen",
        "fspick",
        "init_module",
        "io_uring_enter",
        "io_uring_register",
        "io_uring_setup",
        "ioperm",
        "iopl",
        "kcmp",
        "kexec_file_load",
        "kexec_load",
        "keyctl",
        "lookup_dcookie",
        "migrate_pages",
        "modify_ldt",
        "mount",
        "mount_setattr",
        "move_mount",
        "move_pages",
        "name_to_handle_at",
        "nfsservctl",
        "open_by_handle_at",
        "open_tree",
        "perf_event_open",
        "pidfd_getfd",
        "pivot_root",
        "process_madvise",
        "process_vm_readv",
        "process_vm_writev",
        "ptrace",
        "quotactl",
        "quotactl_fd",
        "reboot",
        "request_key",
        "setns",
        "settimeofday",
        "swapoff",
        "swapon",
        "syslog",
        "umount2",
        "unshare",
        "userfaultfd",
        "vhangup",
    ]
)

_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_X32 = 0x40000000  # the other numbering of system calls on x86_64

_KILL = 0x80000000
_ALLOW = 0x7FFF0000
_EPERM = 0x00050000 | 1
_ENOSYS = 0x00050000 | 38
_NOTHING = 0x00050000  # it is not done, and no error either

_UNSEEN_BY_LANDLOCK = [
    "chmod",
    "fchmod",
    "fchmodat",
    "fchmodat2",
    "futimesat",
    "utime",
    "utimensat",
    "utimes",
]

_NAMESPACES = 0x7E020080  # clone: every CLONE_NEW*
_THREAD = 0x00010000
_AF_UNIX, _SOCK_STREAM, _SOCKET_KIND = 1, 1, 0xF
_PR_SET_PDEATHSIG = 1
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C

# struct seccomp_data: number, architecture, instruction pointer, six arguments of 64 bits.
_AT_NUMBER, _AT_ARCHITECTURE, _AT_ARGUMENT = 0, 4, 16


def _load(offset: int) -> bytes:
    return _instruction(0x20, 0, 0, offset)  # BPF_LD | BPF_W | BPF_ABS


def _if_equal(value: int, yes: int, no: int) -> bytes:
    return _instruction(0x15, yes, no, value)


def _if_at_least(value: int, yes: int, no: int) -> bytes:
    return _instruction(0x35, yes, no, value)


def _if_any_bit(bits: int, yes: int, no: int) -> bytes:
    return _instruction(0x45, yes, no, bits)


def _and(bits: int) -> bytes:
    return _instruction(0x54, 0, 0, bits)


def _return(action: int) -> bytes:
    return _instruction(0x06, 0, 0, action)


def _instruction(code: int, yes: int, no: int, value: int) -> bytes:
    return struct.pack("=HBBI", code, yes, no, value)


def _argument(index: int) -> bytes:
    return _load(_AT_ARGUMENT + 8 * index)


def _conditions(*, alone: bool, final: bool) -> dict[str, list[bytes]]:
    """What depends on arguments: name -> instructions that end in a verdict."""
    return {
        # A flag for a new namespace is an attack; a new process where none may be is refused.
        "clone": [
            _argument(0),
            _if_any_bit(_NAMESPACES, 0, 1),
            _return(_KILL),
            *([_if_any_bit(_THREAD, 1, 0), _return(_EPERM)] if alone else []),
            _return(_ALLOW),
        ],
        # Streams only: a datagram could be sent to the path of another socket.
        "socketpair": [
            _argument(0),
            _if_equal(_AF_UNIX, 1, 0),
            _return(_EPERM),
            _argument(1),
            _and(_SOCKET_KIND),
            _if_equal(_SOCK_STREAM, 1, 0),
            _return(_EPERM),
            _return(_ALLOW),
        ],
        # Limits of itself only, not of the process that judges it.
        "prlimit64": [_argument(0), _if_equal(0, 1, 0), _return(_EPERM), _return(_ALLOW)],
        "prctl": [
            _argument(0),
            *([_if_equal(_PR_SET_PDEATHSIG, 0, 1), _return(_EPERM)] if final else []),
            _return(_ALLOW),
        ],
        # Typing into a terminal.
        "ioctl": [
            _argument(1),
            _if_equal(_TIOCSTI, 1, 0),
            _if_equal(_TIOCLINUX, 0, 1),
            _return(_EPERM),
            _return(_ALLOW),
        ],
    }


def program_filter(pid: int | None = None, *, final: bool = True) -> bytes:
    """The filter for programs.

    Args:
        pid: None where processes of a program are in a namespace of their own. Else the process's
            number: it may then start threads but no process, and signal nobody but itself.
        final: False where a further filter follows, before which a process may still say that it
            ends with the one that forked it.
    """
    column = MACHINES[MACHINE]
    conditions = _conditions(alone=pid is not None, final=final)
    if pid is not None:
        only_itself = [_argument(0), _if_equal(pid, 1, 0), _return(_EPERM), _return(_ALLOW)]
        for name in ("kill", "tgkill", "rt_sigqueueinfo", "rt_tgsigqueueinfo"):
            conditions[name] = only_itself
        for name in ("fork", "vfork", "tkill", "pidfd_open", "pidfd_send_signal", "setpgid"):
            conditions[name] = [_return(_EPERM)]
        # Landlock does not look at these, and the user may own files outside the program's folder.
        for name in _UNSEEN_BY_LANDLOCK:
            conditions[name] = [_return(_NOTHING)]
        conditions["truncate"] = [_return(_EPERM)]  # Landlock does since Linux 6.2
    verdicts = dict.fromkeys(ALLOWED, _ALLOW) | dict.fromkeys(REFUSED, _EPERM)
    verdicts |= dict.fromkeys(FORBIDDEN, _KILL)
    simple = {
        place: verdict
        for name, verdict in verdicts.items()
        if name not in conditions and (place := NUMBERS[name][column]) is not None
    }
    lines = [
        _load(_AT_ARCHITECTURE),
        _if_equal(_AUDIT_ARCH[MACHINE], 1, 0),
        _return(_KILL),
        _load(_AT_NUMBER),
        *([_if_at_least(_X32, 0, 1), _return(_KILL)] if MACHINE == "x86_64" else []),
    ]
    for name, instructions in conditions.items():
        place = NUMBERS[name][column]
        if place is not None:
            lines += [_if_equal(place, 0, len(instructions)), *instructions]
    return b"".join([*lines, *_tree(_runs(simple))])


def _runs(verdicts: dict[int, int]) -> list[tuple[int, int]]:
    """Numbers that follow each other with one verdict, as (first number behind them, verdict)."""
    runs: list[tuple[int, int]] = []
    for place in range(max(verdicts) + 1):
        verdict = verdicts.get(place, _ENOSYS)
        if runs and runs[-1][1] == verdict:
            runs[-1] = (place + 1, verdict)
        else:
            runs.append((place + 1, verdict))
    return [*runs, (1 << 32, _ENOSYS)]


def _tree(runs: list[tuple[int, int]]) -> list[bytes]:
    """A search of halves, so that no call pays for the length of the list."""
    if len(runs) == 1:
        return [_return(runs[0][1])]
    half = len(runs) // 2
    below, above = _tree(runs[:half]), _tree(runs[half:])
    bound = runs[half - 1][0]
    if len(below) < 256:
        return [_if_at_least(bound, len(below), 0), *below, *above]
    return [_if_at_least(bound, 0, 1), _jump(len(below)), *below, *above]


def _jump(count: int) -> bytes:
    return _instruction(0x05, 0, 0, count)
