# SPDX-License-Identifier: LGPL-2.1-or-later
"""A guest's agent that does what a test tells it to: behind a domain's vsock, or as a qemu-ga at a socket."""
import json
import os
import socket
import struct
import threading
import time

from talk import CREDIT, END, EXIT, FLUSH, HELLO, INPUT, OUTPUT, REPLY, REQUEST, frame

# What a guest says; a test changes it.
ANSWERS = {
    "guest-ping": {}, "guest-set-time": {}, "guest-set-user-password": {}, "guest-shutdown": {},
    "guest-fstrim": {"paths": []}, "guest-ssh-add-authorized-keys": {}, "guest-ssh-remove-authorized-keys": {},
    "guest-get-time": 1700000000123456789, "guest-fsfreeze-freeze": 2, "guest-fsfreeze-freeze-list": 1,
    "guest-fsfreeze-thaw": 2, "guest-get-host-name": {"host-name": "inner"},
    "guest-get-timezone": {"zone": "CET", "offset": 3600},
    "guest-get-users": [{"user": "ann", "login-time": 1700000000.5}],
    "guest-get-osinfo": {"id": "debian", "pretty-name": "Debian of a test", "kernel-release": "6.1"},
    "guest-get-fsinfo": [{"name": "vda1", "mountpoint": "/", "type": "ext4", "total-bytes": 1000, "used-bytes": 10,
                          "disk": [{"bus-type": "virtio", "dev": "/dev/vda"}]}],
    "guest-get-disks": [{"name": "/dev/vda", "partition": False, "dependencies": []}],
    "guest-network-get-interfaces": [
        {"name": "eth0", "hardware-address": "52:54:00:00:00:01",
         "ip-addresses": [{"ip-address": "192.0.2.7", "ip-address-type": "ipv4", "prefix": 24},
                          {"ip-address": "2001:db8::7", "ip-address-type": "ipv6", "prefix": 64}]}],
    "guest-ssh-get-authorized-keys": {"keys": ["ssh-ed25519 AAAA ann@x"]},
}


class Peer:
    """Each connection in a thread; `heard` are the commands, `manner` is how it answers."""

    def __init__(self, path, lines=False):
        self.heard, self.requests, self.answers = [], [], dict(ANSWERS)
        self.manner, self.before = "good", b""
        self.lines = lines
        self.listener = socket.socket(socket.AF_UNIX)
        if os.path.exists(path):
            os.unlink(path)
        here = os.open(os.path.dirname(path), os.O_RDONLY)
        self.listener.bind(f"/proc/self/fd/{here}/" + os.path.basename(path))
        os.close(here)
        self.listener.listen(64)
        self.open = 0
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            s, _ = self.listener.accept()
            threading.Thread(target=self.one, args=(s,), daemon=True).start()

    def one(self, s):
        self.open += 1
        try:
            with s:
                (self.speak_lines if self.lines else self.speak)(s)
        except OSError:
            pass
        finally:
            self.open -= 1

    def answer(self, command):
        self.heard.append(command)
        name = command["execute"]
        if name not in self.answers:
            return {"error": {"class": "CommandNotFound", "desc": f"The command {name} has not been found"}}
        what = self.answers[name]
        return what(command) if callable(what) else {"return": what}

    def names(self):
        return [c["execute"] for c in self.heard]

    def speak_lines(self, s):
        f = s.makefile("rb")
        while True:
            line = f.readline()
            if not line:
                return
            line = line.lstrip(b"\xff")
            if self.manner == "mute" or not line.strip():
                continue
            command = json.loads(line)
            if command["execute"] == "guest-sync-delimited":
                reply = self.before + b"\xff" + json.dumps({"return": command["arguments"]["id"]}).encode()
            else:
                reply = json.dumps(self.answer(command)).encode()
            s.sendall(reply + b"\n")

    def speak(self, s):
        line = b""
        while not line.endswith(b"\n"):
            line += s.recv(1)
        assert line == b"CONNECT 5655885\n", line
        if self.manner == "no":
            return
        s.sendall(b"OK 1073741824\n")
        if self.manner == "mute":
            s.recv(1 << 20)
            time.sleep(600)
        if self.manner == "garbage":
            s.sendall(b"\0" * FLUSH + b"\1\xff\xff\xff\xff" + os.urandom(70000))
            s.recv(1 << 20)
            time.sleep(600)
        s.sendall(b"\0" * FLUSH + frame(HELLO, 0, {"version": 1}))
        self.frames(s)

    def frames(self, s):
        got, command = b"", b""
        while True:
            got = got.lstrip(b"\0")
            if len(got) < 9 or len(got) < 5 + struct.unpack_from("<I", got, 1)[0]:
                more = s.recv(1 << 20)
                if not more:
                    return
                got += more
                continue
            kind, rest, channel = struct.unpack_from("<BII", got)
            data, got = got[9:5 + rest], got[5 + rest:]
            if kind == REQUEST:
                self.requests.append(json.loads(data))
                if self.manner == "hello-only":
                    continue
                s.sendall(frame(REPLY, channel, {}))
            elif kind == INPUT:
                command += data
                s.sendall(frame(CREDIT, channel, struct.pack("<I", len(data))))
            elif kind == END:
                self.give(s, channel, command)

    def give(self, s, channel, command):
        if self.manner == "reply-only":
            return
        if self.manner == "endless":
            while True:
                s.sendall(frame(OUTPUT, channel, b"x" * 65536))
        if self.manner == "drips":          # each wants an answer, and none is read
            while True:
                s.sendall(frame(OUTPUT, channel, b"") * 10000)
        if self.manner == "bombs":
            text = b'{"return":' + b"[" * 60000 + b"]" * 60000 + b"}"
        elif self.manner == "words":
            text = b'{"return":[' + b"0," * 1000000 + b"0]}"
        elif self.manner == "odd":
            text = b'{"return":["x",5,null,{"name":7,"ip-addresses":{"a":1}},{"mountpoint":[]}]}'
        elif self.manner == "nothing":
            text = b"{}"
        else:
            text = json.dumps(self.answer(json.loads(command))).encode()
        for at in range(0, len(text), 65536):
            s.sendall(frame(OUTPUT, channel, text[at:at + 65536]))
        s.sendall(frame(EXIT, channel, {"code": 0}))
