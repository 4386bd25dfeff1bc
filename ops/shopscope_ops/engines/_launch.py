"""A script that becomes a supervised program, having made sure that it dies with its supervisor.

A supervisor that is killed with -9 can stop nothing any more, so the kernel (Linux) or a small guard process at the end
of a pipe (elsewhere) does it. This is a script of its own, because code between fork and exec of a threaded parent may
deadlock, and because the death signal has to be set after the change of user, which clears it.

Arguments: the supervisor's pid, the signal for an orphan, the lifeline's file descriptor (-1: use the kernel), uid, gid
(-1: keep ours), then the command.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1


def _guard(target_pid: int, signal_number: int, lifeline: int) -> None:
    """Wait until the supervisor's end of the lifeline closes, then signal the program; ends with the program too."""
    import select  # noqa: PLC0415 - only where the kernel offers no death signal

    os.setsid()
    while os.getppid() == target_pid:
        readable, _, _ = select.select([lifeline], [], [], 0.5)
        if readable:
            os.kill(target_pid, signal_number)
            return


def main(arguments: list[str]) -> None:
    """Tie this process to its supervisor, change the user if asked, and execute the command."""
    supervisor_pid, signal_number, lifeline, uid, gid = (int(text) for text in arguments[:5])
    command = arguments[5:]
    if uid >= 0:
        os.setgroups([])
        os.setgid(gid)
        os.setuid(uid)
    if lifeline < 0:
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal_number, 0, 0, 0)
        if os.getppid() != supervisor_pid:  # it died before the line above
            sys.exit(1)
    else:
        target_pid = os.getpid()
        if os.fork() == 0:
            _guard(target_pid, signal_number, lifeline)
            os._exit(0)
        os.close(lifeline)
    # Python ignores SIGPIPE, and an ignored signal survives exec.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        os.execvp(command[0], command)  # noqa: S606 - becoming the given program is the point
    except OSError as error:
        sys.exit(f"cannot run {command[0]}: {error.strerror}")


if __name__ == "__main__":
    main(sys.argv[1:])
