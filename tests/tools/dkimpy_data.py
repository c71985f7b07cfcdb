"""dkimpy's own test messages, and what dkimpy itself says of them.

Usage: dkimpy_data.py SOURCE, the unpacked source archive of dkimpy.
Each line of output is one case in JSON: id, message (base64), records (name to text) and passed.
The messages that come signed are taken as they are, with the keys that dkimpy's tests know; the others are signed by
dkimpy with its test keys, in all four canonicalizations, with and without l=, and then left alone or changed.
"""

import base64
import json
import os
import sys

SOURCE = sys.argv[1]
sys.path.insert(0, SOURCE)

import dkim  # noqa: E402
from dkim.tests import test_dkim  # noqa: E402

DATA = os.path.join(SOURCE, "dkim", "tests", "data")
CANONICALIZATIONS = [(header, body) for header in (b"simple", b"relaxed") for body in (b"simple", b"relaxed")]


def data(name):
    with open(os.path.join(DATA, name), "rb") as file:
        return file.read()


def message(name):
    return data(name).replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def known(number):
    """The records of one of the DNS functions in dkimpy's tests."""
    suite = test_dkim.TestSignAndVerify("test_verifies")
    suite.setUp()
    lookup = getattr(suite, f"dnsfunc{number}")

    def record(name):
        try:
            text = lookup(name.encode("ascii"))
        except AssertionError:
            return None
        return text.decode("ascii") if isinstance(text, bytes) else text

    return record


def tell(name, text, record):
    """Prints one case; the record is a function from a name with its final dot to a text or None."""
    asked = {}

    def lookup(name, timeout=5):
        name = name.decode("utf-8", "replace")
        asked[name.rstrip(".")] = record(name)
        return asked[name.rstrip(".")]

    try:
        passed, why = dkim.verify(text, dnsfunc=lookup), ""
    except dkim.DKIMException as error:
        passed, why = False, str(error)
    records = {name: text for name, text in asked.items() if text is not None}
    print(json.dumps({
        "id": name,
        "message": base64.b64encode(text).decode("ascii"),
        "records": records,
        "passed": bool(passed),
        "why": why,
    }))


def signed():
    for number in ("", 2, 3, 4, 5, 6, 7):
        record = known(number)
        for name in sorted(os.listdir(DATA)):
            text = message(name)
            if b"dkim-signature:" in text.lower() and not name.endswith((".key", ".txt", ".dns")):
                tell(f"{name} with dnsfunc{number}", text, record)


def changes(text):
    """A signed message as it is, and changed in ways that matter and in ways that do not."""
    head, body = text.split(b"\r\n\r\n", 1)
    yield "as signed", text
    yield "more at the end", text + b"more\r\n"
    yield "empty lines at the end", text + b"\r\n\r\n"
    yield "blanks at the end of a line", text.replace(b"\r\n\r\n" + body, b"\r\n\r\n" + body.replace(b"\r\n", b" \r\n", 1))
    yield "a From on top", b"From: <x@example.org>\r\n" + text
    yield "a Subject on top", b"Subject: other\r\n" + text
    yield "a field of no concern", b"X-Other: 1\r\n" + text
    yield "Subject in upper case", head.replace(b"\r\nSubject:", b"\r\nSUBJECT:") + b"\r\n\r\n" + body


def unsigned():
    rsa = [
        ("test.private", "test.txt"), ("test.private", "test2.txt"), ("test.private", "badversion.txt"),
        ("test.private", "badk.txt"), ("test.private", "test_bad.txt"), ("test.private", "test_tlsrpt.txt"),
        ("1024_testkey.key", "1024_testkey_wo_markers.pub.txt"),
        ("1024_testkey.key", "1024_testkey_wo_markers.pub.rsa.txt"),
        ("2048_testkey.key", "2048_testkey_wo_markers.pub.txt"),
        ("2048_testkey.key", "2048_testkey_wo_markers.pub.rsa.txt"),
        ("2048_testkey_PKCS8.key", "2048_testkey_PKCS8.key.pub.txt"),
        ("2048_testkey.key", "test.txt"),
    ]
    keys = [(key, record, b"rsa-sha256") for key, record in rsa]
    keys.append(("ed25519test.key", "ed25519test.dns", b"ed25519-sha256"))
    names = ["test.message", "test_extra.message", "test_nofrom.message", "rfc6376.msg", "rfc6376.w1258.msg",
             "ed25519test.msg", "test2.message"]
    for key, record, algorithm in keys:
        private, public = data(key), data(record).decode("ascii").strip()
        if algorithm == b"ed25519-sha256":
            private = private.strip()
        for name in names:
            text = message(name)
            for canonicalization in CANONICALIZATIONS:
                for length in (False, True):
                    try:
                        field = dkim.sign(text, b"test", b"example.com", private, canonicalize=canonicalization,
                                          signature_algorithm=algorithm, length=length)
                    except dkim.DKIMException:
                        continue
                    form = b"/".join(canonicalization).decode("ascii") + (" l=" if length else "")
                    for change, changed in changes(field + text):
                        tell(f"{name} {record} {form}: {change}", changed,
                             lambda asked: public if asked == "test._domainkey.example.com." else None)


signed()
unsigned()
