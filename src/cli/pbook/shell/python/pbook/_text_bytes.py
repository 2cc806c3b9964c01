"""At pbook's prompt and in its scripts base64's functions answer bytes that also have an encode().

PanDA's manual page sets a binary secret with base64.b64encode(data).encode(), which worked in Python 2. The answer
here is bytes in every respect, and its encode() gives it as text.
"""

import base64


class TextBytes(bytes):
    """Bytes of ASCII text; encode() gives them as a str, as decode() does."""

    def encode(self, encoding="ascii", errors="strict"):
        """The bytes as a str: a habit of Python 2 that works in pbook; elsewhere write decode()."""
        return self.decode(encoding, errors)

    def __reduce__(self):
        return bytes, (bytes(self),)  # a Python without pbook can unpickle it


def _answering_text_bytes(function):
    def encode(*args, **kwargs):
        return TextBytes(function(*args, **kwargs))

    for name in ("__name__", "__qualname__", "__module__", "__doc__"):
        setattr(encode, name, getattr(function, name))
    encode.__wrapped__ = function  # keeps the signature
    return encode


def install():
    """Replaces the encoding functions of base64, once."""
    for name in (
        "b64encode",
        "standard_b64encode",
        "urlsafe_b64encode",
        "b32encode",
        "b32hexencode",
        "b16encode",
        "a85encode",
        "b85encode",
        "z85encode",
        "encodebytes",
    ):
        function = getattr(base64, name, None)
        if function is not None:  # another Python has others
            setattr(base64, name, _answering_text_bytes(function))
