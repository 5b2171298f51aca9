# SPDX-License-Identifier: LGPL-2.1-or-later
"""vmsh as a program: its words, its status, and a terminal to sit at."""
import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time

BUILD = os.environ.get("VMM_BUILDDIR", os.getcwd())
VMSH = BUILD + "/vmsh/vmsh"
PATIENCE = 60


def environment(d, **env):
    clean = {k: v for k, v in os.environ.items() if k not in ("G_DEBUG", "NO_COLOR", "COLUMNS")}
    return dict(clean, XDG_STATE_HOME=d.dir + "/xdg", XDG_CONFIG_HOME=d.dir + "/config", LC_ALL="C.UTF-8", TERM="xterm", **{"NO_COLOR": "1", **env})


def vmsh(d, *args, status=0, stdin="", options=(), **env):
    """What it printed; stdout alone when it succeeded, both when it failed."""
    p = subprocess.run([VMSH, "-c", d.uri, *options, *args], input=stdin, capture_output=True,
                       text=True, timeout=PATIENCE, env=environment(d, **env))
    assert p.returncode == status, f"vmsh {args}: {p.returncode}, not {status}\n{p.stdout}{p.stderr}\n{d.logged()}"
    return p.stdout if status == 0 else p.stdout + p.stderr


class Terminal:
    """A vmsh on a terminal of its own."""

    def __init__(self, d, *args, columns=80, uri=True, **env):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
            os.execve(VMSH, ["vmsh", *(["-c", d.uri] if uri else []), *args], environment(d, **env))
        self.resize(columns)
        self.text = ""

    def resize(self, columns, rows=24):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, keys):
        os.write(self.fd, keys.encode())

    def read(self, seconds):
        if not select.select([self.fd], [], [], seconds)[0]:
            return False
        try:
            got = os.read(self.fd, 65536)
        except OSError:
            return False
        self.text += got.decode(errors="replace")
        return bool(got)

    def see(self, pattern, seconds=PATIENCE):
        """Waits for the pattern and forgets all up to its end."""
        end = time.monotonic() + seconds
        while True:
            found = re.search(pattern, self.text)
            if found:
                seen, self.text = self.text[:found.end()], self.text[found.end():]
                return seen
            assert time.monotonic() < end, f"waited in vain for {pattern!r}; there was: {self.text[-2000:]!r}"
            self.read(0.1)

    def raw(self):
        return not termios.tcgetattr(self.fd)[3] & termios.ICANON

    def end(self):
        """Its exit status; what it still writes is kept."""
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            self.read(0.05)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                while self.read(0.05):
                    pass
                return os.waitstatus_to_exitcode(status)
        os.kill(self.pid, signal.SIGKILL)
        os.waitpid(self.pid, 0)
        raise AssertionError(f"vmsh did not end; there was: {self.text[-2000:]!r}")


def timed(what):
    began = time.monotonic()
    what()
    return time.monotonic() - began
