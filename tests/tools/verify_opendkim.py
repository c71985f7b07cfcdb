"""Verifies messages with OpenDKIM's library, one after the other; usage and protocol as verify_dkimpy.py.

opendkim-testmsg uses the same library, but asks the system's DNS and refuses messages that repeat a single-use field;
here the keys come from a file and the field rule is left off, as in the opendkim milter's default.
"""

import ctypes
import json
import sys
import tempfile

# From OpenDKIM's dkim.h.
SETOPT = 1
OPTS_QUERYMETHOD, OPTS_QUERYINFO = 6, 7
QUERY_FILE = 1
FLAG_PASSED, FLAG_PROCESSED = 0x04, 0x02
BH_MATCH, BH_MISMATCH = 0, 1

lib = ctypes.CDLL("libopendkim.so.11")
pointer = ctypes.c_void_p
lib.dkim_init.restype = pointer
lib.dkim_init.argtypes = [pointer, pointer]
lib.dkim_options.argtypes = [pointer, ctypes.c_int, ctypes.c_int, pointer, ctypes.c_size_t]
lib.dkim_verify.restype = pointer
lib.dkim_verify.argtypes = [pointer, ctypes.c_char_p, pointer, ctypes.POINTER(ctypes.c_int)]
lib.dkim_header.argtypes = [pointer, ctypes.c_char_p, ctypes.c_size_t]
lib.dkim_eoh.argtypes = [pointer]
lib.dkim_body.argtypes = [pointer, ctypes.c_char_p, ctypes.c_size_t]
lib.dkim_eom.argtypes = [pointer, pointer]
lib.dkim_free.argtypes = [pointer]
lib.dkim_getsiglist.argtypes = [pointer, ctypes.POINTER(ctypes.POINTER(pointer)), ctypes.POINTER(ctypes.c_int)]
lib.dkim_sig_process.argtypes = [pointer, pointer]
lib.dkim_sig_getflags.restype = ctypes.c_uint
for function in (lib.dkim_sig_getflags, lib.dkim_sig_getbh, lib.dkim_sig_geterror):
    function.argtypes = [pointer]
for function in (lib.dkim_sig_getdomain, lib.dkim_sig_getselector):
    function.restype = ctypes.c_char_p
    function.argtypes = [pointer]
lib.dkim_sig_geterrorstr.restype = ctypes.c_char_p
lib.dkim_geterror.restype = ctypes.c_char_p
lib.dkim_geterror.argtypes = [pointer]


def start(records):
    """A handle of the library that reads keys from a file: "NAME TEXT" a line."""
    keys = tempfile.NamedTemporaryFile("w", suffix=".keys")
    with open(records, encoding="ascii") as lines:
        for line in lines:
            keys.write(line.replace("\t", " ", 1))
    keys.flush()
    handle = lib.dkim_init(None, None)
    method = ctypes.c_int(QUERY_FILE)
    lib.dkim_options(handle, SETOPT, OPTS_QUERYMETHOD, ctypes.byref(method), ctypes.sizeof(method))
    path = keys.name.encode()
    lib.dkim_options(handle, SETOPT, OPTS_QUERYINFO, path, len(path))
    return handle, keys


def fields(header):
    """The fields of a header, folds included, without their last CRLF."""
    field = []
    for line in header.removesuffix(b"\r\n").split(b"\r\n"):
        if line[:1] in (b" ", b"\t") and field:
            field.append(line)
        else:
            if field:
                yield b"\r\n".join(field)
            field = [line]
    if field:
        yield b"\r\n".join(field)


def verdict(signature):
    error = lib.dkim_sig_geterror(signature)
    flags = lib.dkim_sig_getflags(signature)
    passed = flags & FLAG_PASSED and lib.dkim_sig_getbh(signature) == BH_MATCH and error == 0
    reason = lib.dkim_sig_geterrorstr(error) or b"error %d" % error
    if lib.dkim_sig_getbh(signature) == BH_MISMATCH:
        reason += b"; body hash did not match"
    return {
        "domain": (lib.dkim_sig_getdomain(signature) or b"").decode("utf-8", "replace"),
        "selector": (lib.dkim_sig_getselector(signature) or b"").decode("utf-8", "replace"),
        "result": "pass" if passed else "fail",
        "reason": "" if passed else reason.decode("utf-8", "replace"),
    }


def verify(handle, message):
    header, _, body = message.partition(b"\r\n\r\n")
    status = ctypes.c_int()
    job = lib.dkim_verify(handle, b"test", None, ctypes.byref(status))
    try:
        for field in fields(header):
            lib.dkim_header(job, field, len(field))
        status = lib.dkim_eoh(job)
        lib.dkim_body(job, body, len(body))
        end = lib.dkim_eom(job, None)
        found = ctypes.POINTER(pointer)()
        count = ctypes.c_int()
        lib.dkim_getsiglist(job, ctypes.byref(found), ctypes.byref(count))
        for index in range(count.value):
            # The library stops at the first signature that passes; the others are judged on request.
            if not lib.dkim_sig_getflags(found[index]) & FLAG_PROCESSED:
                lib.dkim_sig_process(job, found[index])
        if count.value == 0 and status not in (0, 2):
            error = (lib.dkim_geterror(job) or b"").decode("utf-8", "replace")
            return [{"domain": "", "selector": "", "result": "error", "reason": f"eoh {status}, eom {end}: {error}"}]
        return [verdict(found[index]) for index in range(count.value)]
    finally:
        lib.dkim_free(job)


def main():
    handle, _keys = start(sys.argv[1])
    while request := sys.stdin.buffer.readline():
        message = sys.stdin.buffer.read(int(request))
        print(json.dumps(verify(handle, message)), flush=True)


main()
