"""The first file that pbook gives to the user's Python: it looks whether that is new enough, and goes on in _shell.py.

    python3 _start.py NODE PROGRAM VERSION CONFIG-FOLDER prompt|code|input|file [ARGUMENTS]

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
_library = os.path.dirname(os.__file__)
sys.path[:] = [os.path.dirname(_here), _library] + [p for p in _users_path if os.path.basename(p) == "lib-dynload"]
from pbook import _shell  # noqa: E402

sys.path[:] = _users_path
_shell.run(sys.argv[1:], finds_beside=not _keeps_out)
