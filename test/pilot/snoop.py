"""A payload that looks for texts that are not its own in everything that it can reach, and reports where it found them.

usage: snoop.py HOST PORT REPORT ROOT... < texts, one a line, each in hex and reversed (so that the look-out does not find itself)

It waits at HOST:PORT for a byte before it looks and another one before it ends, so that what it looks for is there meanwhile.
"""

import json
import os
import re
import socket
import sys

host, port, report, *roots = sys.argv[1:]
texts = [bytes.fromhex(line)[::-1] for line in sys.stdin.read().split()]
found = {"files": [], "processes": [], "pids": 0, "own": False}


def look(where, what, content):
    for number, text in enumerate(texts):
        if text in content:
            found[where].append("%s: text %d" % (what, number))


def read(path, limit=1 << 20):
    try:
        with open(path, "rb") as file:
            return file.read(limit)
    except (OSError, ValueError):
        return b""


def look_at_files():
    for root in roots:
        if os.path.isfile(root):
            look("files", root, read(root))
        for folder, _, names in os.walk(root):
            for name in names:
                path = os.path.join(folder, name)
                if os.path.isfile(path):
                    look("files", path, read(path))


def look_at_memory(pid):
    try:
        maps = open("/proc/%s/maps" % pid).read()
        memory = open("/proc/%s/mem" % pid, "rb")
    except OSError:
        return
    with memory:
        for start, end in re.findall(r"^([0-9a-f]+)-([0-9a-f]+) rw", maps, re.M):
            start, end = int(start, 16), int(end, 16)
            for at in range(start, end, 1 << 24):
                try:
                    memory.seek(at)
                    look("processes", "mem of %s" % pid, memory.read(min(1 << 24, end - at)))
                except (OSError, ValueError, OverflowError):
                    pass


def look_at_processes():
    for pid in filter(str.isdigit, os.listdir("/proc")):
        if int(pid) == os.getpid():
            continue
        found["pids"] += 1
        for name in ("environ", "cmdline"):
            look("processes", "%s of %s" % (name, pid), read("/proc/%s/%s" % (pid, name)))
        look_at_memory(pid)
        try:
            for number in os.listdir("/proc/%s/fd" % pid):
                path = "/proc/%s/fd/%s" % (pid, number)
                if os.path.isfile(path):
                    look("processes", path, read(path))
        except OSError:
            pass


meeting = socket.create_connection((host, int(port)))
meeting.recv(1)
found["own"] = os.environ["MINE"] in open("panda_secrets.json").read()
look_at_files()
look_at_processes()
meeting.sendall(b".")
meeting.recv(1)
with open(report, "w") as file:
    json.dump(found, file)
