"""Confines this process as systemd would for a unit, without systemd, then runs the unit's program or tries what is forbidden.

Usage: sandbox.py UNIT run ARGUMENT...     the program of ExecStart= with these arguments
       sandbox.py UNIT probe               one line for each attempt: its name, and "done" or the errno it met
       sandbox.py UNIT probe-unconfined    the same as the unit's user, without the sandbox

As root, in a mount namespace of its own. A setting that is neither applied here nor known to need systemd is an error, so
that nothing in the unit goes untried unnoticed.
"""

import ctypes
import errno
import os
import pwd
import resource
import subprocess
import sys

import seccomp
from seccomp import ALLOW, EQ, ERRNO, GE, GT, LT, MASKED_EQ, NE, Arch, Arg, SyscallFilter  # Debian: python3-seccomp

libc = ctypes.CDLL(None, use_errno=True)

# What only the service manager can do: start, stop, watch, and control groups.
MANAGER = set(
    "Type NotifyAccess ExecStart ExecReload WatchdogSec Restart RestartSec RestartPreventExitStatus TimeoutStopSec "
    "ConfigurationDirectoryMode StateDirectoryMode RuntimeDirectoryMode MemorySwapMax KeyringMode RemoveIPC DevicePolicy "
    "PrivateUsers Group".split()
)
APPLIED = set(
    "Environment User ConfigurationDirectory StateDirectory RuntimeDirectory UMask LimitNOFILE LimitCORE NoNewPrivileges "
    "CapabilityBoundingSet AmbientCapabilities RestrictSUIDSGID ProtectSystem ProtectHome PrivateTmp PrivateDevices "
    "PrivateIPC PrivateMounts ReadOnlyPaths NoExecPaths ExecPaths ProtectKernelTunables ProtectKernelModules "
    "ProtectKernelLogs ProtectControlGroups ProtectClock ProtectHostname ProtectProc ProcSubset RestrictNamespaces "
    "RestrictRealtime LockPersonality MemoryDenyWriteExecute SystemCallArchitectures SystemCallFilter "
    "SystemCallErrorNumber RestrictAddressFamilies".split()
)

MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC = 2, 4, 8, 4096, 16384
RDONLY, NOEXEC = 1, 8
CLONE_NEWNS, CLONE_NEWIPC, CLONE_NEWUSER = 0x20000, 0x8000000, 0x10000000
NAMESPACES = [0x80, CLONE_NEWNS, 0x2000000, 0x4000000, CLONE_NEWIPC, CLONE_NEWUSER, 0x20000000, 0x40000000]


def checked(result):
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def system_call(name, *arguments):
    return checked(libc.syscall(NUMBERS[name], *[ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]))


NUMBERS = {
    name: seccomp.resolve_syscall(Arch.NATIVE, name)
    for name in "mount mount_setattr unshare setns ptrace bpf perf_event_open io_uring_setup memfd_create keyctl init_module "
    "swapon reboot settimeofday sethostname personality mmap mprotect shmat clone3 kexec_load pivot_root chroot "
    "sched_setscheduler setuid userfaultfd process_vm_readv add_key open_by_handle_at syslog quotactl acct".split()
}


def read(path):
    """The settings of [Service]: values in order."""
    settings, section = {}, ""
    with open(path) as lines:
        for line in map(str.strip, lines):
            if line.startswith("["):
                section = line
            elif section == "[Service]" and "=" in line and not line.startswith("#"):
                name, value = line.split("=", 1)
                settings.setdefault(name, []).append(value)
    unknown = set(settings) - APPLIED - MANAGER
    if unknown:
        sys.exit(f"{path}: nothing is known of {sorted(unknown)}")
    return settings


def mount(source, target, kind=None, flags=0, data=None):
    text = [part and part.encode() for part in (source, target, kind)]
    checked(libc.mount(*text, ctypes.c_ulong(flags), data and data.encode()))


class Attributes(ctypes.Structure):
    _fields_ = [(name, ctypes.c_uint64) for name in ("set", "clear", "propagation", "namespace")]


def attributes(path, set=0, clear=0):
    recursive, here = 0x8000, -100
    value = Attributes(set, clear, 0, 0)
    system_call("mount_setattr", here, path.encode(), recursive, ctypes.byref(value), ctypes.sizeof(value))


def confine_files(settings):
    own = [f"/etc/{name}" for name in settings["ConfigurationDirectory"]]
    own += [f"/var/lib/{name}" for name in settings["StateDirectory"]]
    own += [f"/run/{name}" for name in settings["RuntimeDirectory"]]
    # PrivateDevices=, ProtectHome=, PrivateTmp=, ProtectProc= and ProcSubset=
    kept = ["null", "zero", "full", "random", "urandom", "tty"]
    numbers = {name: os.stat(f"/dev/{name}").st_rdev for name in kept}
    mount("none", "/dev", "tmpfs", MS_NOSUID | MS_NOEXEC, "mode=755")
    for name, number in numbers.items():
        os.mknod(f"/dev/{name}", 0o20666, number)
        os.chmod(f"/dev/{name}", 0o666)
    os.mkdir("/dev/shm")
    mount("none", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777")
    for path in ("/home", "/root"):
        mount("none", path, "tmpfs", MS_NOSUID | MS_NODEV, "mode=000")
    for path in ("/tmp", "/var/tmp"):
        mount("none", path, "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777")
    mount("none", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, "hidepid=2,subset=pid")
    # What is written or executed lies on mounts of its own, whose attributes are then those of the unit.
    executable = [path.lstrip("-") for path in settings["ExecPaths"][0].split()]
    executable = [path for path in executable if os.path.exists(path)]
    for path in executable + own:
        mount(path, path, None, MS_BIND | MS_REC)
    for path in settings["NoExecPaths"]:
        attributes(path, set=NOEXEC)
    for path in executable:
        attributes(path, clear=NOEXEC)
    attributes("/", set=RDONLY)
    for path in own + ["/tmp", "/var/tmp", "/dev/shm"]:
        attributes(path, clear=RDONLY)
    for path in settings["ReadOnlyPaths"]:
        attributes(path, set=RDONLY)


def groups():
    """The sets of system calls, as this systemd knows them."""
    said = subprocess.run(["systemd-analyze", "syscall-filter"], check=True, stdout=subprocess.PIPE, text=True).stdout
    found, group = {}, None
    for line in said.splitlines():
        if line.startswith("@"):
            group = found.setdefault(line.strip(), [])
        elif line.startswith("    ") and not line.strip().startswith("#"):
            group.append(line.strip())
    return found


def expand(names, known):
    calls = set()
    for name in names:
        calls |= expand(known[name], known) if name.startswith("@") else {name}
    return calls


def rules(target, action, calls, *arguments):
    for call in sorted(calls):
        try:
            target.add_rule(action, call, *arguments)
        except (RuntimeError, ValueError, OSError):
            pass  # not a system call of this machine


def filters(settings):
    """The filters in the order of systemd: what is permitted, then what arguments and families are not."""
    known, refused = groups(), ERRNO(errno.EPERM)
    allowed = set()
    for value in settings["SystemCallFilter"]:
        if value.startswith("~"):
            allowed -= expand(value[1:].split(), known)
        else:
            allowed |= expand(value.split() + ["@default"], known)
    made = []

    def deny(action=refused):
        made.append(SyscallFilter(ALLOW))
        return lambda calls, *arguments, then=action: rules(made[-1], then, calls, *arguments)

    # MemoryDenyWriteExecute=
    no = deny()
    no(["mmap"], Arg(2, MASKED_EQ, 6, 6))
    no(["mprotect", "pkey_mprotect"], Arg(2, MASKED_EQ, 4, 4))
    no(["shmat"], Arg(2, MASKED_EQ, 0o100000, 0o100000))
    # RestrictNamespaces=, LockPersonality=, RestrictRealtime=
    no(["unshare", "setns"])
    no(["clone3"], then=ERRNO(errno.ENOSYS))
    for flag in NAMESPACES:
        no(["clone"], Arg(0, MASKED_EQ, flag, flag))
    no(["personality"], Arg(0, NE, 0))
    no(["sched_setscheduler"], Arg(1, GT, 0), Arg(1, LT, 3))
    # RestrictSUIDSGID=
    for bit in (0o4000, 0o2000):
        for calls, at in (("chmod fchmod mkdir creat mknod", 1), ("fchmodat mkdirat mknodat", 2)):
            no(calls.split(), Arg(at, MASKED_EQ, bit, bit))
        for call, at in (("open", 1), ("openat", 2)):
            no([call], Arg(at, MASKED_EQ, os.O_CREAT, os.O_CREAT), Arg(at + 1, MASKED_EQ, bit, bit))
    no(["openat2"], then=ERRNO(errno.ENOSYS))
    # ProtectKernelModules=, ProtectKernelLogs=, ProtectClock=, ProtectHostname=
    no(expand(["@module", "@clock", "@raw-io", "syslog", "sethostname", "setdomainname"], known))
    # RestrictAddressFamilies=
    families = {"AF_UNIX": 1, "AF_INET": 2, "AF_INET6": 10}
    kept = [families[name] for name in settings["RestrictAddressFamilies"][0].split()]
    no = deny(ERRNO(errno.EAFNOSUPPORT))
    for family in set(range(64)) - set(kept):
        no(["socket"], Arg(0, EQ, family))
    no(["socket"], Arg(0, GE, 64))
    # SystemCallFilter= comes last: with it in force, no other can be loaded.
    made.append(SyscallFilter(refused))
    rules(made[-1], ALLOW, allowed)
    return made


def become(user):
    entry = pwd.getpwnam(user)
    os.initgroups(user, entry.pw_gid)
    os.setresgid(entry.pw_gid, entry.pw_gid, entry.pw_gid)
    os.setresuid(entry.pw_uid, entry.pw_uid, entry.pw_uid)
    os.chdir("/")


def enter(settings):
    prepared = filters(settings)
    checked(libc.unshare(CLONE_NEWIPC))
    confine_files(settings)
    os.umask(int(settings["UMask"][0], 8))
    for name, limit in (("LimitNOFILE", resource.RLIMIT_NOFILE), ("LimitCORE", resource.RLIMIT_CORE)):
        value = int(settings[name][0])
        resource.setrlimit(limit, (value, value))
    drop, no_new_privileges = 24, 38
    for capability in range(64):
        libc.prctl(drop, capability, 0, 0, 0)
    become(settings["User"][0])
    checked(libc.prctl(no_new_privileges, 1, 0, 0, 0))
    for one in prepared:
        one.load()


def run_file(path, *arguments):
    return lambda: os.execv(path, [path, *arguments])


def run_copy(folder):
    """Executes a program that it has written."""

    def attempt():
        path = f"{folder}/program"
        with open("/usr/lib/os-release", "rb") as source, open(path, "wb") as copy:
            source.read(1)
            copy.write(b"#!/usr/bin/true\n")
        os.chmod(path, 0o700)
        os.execv(path, [path])

    return attempt


def run_memory():
    descriptor = system_call("memfd_create", b"x", 0)
    with open("/usr/bin/true", "rb") as program:
        os.write(descriptor, program.read())
    os.execve(descriptor, ["true"], {})


def write(path):
    return lambda: open(path, "w").close()


def look(path):
    return lambda: os.listdir(path) if os.path.isdir(path) else open(path, "rb").read(1)


def call(name, *arguments):
    return lambda: system_call(name, *arguments)


def map_memory(protection):
    anonymous_private = 0x22
    return lambda: system_call("mmap", 0, 4096, protection, anonymous_private, -1, 0)


def make_executable():
    readable_writable, anonymous_private = 3, 0x22
    libc.mmap.restype = ctypes.c_void_p
    page = libc.mmap(None, 4096, readable_writable, anonymous_private, -1, 0)
    checked(libc.mprotect(ctypes.c_void_p(page), 4096, 5))


def talk(family, kind):
    import socket

    return lambda: socket.socket(family, kind).close()


def mode(bits):
    def attempt():
        path = "/tmp/mode"
        open(path, "w").close()
        os.chmod(path, bits)

    return attempt


def allow_core():
    resource.setrlimit(resource.RLIMIT_CORE, (4096, 4096))


STREAM, DATAGRAM, RAW = 1, 2, 3

PROBES = {
    "a shell": run_file("/bin/sh", "-c", "exit 0"),
    "another program": run_file("/usr/bin/true"),
    "a program written to the state": run_copy("/var/lib/waxseal"),
    "a program written to the run folder": run_copy("/run/waxseal"),
    "a program written to /tmp": run_copy("/tmp"),
    "a program written to /dev/shm": run_copy("/dev/shm"),
    "a program in memory": run_memory,
    "the program itself": run_file("/usr/bin/waxseal", "--version"),
    "ptrace": call("ptrace", 0, 0, 0, 0),
    "memory of another process": call("process_vm_readv", 1, 0, 0, 0, 0, 0),
    "a mount": call("mount", b"none", b"/tmp", b"tmpfs", 0, 0),
    "a new root": call("chroot", b"/tmp"),
    "a user namespace": call("unshare", CLONE_NEWUSER),
    "a user namespace by clone": call("clone3", 0, 0),
    "another namespace": call("setns", 0, 0),
    "BPF": call("bpf", 0, 0, 0),
    "performance counters": call("perf_event_open", 0, 0, 0, 0, 0),
    "page faults": call("userfaultfd", 1),
    "an io_uring": call("io_uring_setup", 1, (ctypes.c_char * 120)()),
    "a module": call("init_module", 0, 0, b""),
    "a new kernel": call("kexec_load", 0, 0, 0, 0),
    "swap": call("swapon", b"/tmp/x", 0),
    "a reboot": call("reboot", 0, 0, 0, 0),
    "the clock": call("settimeofday", (ctypes.c_long * 2)(1, 0), 0),
    "the name of the host": call("sethostname", b"x", 1),
    "the kernel's log": call("syslog", 10, 0, 0),
    "another personality": call("personality", 0x0008),
    "real-time priority": call("sched_setscheduler", 0, 1, (ctypes.c_int * 1)(1)),
    "another user": call("setuid", 0),
    "a core file": allow_core,
    "memory to write and execute": map_memory(7),
    "memory made executable": make_executable,
    "AF_NETLINK": talk(16, RAW),
    "AF_PACKET": talk(17, RAW),
    "AF_ALG": talk(38, 5),
    "AF_VSOCK": talk(40, STREAM),
    "a raw socket": talk(2, RAW),
    "set-user-id": mode(0o4755),
    "writing to /etc": write("/etc/new"),
    "writing to the settings": write("/etc/waxseal/new"),
    "writing to /usr/bin": write("/usr/bin/new"),
    "writing to /var/spool": write("/var/spool/new"),
    "writing to the home of root": write("/root/new"),
    "reading homes": look("/home"),
    "reading /etc/shadow": look("/etc/shadow"),
    "the environment of others": look("/proc/1/environ"),
    "settings of the kernel": look("/proc/sys/kernel/core_pattern"),
    "the memory of the machine": look("/dev/mem"),
    "reading the settings": look("/etc/waxseal/waxseal.toml"),
    "writing to the state": write("/var/lib/waxseal/new"),
    "writing to the run folder": write("/run/waxseal/new"),
    "writing to /tmp": write("/tmp/new"),
    "AF_UNIX": talk(1, STREAM),
    "AF_INET": talk(2, DATAGRAM),
    "AF_INET6": talk(10, STREAM),
}


def probe():
    for name, attempt in PROBES.items():
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            os.dup2(os.open("/dev/null", os.O_WRONLY), 1)
            try:
                attempt()
            except OSError as error:
                os._exit(error.errno or 255)
            os._exit(0)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(f"{name}: {'done' if code == 0 else errno.errorcode.get(code, code)}")
    sys.stdout.flush()


def main():
    settings, what, arguments = read(sys.argv[1]), sys.argv[2], sys.argv[3:]
    program = settings["ExecStart"][0].split()[0]
    if what == "probe-unconfined":
        become(settings["User"][0])
    else:
        enter(settings)
    if what == "run":
        environment = dict(value.split("=", 1) for value in settings.get("Environment", []))
        os.execve(program, [program, "run", *arguments], {"PATH": "/usr/bin", **environment})
    probe()


main()
