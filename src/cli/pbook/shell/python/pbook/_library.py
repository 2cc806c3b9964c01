"""Imports of pbook itself: from the standard library alone, whatever the current folder and PYTHONPATH have under its names."""

import sys

#: The path that such imports are looked for on; None in a Python that pbook did not start.
path = None


class Library:
    """While it is entered, sys.path has the standard library and pbook alone."""

    def __enter__(self):
        self._users = None
        if path is not None:
            self._users = sys.path[:]
            sys.path[:] = path

    def __exit__(self, *_error):
        if self._users is not None:
            sys.path[:] = self._users
