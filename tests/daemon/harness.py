# SPDX-License-Identifier: LGPL-2.1-or-later
"""A vmmd of the test's own, with workers that need no KVM, and TAP for its stories."""
import os
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import traceback
import uuid

BUILD = os.environ.get("VMM_BUILDDIR", os.getcwd())
SOURCE = os.environ.get("VMM_SRCDIR", os.path.dirname(os.path.abspath(__file__)) + "/../..")
PROGRAM = {"remote": 0x20008086}
PATIENCE = 60     # seconds for what takes a moment: the machine may be busy, and its disk too


class Daemon:
    """vmmd in a folder of its own."""

    def __init__(self, **env):
        self.dir = tempfile.mkdtemp(prefix="vmmd-")
        self.sock = self.dir + "/run/vmmd.sock"
        self.uri = "vmm+unix:///system?socket=" + self.sock
        self.log = open(self.dir + "/log", "w+b")
        self.env = dict(os.environ, VMM_STATE_DIR=self.dir + "/state", VMM_RUN_DIR=self.dir + "/run",
                        VMM_WORKER=BUILD + "/tests/daemon/stub-worker", VMM_SCHEMA_DIR=SOURCE + "/schemas",
                        VMM_TLS=BUILD + "/vmmd/vmm-tls", VMM_AGENT=BUILD + "/images/agent/vmm-agent")
        self.env.update(env)
        self.prefix = []                  # what makes it somebody else's
        self.words = ["-v"]
        self.program = BUILD + "/vmmd/vmmd"
        self.env.pop("G_DEBUG", None)     # misbehaving clients and workers are worth a warning
        self.proc = None

    def start(self, *args, wait=PATIENCE):
        self.proc = subprocess.Popen([*self.prefix, self.program, *self.words, *args], env=self.env,
                                     stdout=self.log, stderr=self.log)
        until = time.monotonic() + wait
        while time.monotonic() < until:
            if self.proc.poll() is not None:
                break
            try:
                self.connect().close()
                return self
            except OSError:
                time.sleep(0.01)
        raise AssertionError("vmmd did not start:\n" + self.logged())

    def logged(self):
        with open(self.dir + "/log", "rb") as f:
            return f.read().decode(errors="replace")

    def connect(self, path=None):
        s = socket.socket(socket.AF_UNIX)
        s.settimeout(PATIENCE)
        s.connect(path or self.sock)
        return s

    def kill(self, sig=signal.SIGKILL):
        self.proc.send_signal(sig)
        self.proc.wait(PATIENCE)

    def workers(self):
        """pids of the workers, by their pid files"""
        base = self.dir + "/run/domains"
        found = {}
        for name in os.listdir(base) if os.path.isdir(base) else []:
            try:
                with open(f"{base}/{name}/pid", encoding="ascii") as f:
                    found[name] = int(f.read())
            except (OSError, ValueError):
                pass
        return found

    def end_workers(self):
        for pid in self.workers().values():
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def done(self):
        """Ends all; a daemon that a sanitizer or an abort has ended fails the test."""
        if self.proc and self.proc.poll() is None:
            self.kill(signal.SIGTERM)
        status = self.proc.returncode if self.proc else 0
        self.end_workers()
        text = self.logged()
        self.log.close()
        shutil.rmtree(self.dir, ignore_errors=True)
        assert status in (0, -signal.SIGKILL), f"vmmd ended with {status}:\n{text}"
        assert "ERROR: " not in text and "CRITICAL" not in text, text

    def virsh(self, *args, ok=True, uri=None, stdin=None):
        # A save that is refused before virsh waits for its end is waited for by virsh for ever: it is asked again.
        patience = [PATIENCE / 6, PATIENCE / 6, PATIENCE] if ok is False and args[0] in ("save", "managedsave") else [PATIENCE]
        while True:
            try:
                p = subprocess.run(["virsh", "-q", "-c", uri or self.uri, *args], input=stdin, timeout=patience.pop(0),
                                   capture_output=True, text=True, env=dict(os.environ, LC_ALL="C"))
                break
            except subprocess.TimeoutExpired:
                if not patience:
                    raise
        if ok is not None:
            assert (p.returncode == 0) == ok, f"virsh {args}: {p.returncode}\n{p.stdout}{p.stderr}\n{self.logged()}"
        return p.stdout.strip() if ok else p.stdout + p.stderr

    def define(self, name, **kw):
        path = f"{self.dir}/{name}.xml"
        with open(path, "w", encoding="utf-8") as f:
            f.write(xml(name, **kw))
        self.virsh("define", path)
        return path


def xml(name, words="", extra="", devices="", ident=None):
    ident = f"<uuid>{ident}</uuid>" if ident else ""
    return f"""<domain type='kvm'><name>{name}</name>{ident}<memory unit='MiB'>64</memory>{extra}
<os><type>hvm</type><kernel>/boot/vmlinuz</kernel><cmdline>quiet {words}</cmdline></os>
<devices><serial type='pty'/>{devices}</devices></domain>"""


def message(procedure, payload=b"", serial=0, program=PROGRAM["remote"], version=1, kind=0, status=0):
    return struct.pack(">IIIiIII", 28 + len(payload), program, version, procedure, kind, serial, status) + payload


def string(text):
    raw = text.encode()
    return struct.pack(">I", len(raw)) + raw + b"\0" * (-len(raw) % 4)


def receive(s):
    """(header fields, payload) of one message; None at the end."""
    head = b""
    while len(head) < 28:
        got = s.recv(28 - len(head))
        if not got:
            return None
        head += got
    fields = struct.unpack(">IIIiIII", head)
    body = b""
    while len(body) < fields[0] - 28:
        got = s.recv(fields[0] - 28 - len(body))
        if not got:
            return None
        body += got
    return fields, body


def error_of(body):
    """(code, domain, text) of an error reply"""
    code, domain, there = struct.unpack(">iiI", body[:12])
    if not there:
        return code, domain, ""
    length = struct.unpack(">I", body[12:16])[0]
    return code, domain, body[16:16 + length].decode()


class Raw:
    """A client that says exactly what it is told to."""

    def __init__(self, daemon, path=None, opened=True, flags=0):
        self.s = daemon.connect(path)
        self.serial = 0
        if opened:
            assert self.call(1, struct.pack(">I", 1) + string("vmm:///system") + struct.pack(">I", flags))[0] == 0

    def send(self, procedure, payload=b"", **kw):
        self.serial += 1
        self.s.sendall(message(procedure, payload, self.serial, **kw))

    def call(self, procedure, payload=b"", **kw):
        """(status, payload)"""
        self.send(procedure, payload, **kw)
        while True:
            got = receive(self.s)
            assert got, "the daemon has hung up"
            if got[0][4] == 1:
                return got[0][6], got[1]

    def close(self):
        self.s.close()


def until(what, condition, seconds=PATIENCE):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain until " + what
        time.sleep(0.01)


class Skip(Exception):
    """Raised by a story that can't be told here: why."""


def run(stories, need=(), make=Daemon):
    """TAP: each story is a function whose name is a sentence; its argument is a daemon (or what make makes) that runs."""
    for program in need:
        if not shutil.which(program):
            print(f"1..0 # SKIP no {program}")
            return
    chosen = [s for s in stories if len(sys.argv) < 2 or re.search(sys.argv[1], s.__name__)]
    print(f"1..{len(chosen)}", flush=True)
    failed = False
    for n, story in enumerate(chosen, 1):
        daemon = make(**getattr(story, "env", {}))
        try:
            if getattr(story, "started", True):
                daemon.start()
            why = ""
            try:
                story(daemon)
            except Skip as reason:
                why = f" # SKIP {reason}"
            daemon.done()
            print(f"ok {n} {story.__name__}{why}", flush=True)
        except Exception:                   # pylint: disable=broad-except
            failed = True
            for line in (traceback.format_exc() + daemon_log(daemon)).splitlines():
                print("# " + line)
            print(f"not ok {n} {story.__name__}", flush=True)
            if daemon.proc and daemon.proc.poll() is None:
                daemon.proc.kill()
                daemon.proc.wait()
            daemon.end_workers()
            shutil.rmtree(daemon.dir, ignore_errors=True)
    sys.exit(1 if failed else 0)


def daemon_log(daemon):
    try:
        return "".join(daemon.logged()[-6000:])
    except OSError:
        return ""


def new_uuid():
    return str(uuid.uuid4())
