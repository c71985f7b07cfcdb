"""Signs one message with dkimpy: message on standard input, signed message on standard output.

Usage: sign_dkimpy.py KEY SELECTOR DOMAIN CANONICALIZATION. KEY is a PEM file of an RSA key, or one that holds an
Ed25519 seed in base64 and whose name ends in .seed.
"""

import sys

import dkim

path, selector, domain, canonicalization = sys.argv[1:]
with open(path, "rb") as file:
    key = file.read()
message = sys.stdin.buffer.read()
signature = dkim.sign(
    message,
    selector.encode("ascii"),
    domain.encode("ascii"),
    key.strip() if path.endswith(".seed") else key,
    canonicalize=tuple(canonicalization.encode("ascii").split(b"/")),
    signature_algorithm=b"ed25519-sha256" if path.endswith(".seed") else b"rsa-sha256",
)
sys.stdout.buffer.write(signature + message)
