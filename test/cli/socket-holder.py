"""Holds a listening socket as systemd does, and starts a program on it again each time that it ends with status 0.

Arguments: the address to listen on, and the program with its arguments. Prints "port N" and, at each start, "pid N". Ends with the program's
status when that is another one, and kills the program when its own standard input ends.
"""

import os
import socket
import subprocess
import sys
import threading

listening = socket.create_server((sys.argv[1], 0), backlog=1024)
os.dup2(listening.fileno(), 3)
print("port", listening.getsockname()[1], flush=True)
child = None


def end_with_parent():
    sys.stdin.read()
    if child:
        child.kill()
    os._exit(0)


threading.Thread(target=end_with_parent, daemon=True).start()
while True:
    child = subprocess.Popen(
        ["sh", "-c", 'LISTEN_FDS=1 LISTEN_PID=$$ exec "$@" <&3', "sh", *sys.argv[2:]], pass_fds=[3]
    )
    print("pid", child.pid, flush=True)
    status = child.wait()
    if status != 0:
        os._exit(status if status > 0 else 1)
