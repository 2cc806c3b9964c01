"""The formats of sealed secrets a second time, from their description alone: reads the vectors of test/vectors/sealed and checks
each of them. Needs Python's `cryptography` with ML-KEM (48 or newer). Prints "checked N" or ends with an error."""

import base64
import hashlib
import hmac
import json
import math
import pathlib
import struct
import sys

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mlkem import MLKEM768PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

VECTORS = pathlib.Path(__file__).parent.parent / "vectors" / "sealed"
MARKER = "panda-secrets-sealed-v1"
checked = 0


def check(condition, what):
    global checked
    if not condition:
        sys.exit(f"wrong: {what}")
    checked += 1


def load(name):
    return json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))


def b64u(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def from_b64u(text):
    data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    check(b64u(data) == text, "base64url has one spelling")
    return data


def length_prefixed(*fields):
    data = [field.encode() if isinstance(field, str) else field for field in fields]
    return b"".join(struct.pack(">I", len(field)) + field for field in data)


def hkdf_extract(salt, ikm):
    return hmac.digest(salt or bytes(32), ikm, "sha256")


def hkdf_expand(prk, info, length):
    done, block, n = b"", b"", 1
    while len(done) < length:
        block = hmac.digest(prk, block + info + bytes([n]), "sha256")
        done, n = done + block, n + 1
    return done[:length]


def derive(root, purpose):
    return hkdf_expand(hkdf_extract(b"", root), f"panda-secrets/v1/{purpose}".encode(), 32)


# Signed words


def is_signed_by(public_key, kind, payload, signature):
    message = length_prefixed("panda-secrets/v1/signed", kind, payload)
    Ed25519PublicKey.from_public_bytes(from_b64u(public_key)).verify(signature, message)  # or it raises
    return True


def public_key_of(seed):
    return b64u(Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw())


def canonical(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def open_word(word, kind, public_key, fields):
    payload, signature = (from_b64u(part) for part in word.split("."))
    check(is_signed_by(public_key, kind, payload, signature), f"signature of a {kind}")
    value = json.loads(payload)
    check(list(value) == fields and canonical(value) == payload, f"a {kind} is written in the one way")
    return value


# Codes with a checksum


def checked_code(label, data):
    checksum = hashlib.sha256(length_prefixed(label, data)).digest()[:3]
    return base64.b32encode(data + checksum).decode()


def site_id(public_key):
    return checked_code("panda-secrets/v1/site-id", from_b64u(public_key)).lower()


# age: bech32, the hybrid recipient, the header, the payload

CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"


def bech32(prefix, data):
    bits = "".join(f"{byte:08b}" for byte in data)
    words = [int(bits[at : at + 5].ljust(5, "0"), 2) for at in range(0, len(bits), 5)]
    polymod = 1
    expanded = [ord(c) >> 5 for c in prefix] + [0] + [ord(c) & 31 for c in prefix]
    for value in [*expanded, *words, 0, 0, 0, 0, 0, 0]:
        top, polymod = polymod >> 25, (polymod & 0x1FFFFFF) << 5 ^ value
        for bit, generator in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            polymod ^= generator if top >> bit & 1 else 0
    checksum = [(polymod ^ 1) >> 5 * (5 - place) & 31 for place in range(6)]
    return prefix + "1" + "".join(CHARSET[word] for word in words + checksum)


def expand_seed(seed):
    expanded = hashlib.shake_256(seed).digest(96)
    return MLKEM768PrivateKey.from_seed_bytes(expanded[:64]), X25519PrivateKey.from_private_bytes(expanded[64:])


def recipient_of(seed):
    pq, x = expand_seed(seed)
    return bech32("age1pq", pq.public_key().public_bytes_raw() + x.public_key().public_bytes_raw())


def decapsulate(seed, enc):
    """MLKEM768-X25519 (X-Wing)."""
    pq, x = expand_seed(seed)
    ours, theirs = x.public_key().public_bytes_raw(), enc[1088:]
    shared = x.exchange(X25519PublicKey.from_public_bytes(theirs))
    return hashlib.sha3_256(pq.decapsulate(enc[:1088]) + shared + theirs + ours + rb"\.//^\\"[:6]).digest()


def hpke_open(shared_secret, info, ciphertext):
    """RFC 9180 in base mode with HKDF-SHA256 and ChaCha20-Poly1305."""
    suite = b"HPKE" + struct.pack(">HHH", 0x647A, 0x0001, 0x0003)
    extract = lambda salt, label, ikm: hkdf_extract(salt, b"HPKE-v1" + suite + label + ikm)
    expand = lambda prk, label, about, n: hkdf_expand(prk, struct.pack(">H", n) + b"HPKE-v1" + suite + label + about, n)
    context = b"\0" + extract(b"", b"psk_id_hash", b"") + extract(b"", b"info_hash", info)
    secret = extract(shared_secret, b"secret", b"")
    key, nonce = expand(secret, b"key", context, 32), expand(secret, b"base_nonce", context, 12)
    return ChaCha20Poly1305(key).decrypt(nonce, ciphertext, b"")


def from_b64(text):
    return base64.b64decode(text + "=" * (-len(text) % 4))


def age_open(armored, seed):
    lines = armored.strip().split("\n")
    check(lines[0] == "-----BEGIN AGE ENCRYPTED FILE-----" and lines[-1] == "-----END AGE ENCRYPTED FILE-----", "armour")
    return age_decrypt(base64.b64decode("".join(lines[1:-1]), validate=True), seed, marked=True)


def age_decrypt(data, seed, marked):
    end = data.index(b"\n--- ")
    header, rest = data[: end + 4], data[end + 5 :]
    mac, payload = rest.split(b"\n", 1)
    version, *stanzas = header[:-4].decode().split("\n-> ")
    check(version == "age-encryption.org/v1", "the first line")
    check((stanzas[0].strip() == MARKER) == marked and (marked or len(stanzas) == 1), "the marking stanza, or one recipient")
    for stanza in stanzas[marked:]:
        (kind, enc), body = stanza.split("\n", 1)[0].split(" "), stanza.split("\n", 1)[1].replace("\n", "")
        check(kind == "mlkem768x25519", "no other stanza")
        try:
            shared = decapsulate(seed, from_b64(enc))
            file_key = hpke_open(shared, b"age-encryption.org/mlkem768x25519", from_b64(body))
        except Exception:
            continue
        mac_key = hkdf_expand(hkdf_extract(b"", file_key), b"header", 32)
        check(hmac.digest(mac_key, header, "sha256") == from_b64(mac.decode()), "the header's MAC")
        key = ChaCha20Poly1305(hkdf_expand(hkdf_extract(payload[:16], file_key), b"payload", 32))
        chunks = [payload[at : at + 65552] for at in range(16, len(payload), 65552)]
        last = len(chunks) - 1
        nonce = lambda n: n.to_bytes(11, "big") + bytes([n == last])
        return b"".join(key.decrypt(nonce(n), chunk, b"") for n, chunk in enumerate(chunks))
    sys.exit("wrong: no stanza opens")


# The envelope


def padded(size):
    if size <= 1024:
        return 1024
    exponent = int(math.log2(size))
    step = 2 ** (exponent - (int(math.log2(exponent)) + 1))
    return -(-size // step) * step


def open_envelope(sealed, seed):
    plaintext = age_open(sealed, seed)
    form, header, signature, rest = plaintext.split(b"\n", 3)
    header_bytes, start = from_b64u(header.decode()), len(plaintext) - len(rest)
    fields = json.loads(header_bytes)
    check(form.decode() == MARKER and canonical(fields) == header_bytes, "layout")
    check(list(fields) == ["name", "version", "sites", "signer", "length"], "fields of a header")
    value, zeros = rest[: fields["length"]], rest[fields["length"] :]
    check(len(plaintext) == padded(start + fields["length"]) and not any(zeros), "padding")
    signed = length_prefixed(header_bytes, value)
    check(is_signed_by(fields["signer"], "value", signed, from_b64u(signature.decode())), "signature of a value")
    return fields, value.decode()


# The grant's template


def job_of(template, task, serial):
    def expand(text, first):
        text = text.replace("$JEDITASKID", str(task)).replace("${SURL}", template["sourceUrl"])
        text = text.replace("${SEQNUMBER}", str(first + serial - 1))
        return text.replace("${SN/P}", f"{serial:06d}").replace("${SN}", f"{serial:06d}")

    return {
        "serial": serial,
        "parameters": "".join(expand(p["text"], p["firstNumber"]) for p in template["parameters"]).rstrip(),
        "outputs": [expand(name, 1) for name in template["outputs"]],
        "logName": expand(template["log"], 1),
    }


derivation = load("derivation")
user, node, site = derivation["user"], derivation["node"], derivation["site"]
for keys, names in ((user, ("user/age", "user/results", "user/sign")), (node, ("site/age", "site/sign"))):
    for name in names:
        part = keys[name.split("/")[1]]
        seed = derive(bytes.fromhex(keys["root"]), name)
        check(seed.hex() == part["seed"], name)
        if "recipient" in part:
            check(recipient_of(seed) == part["recipient"], f"recipient of {name}")
        else:
            check(public_key_of(seed) == part["publicKey"], f"public key of {name}")
check(bech32("age-secret-key-pq-", bytes.fromhex(user["age"]["seed"])).upper() == user["age"]["secretKey"], "age's own key")
code = checked_code("panda-secrets/v1/recovery", bytes.fromhex(user["root"]))
check("-".join(code[at : at + 4] for at in range(0, 56, 4)) == user["recoveryCode"], "recovery code")
check(public_key_of(bytes.fromhex(site["seed"])) == site["publicKey"], "identity")
check(site_id(site["publicKey"]) == site["id"], "site ID")

vector = load("site-record")
fields = ["queue", "identity", "serial", "recipient", "resultSigner", "from", "end"]
check(open_word(vector["signed"], "site", site["publicKey"], fields) == vector["record"], "site record")

vector = load("envelope")
for envelope in vector["envelopes"]:
    for seed in (user["age"]["seed"], node["age"]["seed"]):
        header, value = open_envelope(envelope["sealed"], bytes.fromhex(seed))
        check(value == envelope["value"] and header["signer"] == vector["signer"], "value")
        check(all(header[name] == envelope[name] for name in ("name", "version", "sites")), "header")

vector = load("grant")
fields = ["signer", "task", "template", "jobs", "attempts", "sites", "secrets", "results", "nonce", "end"]
grant = open_word(vector["signed"], "grant", user["sign"]["publicKey"], fields)
check(grant == vector["grant"], "grant")
template = ["parameters", "outputs", "log", "sourceUrl", "sandboxSha256", "secretForms"]
check(list(grant["template"]) == [*template, "maxWalltimeSeconds", "coreCount", "memory", "disk"], "fields of a template")
names = [secret["name"].encode() for secret in grant["secrets"]]
check(names == sorted(set(names)) and grant["sites"] == sorted(set(grant["sites"])), "order")
for job in vector["jobs"]:
    check(job_of(grant["template"], grant["task"], job["serial"]) == job, "job of a template")

vector = load("result")
fields = ["nonce", "serial", "attempt", "kind", "name", "seq", "last", "sha256"]
check(open_word(vector["signed"], "result", node["sign"]["publicKey"], fields) == vector["result"], "result")

for vector in load("sealed-results")["results"]:
    check(open_word(vector["signed"], "result", node["sign"]["publicKey"], fields) == vector["result"], "a sealed result")
    sent = base64.b64decode(vector["sent"])
    check(hashlib.sha256(sent).hexdigest() == vector["result"]["sha256"], "digest of what is sent")
    opened = age_decrypt(sent, bytes.fromhex(user["results"]["seed"]), marked=False) if vector["isSealed"] else sent
    check(opened.decode() == vector["content"], "content of a result")

print(f"checked {checked}")
