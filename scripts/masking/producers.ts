// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these are for shells.

/**
 * The programs whose ways of writing a secret the corpus of the masker holds: each is given a secret in its environment, as `S`,
 * and prints it.
 */
export interface Producer {
  /** The file of the corpus: a program or a kind of programs. */
  group: string;
  /** For the table. Programs that write alike need not all be here. */
  producer: string;
  /** Prints the version, in one line. `undefined` for what is written by its documentation, for want of the program. */
  version: string | undefined;
  /** For bash, which runs it in an empty directory. */
  command: string;
  /** Names of {@link SECRETS}. */
  secrets: readonly SecretName[];
  /** The locale; C.UTF-8 when it is left out. */
  locale?: string;
}

type SecretName = keyof typeof SECRETS;

/** The kinds of secrets that people have, and what makes programs spell a character otherwise. */
export const SECRETS = {
  plain: 'hunter2hunter2',
  token: 'ghp_16C7e42F292c6912E7710c838347Ae178B4a',
  signs: `pä"ss\\w/o+r&d <'~*> =^$!#`,
  dollars: 'pa$$w0rd-horse',
  caret: '!Weird!Password^123$',
  ampersand: 'Tr0ub4dor&3zzz',
  umlauts: 'pässwörd-gehéim',
  emoji: 'clé-🔑-secrète',
  blanks: 'correct  horse battery',
  quotes: `it's "a\\b" ünd`,
  escapes: 'C:\\new "folder"\\tab',
  tab: 'first\tsecond-half',
  phrase: 'correct horse battery staple, and a few more words, so that it is longer than one line of eighty columns',
  words: 'correct horse of old\nbattery staple',
  lines: '-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\n-----END KEY-----',
  long: 'eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhbGljZSIsImV4cCI6MTc2MDAwMDAwMH0.c2lnbmF0dXJlLW9mLXRoZS10b2tlbi13aGljaC1pcy1sb25n',
} as const;

const ONE_LINE: SecretName[] = [
  'plain',
  'signs',
  'dollars',
  'caret',
  'ampersand',
  'umlauts',
  'emoji',
  'blanks',
  'quotes',
  'escapes',
  'tab',
];
const QUOTED: SecretName[] = [...ONE_LINE, 'lines'];
const IN_URLS: SecretName[] = ['signs', 'caret', 'ampersand', 'emoji', 'blanks', 'lines'];
const AS_BYTES: SecretName[] = ['plain', 'token', 'emoji', 'lines', 'long'];

type Shown = [producer: string, command: string, secrets?: SecretName[], locale?: string];

function of(group: string, version: string | undefined, rows: Shown[]): Producer[] {
  return rows.map(([producer, command, secrets = QUOTED, locale]) => ({
    group,
    version,
    producer,
    command,
    secrets,
    ...(locale && { locale }),
  }));
}

/** Those that JSON writes otherwise. */
const IN_JSON: SecretName[] = ['signs', 'ampersand', 'umlauts', 'emoji', 'quotes', 'escapes', 'tab', 'words'];
/** A file of secrets as JavaScript and Python write it, and Go. */
const AS_JSON = `python3 -c 'import os,json; d={"a": "b", "k": os.environ["S"]}; j=json.dumps(d, ensure_ascii=False); print(j, json.dumps(d)); print(j.replace("&", "\\\\u0026").replace("<", "\\\\u003c").replace(">", "\\\\u003e"))'`;

/** A dump of bytes that does not begin its line. */
const behindText = (dumps: string[]): Shown[] =>
  dumps.map((dump) => [`behind other text: ${dump}`, `printf "value: "; printf %s "$S" | ${dump}`, ['plain', 'token']]);

const python = (code: string) => `python3 -c 'import os,sys; s=os.environ["S"]; b=s.encode()\n${code}'`;
const node = (code: string) => `node -e 'const s = process.env.S, b = Buffer.from(s);\n${code}'`;
const perl = (code: string) => `perl -CS -MEncode -e 'my $b=$ENV{S}; my $s=Encode::decode("UTF-8",$b); ${code}'`;
const php = (code: string) => `php -r '$s=getenv("S"); ${code}'`;
const ruby = (code: string) => `ruby -rjson -rcgi -ruri -ryaml -rshellwords -rcsv -e 's=ENV["S"]; ${code}'`;
const go = (imports: string[], code: string) =>
  `printf %s 'package main\nimport (${['fmt', 'os', ...imports].map((name) => `"${name}"`).join('; ')})\nfunc main() { s := os.Getenv("S")\n${code} }' >m.go; go run m.go`;
const java = (code: string) =>
  `printf %s 'import java.util.*; class M { public static void main(String[] a) throws Exception { String s = System.getenv("S"); ${code} } }' >M.java; java M.java`;

export const PRODUCERS: readonly Producer[] = [
  ...of('shells', 'bash --version | head -1', [
    ['bash: set -x, an argument', `bash -xc ': "$S"' 2>&1`],
    ['bash: set -x, an argument, in the C locale', `bash -xc ': "$S"' 2>&1`, QUOTED, 'C'],
    ['bash: set -x, [[ x == "$S" ]]', `bash -xc '[[ x == "$S" ]]' 2>&1; true`],
    ['bash: set -x, [[ x == "$S" ]], in the C locale', `bash -xc '[[ x == "$S" ]]' 2>&1; true`, QUOTED, 'C'],
    ['bash: set -x, an assignment', `bash -xc 'T="$S"' 2>&1`],
    ['bash: export -p', `export -p | grep -az ' S=' | sed -n '/ S=/,$p' | sed '/^declare -x [^S]/,$d'`],
    ['bash: declare -p', 'declare -p S'],
    ['bash: declare -p, an array', 'a=("$S" x); declare -p a'],
    ['bash: set', `bash -c set | sed -n '/^S=/,$p' | sed '1!{/^[A-Z_]*=/,$d}'`],
    ['bash: printf %q', `printf '%q\\n' "$S"`],
    ['bash: printf %q, in the C locale', `printf '%q\\n' "$S"`, QUOTED, 'C'],
    ['bash: ${S@Q}', 'echo "${S@Q}"'],
    ['bash: ${S@A}', 'echo "${S@A}"'],
    ['bash: an unquoted echo', 'set -f; echo $S', ['blanks', 'tab', 'signs', 'lines']],
    ['bash: set -x, an unquoted word', `bash -fxc ': $S' 2>&1`, ['blanks', 'tab', 'signs']],
    [
      'bash: a command that is not there',
      `bash -c '"$S"' 2>&1; true`,
      ['plain', 'signs', 'blanks', 'umlauts', 'lines'],
    ],
    ['bash: set -x, an array', `bash -xc 'a=("$S" b); : "\${a[@]}"' 2>&1`],
    ['bash: the first half and the second', 'n=${#S}; echo "${S:0:n/2}"; echo "${S:n/2}"', ['token', 'long']],
  ]),
  ...of('shells', "dpkg-query -W -f 'dash ${Version}\\n' dash", [
    ['dash: set -x', `dash -xc ': "$S"' 2>&1`],
    ['dash: export -p', `dash -c 'export -p' | sed -n '/ S=/,$p' | sed '1!{/^export /,$d}'`],
    ['dash: set', `dash -c set | sed -n '/^S=/,$p' | sed '1!{/^[A-Z_]*=/,$d}'`],
  ]),
  ...of('shells', 'zsh --version', [
    ['zsh: set -x', `zsh -fc 'set -x; : "$S"' 2>&1`],
    ['zsh: set -x, [[ x == "$S" ]]', `zsh -fc 'set -x; [[ x == "$S" ]]' 2>&1; true`],
    ['zsh: typeset -p', `zsh -fc 'typeset -p S'`],
    ['zsh: ${(q)S} to ${(q+)S}', `zsh -fc 'print -r -- \${(q)S} \${(qq)S} \${(qqq)S} \${(qqqq)S} \${(q-)S} \${(q+)S}'`],
    ['zsh: ${(V)S}', `zsh -fc 'print -r -- \${(V)S}'`],
  ]),
  ...of('shells', 'fish --version', [
    ['fish: string escape', `fish -c 'string escape -- $S'`, ONE_LINE],
    ['fish: string escape --no-quoted', `fish -c 'string escape --no-quoted -- $S'`],
    ['fish: string escape --style=url', `fish -c 'string escape --style=url -- $S'`, IN_URLS],
    ['fish: set --show', `fish -c 'set --show S'`, ONE_LINE],
  ]),
  ...of('python', 'python3 --version', [
    ['python: print', python('print(s)')],
    ['python: repr', python('print(repr(s), [s], {"k": s})')],
    ['python: ascii', python('print(ascii(s))')],
    ['python: repr of bytes', python('print(b, b.split(b"xyz"))')],
    ['python: a traceback', python('raise ValueError(s)').concat(' 2>&1 | tail -n +3; true'), ONE_LINE],
    ['python: KeyError', python('{}[s]').concat(' 2>&1 | tail -n 1; true')],
    ['python: json.dumps', python('import json; print(json.dumps({"k": s}))')],
    ['python: json.dumps, ensure_ascii=False', python('import json; print(json.dumps({"k": s}, ensure_ascii=False))')],
    ['python: json.dumps of json.dumps', python('import json; print(json.dumps(json.dumps({"k": s})))')],
    ['python: json.dumps, three times', python('import json; print(json.dumps(json.dumps(json.dumps(s))))')],
    ['python: repr of json.dumps', python('import json; print(repr(json.dumps({"k": s})))')],
    ['python: repr of repr', python('print(repr(repr(s)))')],
    ['python: quote', python('from urllib.parse import quote; print(quote(s), quote(s, safe=""))'), IN_URLS],
    ['python: quote, safe=" +"', python('from urllib.parse import quote; print(quote(s, safe=" +"))'), IN_URLS],
    ['python: quote_plus', python('from urllib.parse import quote_plus; print(quote_plus(s))'), IN_URLS],
    ['python: quote of quote', python('from urllib.parse import quote; print(quote(quote(s)))'), IN_URLS],
    [
      'python: quote of json.dumps',
      python('import json; from urllib.parse import quote; print(quote(json.dumps({"k": s})))'),
      IN_URLS,
    ],
    ['python: urlencode', python('from urllib.parse import urlencode; print(urlencode({"k": s}))'), IN_URLS],
    [
      'python: requests, an address that cannot be reached',
      python(
        'import requests\ntry: requests.get("http://127.0.0.1:1/?t="+s)\nexcept Exception as e: print(str(e)[:400].split(" (Caused")[0])',
      ),
      ['caret', 'umlauts', 'blanks'],
    ],
    ['python: html.escape', python('import html; print(html.escape(s), html.escape(s, quote=False))')],
    [
      'python: xml.sax.saxutils',
      python('from xml.sax.saxutils import escape, quoteattr; print(escape(s), quoteattr(s))'),
    ],
    [
      'python: ElementTree',
      python('import xml.etree.ElementTree as E; e=E.Element("a", k=s); e.text=s; print(E.tostring(e).decode())'),
    ],
    [
      'python: xmlcharrefreplace',
      python('print(s.encode("ascii", "xmlcharrefreplace").decode())'),
      ['umlauts', 'emoji'],
    ],
    ['python: backslashreplace', python('print(s.encode("ascii", "backslashreplace").decode())'), ['umlauts', 'emoji']],
    ['python: unicode_escape', python('print(s.encode("unicode_escape").decode())')],
    ['python: errors="replace"', python('print(s.encode("ascii", "replace").decode())'), ['umlauts', 'emoji']],
    ['python: surrogateescape, print of a path', python('print(os.fsencode(s))')],
    ['python: shlex.quote', python('import shlex; print(shlex.quote(s))')],
    ['python: csv', python('import csv; csv.writer(sys.stdout).writerow([s, 1])')],
    ['python: pprint', python('import pprint; pprint.pprint({"k": s, "l": [s]})'), ONE_LINE],
    [
      'python: configparser',
      python('import configparser; c=configparser.RawConfigParser(); c["a"]={"k": s}; c.write(sys.stdout)'),
      ONE_LINE,
    ],
    ['python: quopri', python('import quopri; print(quopri.encodestring(b).decode())')],
    [
      'python: base64',
      python('import base64; print(base64.b64encode(b).decode(), base64.urlsafe_b64encode(b).decode())'),
      AS_BYTES,
    ],
    [
      'python: base64 at three alignments',
      python('import base64\nfor p in b"x", b"xy", b"xyz": print(base64.b64encode(p+b+b"-and-more").decode())'),
      AS_BYTES,
    ],
    [
      'python: base64 of base64',
      python('import base64; print(base64.b64encode(base64.b64encode(b"user:"+b)).decode())'),
      AS_BYTES,
    ],
    [
      'python: base64 in a URL',
      python('import base64; from urllib.parse import quote; print(quote(base64.b64encode(b).decode(), safe=""))'),
      AS_BYTES,
    ],
    [
      'python: encodebytes',
      python('import base64; print(base64.encodebytes(b"a heading of some length, then: "+b*2).decode())'),
      AS_BYTES,
    ],
    ['python: base32', python('import base64; print(base64.b32encode(b).decode())'), AS_BYTES],
    ['python: hex', python('print(b.hex(), b.hex().upper(), b.hex(":"), b.hex(" "), b.hex("-", 2))'), AS_BYTES],
    [
      'python: utf-16',
      python('sys.stdout.buffer.write(s.encode("utf-16-le")+b"\\n\\0"+s.encode("utf-16-be"))'),
      ['plain', 'umlauts', 'emoji'],
    ],
    ['python: latin-1', python('sys.stdout.buffer.write(s.encode("latin-1"))'), ['umlauts', 'signs']],
    [
      'python: NFD and NFC',
      python('import unicodedata; print(unicodedata.normalize("NFD", s), unicodedata.normalize("NFC", s))'),
      ['umlauts', 'emoji'],
    ],
    [
      'python: logging of a dict',
      python('import logging; logging.warning("request %s", {"headers": {"Authorization": "Bearer "+s}})').concat(
        ' 2>&1',
      ),
    ],
    [
      'python: subprocess.CalledProcessError',
      python('import subprocess; subprocess.run(["false", s], check=True)').concat(' 2>&1 | tail -n 1; true'),
    ],
    [
      'python: argparse',
      python('import argparse; argparse.ArgumentParser(prog="p").parse_args(["--x="+s])').concat(' 2>&1; true'),
    ],
    [
      'python: email header',
      python('from email.header import Header; print(Header(s, "utf-8").encode())'),
      ['umlauts', 'emoji'],
    ],
    ['python: yaml', python('import yaml; print(yaml.safe_dump({"k": s}))')],
    [
      'python: yaml, double quotes',
      python('import yaml; print(yaml.safe_dump({"k": s}, default_style=chr(34), width=1000))'),
    ],
    ['python: a text with lines', python('print(s); print("> "+s.replace(chr(10), chr(10)+"> "))'), ['words', 'lines']],
    [
      'python: logging, a time before each line',
      python(
        'import logging; logging.basicConfig(format="2026-03-01 10:00:00,123 INFO %(message)s")\nfor line in s.splitlines(): logging.warning(line)',
      ).concat(' 2>&1'),
      ['words', 'lines'],
    ],
    [
      'python: repr and json.dumps of encodebytes',
      python(
        'import base64,json; e=base64.encodebytes(b"a heading of some length, then: "+b*2); print(repr(e), json.dumps(e.decode()))',
      ),
      AS_BYTES,
    ],
    ['python: UTF-8 read as Latin-1', python('print(s.encode().decode("latin-1"))'), ['umlauts', 'signs']],
    ['python: array, list of bytes', python('import array; print(array.array("B", b), list(b))'), ['plain', 'token']],
    [
      'python: quopri of a long line',
      python('import quopri; print(quopri.encodestring(b).decode())'),
      ['phrase', 'long'],
    ],
    [
      'python: textwrap',
      python('import textwrap; print("\\n".join(textwrap.wrap("the token is "+s, 30)))'),
      ['token', 'long'],
    ],
    [
      'python: yaml, pprint, of a text that is folded',
      python('import yaml,pprint; print(yaml.safe_dump({"k": s})); pprint.pprint({"k": s})'),
      ['phrase'],
    ],
    [
      'python: base85',
      python('import base64; print(base64.b85encode(b).decode(), base64.a85encode(b).decode())'),
      AS_BYTES,
    ],
    ['python: base32hex', python('import base64; print(base64.b32hexencode(b).decode())'), AS_BYTES],
    [
      'python: UTF-16 in hex and base64',
      python('import base64; u=s.encode("utf-16-le"); print(u.hex(), base64.b64encode(u).decode())'),
      ['plain', 'token'],
    ],
    ['python: a list of characters', python('print(list(s))'), ['plain', 'token']],
    [
      'python: gzip in base64',
      python('import gzip,base64; print(base64.b64encode(gzip.compress(b, mtime=0)).decode())'),
      ['plain', 'long'],
    ],
  ]),
  ...of('javascript', 'node --version | sed "s/^/node /"', [
    ['node: JSON.stringify', node('console.log(JSON.stringify({s}))')],
    ['node: JSON.stringify of JSON.stringify', node('console.log(JSON.stringify(JSON.stringify({s})))')],
    ['node: util.inspect', node('console.log({s}, [s])')],
    ['node: an error', node('throw new Error(s)').concat(' 2>&1 | grep -a ^Error; true'), ONE_LINE],
    [
      'node: JSON.parse of what is no JSON',
      node('try { JSON.parse(s) } catch (error) { console.log(error.message) }'),
      ['token', 'plain'],
    ],
    ['node: encodeURIComponent', node('console.log(encodeURIComponent(s))'), IN_URLS],
    ['node: encodeURI', node('console.log(encodeURI(s))'), IN_URLS],
    ['node: escape', node('console.log(escape(s))'), IN_URLS],
    ['node: URLSearchParams', node('console.log(String(new URLSearchParams({s})))'), IN_URLS],
    [
      'node: a password in a URL',
      node('const u = new URL("https://h/"); u.password = s; u.hash = s; u.pathname = s; console.log(u.href)'),
      IN_URLS,
    ],
    ['node: querystring', node('console.log(require("querystring").stringify({s}))'), IN_URLS],
    [
      'node: base64, base64url, hex',
      node('console.log(b.toString("base64"), b.toString("base64url"), b.toString("hex"))'),
      AS_BYTES,
    ],
    ['node: a Buffer', node('console.log(b)'), ['plain', 'token']],
    ['node: a Uint8Array', node('console.log(new Uint8Array(b))'), ['plain', 'token']],
    ['node: a Buffer of more than 50 bytes', node('console.log(b)'), ['long']],
    ['node: bytes as JSON', node('console.log(JSON.stringify([...b]))'), ['plain']],
  ]),
  ...of('command-line', 'jq --version', [
    ['jq', 'jq -n --arg s "$S" \'{$s}\''],
    ['jq --ascii-output', 'jq -na --arg s "$S" \'{$s}\''],
    ['jq: @sh, @html, @csv, @tsv', `jq -rn --arg s "$S" '[$s] | @sh, @html "\\(.[0])", @csv, @tsv'`],
    ['jq: @uri', `jq -rn --arg s "$S" '$s | @uri'`, IN_URLS],
    ['jq: @base64', `jq -rn --arg s "$S" '$s | @base64'`, AS_BYTES],
    ['jq: tojson twice', `jq -n --arg s "$S" '$s | tojson | tojson'`],
  ]),
  ...of('command-line', 'curl --version | head -1 | cut -d" " -f1,2', [
    [
      'curl --data-urlencode',
      `curl -sG --data-urlencode "t=$S" -w '%{url_effective}' http://127.0.0.1:1/; true`,
      IN_URLS,
    ],
    [
      'curl --libcurl',
      `curl -s --libcurl - -H "Authorization: Bearer $S" http://127.0.0.1:1/ | grep -a Bearer; true`,
      ONE_LINE,
    ],
    [
      'curl --trace',
      `python3 -um http.server -b 127.0.0.1 0 >p 2>&1 & for i in $(seq 200); do grep -q port p && break; sleep 0.05; done; p=$(grep -o 'port [0-9]*' p | cut -c6-); curl -s --trace - -u "me:$S" -H "X-Token: $S" http://127.0.0.1:$p/ | sed '/^<=/,$d'; kill %1`,
      ['plain', 'token', 'long'],
    ],
    [
      'curl --trace-ascii, -v',
      `python3 -um http.server -b 127.0.0.1 0 >p 2>&1 & for i in $(seq 200); do grep -q port p && break; sleep 0.05; done; p=$(grep -o 'port [0-9]*' p | cut -c6-); curl -s --trace-ascii - -u "me:$S" -H "X-Token: $S" http://127.0.0.1:$p/ | sed '/^<=/,$d'; curl -sv -u "me:$S" http://127.0.0.1:$p/ 2>&1 | grep '^> Auth'; kill %1`,
      ['plain', 'token', 'long'],
    ],
  ]),
  ...of('command-line', "sqlite3 --version | cut -d' ' -f1 | sed 's/^/sqlite3 /'", [
    [
      'sqlite3: quote()',
      `python3 -c 'import os; s=os.environ["S"]; print("select quote(\\x27%s\\x27);" % s.replace("\\x27","\\x27\\x27"))' | sqlite3`,
      QUOTED,
    ],
    [
      'sqlite3: .mode csv, json, quote',
      `python3 -c 'import os; s=os.environ["S"]; q="select \\x27%s\\x27 as k;" % s.replace("\\x27","\\x27\\x27")\nfor m in "csv","json","quote","insert": print(".mode "+m); print(q)' | sqlite3`,
      QUOTED,
    ],
  ]),
  ...of('command-line', 'git --version', [
    [
      'git: a path in quotes',
      'git init -q . && : >"$S" && git status --porcelain -uall',
      ['umlauts', 'emoji', 'quotes', 'blanks', 'tab'],
    ],
    [
      'git config --list',
      'git init -q . && git config http.extraHeader "$S" && git config --local --get-all http.extraHeader; tail -n 2 .git/config',
      ONE_LINE,
    ],
  ]),
  ...of('command-line', 'git --version', [
    [
      'git: a trace',
      `GIT_TRACE2=1 git version "$S" 2>&1 | grep -a ' start ' | sed 's/^.* start/start/'; GIT_TRACE2_EVENT=1 git version "$S" 2>&1 | grep -a '"start"' | sed 's/^.*"argv"/"argv"/'`,
      ONE_LINE,
    ],
  ]),
  ...of('command-line', 'socat -V | sed -n "s/^socat version \\([^ ]*\\).*/socat \\1/p"', [
    ['socat -v', `printf '%s\\n' "$S" | socat -v - EXEC:cat 2>&1 >/dev/null | sed 's/[<>] 20.*//'`],
  ]),
  ...of('command-line', 'systemd-escape --version | head -1 | cut -d" " -f1,2', [
    ['systemd-escape', 'systemd-escape -- "$S"', QUOTED],
  ]),
  ...of('command-line', 'wget --version | head -1 | cut -d" " -f1-3', [
    [
      'wget: an address that cannot be reached',
      `wget -t1 "http://127.0.0.1:1/?t=$S" 2>&1 | sed 's/^--[^ ]* [^ ]*--//'; true`,
      ['caret', 'ampersand', 'umlauts', 'emoji', 'blanks'],
    ],
  ]),
  ...of('command-line', 'strace --version | head -1', [
    ['strace', `strace -f -s 500 -e trace=write -o t /bin/echo "$S" >/dev/null; grep -a 'write(1' t`, QUOTED],
    ['strace -x', `strace -xx -f -s 500 -e trace=write -o t /bin/echo "$S" >/dev/null; grep -a 'write(1' t`, QUOTED],
  ]),
  ...of('command-line', 'ls --version | head -1', [
    [
      'ls: names in quotes',
      ': >"$S"; ls --quoting-style=shell-escape; ls --quoting-style=c; ls --quoting-style=escape',
      ['umlauts', 'quotes', 'blanks', 'tab'],
      'C',
    ],
    ['ls: a name that is not there', 'ls "$S" 2>&1; true', ['umlauts', 'quotes', 'blanks', 'tab', 'dollars'], 'C'],
    ['ls -q', ': >"$S"; ls -q', ['umlauts', 'emoji'], 'C'],
  ]),
  ...of('command-line', 'sed --version | head -1', [
    ['sed -n l', `printf '%s\\n' "$S" | sed -n l`],
    ['sed -n l, in the C locale', `printf '%s\\n' "$S" | sed -n l`, [...QUOTED, 'long'], 'C'],
    [
      'sed -n l, a long line',
      `printf 'a line before it that is long: %s\\n' "$S$S" | sed -n l`,
      ['token', 'long', 'umlauts'],
    ],
  ]),
  ...of('command-line', 'cat --version | head -1', [
    ['cat -v', `printf '%s\\n' "$S" | cat -v`],
    ['cat -A', `printf '%s\\n' "$S" | cat -A`],
    ['base64', 'printf %s "$S" | base64', AS_BYTES],
    [
      'base64 of a longer text',
      'printf "Authorization: token from somewhere else: %s and what follows after it" "$S" | base64',
      AS_BYTES,
    ],
    [
      'base64 at 64 columns',
      'printf "a text before it: %s and what follows after it, which is more" "$S" | base64 -w 64',
      AS_BYTES,
    ],
    [
      'base64 with CRLF',
      `printf "some text before it, which is long enough: %s" "$S" | base64 | sed 's/$/\\r/'`,
      AS_BYTES,
    ],
    [
      'base64, indented',
      `printf "some text before it, which is long enough: %s" "$S" | base64 | sed 's/^/    /'`,
      AS_BYTES,
    ],
    ['base64 of base64', 'printf "some text before it: %s" "$S" | base64 | base64', AS_BYTES],
    [
      'base64, quoted',
      `printf "some text before it, which is long enough: %s" "$S" | base64 | sed 's/^/> /'`,
      AS_BYTES,
    ],
    [
      'base64, a time before each line',
      `printf "some text before it, which is long enough: %s" "$S" | base64 | sed 's/^/2026-03-01 10:00:00,123 INFO /'`,
      AS_BYTES,
    ],
    [
      'base64 at 20 and 40 columns',
      'for w in 20 40; do printf "a text before it: %s" "$S" | base64 -w $w; done',
      ['token', 'long'],
    ],
    ['tr: in capitals', 'echo "$S" | tr a-z A-Z', ['plain']],
    ['rev', 'echo "$S" | rev', ['plain', 'token']],
    ['fold', 'echo "the token is $S" | fold -w 25', ['token', 'long']],
    ['grep --color', 'echo "pw=$S" | grep --color=always -E "$(echo "$S" | cut -c 3-7)"', ['plain', 'token']],
    ['base32', 'printf %s "$S" | base32', AS_BYTES],
    ['od -c', 'printf "a: %s" "$S" | od -c', AS_BYTES],
    ['od', 'printf "a: %s" "$S" | od', AS_BYTES],
    ['od -x', 'printf "a: %s" "$S" | od -x', AS_BYTES],
    ['od -t x1', 'printf "a: %s" "$S" | od -t x1', AS_BYTES],
    ['od -A x -t x1z', 'printf "a: %s" "$S" | od -A x -t x1z -v', AS_BYTES],
    ['od -t u1, -t d1', 'printf "a: %s" "$S" | od -t u1; printf "a: %s" "$S" | od -t d1', AS_BYTES],
    [
      'od -d, -i, -l',
      'printf "a: %s" "$S" | od -d; printf "a: %s" "$S" | od -i; printf "a: %s" "$S" | od -l',
      AS_BYTES,
    ],
    ['od -t x4, -t x8', 'printf "a: %s" "$S" | od -t x4; printf "a: %s" "$S" | od -t x8', AS_BYTES],
    ['od -b, -t o4', 'printf "a: %s" "$S" | od -b; printf "a: %s" "$S" | od -t o4', AS_BYTES],
    ['od -a', 'printf "a: %s" "$S" | od -a', ['plain', 'token', 'lines']],
    ['od -A n -c', 'printf "a: %s" "$S" | od -A n -c', AS_BYTES],
    ['od -A n -t u1, -x', 'printf "a: %s" "$S" | od -A n -t u1; printf "a: %s" "$S" | od -A n -x', AS_BYTES],
    ['od -A n -t x1', 'printf "a: %s" "$S" | od -A n -t x1', AS_BYTES],
    ...behindText(['od -c', 'od -t x1', 'od -A n -t x1']),
    ...['od -c', 'od -a', 'od -t x1', 'xxd', 'hexdump -C', 'xxd -p', 'base64 -w 0', 'base32 -w 0'].map(
      (dump): Shown => [`a file of JSON: ${dump}`, `(${AS_JSON}) | ${dump}`, IN_JSON],
    ),
  ]),
  ...of('command-line', 'xxd --version 2>&1', [
    ['xxd', 'printf "a: %s" "$S" | xxd', AS_BYTES],
    ['xxd -u -g 1', 'printf "a: %s" "$S" | xxd -u -g 1', AS_BYTES],
    ['xxd -p', 'printf %s "$S" | xxd -p', AS_BYTES],
    ['xxd -p of a longer text', 'printf "a text before it: %s and after" "$S" | xxd -p', AS_BYTES],
    ['xxd -p -c 20', 'printf "a: %s" "$S" | xxd -p -c 20', ['token', 'long']],
    ['xxd -b', 'printf "a: %s" "$S" | xxd -b', AS_BYTES],
    ['xxd -e', 'printf "a: %s" "$S" | xxd -e', AS_BYTES],
    ['xxd -i', 'printf "a: %s" "$S" | xxd -i', AS_BYTES],
    ...behindText(['xxd']),
  ]),
  ...of('command-line', "dpkg-query -W -f 'hexdump ${Version}\\n' bsdextrautils", [
    ['hexdump', 'printf "a: %s" "$S" | hexdump', AS_BYTES],
    ['hexdump -d, -o, -b', 'for o in -d -o -b; do printf "a: %s" "$S" | hexdump $o; done', AS_BYTES],
    ['hexdump -C', 'printf "a: %s" "$S" | hexdump -C', AS_BYTES],
    ['hexdump -c', 'printf "a: %s" "$S" | hexdump -c', AS_BYTES],
    ...behindText(['hexdump -C']),
  ]),
  ...of('command-line', 'openssl version', [
    [
      'openssl base64',
      'printf "a text before it, of some length: %s and what follows" "$S" | openssl base64',
      AS_BYTES,
    ],
    ['openssl base64 -A', 'printf %s "$S" | openssl base64 -A', AS_BYTES],
  ]),
  ...of('command-line', 'uuencode --version | head -1', [['uuencode', 'printf "a: %s" "$S" | uuencode x', AS_BYTES]]),
  ...of('command-line', 'kubectl version --client 2>/dev/null | head -1', [
    [
      'kubectl create secret -o yaml, -o json',
      'for o in yaml json; do kubectl create secret generic x --from-literal=k="$S" --dry-run=client -o $o; done',
    ],
  ]),
  ...of('command-line', 'kubectl version --client 2>/dev/null | head -1', [
    [
      'kubectl create secret docker-registry',
      'for o in yaml json; do kubectl create secret docker-registry x --docker-username=u --docker-password="$S" --dry-run=client -o $o; done',
      // The word `password` stands beside it, and is a piece of that one.
      QUOTED.filter((name) => name !== 'caret'),
    ],
    [
      'kubectl create configmap',
      'for o in yaml json; do kubectl create configmap x --from-literal=k="$S" --dry-run=client -o $o; done',
    ],
  ]),
  ...of('command-line', 'terraform version | head -1', [
    [
      'terraform output, jsonencode',
      `printf 'variable "s" {}\\noutput "o" {\\n value = [var.s, jsonencode(var.s)]\\n}\\n' >m.tf; TF_VAR_s="$S" terraform plan -no-color -input=false 2>&1`,
    ],
  ]),
  ...of('perl', `perl -e 'printf "perl %vd\\n", $^V'`, [
    ['perl: Data::Dumper', perl('use Data::Dumper; $Data::Dumper::Terse=1; print Dumper($s, {k=>$s})')],
    [
      'perl: Data::Dumper, Useqq',
      perl('use Data::Dumper; $Data::Dumper::Terse=1; $Data::Dumper::Useqq=1; print Dumper($s, $b)'),
    ],
    ['perl: JSON::PP', perl('use JSON::PP; print JSON::PP->new->ascii->encode([$s])')],
    ['perl: quotemeta', perl('print quotemeta($s)')],
    [
      'perl: MIME::Base64',
      perl('use MIME::Base64; print encode_base64("a text before it, of some length: $b and what follows", "\\n")'),
      AS_BYTES,
    ],
    ['perl: MIME::QuotedPrint', perl('use MIME::QuotedPrint; print encode_qp($b)')],
    ['perl: unpack H*', perl('print unpack("H*", $b)'), AS_BYTES],
  ]),
  ...of('other-languages', 'php -v | head -1 | cut -d" " -f1,2', [
    [
      'php: json_encode',
      php(
        'echo json_encode(["k"=>$s]), json_encode($s, JSON_UNESCAPED_UNICODE|JSON_HEX_TAG|JSON_HEX_AMP|JSON_HEX_APOS|JSON_HEX_QUOT);',
      ),
    ],
    ['php: var_export, var_dump, print_r', php('var_export([$s]); var_dump($s); print_r([$s]);')],
    [
      'php: urlencode, rawurlencode, http_build_query',
      php('echo urlencode($s), " ", rawurlencode($s), " ", http_build_query(["k"=>$s]);'),
      IN_URLS,
    ],
    [
      'php: htmlspecialchars, htmlentities',
      php('echo htmlspecialchars($s), " ", htmlentities($s), " ", htmlspecialchars($s, ENT_QUOTES|ENT_HTML5);'),
    ],
    ['php: addslashes, escapeshellarg', php('echo addslashes($s), " ", escapeshellarg($s);')],
    [
      'php: chunk_split of base64_encode',
      php('echo chunk_split(base64_encode("a text before it, of some length: $s and what follows"));'),
      AS_BYTES,
    ],
    ['php: bin2hex', php('echo bin2hex($s);'), AS_BYTES],
  ]),
  ...of('other-languages', 'ruby --version | cut -d" " -f1,2', [
    ['ruby: inspect, dump', ruby('p s, {k: s}; puts s.dump')],
    ['ruby: to_json, to_yaml', ruby('puts [s].to_json, [s].to_yaml')],
    ['ruby: CGI.escape, encode_www_form', ruby('puts CGI.escape(s), URI.encode_www_form(k: s)'), IN_URLS],
    ['ruby: CGI.escapeHTML', ruby('puts CGI.escapeHTML(s)')],
    ['ruby: Shellwords, CSV', ruby('puts s.shellescape, [s, 1].to_csv')],
    ['ruby: pack("m")', ruby('puts ["a text before it, of some length: #{s} and what follows"].pack("m")'), AS_BYTES],
  ]),
  ...of('other-languages', 'go version | cut -d" " -f1,3', [
    ['go: %q, %+q, %#v', go([], 'fmt.Printf("%q %+q %#v\\n", s, s, s)')],
    ['go: %x, %X, % x, %v of bytes', go([], 'fmt.Printf("%x %X % x\\n", s, s, s)'), AS_BYTES],
    ['go: json.Marshal', go(['encoding/json'], 'j, _ := json.Marshal([]string{s}); fmt.Println(string(j))')],
    [
      'go: url.UserPassword',
      go(
        ['net/url'],
        'u := url.URL{Scheme: "https", Host: "h", User: url.UserPassword("me", s)}; fmt.Println(u.String())',
      ),
      IN_URLS,
    ],
    ['go: QueryEscape, PathEscape', go(['net/url'], 'fmt.Println(url.QueryEscape(s), url.PathEscape(s))'), IN_URLS],
    ['go: html.EscapeString', go(['html'], 'fmt.Println(html.EscapeString(s))')],
    ['go: xml', go(['encoding/xml'], 'xml.EscapeText(os.Stdout, []byte(s)); fmt.Println()')],
    ['go: hex.Dump', go(['encoding/hex'], 'fmt.Print(hex.Dump([]byte("a: " + s)))'), AS_BYTES],
  ]),
  ...of('other-languages', "java -version 2>&1 | head -1 | cut -d'\"' -f2 | sed 's/^/java /'", [
    ['java: println in the C locale', java('System.out.println(s);'), ['umlauts', 'emoji', 'plain'], 'C'],
    [
      'java: println of an encodable text as Latin-1 and ASCII',
      java(
        'for (String c : List.of("ISO-8859-1", "US-ASCII")) { System.out.write(s.getBytes(c)); System.out.println(); }',
      ),
      ['umlauts', 'emoji'],
    ],
    ['java: URLEncoder', java('System.out.println(java.net.URLEncoder.encode(s, "UTF-8"));'), IN_URLS],
    [
      'java: getMimeEncoder',
      java(
        'System.out.println(Base64.getMimeEncoder().encodeToString(("a text before it, of some length: " + s + " and what follows").getBytes("UTF-8")));',
      ),
      AS_BYTES,
    ],
    [
      'java: Properties.store',
      java('Properties p = new Properties(); p.setProperty("k", s); p.store(System.out, null);').concat(
        ' | grep -av "^#"',
      ),
    ],
  ]),
  ...of('other-languages', 'lua5.4 -v | cut -d" " -f1,2', [
    ['lua: %q', `lua5.4 -e 'print(string.format("%q", os.getenv("S")))'`, ONE_LINE],
  ]),
  ...of('other-languages', 'echo \'puts "tcl [info patchlevel]"\' | tclsh', [
    ['tcl: a list', `echo 'puts [list $env(S) a]' | tclsh`, ONE_LINE],
  ]),
  ...of('documented', undefined, [
    // Gson's htmlSafe writer: < > & = ' as \uXXXX in lower case.
    [
      'gson: toJson',
      python(
        'import json,re; print(re.sub("[<>&=\\x27]", lambda m: "\\\\u%04x" % ord(m[0]), json.dumps(s, ensure_ascii=False)))',
      ),
    ],
    // System.Text.Json's default encoder: all but ASCII, and " & ' + < > ` as \uXXXX in upper case.
    [
      '.NET: JsonSerializer',
      python(
        'import re; u=lambda c: "".join("\\\\u%04X" % int.from_bytes(c.encode("utf-16-be")[i:i+2], "big") for i in range(0, len(c.encode("utf-16-be")), 2))\nprint("".join({"\\n": "\\\\n", "\\t": "\\\\t", "\\\\": "\\\\\\\\"}.get(c) or (u(c) if ord(c) > 126 or c in "\\x22&\\x27+<>`" else c) for c in s))',
      ),
    ],
    // RFC 4514: a distinguished name; RFC 4515: a search filter.
    [
      'LDAP: a name and a filter',
      python(
        'import re; print(re.sub(r"[,+\\x22\\\\<>;=#]", lambda m: "\\\\"+m[0], s), "".join(chr(c) if 32 < c < 127 and chr(c) not in "*()\\\\" else "\\\\%02x" % c for c in b))',
      ),
    ],
    // RFC 1035 5.1, as dig shows a TXT record.
    [
      'dig: a TXT record',
      python(
        'print("".join("\\\\"+chr(c) if chr(c) in "\\x22\\\\;" else chr(c) if 32 <= c < 127 else "\\\\%03d" % c for c in b))',
      ),
    ],
    // CSSOM, serialize an identifier.
    [
      'CSS.escape',
      python(
        'import re; print("".join("\\\\%x " % ord(c) if ord(c) < 32 else c if ord(c) > 126 or re.match("[A-Za-z0-9_-]", c) else "\\\\"+c for c in s))',
      ),
    ],
    // rsyslog, $EscapeControlCharactersOnReceive: `#` and three octal digits.
    [
      'rsyslog: control characters',
      python('import re; print(re.sub("[\\\\x00-\\\\x1f\\\\x7f]", lambda m: "#%03o" % ord(m[0]), s))'),
      ['tab', 'words', 'lines'],
    ],
    // PowerShell, about_Special_Characters.
    [
      'PowerShell: a text in double quotes',
      python(
        'import re; print("\\x22"+re.sub("[$\\x22\\x60]", lambda m: "\\x60"+m[0], s).replace("\\n", "\\x60n").replace("\\t", "\\x60t")+"\\x22")',
      ),
    ],
    // The Compose specification, interpolation; systemd.unit(5), specifiers; configparser, BasicInterpolation.
    [
      'docker compose config, a unit of systemd: $$ and %%',
      python('t=s.replace("$", "$$"); print(t, s.replace("%", "%%"), t.replace("%", "%%"))'),
      ['signs', 'dollars', 'caret'],
    ],
    // Workflow commands, as actions/toolkit writes them.
    [
      'GitHub Actions: ::add-mask::',
      python('print("::add-mask::"+s.replace("%", "%25").replace("\\r", "%0D").replace("\\n", "%0A"))'),
    ],
    // nginx, log_format escape=default.
    [
      'nginx: the access log',
      python('print("".join("\\\\x%02X" % c if c < 32 or c > 126 or chr(c) in "\\x22\\\\" else chr(c) for c in b))'),
    ],
  ]),
];

/** The secrets that the masker leaves although it should not: by the beginning of a producer's name, for some secrets, and why. */
export const GAPS: readonly { producer: string; secrets: readonly SecretName[]; why: string }[] = [
  {
    producer: 'base64 of base64',
    secrets: ['token', 'lines', 'long'],
    why: 'the first encoding was broken into lines before the second',
  },
  {
    producer: 'base64 at 20 and 40 columns',
    secrets: ['token', 'long'],
    why: 'the lines are shorter than those that are held back',
  },
  { producer: 'xxd -p -c 20', secrets: ['token', 'long'], why: 'the lines are shorter than those that are held back' },
  { producer: 'behind other text', secrets: ['token'], why: 'the dump does not begin its line' },
  { producer: 'behind other text: od -c', secrets: ['plain'], why: 'the dump does not begin its line' },
  { producer: 'behind other text: xxd', secrets: ['plain'], why: 'the dump does not begin its line' },
  { producer: 'behind other text: hexdump -C', secrets: ['plain'], why: 'the dump does not begin its line' },
  { producer: 'fold', secrets: ['token', 'long'], why: 'broken at a column' },
  { producer: 'python: quopri of a long line', secrets: ['phrase', 'long'], why: 'broken at a column' },
  { producer: 'node: JSON.parse of what is no JSON', secrets: ['token'], why: 'cut off after ten characters' },
  { producer: 'systemd-escape', secrets: ['signs'], why: 'a slash becomes another sign' },
  { producer: 'python: textwrap', secrets: ['token', 'long'], why: 'broken at a column' },
  { producer: 'python: yaml, pprint', secrets: ['phrase'], why: 'broken at a column' },
  { producer: 'uuencode', secrets: AS_BYTES, why: 'rare' },
  { producer: 'python: base85', secrets: AS_BYTES, why: 'rare' },
  { producer: 'python: base32hex', secrets: AS_BYTES, why: 'rare' },
  { producer: 'python: UTF-16 in hex and base64', secrets: ['plain', 'token'], why: 'rare' },
  { producer: 'python: a list of characters', secrets: ['plain', 'token'], why: 'cut into pieces' },
  { producer: 'python: gzip in base64', secrets: ['plain', 'long'], why: 'another text' },
  { producer: 'bash: the first half and the second', secrets: ['token', 'long'], why: 'cut into pieces' },
  { producer: 'node: a Buffer of more than 50 bytes', secrets: ['long'], why: 'cut off after 50 bytes' },
  { producer: 'rev', secrets: ['plain', 'token'], why: 'another text' },
  { producer: 'tr: in capitals', secrets: ['plain'], why: 'another text' },
  {
    producer: 'bash: set -x, an unquoted word',
    secrets: ['signs'],
    why: 'the shell broke the word at its blanks and quoted some of the pieces',
  },
];
