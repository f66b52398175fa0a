"""What the operating system refuses, in one line: the path, why, and what to do."""

from __future__ import annotations

import errno
import os

from mindgpt_plugins.core.names import shorten_text

_WHAT_TO_DO = {
    errno.ENOSPC: "free some space, or choose another folder, and run the same command again: it goes on where it was",
    errno.EDQUOT: "free some of your quota, or choose another folder, and run the same command again",
    errno.EROFS: "the file system is mounted read-only: choose another folder (--runs, --work)",
    errno.EACCES: "check who owns it and its mode (ls -ld), or choose another folder",
    errno.EPERM: "check who owns it and its mode (ls -ld), or choose another folder",
    errno.ENOTDIR: "a part of the path is a file: move it away, or choose another folder",
    errno.EISDIR: "a folder stands where a file is to be: move it away, or give the file's path",
    errno.EEXIST: "something stands there already: move it away, or choose another name",
    errno.ENOTEMPTY: "a folder stands there already: move it away, or choose another name",
    errno.ENAMETOOLONG: "shorten the name",
    errno.ENOENT: "check the spelling, and that it is mounted here",
    errno.EMFILE: "raise the limit of open files (ulimit -n)",
    errno.ENFILE: "the machine has too many files open; close some programs",
    errno.EIO: "the disk or the network file system failed: look into dmesg",
    errno.ESTALE: "the network file system was mounted anew: start again in a fresh shell",
    errno.ELOOP: "links lead in a circle: remove one",
    errno.EFBIG: "the file system, or ulimit -f, allows no larger file",
    errno.ENOMEM: "the machine has no memory left",
    errno.EADDRINUSE: "another program listens there: choose another port",
    errno.ECONNREFUSED: "nothing listens there: start the server, or check the address",
}


def describe_os_error(error: OSError) -> str:
    """One line with the path, what the system says, and what to do about it.

    What we raise with a message of our own (``FileNotFoundError("no run …")``) is that message.
    """
    if error.errno is None:
        return str(error) or type(error).__name__
    names = [one for one in (error.filename, error.filename2) if one is not None]
    place = " → ".join(shorten_text(os.fsdecode(one) if not isinstance(one, int) else f"file {one}") for one in names)
    said = error.strerror or os.strerror(error.errno)
    fix = _WHAT_TO_DO.get(error.errno)
    return f"{f'{place}: ' if place else ''}{said}{f'; {fix}' if fix else ''}"


def find_first_cause(error: BaseException) -> BaseException:
    """What went wrong first, where an error of the system was raised while another one was being handled.

    A clean-up that fails on the same full disk must not hide why it was needed. Errors that were raised on purpose
    while another was handled say more than that one, and stay.
    """
    first = error
    while isinstance(first, OSError) and first.__cause__ is None and not first.__suppress_context__:
        before = first.__context__
        # That something is not there yet is the usual reason to make it: Path.mkdir(parents=True) does so.
        if not isinstance(before, (OSError, RuntimeError, ValueError)) or isinstance(before, FileNotFoundError):
            break
        first = before
    return first
