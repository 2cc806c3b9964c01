"""A payload that attacks what namespaces do not divide, and what root owns; prints what it got, one word a line.

usage: kernel.py NUMBER    attacks by the job with that number; the one with 1 leaves things for the one with 2
"""

import ctypes
import errno
import os
import re
import sys

number = int(sys.argv[1])
libc = ctypes.CDLL(None, use_errno=True)
CALLS = {
    "x86_64": {"add_key": 248, "request_key": 249, "keyctl": 250, "userfaultfd": 323, "io_uring_setup": 425},
    "aarch64": {"add_key": 217, "request_key": 218, "keyctl": 219, "userfaultfd": 282, "io_uring_setup": 425},
}[os.uname().machine]
USER_KEYRING, SESSION_KEYRING = -4, -3
KEYCTL_SEARCH, KEYCTL_READ = 10, 11
X32 = 0x40000000


def call(name, *arguments, bit=0):
    ctypes.set_errno(0)
    got = libc.syscall(ctypes.c_long(CALLS[name] | bit), *[ctypes.c_long(a) if isinstance(a, int) else a for a in arguments])
    return got, ctypes.get_errno()


def keyrings():
    for ring in (USER_KEYRING, SESSION_KEYRING):
        if number == 1:
            got, _ = call("add_key", b"user", b"panda-test", b"stolen", 6, ring)
            if got > 0:
                print("kept-a-key")
        got, _ = call("keyctl", KEYCTL_SEARCH, ring, b"user", b"panda-test", 0)
        if got > 0:
            print("found-a-key")
    for name in CALLS:
        for bit in (0, X32):
            _, error = call(name, 0, 0, 0, 0, 0, bit=bit)
            if error != errno.ENOSYS:
                print("may-call-%s" % name)


def calls_of_32_bit_programs():
    """Another table of the kernel's, which a program of 64 bits reaches with int 0x80."""
    if os.uname().machine != "x86_64":
        return
    libc.mmap.restype = ctypes.c_void_p
    page = libc.mmap(None, ctypes.c_size_t(4096), 7, 0x22, -1, ctypes.c_long(0))
    for name, number in {"add_key": 286, "request_key": 287, "keyctl": 288, "userfaultfd": 374, "io_uring_setup": 425}.items():
        # push rbx; xor ebx, ebx; xor ecx, ecx; xor edx, edx; mov eax, number; int 0x80; pop rbx; ret
        code = b"\x53\x31\xdb\x31\xc9\x31\xd2\xb8" + number.to_bytes(4, "little") + b"\xcd\x80\x5b\xc3"
        ctypes.memmove(page, code, len(code))
        child = os.fork()
        if child == 0:
            got = ctypes.CFUNCTYPE(ctypes.c_int)(page)()
            os._exit(0 if got == -errno.ENOSYS else 1)
        # One that ends by a signal is on a kernel without these calls.
        _, status = os.waitpid(child, 0)
        if os.WIFEXITED(status) and os.WEXITSTATUS(status) == 1:
            print("may-call-%s-of-32-bits" % name)


def shared_memory():
    flags = 0o1600 if number == 1 else 0
    if libc.shmget(0x70616E64, 4096, flags) >= 0 and number == 2:
        print("found-shared-memory")


def writable(root):
    """The files below a folder of the kernel's that may be written to, without the processes' own."""
    for folder, folders, names in os.walk(root):
        if folder == "/proc":
            folders[:] = [name for name in folders if not name.isdigit() and name not in ("self", "thread-self")]
        for name in names:
            path = os.path.join(folder, name)
            if os.path.islink(path):
                continue
            try:
                os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
            except OSError:
                continue
            print("writable:%s" % path)


def readable(root):
    """Settings that not everybody may read."""
    for folder, _, names in os.walk(root):
        for name in names:
            path = os.path.join(folder, name)
            try:
                closed = not os.stat(path).st_mode & 0o004
                if closed and open(path, "rb").read(1):
                    print("readable:%s" % path)
            except OSError:
                pass


print("ran")
if os.getuid() == 0:
    print("root")
if int(re.search(r"CapEff:\s*(\w+)", open("/proc/self/status").read())[1], 16):
    print("capable")
keyrings()
calls_of_32_bit_programs()
shared_memory()
writable("/proc")
writable("/sys")
readable("/etc")
