"""Started as root, the agent becomes another user that keeps CAP_NET_RAW alone.

Two steps. `become`, before there is a second thread: files, databases and sockets that are made from now on belong to
the user. The capabilities that opening needs remain, and root as the saved user id. `settle`, when all is open: the
kernel clears the capabilities of every thread as the saved id goes, but those of the thread that calls it. There, and
in the threads that it starts from now on, CAP_NET_RAW remains, for interfaces that are opened again. Groups, the
bounding set and setuid programs (no_new_privs) are given up at once. See capabilities(7), prctl(2) and setresuid(2).
"""

from __future__ import annotations

import ctypes
import encodings.idna  # noqa: F401 - sockets load it on first use, when the user may not read Python's files any more
import os
import pwd
from collections.abc import Iterable, Iterator, MutableMapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

DAC_READ_SEARCH, NET_BIND_SERVICE, NET_ADMIN, NET_RAW = 2, 10, 12, 13  # linux/capability.h
# Files that only root can read; listening below port 1024; large buffers; interfaces.
TO_START = frozenset((DAC_READ_SEARCH, NET_BIND_SERVICE, NET_ADMIN, NET_RAW))
TO_STAY = frozenset((NET_RAW,))

# linux/prctl.h
PR_SET_KEEPCAPS, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 8, 24, 38, 47, 4
VERSION_3 = 0x20080522  # of the structures of capset(2): two words of 32 bits for each set
MOST_CAPABILITIES = 64

_libc = ctypes.CDLL(None, use_errno=True)


class PrivilegesError(Exception):
    """One clear line for the user: why the agent cannot become another one."""


@dataclass(frozen=True, slots=True)
class User:
    """Whom the agent becomes."""

    name: str
    uid: int
    gid: int
    home: str

    def __str__(self) -> str:
        return f"user {self.name} (uid {self.uid}, gid {self.gid})"


def find_user(wanted: str) -> User:
    """By name or number. Raises PrivilegesError."""
    try:
        found = pwd.getpwuid(int(wanted)) if wanted.isascii() and wanted.isdigit() else pwd.getpwnam(wanted)
    except (KeyError, ValueError, OverflowError):
        raise PrivilegesError(f"user {wanted!r}: there is no such user") from None
    if found.pw_uid == 0 or found.pw_gid == 0:
        raise PrivilegesError(f"user {wanted!r}: is root, or in root's group, expected another user")
    return User(found.pw_name, found.pw_uid, found.pw_gid, found.pw_dir)


def become(user: User, environ: MutableMapping[str, str]) -> None:
    """Make and open files as that user, with TO_START as far as the process has them. Raises PrivilegesError."""
    if os.geteuid() == user.uid:
        return
    if os.geteuid() != 0:
        raise PrivilegesError(f"user {user.name!r}: only root can become another user, and this is uid {os.geteuid()}")
    kept = capabilities() & TO_START
    with refused(user):
        drop_bounding()
        prctl(PR_SET_NO_NEW_PRIVS, 1)
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
        os.initgroups(user.name, user.gid)
        os.setresgid(user.gid, user.gid, user.gid)
        os.setresuid(user.uid, user.uid, 0)
        set_capabilities(kept)
    environ.update(HOME=user.home, USER=user.name, LOGNAME=user.name)


def settle(user: User) -> str:
    """All is open: TO_STAY remains, to this thread. Returns what was done. Raises PrivilegesError."""
    if 0 not in os.getresuid():
        return f"runs as {user}, as it was started"
    kept = capabilities() & TO_STAY
    with refused(user):
        prctl(PR_SET_KEEPCAPS, 1)
        os.setresuid(user.uid, user.uid, user.uid)
        set_capabilities(kept)
        prctl(PR_SET_KEEPCAPS, 0)
    if set(os.getresuid()) != {user.uid} or 0 in {*os.getresgid(), *os.getgroups()} or capabilities() != kept:
        raise PrivilegesError(f"user {user.name!r}: root's privileges could not be given up")
    file = unreadable()
    but = f"; it cannot read {file}: reloads, and what the agent imports later, may fail" if file else ""
    return f"runs as {user}, with {'CAP_NET_RAW alone' if kept else 'no capability'}{but}"


def unreadable() -> str:
    """A file of this program that the user cannot read: what is imported from now on may fail. Empty: none."""
    return next((file for file in (os.__file__, __file__) if not os.access(file, os.R_OK)), "")


@contextmanager
def refused(user: User) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        raise PrivilegesError(f"user {user.name!r}: this process cannot become it: {reason}") from None


def give_folder(folder: Path, user: User) -> None:
    """Make it, or give the user an empty one of root's: the control socket is to be in it. Raises PrivilegesError."""
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            if os.fstat(handle).st_uid == 0 and not any(folder.iterdir()):
                os.fchown(handle, user.uid, user.gid)
        finally:
            os.close(handle)
    except OSError as error:
        raise PrivilegesError(f"user {user.name!r}: folder {folder}: {os.strerror(error.errno or 0).lower()}") from None


class CapabilityHeader(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class Word(ctypes.Structure):
    _fields_ = (("effective", ctypes.c_uint32), ("permitted", ctypes.c_uint32), ("inheritable", ctypes.c_uint32))


def capabilities() -> frozenset[int]:
    """The permitted set of this thread."""
    words = (Word * 2)()
    checked(_libc.capget(ctypes.byref(CapabilityHeader(VERSION_3, 0)), words))
    return frozenset(n for n in range(MOST_CAPABILITIES) if words[n // 32].permitted >> n % 32 & 1)


def set_capabilities(kept: Iterable[int]) -> None:
    """Of this thread: permitted and effective; none is inherited by programs. Raises OSError."""
    words = (Word * 2)()
    for n in kept:
        words[n // 32].effective |= 1 << n % 32
        words[n // 32].permitted |= 1 << n % 32
    checked(_libc.capset(ctypes.byref(CapabilityHeader(VERSION_3, 0)), words))


def drop_bounding() -> None:
    """As far as this process may, which takes CAP_SETPCAP; no_new_privs holds without it."""
    for n in set(range(MOST_CAPABILITIES)) - TO_STAY:
        with suppress(OSError):
            prctl(PR_CAPBSET_DROP, n)


def prctl(option: int, value: int) -> None:
    """Raises OSError."""
    checked(_libc.prctl(option, ctypes.c_ulong(value), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0)))


def checked(result: int) -> None:
    if result:
        raise OSError(ctypes.get_errno(), "")
