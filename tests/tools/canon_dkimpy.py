"""Canonicalizes with dkimpy, one request after the other.

A request on standard input is a line "FIELDS BODY", the number of header fields and the length of the body; for each field
a line "NAME VALUE" with two lengths and then those octets (the value ends in CRLF); then the body.
The answer is a line with four lengths and those octets: simple header, relaxed header, simple body, relaxed body.
"""

import sys

from dkim.canonicalization import Relaxed, Simple


def header(policy, fields):
    return b"".join(name + b":" + value for name, value in policy.canonicalize_headers(fields))


def main():
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    while request := requests.readline():
        count, size = map(int, request.split())
        fields = []
        for _ in range(count):
            name, value = map(int, requests.readline().split())
            fields.append((requests.read(name), requests.read(value)))
        body = requests.read(size)
        parts = [header(Simple, fields), header(Relaxed, fields)]
        parts += [Simple.canonicalize_body(body), Relaxed.canonicalize_body(body)]
        answers.write(b"%d %d %d %d\n" % tuple(map(len, parts)) + b"".join(parts))
        answers.flush()


main()
