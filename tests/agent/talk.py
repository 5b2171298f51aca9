# SPDX-License-Identifier: LGPL-2.1-or-later
"""An agent of the test's own, without a machine, and the other side of its protocol."""
import json
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import time

BUILD = os.environ.get("VMM_BUILDDIR", os.getcwd())
AGENT = os.environ.get("VMM_AGENT", BUILD + "/images/agent/vmm-agent")
PATIENCE = 60
HELLO, REQUEST, CONTROL, INPUT, END, CREDIT = 1, 2, 3, 4, 5, 6
REPLY, OUTPUT, ERRORS, EXIT, FAILED, CLOSED = 16, 17, 18, 19, 20, 21
WINDOW, DATA_MAX, FLUSH = 262144, 65536, 65545


def frame(kind, channel=0, data=b""):
    if not isinstance(data, bytes):
        data = json.dumps(data).encode()
    return struct.pack("<BII", kind, 4 + len(data), channel) + data


class Refused(Exception):
    """FAILED, as the dictionary that the agent sent"""


class Closed(Exception):
    """The agent has ended the connection."""


class Link:
    """One connection; counts credit in both directions as a good host does."""

    def __init__(self, sock, greet=True):
        self.s = sock
        self.s.settimeout(PATIENCE)
        self.got = b""
        self.last = 0
        self.hello = None
        if greet:
            self.s.sendall(frame(HELLO, 0, {"version": 1}))
            kind, _, data = self.next()
            assert kind == HELLO, kind
            self.hello = json.loads(data)

    def next(self):
        while True:
            self.got = self.got.lstrip(b"\0")
            if len(self.got) >= 9:
                kind, rest, channel = struct.unpack_from("<BII", self.got)
                if len(self.got) >= 5 + rest:
                    data, self.got = self.got[9:5 + rest], self.got[5 + rest:]
                    return kind, channel, data
            more = self.s.recv(1 << 20)
            if not more:
                raise Closed()
            self.got += more

    def send(self, kind, channel=0, data=b""):
        self.s.sendall(frame(kind, channel, data))

    def open(self, request):
        self.last += 1
        self.send(REQUEST, self.last, request)
        return self.last

    def finish(self, channel, stdin=b"", read=True):
        """(reply, exit, output, errors)"""
        reply, out, err, room, at, ended = None, [], [], WINDOW, 0, False
        while True:
            while reply is not None and at < len(stdin) and room:
                piece = stdin[at:at + min(room, DATA_MAX)]
                self.send(INPUT, channel, piece)
                at += len(piece)
                room -= len(piece)
            if reply is not None and at == len(stdin) and not ended:
                self.send(END, channel)
                ended = True
            kind, number, data = self.next()
            assert number == channel, (number, channel)
            if kind == CREDIT:
                room += struct.unpack("<I", data)[0]
                assert room <= WINDOW, room
            elif kind == REPLY:
                reply = json.loads(data)
            elif kind in (OUTPUT, ERRORS):
                assert reply is not None
                (out if kind == OUTPUT else err).append(data)
                if read:
                    self.send(CREDIT, channel, struct.pack("<I", len(data)))
            elif kind == FAILED:
                raise Refused(json.loads(data))
            elif kind == EXIT:
                return reply, json.loads(data), b"".join(out), b"".join(err)
            elif kind != CLOSED:
                raise AssertionError(kind)

    def ask(self, do, stdin=b"", **words):
        return self.finish(self.open({"do": do, **words}), stdin)

    def answer(self, do, **words):
        return self.ask(do, **words)[0]

    def spawn(self, command, *args, stdin=b"", **words):
        words.setdefault("sandbox", False)
        _, end, out, err = self.ask("spawn", command=command, args=list(args), stdin=stdin, **words)
        return end, out, err

    def sh(self, script, **words):
        return self.spawn("/bin/sh", "-c", script, **words)

    def close(self):
        self.s.close()


class Agent:
    """As harness.Daemon is: for run()."""

    def __init__(self):
        self.dir = tempfile.mkdtemp(prefix="agent-")
        self.path = self.dir + "/sock"
        self.proc = None

    def start(self):
        self.proc = subprocess.Popen([AGENT, "--listen", self.path, "--stay"])
        until = time.monotonic() + PATIENCE
        while not os.path.exists(self.path):
            assert time.monotonic() < until and self.proc.poll() is None, "the agent did not start"
            time.sleep(0.005)

    def logged(self):
        return ""

    def end_workers(self):
        pass

    def connect(self):
        s = socket.socket(socket.AF_UNIX)
        until = time.monotonic() + PATIENCE
        while True:
            try:
                s.connect(self.path)
                return s
            except ConnectionRefusedError:
                assert time.monotonic() < until
                time.sleep(0.005)

    def link(self, greet=True):
        return Link(self.connect(), greet)

    def open_files(self):
        return len(os.listdir(f"/proc/{self.proc.pid}/fd"))

    def done(self):
        alive = self.proc.poll() is None
        self.proc.terminate()
        status = self.proc.wait(PATIENCE)
        shutil.rmtree(self.dir, ignore_errors=True)
        assert alive, f"the agent ended by itself, with {status}"
        assert status == 0, status
