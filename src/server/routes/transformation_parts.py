"""Takes the values of secrets apart: which parts of them are hidden in what a job prints.

The rules are those of `src/masking/parts/`; a test holds the two together. Formats that Python's standard library does not
read are read line by line.
"""

import base64
import binascii
import csv
import io
import json
import re
import unicodedata
import urllib.parse
import xml.etree.ElementTree

MIN_MASKED_CHARS = 6
MAX_PARTS = 5000
MAX_DEPTH = 8
MAX_READ_CHARS = 4 * 1024 * 1024
MAX_PARSED_CHARS = 64 * 1024

LINE_END = re.compile(r'\r\n|\r|\n')


def hidden_parts(value):
    """@returns texts, and bytes that an encoded value stands for"""
    hidden = set()
    seen = {}
    waiting = [(value, '', 'nothing', 'whole', 0)]
    chars = 0
    for text, name, tells, kind, depth in waiting:
        reason = reason_to_hide(text, tells, kind)
        if reason:
            hidden.update(each for each in (text, text.strip()) if is_telling(each))
            raw = decoded_bytes(text) if kind != 'word' else None
            if raw and len(raw) >= 12 and looks_random(text) and text_of(raw) is None:
                hidden.add(raw)
        is_secret = kind in ('whole', 'same') or tells == 'secret'
        chars += len(text)
        if seen.get(text) in (True, is_secret) or depth >= MAX_DEPTH or chars > MAX_READ_CHARS:
            continue
        seen[text] = is_secret
        for found in read(text, name, tells, kind, is_secret):
            inner, inner_name, inner_tells, inner_kind = found
            if inner_kind == 'same' and reason not in ('whole', 'decoded', 'named'):
                inner_kind = 'text' if kind in ('text', 'word') else 'field'
            if len(waiting) < MAX_PARTS and (len(inner) >= MIN_MASKED_CHARS or inner_kind == 'field'):
                waiting.append((inner, inner_name, inner_tells, inner_kind, depth + 1))
    return hidden


def reason_to_hide(text, tells, kind):
    if kind in ('whole', 'same'):
        return 'whole' if kind == 'whole' else 'decoded'
    if not is_telling(text.strip()) or is_address(text):
        return None
    if tells == 'secret' and not NO_VALUE.match(text.strip()):
        return 'named'
    if not (kind == 'word' and re.search(r'\s', text.strip())) and looks_random(text):
        if not (tells == 'harmless' and text.isdigit()):
            return 'random'
    is_unknown = kind == 'field' and tells == 'nothing' and not is_harmless_shape(text) and not NO_VALUE.match(text.strip())
    return 'unknown' if is_unknown else None


def is_telling(text):
    if len(text) < MIN_MASKED_CHARS or re.match(r'([\W_])\1*\Z', text):
        return False
    return re.sub(r'[\s{}[\]",:]+|true|false|null', '', text) != ''


# --- names, looks and shapes

SECRET_WORDS = set("""
    password passwords passwd pwd pw pass passphrase passphrases passcode secret secrets token tokens key keys auth
    auths authorization authentication credential credentials cred creds pin pins puk otp totp cookie cookies jwt pat
    psk private signature sig salt seed mnemonic session bearer nonce tan cvv cvc passwort kennwort kennworter geheim
    geheimnis schlussel zugangsdaten mdp motdepasse secrete cle clef jeton contrasena clave secreto senha segredo chave
    parola segreto chiave wachtwoord sleutel geheime haslo klucz tajne heslo klic tajny losenord nyckel hemlig
    adgangskode passord nokkel hemmelig salasana avain salainen jelszo kulcs titkos sifre anahtar gizli пароль паролі
    ключ токен секрет κωδικος 密码 密碼 口令 密钥 令牌 パスワード 暗証番号 秘密 비밀번호 암호
""".split())
SECRET_NAME = re.compile(
    r'(password|passwd|passphrase|motdepasse|passwort|kennwort|secret|token|credentials?|(db|user|root|admin|my|sql|'
    r'ssh|smtp|require|master|key|store|trust|proxy|ftp|mail|ldap|bind|login|become|redis)(pass|pwd|pw)|(backup|recover'
    r'y|verification|security|unlock)codes?|(api|access|'
    r'secret|private|auth|encryption|signing|shared|account|master|storage|service|client|license|ssh|host|session|s'
    r'as)keys?)$')
HARMLESS_NAME = re.compile(
    r'((public|pub|sort|primary|foreign|partition|cache|row|object|image|routing|map)keys?|privateip|privatenetwork|'
    r'privatenetworks|keepass|keyring|keystore|keyvault|keyspace|truststore|passportnumber|basicauthuser|sessiondura'
    r'tion|sessionname|tokenizer|tokenuri)$')
HARMLESS_WORDS = set("""
    type types kind class url urls uri uris endpoint endpoints href link host hosts hostname hostnames server servers
    address addr ip port ports region regions zone user users username usernames uname login account accounts email
    emails mail name names dbname database databases db schema table project projects version versions apiversion scope
    scopes expiry expires expiration ttl timeout exp iat nbf issuer iss aud audience sub alg algorithm algorithms typ
    cipher ciphers id ids kid uid gid format encoding charset lang language locale tz timezone mode level path paths
    file files filename dir directory folder description comment comments title label labels env environment role roles
    group groups driver protocol protocols scheme method methods domain domains realm tenant cluster clusters namespace
    namespaces context contexts image tag tags branch repository repo registry created updated date time timestamp size
    length count max min limit interval retries retry enabled enable disabled required debug verify ssl sslmode tls
    output profile provider providers vendor model resource resources service services app application owner
    organization organisation org team country city state status stage policy policies hint question expire age days
    hours minutes seconds duration lifetime rotation prefix suffix header headers field location store bucket queue
    topic channel workspace subscription action actions effect generator generators tune benutzer benutzername nutzer rechner utilisateur identifiant hote adresse
    usuario correo servidor puerto utente indirizzo gebruiker brugernavn bruker anvandare kayttaja uzivatel uzytkownik
    felhasznalo kullanici пользователь логин 用户 用户名 ユーザー
""".split())
LETTER_PAIRS = (
    '94459657397353958333467878359828683783883993564989783969499249459939947459997947861868289577489448487979'
    '57546667598452869234677685389933683993983993544999784899195549947549934549997937992889398565399454596968'
    '56453559998452467534969996299939994999992999992989993798289739748548954459796937762779397377479955589948'
    '24882889398747339957499979475336384967855898336789876655765759744255834436687839993694399499349355499979'
    '99999999999999999999099999366527683966553795445789784849387539766755883259797938792885299688489444597966'
    '55554558498443759334979798399919992999993996897999992796289529868538955869998948483785398789539973578658'
    '3545376749744444943569689747992998298689489984395975')


def tells_of(name):
    plain = ''.join(sign for sign in unicodedata.normalize('NFKD', name) if not unicodedata.combining(sign))
    plain = plain.replace('ł', 'l').replace('ß', 'ss').replace('ı', 'i')
    spaced = re.sub(r'([a-z\d])([A-Z])', r'\1 \2', plain)
    spaced = re.sub(r'([A-Z])([A-Z][a-z])', r'\1 \2', spaced)
    words = [word for word in re.split(r'[\W_]+', spaced.lower()) if word]
    while len(words) > 1 and words[-1].isdigit():
        words.pop()
    words = [re.sub(r'\d{1,2}\Z', '', word) if len(word) > 3 else word for word in words]
    joined = ''.join(words)
    if HARMLESS_NAME.search(joined) or (words and words[-1] in HARMLESS_WORDS):
        return 'harmless'
    if SECRET_NAME.search(joined) or SECRET_WORDS.intersection(words):
        return 'secret'
    return 'nothing'


HEX_LOOK = re.compile(r'(0x)?(?=[a-f]*\d)(?=\d*[a-f])([0-9a-f]{16,}|[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12})\Z', re.I)


IDENTIFIER = re.compile(r'[A-Za-z][a-z]{2,}\d{0,2}(?:[A-Z][a-z]{2,}\d{0,2}){2,}\Z')


def looks_random(text):
    groups = text.split()
    if len(groups) > 1 and len({len(group) for group in groups}) > 2:
        return any(looks_random(group) for group in groups)
    packed = re.sub(r'([\W_])\1+', r'\1', ''.join(groups))
    if len(packed) < 8:
        return False
    sample = packed[:256]
    if HEX_LOOK.match(sample):
        return True
    if IDENTIFIER.match(sample):
        return False
    if not re.search(r'[A-Za-z]', sample):
        return sample.isdigit() and len(packed) >= 16
    for word in re.split(r'[^A-Za-z0-9]+', sample):
        if len(word) >= 8 and len(re.findall(r'\d+|[A-Za-z]+', word)) > 3:
            return True
    mixed = re.search(r'\d|[a-z][A-Z]|[!#$%^&*+?~]', sample)
    return surprise(sample) >= (4.1 + 8 / len(sample) if mixed else 4.3 + 10.4 / len(sample))


def surprise(text):
    bits = 0.0
    before = ''
    for sign in text:
        bits += bits_of(sign, before)
        before = sign
    return bits / len(text)


def bits_of(sign, before):
    letter = is_letter(sign)
    if letter and not is_letter(before):
        return 5 if is_digit(before) else 4
    if letter:
        if before.islower() and sign.isupper():
            return 5
        return int(LETTER_PAIRS[(ord(before.lower()) - 97) * 26 + ord(sign.lower()) - 97])
    if is_digit(sign):
        return 4.5 if is_letter(before) else 3.3
    return 2.5 if (is_letter(before) or is_digit(before)) and sign in '-_./:@=,' else 6


def is_letter(sign):
    return len(sign) == 1 and sign in LETTERS


def is_digit(sign):
    return len(sign) == 1 and sign in '0123456789'


LETTERS = frozenset('abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ')

NO_VALUE = re.compile(r'^(true|false|yes|no|on|off|null|nil|none|undefined|empty|default|enabled|disabled|required|optional|basic|bearer|digest|negotiate|oauth2?|ldap|kerberos|scram|md5|trust|peer|prompt|ask|stdin|env|file|keyring|rsa|dsa|ecdsa|ed25519|aes|public|private|name|value|id|\*+|x+|\.\.\.|-+|<[^<>]*>|\$\{[^{}]*\}|\$\([^()]*\)|\$\w+|\{\{[^{}]*\}\}|%\(\w+\)s)\Z', re.I)
WORDS = re.compile(r'^[^\w\s]?[^\W\d_]+(?:[ _./,:;+-]{1,2}[^\W\d_]+)*[.:!?,;]?\Z')
PATH = re.compile(r'^(?:~|\.{1,2})?(?:/[\w.@~-]+){2,}/?\Z')
ADDRESSES = (
    re.compile(r'''^(?:jdbc:)?[a-z][a-z0-9+.-]*://[^\s"'<>]*\Z''', re.I),
    re.compile(r'^[\w.+-]+@(?:[a-z\d-]+\.)+[a-z]{2,24}\Z'),
    re.compile(r'^(?:tcp:|//)?(?:[a-z\d](?:[a-z\d_-]{0,61}[a-z\d])?\.)+(?:com|org|net|io|edu|gov|dev|app|cloud|internal|local|localdomain|svc|cern|[a-z]{2})(?:[:,]\d{1,5})?(?:/[\w./-]*)?\Z'),
    re.compile(r'^(?:arn|urn):[\w:./*@-]+\Z', re.I),
    re.compile(r'^[a-z][a-z\d-]{1,24}:(?:Assume|Attach|Batch|Copy|Create|Delete|Describe|Detach|Get|Head|Invoke|List|Pass|Publish|Put|Receive|Run|Send|Start|Stop|Tag|Untag|Update)[A-Z][A-Za-z]{0,60}\*?\Z'),
)
MEASURES = (
    re.compile(r'^[\W_]*\Z'),
    re.compile(r'^[+-]?\d{1,15}(?:[.,]\d{1,9})?\s?(?:[a-z]{1,2}|[kmgtp]i?b?|bytes?|sec|min|days?|hours?|%)?\Z', re.I),
    re.compile(r'^v?\d+(?:\.\d+){1,3}(?:[-+.]?(?:a|b|rc|alpha|beta|dev|post|final|snapshot|release|lts|ga)[-.]?\d*)?\Z', re.I),
    re.compile(r'^\d{4}-\d\d?-\d\d?(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?)?\Z'),
    re.compile(r'^\d{1,2}:\d\d(?::\d\d)?\Z'),
    re.compile(r'^\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5}|/\d{1,2})?\Z'),
    re.compile(r'^\[?[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}\]?(?::\d{1,5}|/\d{1,3})?\Z', re.I),
    re.compile(r'^(?:[a-z\d](?:[a-z\d_-]{0,61}[a-z\d])?\.)+[a-z]{2,24}(?::\d{1,5})?(?:/[\w./-]*)?\Z'),
    re.compile(r'^(?:[a-z][a-z-]*|localhost):\d{1,5}\Z'),
    re.compile(r'^[\w.+-]+@(?:[a-z\d-]+\.)+[a-z]{2,24}\Z', re.I),
    re.compile(r'^(?:af|ap|ca|cn|eu|il|me|mx|sa|us|africa|asia|australia|europe|northamerica|southamerica)(?:-[a-z]+){1,3}-?\d{1,2}(?:-?[a-z])?\Z'),
    re.compile(r'^(?:~|\.{1,2})?/[\w./ @+~-]*\Z'),
    re.compile(r'^[a-z]:\\[\w\\. -]*\Z', re.I),
    re.compile(r'^[\w-]+\.(?:pem|key|crt|cer|p12|pfx|jks|json|ya?ml|toml|ini|conf|cfg|env|txt|log|csv|xml|properties|py|js|ts|sh|sql|db|gz|zip|tar|html?|md|root)\Z', re.I),
)


def is_address(text):
    text = text.strip()
    if len(text) > 4096:
        return False
    return any(shape.match(text) for shape in ADDRESSES) or bool(PATH.match(text) and is_path_of_words(text))


def is_path_of_words(path):
    """A name such as `mysqld.sock` makes a short path look random, which is none of its steps."""
    steps = path.split('/')
    return not looks_random(path) or all(re.match(r'[a-z._-]*\d{0,3}\Z', step) and not looks_random(step) for step in steps)


def is_harmless_shape(text):
    text = text.strip()
    return len(text) <= 512 and all(WORDS.match(line.strip()) or is_measure(line.strip()) for line in LINE_END.split(text))


def is_measure(text):
    return len(text) <= 512 and any(shape.match(text) for shape in MEASURES)


# --- readers


def read(text, name, tells, kind, is_secret):
    """@returns (text, name, what the name tells, kind) of each part: a field, text, a word, or the same decoded"""
    encodings = list(read_encodings(text, name, tells))
    if kind == 'word':
        return encodings
    document = read_document(text)
    found = document + encodings + read_addresses(text)
    if not document:
        found += read_settings(text, name) + read_list_of_pairs(text) + read_table(text) + (read_logins(text) if is_secret else [])
        found += read_lines(text, name, tells, is_secret)
    return found + read_words(text)


def field(name, text, kind='field', tells=None):
    return text, name, tells or tells_of(name), kind


def read_document(text):
    if re.match(r'\s*[{["]', text):
        try:
            found = fields_of(json.loads(text, parse_int=str, parse_float=str, parse_constant=str))
            if found:
                return found
        except (ValueError, RecursionError):
            pass
    if len(text) > MAX_PARSED_CHARS:
        return []
    if re.match(r'\s*<[^\s<>]', text) and '<!ENTITY' not in text:
        try:
            return fields_of(xml_tree(xml.etree.ElementTree.fromstring(text.strip())))
        except (xml.etree.ElementTree.ParseError, ValueError, RecursionError):
            return []
    try:
        import tomllib
        return fields_of(tomllib.loads(text)) if '=' in text else []
    except (ImportError, ValueError, RecursionError):
        return []


def xml_tree(element):
    tree = {'@' + key: value for key, value in element.attrib.items()}
    called = None
    for child in element:
        tag = re.sub(r'^\{[^}]*\}', '', str(child.tag))
        # In a plist each value stands behind its key.
        tree.setdefault(called if called and element.tag == 'dict' else tag, []).append(xml_tree(child))
        called = child.text if tag == 'key' else None
    text = (element.text or '') + ''.join(child.tail or '' for child in element)
    if not tree:
        return text
    tree = {key: value[0] if isinstance(value, list) and len(value) == 1 else value for key, value in tree.items()}
    if text.strip():
        tree['#text'] = text.strip()
    return tree


def fields_of(root):
    found = []
    waiting = [(root, '', 'nothing')]
    while waiting:
        node, name, tells = waiting.pop()
        if isinstance(node, list):
            waiting.extend((child, name, tells) for child in node)
        elif isinstance(node, dict):
            pair = pair_of(node)
            for key, child in node.items():
                if key == '#text' and not pair:
                    waiting.append((child, name, tells))
                    continue
                called = pair[0] if pair and pair[1] == key else key.lstrip('@')
                own = tells_of(called)
                waiting.append((child, called, tells if own == 'nothing' and tells == 'secret' else own))
        elif node is not None and not isinstance(node, bool):
            found.append((str(node), name, tells, 'field'))
    return found


def pair_of(node):
    value = next((key for key in ('value', 'Value', 'VALUE', '@value', '#text') if key in node), None)
    names = (node.get(key) for key in ('name', 'Name', 'NAME', 'key', 'Key', 'KEY', '@name', '@key', '@id'))
    name = next((given for given in names if isinstance(given, str)), None)
    return (name, value) if value is not None and name is not None else None


NAME = r'[^\W\d][\w.$@-]{0,80}'
SETTING_LINE = re.compile(
    r'\s*(?:(?:export|set|setenv|setx|env|arg|local|readonly|const|let|var|declare -x|typeset -x)\s+|-{1,2}|(?:- +)+)?'
    r'''["']?((?://[\w./-]*:)?''' + NAME + r'''(?: [\w.$@-]{1,80}){0,3})["']?\s*(?:=>|:=|\?=|\+=|=|:)\s*(\S.*)\Z''', re.I)
SETTING_WITHIN = re.compile(
    '(' + NAME + r''')["']?\s?(?:=>|:=|[=:])\s?(?:"((?:[^"\\\n]|\\.)*)"|'((?:[^'\\\n]|\\.)*)'|\{((?:[^{}\n]|\}\})*)\}'''
    r'''|([^\s"',;&{}<>()[\]]+))''')
NO_SETTING = re.compile(r'\s*(?:[#;!].*|\[[^\]]*\]\s*|---)?\Z')
SEVERAL_SETTINGS = re.compile(r'(?:^|[;&,\s])[^\W\d][\w.-]*\s?=')


def read_settings(text, called):
    found = []
    lines = LINE_END.split(text)
    settings = [setting_of(line) for line in joined_lines(lines)]
    one_of_many = not re.search(r'[\r\n]', text.strip()) and len(SEVERAL_SETTINGS.findall(text)) > 1
    kind = 'field' if all(settings) and re.search(r'=|:\s', text) else 'text'
    for name, value in (each for setting in settings for each in setting):
        if not one_of_many or tells_of(name) == 'secret':
            found.append(field(name, value, kind))
    for at, line in enumerate(lines[:5000]):
        within = list(SETTING_WITHIN.finditer(line))
        if len(within) > 1 or not setting_of(line):
            kind = 'text' if SETTING_WITHIN.sub('', line).strip() else 'field'
            for match in within:
                values = [match.group(2), match.group(3), (match.group(4) or '').replace('}}', '}'), match.group(5)]
                found += [field(match.group(1), each, kind) for value in values if value and not value.startswith('//')
                          for each in unquoted(value)]
        found += read_between(line, called) + read_pairs(line) + read_block(lines, at)
        pair = re.match(r'\s*(?:- +)?(?:name|key)\s*:\s*(\S+)\s*\n\s*value\s*:\s*(\S.*)\Z', '\n'.join(lines[at:at + 2]), re.I)
        if pair:
            found += [field(unquoted(pair.group(1))[0], each) for each in unquoted(pair.group(2).strip())]
    if re.search(r'(?:^|\s)(?:machine\s+\S|default\s)', text):
        for value in re.findall(r'(?:^|\s)(?:password|account)\s+("[^"\n]*"|\S+)', text):
            found += [field('password', each) for each in unquoted(value)]
    return found


def joined_lines(lines):
    """Lines that may be settings; those that a backslash continues are one."""
    line = ''
    for each in lines:
        line += each.strip() if line else each
        if line.endswith('\\') and not line.endswith('\\\\'):
            line = line[:-1]
            continue
        if not NO_SETTING.match(line):
            yield line
        line = ''


def setting_of(line):
    match = SETTING_LINE.match(line)
    if not match or match.group(2).startswith('//'):
        return []
    value = match.group(2).strip()
    ends = [value, re.split(r'\s[#;]', value)[0].rstrip()] + ([value[:-1].rstrip()] if value[-1] in ',;' else [])
    # A variable for one command: `PGPASSWORD=x psql -h db`.
    if re.match(r'\s*\w+=\S+\s+[\w./]+\s', line) and re.search(r'\s-{1,2}\w', value):
        ends.append(value.split()[0])
    name = match.group(1).rsplit(':', 1)[-1]
    return [(name, each) for end in ends for each in unquoted(end) if each]


def unquoted(value):
    """As it is or, in quotes, without them; and with its escapes read."""
    quote = value[:1]
    if quote in ('"', "'", '`') and len(value) > 1 and value[-1] == quote:
        inside = value[1:-1]
        return [inside, re.sub(r'\\(.)', r'\1', inside), inside.replace(quote * 2, quote)]
    if '\\' not in value:
        return [value]
    return [value, re.sub(r'\\(.)', r'\1', re.sub(r'\\u([0-9a-fA-F]{4})', lambda match: chr(int(match.group(1), 16)), value))]


def read_block(lines, at):
    """A value on lines of its own: below `name: |` or `name:` of YAML, and between quotes in a .env file."""
    below = re.match(r'(\s*)(?:- +)*["\']?(' + NAME + r')["\']?\s*:\s*([|>][+-]?\d?)?\s*\Z', lines[at])
    if below:
        inside = []
        for line in lines[at + 1:at + 200]:
            deeper = len(line) - len(line.lstrip()) > len(below.group(1)) or not line.strip()
            if not deeper and not (line.startswith(below.group(1) + '- ') and not below.group(3)):
                break
            inside.append(line.strip())
        if below.group(3):
            return [field(below.group(2), '\n'.join(inside).strip())] + [field(below.group(2), line, 'word') for line in inside]
        items = [line[1:].strip() for line in inside if re.match(r'- +(?:[^\s:]+|"[^"]*"|\'[^\']*\')\Z', line)]
        return [field(below.group(2), each) for item in items for each in unquoted(item)]
    opened = re.match(r'\s*(?:export\s+)?(' + NAME + r')\s*=\s*("""|\'\'\'|["\'])((?:(?!\2).)*)\Z', lines[at])
    if not opened:
        return []
    inside = [opened.group(3)]
    for line in lines[at + 1:at + 200]:
        inside.append(line.split(opened.group(2))[0])
        if opened.group(2) in line:
            break
    value = re.sub(r'\\\n\s*', '', '\n'.join(inside)).strip('\n')
    return [field(opened.group(1), value)] + [field(opened.group(1), line.strip(), 'word') for line in inside]


def read_between(line, called):
    """Of a connection string, a query or a list of cookies."""
    separator = next((sign for sign in ';&,' if sign in line), None)
    if separator is None or '=' not in line:
        return []
    is_cookie = bool(re.match(r'\s*(?:set-)?cookie\s*:', line, re.I) or re.search(r'cookie\Z', called, re.I))
    settings = re.sub(r'(?i)^\s*(?:set-)?cookie\s*:', '', line).split(separator)
    matches = [re.match(r'\s*(?:[^=\s]*[\s?:])?([^=\s?:]{1,80})\s*=\s*(.*\S)\s*\Z', setting) for setting in settings]
    kind = 'field' if all(match or not setting.strip() for match, setting in zip(matches, settings)) else 'text'
    return [field(match.group(1), each, kind, 'secret' if is_cookie else None)
            for match in matches if match for each in unquoted(match.group(2))]


# `-p` of those commands for which it is a password, with a blank or without.
OPTION_OF_CLIENT = re.compile(
    r'(?:\bsshpass|\bmysql(?:dump|admin|import|show)?|\bmariadb|\bmongo(?:sh|dump|restore)?|'
    r'\b(?:docker|podman|helm registry|skopeo|oras|az|oc) login)\s(?:[^\n|;&]{0,200}?\s)?-p[ \t]?'
    r'''("[^"\n]*"|'[^'\n]*'|[^\s"'$-]\S*)''')


def read_pairs(line):
    """Options of a command, settings such as `requirepass X`, and SQL's `IDENTIFIED BY 'X'`."""
    found = []
    for name, value in re.findall(r'''(?:^|\s)--?([A-Za-z][\w-]{1,60})[ \t]+("[^"\n]*"|'[^'\n]*'|[^\s-]\S*)''', line):
        if tells_of(name) == 'secret':
            found += [field(name, each) for each in unquoted(value)]
    for login in re.findall(r'(?:^|\s)(?:-u|--user|--proxy-user)[ =]?([^\s:]+:\S+)', line):
        found.append(field('password', login.split(':', 1)[1]))
    for value in OPTION_OF_CLIENT.findall(line):
        found += [field('password', each) for each in unquoted(value)]
    for value in re.findall(r"\b(?:identified\s+by|password)\s+'((?:[^'\n]|'')+)'", line, re.I):
        found.append(field('password', value.replace("''", "'")))
    match = re.match(r'\s*((?:setenv|set|env)[ \t]+)?([A-Za-z][\w.-]{2,60})[ \t]+(\S+)\s*\Z', line, re.I)
    if match and tells_of(match.group(2)) == 'secret':
        if match.group(1) or not re.match(r'[^\W\d_]+[.:,;]?\Z', match.group(3)):
            found += [field(match.group(2), each) for each in unquoted(match.group(3))]
    return found


def read_list_of_pairs(text):
    """Nothing but lines of a name and a word."""
    lines = [line.split() for line in LINE_END.split(text) if line.strip() and not line.lstrip().startswith('#')]
    if len(lines) < 2 or any(len(line) != 2 or not re.match(r'[A-Za-z][\w.-]*\Z', line[0]) for line in lines):
        return []
    return [field(name, each) for name, value in lines if tells_of(name) == 'secret' for each in unquoted(value)]


def read_table(text):
    """Lines with as many columns as the first, which has a telling name."""
    lines = [line for line in LINE_END.split(text) if line.strip()]
    separator = next((sign for sign in '\t,;|' if lines and sign in lines[0]), None)
    if separator is None or len(lines) < 2:
        return []
    rows = list(csv.reader(io.StringIO('\n'.join(lines)), delimiter=separator))
    names = [name.strip() for name in rows[0]]
    if not any(tells_of(name) == 'secret' for name in names) or any(len(name) > 60 for name in names):
        return []
    return [field(name, cell.strip()) for row in rows[1:] if len(row) == len(names) for name, cell in zip(names, row)]


def read_logins(text):
    """`user:password`, where that is all or each line, and pgpass."""
    lines = [line.strip() for line in LINE_END.split(text)]
    lines = [line for line in lines if line and not line.startswith('#')]
    if not lines or any(not re.match(r'[\w.@+*$\\-]*:(?!//)\S', line) or re.search(r'^jdbc:|://', line) or is_measure(line)
                        for line in lines):
        return []
    found = []
    for line in lines:
        cells = re.split(r'(?<!\\):', line)
        is_pgpass = len(cells) == 5 and re.match(r'(?:\d+|\*)\Z', cells[1])
        raw = cells[4] if is_pgpass else line.split(':', 1)[1]
        if not re.match(r'\d{1,5}\Z', raw):
            found += [field('password', raw), field('password', re.sub(r'\\([\\:])', r'\1', raw))]
    return found


def read_addresses(text):
    found = [field('password', password)
             for password in re.findall(r'''(?:^|[\s:"'])[\w$#.]+/([^\s/@"']+)@(?=//|[\w.-]+[:/]|[\w.-]+\Z)''', text)]
    for match in re.finditer(r'''[A-Za-z][A-Za-z0-9+.-]{1,30}://((?:(?![,;|][A-Za-z][A-Za-z0-9+.-]{1,30}://)[^\s"'<>`\\])+)''', text):
        found += read_address(match.group(1))
    schemes = r'\b(?:Bearer|Basic|Token|ApiKey|Api-Key|Splunk|GenieKey|Digest)[ \t]+([\w+/=.~:!$-]{6,})'
    is_header = re.match(r'(?:(?:proxy-)?authorization\s*:\s*)?\w[\w-]*[ \t]+\S+\Z', text.strip(), re.I)
    for value in re.findall(schemes, text, re.I):
        if is_header or not re.match(r'[a-z]+[.:,]?\Z', value, re.I):
            found.append(field('authorization', value))
    # In a header, an option of curl or a field, the scheme may be any word, and the value too.
    for value in re.findall(r'''\bauthorization["']?\s{0,3}[:=]\s{0,3}["']?[a-z][\w-]{2,30}[ \t]{1,3}'''
                            r'''([\w+/=.~:!$-]{6,})(?=["'`\r\n]|\s*\Z)''', text, re.I):
        found.append(field('authorization', value))
    return found


def read_address(rest):
    authority = re.match(r'[^/?#]*', rest).group()
    if '@' in authority:
        login = authority.rsplit('@', 1)[0]
    else:
        match = re.match(r'([^:/?#@]*:(?!\d+/).*)@[^@]*\Z', rest)
        login = match.group(1) if match else ''
    found = []
    user, colon, password = login.partition(':')
    if colon:
        found += [field('password', each) for each in decoded_forms(password)]
    found += [field('user', each, 'text') for each in decoded_forms(user)]
    path = rest[len(login) + 1:] if login else rest
    for name, value in re.findall(r'[?&#;]([^=&#;?]{1,80})=([^&#\s]+)', path):
        found += [field(name, each) for each in decoded_forms(value) + decoded_forms(value.split(';')[0])]
    segments = re.split(r'[?#]', path)[0].split('/')[1:]
    steps = {step for segment in segments for step in [segment] + re.split('[:;=,@]', segment)}
    return found + [(step, '', 'nothing', 'word') for step in steps]


def decoded_forms(text):
    return [text, urllib.parse.unquote(text), urllib.parse.unquote_plus(text)]


def read_encodings(text, name, tells):
    texts = [text_of(decoded_bytes(text))]
    if re.match(r'[^\s%]*%[0-9a-fA-F]{2}\S*\Z', text):
        texts += [urllib.parse.unquote(text), urllib.parse.unquote_plus(text)]
    if re.match(r'''[^\[{\r\n][^\r\n]*\Z''', text) and re.search(r'''\\[nrt"'\\/u0x]''', text):
        texts.append(unescaped(text))
    quoted = re.match(r'''(["'`])([\s\S]+)\1\Z''', text.strip())
    texts.append(quoted.group(2) if quoted else None)
    return [(each, name, tells, 'same') for each in texts if each and each != text]


def decoded_bytes(text):
    packed = re.sub(r'\s+', '', text)
    if len(packed) < 8:
        return None
    if re.match(r'(?:0x)?[0-9a-f]{2}(?:[: -]?[0-9a-f]{2}){5,}\Z', packed, re.I):
        return bytes.fromhex(re.sub(r'^0x|[:-]', '', packed, flags=re.I))
    if not re.match(r'(?:[A-Za-z0-9+/]{2,}|[A-Za-z0-9_-]{2,})={0,2}\Z', packed):
        return None
    digits = packed.rstrip('=').replace('-', '+').replace('_', '/')
    try:
        raw = base64.b64decode(digits + '=' * (-len(digits) % 4), validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if base64.b64encode(raw).decode().rstrip('=') == digits else None


def text_of(raw):
    if not raw:
        return None
    is_utf16 = len(raw) % 2 == 0 and not any(raw[1::2])
    try:
        text = raw.decode('utf-16-le' if is_utf16 else 'utf-8')
    except UnicodeDecodeError:
        return None
    return None if any(unicodedata.category(sign) in ('Cc', 'Cn') and sign not in '\t\r\n' for sign in text) else text


ESCAPES = {'n': '\n', 'r': '\r', 't': '\t', 'b': '\b', 'f': '\f', '0': '\0'}


def unescaped(text):
    def replaced(match):
        number = match.group(1) or match.group(2)
        return chr(int(number, 16)) if number else ESCAPES.get(match.group(3), match.group(3))
    return re.sub(r'\\(?:u([0-9a-fA-F]{4})|x([0-9a-fA-F]{2})|(.))', replaced, text)


def read_lines(text, name, tells, is_secret):
    """Lines, the bodies of PEM files with their frame, and the items of a list under a telling name."""
    found = []
    if re.search(r'[\r\n]', text):
        rows = [line.strip() for line in LINE_END.split(text) if line.strip()]
        # One value a line: neither settings nor text with blanks.
        is_list = is_secret and tells == 'nothing' and not any(re.search(r'\s', row) or setting_of(row) for row in rows)
        harmless = [not is_list or is_address(row) or is_harmless_shape(row) for row in rows]
        found += [(row, name, tells, 'word' if is_word else 'field') for row, is_word in zip(rows, harmless)]
    elif tells == 'secret' and '=' not in text:
        separator = next((sign for sign in ',;|' if sign in text), None)
        items = [item.strip() for item in text.split(separator)] if separator else []
        if all(len(item) >= MIN_MASKED_CHARS and not re.search(r'\s', item) for item in items):
            found += [(item, name, tells, 'field') for item in items]
    for kind, start, end in pem_blocks(text):
        body = text[start:end]
        rows = [row.strip() for row in LINE_END.split(body)]
        rows = [row for row in rows if row and not re.search(r'[:\\]', row)]
        frame = ['-----BEGIN %s-----' % kind, '-----END %s-----' % kind] if kind.endswith('KEY') else []
        found.append((''.join(rows), kind, 'secret', 'field'))
        found += [(row, kind, 'secret', 'word') for row in frame + rows]
    return found


def pem_blocks(text):
    """Each goes to the next end of its name. Found in one pass: a value may be nothing but beginnings."""
    marks = list(PEM_MARK.finditer(text)) if '-----BEGIN ' in text else []
    ends = {}
    end_of = {}
    for mark in reversed(marks):
        if mark.group(1) == 'END':
            ends[mark.group(2)] = mark
        elif mark.group(2) in ends:
            end_of[mark.start()] = ends[mark.group(2)]
    at = 0
    for mark in marks:
        end = end_of.get(mark.start())
        if end and mark.start() >= at:
            yield mark.group(2), mark.end() + 5, end.start()
            at = end.end()


PEM_MARK = re.compile(r'-----(BEGIN|END) ([A-Z0-9 ]+)(?=-----)')
PEM_DIGITS = re.compile(r'^[ \t]*[A-Za-z0-9+/]{16,}={0,2}[ \t]*$', re.M)


def without_pem_digits(text):
    """In digits of base64 a slash ends no word."""
    rest, at = '', 0
    for _, start, end in pem_blocks(text):
        rest += text[at:start] + PEM_DIGITS.sub('', text[start:end])
        at = end
    return rest + text[at:]


def read_words(text):
    found = set()
    for word in re.split(r'''[\s"'`,;()<>{}\[\]|]+''', without_pem_digits(text)):
        bare = word.rstrip('.:')
        if '://' in bare or '\\n' in bare:
            continue
        found.update([bare], re.split(r'[:/?&=@#.,%$!*\\]+', bare), re.split(r'[:=,@]', bare))
    found.discard(text)
    return [(word, '', 'nothing', 'word') for word in found if not word.isdigit() and looks_random(word)]
