"""Runs a command at a pseudo-terminal of 120 columns, between this process's standard input and output."""

import fcntl
import os
import pty
import select
import struct
import sys
import termios

pid, terminal = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 120, 0, 0))
    os.execvp(sys.argv[1], sys.argv[1:])
sources = [0, terminal]
while terminal in sources:
    for source in select.select(sources, [], [])[0]:
        try:
            chunk = os.read(source, 65536)
        except OSError:  # the other side of the terminal is closed
            chunk = b""
        if not chunk:
            sources.remove(source)
        elif source == terminal:
            os.write(1, chunk)
        else:
            while chunk:
                chunk = chunk[os.write(terminal, chunk) :]
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
