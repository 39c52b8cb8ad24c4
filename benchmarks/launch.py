"""launch.py OUT ERR COMMAND...: run the command with its output in these files; print status, CPU, seconds and KiB.

A separate, small process: a child's largest size includes its parent's size when it was started.
"""

import os
import signal
import sys
import time

if __name__ == "__main__":
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    files = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        *((os.POSIX_SPAWN_OPEN, number, name, flags, 0o600) for number, name in ((1, sys.argv[1]), (2, sys.argv[2]))),
    ]
    # SIGTERM to the group is for the command: it ends, and we report its cost.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    began = time.monotonic()
    child = os.posix_spawnp(sys.argv[3], sys.argv[3:], os.environ, file_actions=files, setsigdef=[signal.SIGTERM])
    _, status, used = os.wait4(child, 0)
    wall = time.monotonic() - began
    print(os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime, wall, used.ru_maxrss)
