# SPDX-License-Identifier: LGPL-2.1-or-later
"""vmsh web as a program, and what talks to it: HTTP, WebSockets, a browser by the DevTools protocol."""
import base64
import http.client
import json
import os
import re
import select
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time

from shell import PATIENCE, VMSH, environment


class Web:
    """vmsh web on a free port of its own."""

    def __init__(self, d, *args, options=()):
        self.p = subprocess.Popen([VMSH, "-c", d.uri, *options, "web", "--listen", "127.0.0.1:0", *args], stdin=subprocess.DEVNULL,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(d))
        self.link = self.p.stdout.readline().strip()
        found = re.match(r"http://127\.0\.0\.1:(\d+)/#([0-9a-f]{64})$", self.link)
        assert found, (self.link, self.p.poll(), self.p.stderr.read() if self.p.poll() is not None else "")
        self.port, self.token = int(found[1]), found[2]
        self.host = f"127.0.0.1:{self.port}"
        self.origin = "http://" + self.host
        self.cookie = self.key = ""

    def request(self, method, path, body=None, **headers):
        """(status, headers, body); headers with _ for -, of which None leaves one out"""
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        words = {"Host": self.host, "Origin": self.origin, "Cookie": self.cookie, "X-Vmsh-Key": self.key}
        words.update({k.replace("_", "-"): v for k, v in headers.items()})
        data = json.dumps(body).encode() if isinstance(body, dict) else body
        if data is not None and "Content-Length" not in words:
            words["Content-Length"] = str(len(data))
        c.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        for name, value in words.items():
            if value is not None:
                c.putheader(name, value)
        c.endheaders(data)
        r = c.getresponse()
        got = r.status, dict(r.getheaders()), r.read()
        c.close()
        return got

    def login(self, token=None, **headers):
        status, head, body = self.request("POST", "/login", {"token": token or self.token}, **headers)
        if status == 200:
            self.cookie = head["Set-Cookie"].split(";")[0]
            self.key = json.loads(body)["key"]
        return status, head, json.loads(body)

    def do(self, what, **words):
        status, _, body = self.request("POST", "/do", {"do": what, **words})
        return status, json.loads(body)

    def socket(self, path, **kw):
        return Socket(self, path, **kw)

    def end(self):
        """^C; its status"""
        self.p.send_signal(signal.SIGINT)
        return self.ended()

    def ended(self):
        out, err = self.p.communicate(timeout=PATIENCE)
        assert "ERROR: " not in err and "CRITICAL" not in err and "WARNING" not in err, err
        return self.p.returncode, out, err


class Refused(Exception):
    pass


class Socket:
    """A WebSocket, RFC 6455, frame by frame."""

    def __init__(self, web=None, path="", host=None, origin=None, cookie=None, key=None, at=None):
        address = at or ("127.0.0.1", web.port)
        self.s = socket.create_connection(address, timeout=PATIENCE)
        words = [f"GET {path} HTTP/1.1", f"Host: {host or (web.host if web else '%s:%d' % address)}",
                 "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13",
                 "Sec-WebSocket-Key: " + base64.b64encode(os.urandom(16)).decode()]
        if web:
            words += [f"Origin: {origin or web.origin}", f"Cookie: {web.cookie if cookie is None else cookie}",
                      f"Sec-WebSocket-Protocol: vmsh, key.{web.key if key is None else key}"]
        self.s.sendall("\r\n".join(words + ["", ""]).encode())
        self.buffer = b""
        while b"\r\n\r\n" not in self.buffer:
            got = self.s.recv(65536)
            if not got:
                raise Refused("closed")
            self.buffer += got
        head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
        if b" 101 " not in head.split(b"\r\n")[0]:
            raise Refused(head.split(b"\r\n")[0].decode())
        self.text, self.said, self.closed, self.acks = b"", [], None, True

    def frame(self, data, opcode, final=True, length=None):
        mask = os.urandom(4)
        n = len(data) if length is None else length
        head = bytes([(0x80 if final else 0) | opcode])
        head += bytes([0x80 | n]) if n < 126 else bytes([0xfe]) + struct.pack(">H", n) if n < 65536 else \
            bytes([0xff]) + struct.pack(">Q", n)
        key = (mask * (len(data) // 4 + 1))[:len(data)]
        mixed = (int.from_bytes(data, "big") ^ int.from_bytes(key, "big")).to_bytes(len(data), "big")
        self.s.sendall(head + mask + mixed)

    def say(self, **words):
        self.frame(json.dumps(words).encode(), 1)

    def type(self, text):
        self.frame(text.encode() if isinstance(text, str) else text, 2)

    def take(self, n):
        while len(self.buffer) < n:
            got = self.s.recv(1 << 16)
            if not got:
                raise EOFError
            self.buffer += got
        got, self.buffer = self.buffer[:n], self.buffer[n:]
        return got

    def receive(self):
        """One message goes where it belongs; its opcode, None at the end."""
        try:
            a, b = self.take(2)
            n = b & 0x7f
            n = struct.unpack(">H", self.take(2))[0] if n == 126 else struct.unpack(">Q", self.take(8))[0] if n == 127 else n
            data = self.take(n)
        except (EOFError, ConnectionError):
            self.closed = self.closed or (None, b"")
            return None
        opcode = a & 15
        if opcode == 1:
            self.said.append(json.loads(data))
        elif opcode == 2:
            self.text += data
            if self.acks:
                self.answer(json.dumps({"do": "seen", "bytes": len(data)}).encode(), 1)
        elif opcode == 8:
            self.closed = struct.unpack(">H", data[:2])[0] if len(data) > 1 else None, data[2:]
        elif opcode == 9:
            self.answer(data, 10)
        return opcode

    def answer(self, data, opcode):
        """To one that may have gone meanwhile."""
        try:
            self.frame(data, opcode)
        except ConnectionError:
            pass

    def ready(self, seconds):
        return self.buffer or select.select([self.s], [], [], seconds)[0]

    def until(self, what, condition):
        end = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < end and not (self.closed and not self.ready(0)), \
                f"waited in vain until {what}: {self.text[-300:]!r} {self.said[-3:]} {self.closed}"
            if self.ready(0.1):
                self.receive()

    def see(self, wanted):
        self.until(f"{wanted!r} is seen", lambda: wanted in self.text)

    def hear(self, what):
        """The first thing said that is that, and what was said before is forgotten."""
        self.until(f"{what} is said", lambda: any(w["is"] == what for w in self.said))
        while self.said[0]["is"] != what:
            self.said.pop(0)
        return self.said.pop(0)

    def close(self):
        self.s.close()


PAGE_PATIENCE = 30
CHROMIUM = shutil.which("chromium")


class Browser:
    """Headless Chromium, one page, by the DevTools protocol."""

    def __init__(self, width=1280, height=800, dark=False):
        self.dir = tempfile.mkdtemp(prefix="chromium-")
        words = [CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
                 "--disable-extensions", "--disable-background-networking", "--remote-debugging-port=0", f"--user-data-dir={self.dir}", "about:blank"]
        self.p = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
                                  env=dict(os.environ, HOME=self.dir))
        end = time.monotonic() + PATIENCE
        port = None
        while not port:
            assert time.monotonic() < end and self.p.poll() is None, "chromium did not start"
            time.sleep(0.1)
            try:
                with open(self.dir + "/DevToolsActivePort", encoding="ascii") as f:
                    port = int(f.readline())
            except (OSError, ValueError):
                pass
        pages = []
        while not pages:
            c = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
            c.request("GET", "/json/list")
            pages = [p for p in json.loads(c.getresponse().read()) if p["type"] == "page"]
            c.close()
        self.s = Socket(path=re.sub(r"ws://[^/]*", "", pages[0]["webSocketDebuggerUrl"]), at=("127.0.0.1", port))
        self.n = 0
        self.complaints = []
        self.call("Page.enable")
        self.call("Runtime.enable")
        self.call("Log.enable")
        self.size(width, height)
        self.dark(dark)

    def call(self, method, **params):
        self.n += 1
        self.s.frame(json.dumps({"id": self.n, "method": method, "params": params}).encode(), 1)
        end = time.monotonic() + PATIENCE
        while True:
            assert time.monotonic() < end, "no answer to " + method
            while self.s.said:
                got = self.s.said.pop(0)
                self.note(got)
                if got.get("id") == self.n:
                    assert "error" not in got, (method, got)
                    return got["result"]
            assert self.s.receive() is not None, "chromium has gone"

    def note(self, event):
        """What the page should not have done."""
        if event.get("method") == "Runtime.exceptionThrown":
            self.complaints.append(json.dumps(event["params"]["exceptionDetails"])[:600])
        if event.get("method") == "Log.entryAdded" and event["params"]["entry"]["level"] == "error":
            self.complaints.append(event["params"]["entry"]["text"] + " " + event["params"]["entry"].get("url", ""))

    def size(self, width, height):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def dark(self, on):
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark" if on else "light"}])

    def open(self, url):
        self.call("Page.navigate", url=url)

    def ask(self, expression):
        got = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in got, (expression, got)
        return got["result"].get("value")

    def until(self, what, expression):
        end = time.monotonic() + PAGE_PATIENCE
        while not self.ask(expression):
            assert time.monotonic() < end, f"waited in vain until {what}; the page: " + \
                str(self.ask("document.body.innerText"))[:1500] + " " + str(self.complaints)
            time.sleep(0.05)

    def text(self, selector="body"):
        return self.ask(f"document.querySelector({json.dumps(selector)})?.innerText ?? ''")

    def click(self, selector):
        """As the mouse does, so what lies above it gets the click."""
        self.until(selector + " is there", f"!!document.querySelector({json.dumps(selector)})?.getClientRects().length")
        x, y = self.ask(f"(() => {{ const e = document.querySelector({json.dumps(selector)}); e.scrollIntoView({{block: 'nearest'}});"
                        "const r = e.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()")
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def type(self, text):
        for c in text:
            if c == "\n":
                self.key("Enter", 13, text="\r")
            else:
                self.key(c, ord(c.upper()) if c.isalnum() else 0, text=c)

    def key(self, name, code, text="", modifiers=0):
        for kind in ("keyDown", "keyUp"):
            words = {"text": text} if text and kind == "keyDown" else {}
            self.call("Input.dispatchKeyEvent", type=kind, key=name, code=name, windowsVirtualKeyCode=code,
                      nativeVirtualKeyCode=code, modifiers=modifiers, **words)

    def picture(self, path):
        with open(path, "wb") as f:
            f.write(base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"]))

    def done(self):
        try:
            os.killpg(self.p.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self.p.wait(PATIENCE)
        shutil.rmtree(self.dir, ignore_errors=True)
