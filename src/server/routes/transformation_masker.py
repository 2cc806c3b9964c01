"""Masks what a job prints: each part of its secrets in the ways in which programs write it.

A character is found in any of its spellings, each at its own place; base64 and hex also where a program wraps them.
"""

import base64
import html.entities
import json
import re
import unicodedata

from transformation_parts import MIN_MASKED_CHARS, hidden_parts

MASK = b'***'
# Longer text is masked piece by piece, so that little of a line without end has to be held back.
PIECE_BYTES = 1024
# Beyond so many things to look for, which slow the job's output down, parts are masked as they are and in no other form.
MAX_PATTERNS = 5000
# So many parts, and so much of each, are looked for in every spelling of a character.
MAX_SPELLED_PARTS = 300
SPELLED_CHARS = 200
# A line of base64 or hex that may go on in the next one.
BLOCK_LINE = re.compile(rb'[ \t]*[A-Za-z0-9+/=_-]{40,}\r?\n?\Z')
BLOCK_END = re.compile(rb'[ \t]*[A-Za-z0-9+/=_-]+\r?\n?\Z')
MAX_BLOCK_LINES = 10000
# Nothing is spelled otherwise in a line without one of these.
SPELLED = re.compile(rb'''[\\%&+'"=$#`]|  |[^\x00-\x7f]''')


class Masker:
    """Finds the secrets in a line; made once for a job."""

    def __init__(self, values):
        parts = set()
        for value in values:
            parts.update(hidden_parts(value))
        raw = sorted({part if isinstance(part, bytes) else part.encode('utf-8', 'surrogatepass') for part in parts}, key=len)
        self.plain = set()
        self.blocks = set()
        for encode, found in (as_it_is, self.plain), (encoded, self.blocks), (other_forms, self.plain):
            for part in raw:
                if encode is not as_it_is and len(self.plain) + len(self.blocks) > MAX_PATTERNS:
                    break
                for form in encode(part):
                    found.update(pieces(form))
        texts = sorted((part for part in parts if isinstance(part, str)), key=len)
        self.spelled = [(re.compile(b'(?=(%s))' % spellings_of(text[:SPELLED_CHARS])), bool(re.search(r'\s', text)))
                        for text in texts[:MAX_SPELLED_PARTS]]
        self.longest = max([len(form) for form in self.plain | self.blocks] + [8 * SPELLED_CHARS if self.spelled else 1])

    def runs(self, text):
        """Where secrets are in a text without line ends between them, as (start, end), in order, none touching another."""
        found = []
        for form in self.plain | self.blocks:
            at = text.find(form)
            while at >= 0:
                found.append((at, at + len(form)))
                at = text.find(form, at + 1)
        is_spelled = SPELLED.search(text)
        for pattern, has_blanks in self.spelled:
            if is_spelled or has_blanks:
                found += [match.span(1) for match in pattern.finditer(text)]
        return joined(found)

    def masked(self, text):
        lines = text.splitlines(True)
        return b''.join(replaced(line, self.runs(line)) for line in lines) if len(lines) > 1 else replaced(text, self.runs(text))

    def masked_block(self, lines):
        """Lines of base64 or hex, each masked by itself and all of them as one."""
        bare = [line.strip() for line in lines]
        whole = b''.join(bare)
        found = []
        for form in self.blocks:
            at = whole.find(form)
            while at >= 0:
                found.append((at, at + len(form)))
                at = whole.find(form, at + 1)
        result = []
        start = 0
        for line, digits in zip(lines, bare):
            indent = len(line) - len(line.lstrip())
            here = [(indent + max(0, a - start), indent + min(len(digits), b - start))
                    for a, b in found if a < start + len(digits) and b > start]
            result.append(replaced(line, joined(here + self.runs(line))))
            start += len(digits)
        return b''.join(result)


def joined(spans):
    runs = []
    for start, end in sorted(spans):
        if runs and start <= runs[-1][1]:
            runs[-1] = runs[-1][0], max(runs[-1][1], end)
        else:
            runs.append((start, end))
    return runs


def replaced(text, runs):
    at = 0
    result = []
    for start, end in runs:
        result += [text[at:start], MASK]
        at = end
    return b''.join(result + [text[at:]])


def copy_masked(source, target, masker):
    """Copies until the source ends. A finished line is held back only where it may be the middle of a block."""
    pending = b''
    block = []
    while True:
        chunk = source.read1(65536)
        pending += chunk
        lines = pending.split(b'\n')
        pending = lines.pop()
        ready = []
        for line in (each + b'\n' for each in lines):
            goes_on = BLOCK_LINE.match(line) and (not block or len(line) == len(block[0]))
            if goes_on and len(block) < MAX_BLOCK_LINES:
                block.append(line)
                continue
            if block and BLOCK_END.match(line):
                ready.append(masker.masked_block(block + [line]))
            else:
                ready += [masker.masked_block(block), masker.masked(line)]
            block = []
        if not chunk:
            ready.append(masker.masked_block(block + [pending]) if BLOCK_END.match(pending) else
                         masker.masked_block(block) + masker.masked(pending))
        elif not block and len(pending) >= 16 * masker.longest:
            end = len(pending) - masker.longest
            end = min([start for start, stop in masker.runs(pending) if start < end < stop] + [end])
            ready.append(masker.masked(pending[:end]))
            pending = pending[end:]
        target.write(b''.join(ready))
        target.flush()
        if not chunk:
            return


# --- forms


def pieces(form):
    """What spans a line end reaches a log line by line."""
    if re.search(rb'[\r\n]', form):
        return set()
    return {form[at:at + PIECE_BYTES] for at in range(0, len(form), PIECE_BYTES) if len(form) - at >= MIN_MASKED_CHARS}


def as_it_is(raw):
    return [raw]


def encoded(raw):
    """As it is and as JSON writes it: in base64, and in hex."""
    for form in {raw} | in_json(raw):
        for digits in encoded_bytes(form):
            yield digits


def in_json(raw):
    """With and without `\\u` for what is not ASCII, and as Go does."""
    try:
        text = raw.decode('utf-8')
    except UnicodeDecodeError:
        return set()
    plain = json.dumps(text, ensure_ascii=False)[1:-1]
    for_html = re.sub('[&<>\u2028\u2029]', lambda match: '\\u%04x' % ord(match.group()), plain)
    return {form.encode('utf-8', 'surrogatepass') for form in (plain, json.dumps(text)[1:-1], for_html)}


def encoded_bytes(raw):
    """In base64 at each of the three alignments that the bytes may have, without the digits that they share; and in hex."""
    for shift in range(3):
        whole = base64.b64encode(b'\0' * shift + raw)[(shift * 8 + 5) // 6:]
        for form in {digits_of(raw, shift), whole.rstrip(b'='), whole}:
            yield form
            yield form.translate(bytes.maketrans(b'+/', b'-_'))
        for again in range(3):
            yield digits_of(digits_of(raw, shift), again)
    yield raw.hex().encode()
    yield raw.hex().upper().encode()


def digits_of(raw, shift):
    """Those that depend on nothing but these bytes, when `shift` others are before them."""
    digits = base64.b64encode(b'\0' * shift + raw).rstrip(b'=')
    return digits[(shift * 8 + 5) // 6:len(digits) - (1 if (shift + len(raw)) % 3 else 0)]


def other_forms(raw):
    """Bytes one by one, other encodings of text, and what `repr` makes of quotes."""
    digits = ['%02x' % byte for byte in bytearray(raw)]
    for form in (':'.join(digits), ':'.join(digits).upper(), ' '.join(digits), ', '.join('0x' + each for each in digits),
                 ', '.join(map(str, bytearray(raw))), ','.join(map(str, bytearray(raw)))):
        yield form.encode()
    try:
        text = raw.decode('utf-8')
    except UnicodeDecodeError:
        return
    yield text.encode('utf-16-le')
    yield text.encode('utf-16-be')
    if any(0x80 <= ord(sign) < 0x100 for sign in text):
        yield text.encode('latin-1', 'replace')
    if any(ord(sign) >= 0x80 for sign in text):
        for form in 'NFC', 'NFD':
            yield unicodedata.normalize(form, text).encode('utf-8')
        # UTF-8 that was read as Latin-1.
        yield raw.decode('latin-1').encode('utf-8')
    if len(re.findall(r'[!-~]', text)) >= MIN_MASKED_CHARS:
        # For what the locale lacks.
        yield re.sub(r'[^\x00-\x7f]', '?', text).encode()
        yield re.sub(rb'[^\x00-\x7f]', b'?', raw)
        yield re.sub(rb'[^\x00-\x7f]', b'.', raw)
    yield b''.join(as_cat_shows(byte) for byte in bytearray(raw))


def as_cat_shows(byte):
    low = byte & 0x7f
    shown = b'^%c' % (low ^ 0x40) if low < 0x20 and byte != 10 or low == 0x7f else b'%c' % low
    return shown if byte < 0x80 else b'M-' + shown


# --- spellings of a character

BACKSLASHES = rb'(?:\\|%(?:25)*5[cC]|&#92;){1,15}'
NAMED = {'\a': 'a', '\b': 'b', '\x1b': 'eE', '\f': 'f', '\n': 'n', '\r': 'r', '\t': 't', '\v': 'v', '\x1a': 'Z', ' ': 's'}
QUOTES = {"'": [rb"'\\''", rb"""'"'"'""", rb"""\"'\"""", rb"''"], '"': [rb'""', rb'"\\""', rb'`"'], '!': [rb"'\\!'"],
          '$': [rb'\$\$', rb'`\$'], '%': [b'%%'], '`': [b'``'], '\n': [b'`n'], '\t': [b'`t'], '\r': [b'`r']}
ENTITIES = {}
for _name, _text in html.entities.html5.items():
    if _name.endswith(';') and len(_text) == 1:
        ENTITIES.setdefault(_text, []).append(_name[:-1])


def spellings_of(text):
    """A pattern for the text in which each character matches its spellings. White space matches as much of it as there is."""
    blank = b'(?:%s|%s)+' % (alternatives(' '), alternatives('\t'))
    return b''.join(blank if sign.isspace() and sign.strip(' \t') == '' else b'(?:%s)' % alternatives(sign)
                    for sign in re.findall(r'[ \t]+|[\s\S]', text))


def alternatives(sign):
    point = ord(sign)
    raw = sign.encode('utf-8', 'surrogatepass')
    forms = list(QUOTES.get(sign, []))
    if sign == '\\':
        forms.append(BACKSLASHES)
    elif sign not in '\r\n':
        forms += [re.escape(raw)] + ([BACKSLASHES + re.escape(raw)] if point < 0x80 else [])
    if sign == ' ':
        forms.append(rb'\+')
    if point < 0x20 or point == 0x7f:
        forms.append(b'#%03o' % point)
    forms += [br"(?:'\$')?%s%s(?:'')?" % (BACKSLASHES, letter.encode()) for letter in NAMED.get(sign, '')]
    each = b''.join(b'(?:%s)' % byte_escapes(byte) for byte in bytearray(raw))
    forms.append(br'(?:%s)?%s' % (BACKSLASHES, each) if point < 0x80 else br"(?:'\$')?%s(?:'')?" % each)
    if 0x80 <= point < 0x100:
        forms += [byte_escapes(point)]
    forms.append(BACKSLASHES + br'[uU](?:0000)?' + digits(point, 4) if point < 0x10000 else surrogates(point))
    forms += [BACKSLASHES + b'U' + digits(point, 8), BACKSLASHES + br'[ux]\{0*' + digits(point, 0) + br'\}',
              b'%u' + digits(point, 4)]
    names = b'|'.join(re.escape(name.encode()) for name in ENTITIES.get(sign, []))
    number = br'#0*%d|#[xX]0*%s' % (point, digits(point, 0))
    forms.append(br'&(?:amp;)*(?:%s);' % (number + b'|' + names if names else number))
    return b'|'.join(forms)


def byte_escapes(byte):
    number = digits(byte, 2)
    raw = b'' if byte < 0x80 else br'|\\{0,15}' + re.escape(b'%c' % byte)
    return br'%%(?:25)*%s|=%s|\\{1,15}(?:[xX]%s|0?%03o|%03d|%d)' % (number, number, number, byte, byte, byte) + raw


def surrogates(point):
    high, low = 0xd800 + (point - 0x10000 >> 10), 0xdc00 + (point - 0x10000 & 0x3ff)
    return b'(?:%s|%%)u%s(?:%s|%%)u%s' % (BACKSLASHES, digits(high, 4), BACKSLASHES, digits(low, 4))


def digits(number, width):
    """Hex digits in either case."""
    return b''.join(b'[%s%s]' % (each.encode(), each.upper().encode()) if each.isalpha() else each.encode()
                    for each in '%0*x' % (width, number))
