"""What Tab completes: names of secrets and paths inside quotes, Python everywhere else."""

import inspect
import os
import re
import rlcompleter

from . import _link

_SECRET_NAME = re.compile(
    r"\b(?:set_secret|get_secret|delete_secret|masking|secret_history|secret_versions|restore_secret)"
    r"\(\s*(?:key\s*=\s*)?(['\"])([^'\"\\]*)$"
)
_PATH = re.compile(r"\bopen\(\s*(['\"])([^'\"\\]*)$|(['\"])((?:~|\.{1,2})?/[^'\"\\]*)$")


class Completer:
    """editor: the module readline, or another with its functions."""

    def __init__(self, namespace, editor):
        self._namespace = namespace
        self._editor = editor
        self._python = rlcompleter.Completer(namespace)
        self._options = []

    def complete(self, word, number):
        """As readline asks: the options for a word, one after another, and then None."""
        if number == 0:
            try:
                begin, end = self._editor.get_begidx(), self._editor.get_endidx()
                line = self._editor.get_line_buffer()
                start = line.rfind("\n", 0, end) + 1  # of the line that the cursor is in, where there are several
                self._options = self._find(line[start:end], word, max(begin - start, 0))
            except Exception:  # an attribute that raises, a server that is away
                self._options = []
        return self._options[number] if number < len(self._options) else None

    def _find(self, line, word, begin):
        if line.strip() == "":
            return ["    "]
        secret = _SECRET_NAME.search(line)
        if secret:
            quote, name = secret.groups()
            known = _link.call("secret_names", silent=True)
            return _replacing(word, name, [one + quote for one in known if one.startswith(name)])
        path = _PATH.search(line)
        if path:
            begun = path.group(2) if path.group(1) else path.group(4)
            return _replacing(word, begun, _paths(begun))
        return list(dict.fromkeys(self._parameters(line[:begin], word) + self._of_python(word)))

    def _of_python(self, word):
        options = []
        while True:
            option = self._python.complete(word, len(options))
            if option is None:
                return options
            options.append(option)

    def _parameters(self, before, part):
        """The named parameters of the call that the cursor stands in."""
        call = re.search(r"(\w+)\([^()]*$", before)
        function = call and self._namespace.get(call.group(1))
        if "." in part or not callable(function) or re.search(r"=\s*$", before):
            return []
        try:
            names = inspect.signature(function).parameters
        except (TypeError, ValueError):
            return []
        return ["%s=" % name for name in names if name.startswith(part) and (part or not before.endswith("("))]


def _replacing(word, begun, options):
    """The editor replaces the word alone, which may be the end of what was begun: `my key` has two words."""
    kept = len(begun) - len(word)
    return [option[kept:] if kept > 0 else begun[:0] + option for option in options if not re.search(r"\\", option)]


def _paths(begun):
    folder, beginning = os.path.split(begun)
    shown = folder if folder in ("", "/") or folder.endswith("/") else folder + "/"
    if begun.startswith("/") and folder == "/":
        shown = "/"
    found = []
    with os.scandir(os.path.expanduser(folder) or ".") as entries:
        for entry in entries:
            if entry.name.startswith(beginning) and (beginning != "" or not entry.name.startswith(".")):
                found.append(shown + entry.name + ("/" if entry.is_dir() else ""))
    return sorted(found)
