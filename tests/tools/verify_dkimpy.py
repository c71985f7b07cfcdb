"""Verifies messages with dkimpy, one after the other.

Usage: verify_dkimpy.py RECORDS. RECORDS has lines of "NAME TAB TEXT": the TXT records that exist.
Each request on standard input is a line with a length and that many octets of message.
Each answer is one line of JSON: a list of signatures, top first, each with domain, selector, result and reason.
"""

import json
import sys

import dkim


def records(path):
    with open(path, encoding="ascii") as lines:
        return dict(line.rstrip("\n").split("\t", 1) for line in lines)


def tag(signature, name):
    return signature.get(name, b"").decode("utf-8", "replace")


def verify(message, known):
    def lookup(name, timeout=5):
        # Names in DNS have no case.
        text = known.get(name.decode("ascii").rstrip(".").lower())
        return text.encode("ascii") if text is not None else None

    verdicts = []
    judge = dkim.DKIM(message, minkey=1024)
    count = sum(name.lower() == b"dkim-signature" for name, _ in judge.headers)
    for index in range(count):
        judge = dkim.DKIM(message, minkey=1024)
        reason = "signature or body hash did not verify"
        try:
            passed = judge.verify(index, dnsfunc=lookup)
        except dkim.DKIMException as error:
            passed, reason = False, f"{type(error).__name__}: {error}"
        fields = judge.signature_fields or {}
        verdicts.append({
            "domain": tag(fields, b"d"),
            "selector": tag(fields, b"s"),
            "result": "pass" if passed else "fail",
            "reason": "" if passed else reason,
        })
    return verdicts


def main():
    known = records(sys.argv[1])
    while request := sys.stdin.buffer.readline():
        message = sys.stdin.buffer.read(int(request))
        try:
            verdicts = verify(message, known)
        except Exception as error:  # A message that breaks the verifier must not break the ones after it.
            verdicts = [{"domain": "", "selector": "", "result": "error", "reason": repr(error)}]
        print(json.dumps(verdicts), flush=True)


main()
