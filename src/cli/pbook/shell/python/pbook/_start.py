"""The first file that pbook gives to the user's Python: it looks whether that is new enough, and goes on in _shell.py.

    python3 _start.py NODE PROGRAM VERSION CONFIG-FOLDER prompt-or-input|code|input|file [ARGUMENTS]

Any Python from 2.7 on must be able to read this file.
"""

import os
import sys

if sys.version_info < (3, 8):
    sys.stderr.write(
        "ERROR : pbook needs Python 3.8 or newer, and %s is Python %d.%d; --python PATH names another one\n"
        % ((sys.executable,) + tuple(sys.version_info[:2]))
    )
    sys.exit(1)

_here = os.path.dirname(os.path.abspath(__file__))
_keeps_out = bool(sys.flags.isolated or getattr(sys.flags, "safe_path", False))
if not _keeps_out:
    del sys.path[0]  # the folder of this file
_users_path = sys.path[:]
# Of modules with a name of the library's the current folder and PYTHONPATH may have others: pbook's own imports do not look there.
_library_path = [os.path.dirname(_here), os.path.dirname(os.__file__)]
_library_path += [p for p in _users_path if os.path.basename(p) == "lib-dynload"]
sys.path[:] = _library_path
from pbook import _library, _shell  # noqa: E402

_library.path = _library_path
_run = _shell.prepare(sys.argv[1:], finds_beside=not _keeps_out)
sys.path[:] = _users_path
_run()
