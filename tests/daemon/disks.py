# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests of one page on disks of several kinds, and chains of images under them."""
import json
import struct
import subprocess
import time

from harness import BUILD, Raw, receive, string, xml

GUEST = BUILD + "/tests/payload/disk.elf"


def img(d, *args):
    p = subprocess.run(["qemu-img", *args], cwd=d.dir, capture_output=True, text=True, check=False)
    assert p.returncode == 0, (args, p.stdout, p.stderr)
    return p.stdout


def disk(d, target, path, options="", extra=""):
    kind = "qcow2" if path.endswith("qcow2") else "raw"
    return f"""<disk type='file' device='disk'><driver name='qemu' type='{kind}' {options}/>
        <source file='{d.dir}/{path}'/><target dev='{target}' bus='virtio'/>{extra}</disk>"""


def guest(d, name, devices):
    path = f"{d.dir}/{name}.xml"
    with open(path, "w", encoding="ascii") as f:
        f.write(xml(name, devices=devices).replace("/boot/vmlinuz", GUEST).replace(">64<", ">16<"))
    d.virsh("define", path)
    d.virsh("start", name)


class Guest:
    """A console of disk.elf."""

    def __init__(self, d, name, again=0, restored=False):
        """again: a number that it has not said yet; what it said before is not for us"""
        self.c = Raw(d)
        ident = self.c.call(23, string(name))[1]
        assert self.c.call(201, ident + struct.pack(">II", 0, 0))[0] == 0
        self.serial = self.c.serial
        self.text = b""
        self.seen = 0
        if not restored:
            self.wait(b"ready")
        if again:
            self.type(f"e {again}")
            self.wait(b"ok %d" % again)
            self.wait(b"\n")

    def wait(self, wanted):
        """What it says until then, from where we have read."""
        while wanted not in self.text[self.seen:]:
            fields, body = receive(self.c.s)
            assert fields[4] == 3 and body, (self.text, fields)
            self.text += body
        start, self.seen = self.seen, self.text.index(wanted, self.seen) + len(wanted)
        return self.text[start:self.seen].decode()

    def type(self, line):
        text = line.encode() + b"\n"
        self.c.s.sendall(struct.pack(">IIIiIII", 28 + len(text), 0x20008086, 1, 201, 3, self.serial, 2) + text)

    def answer(self):
        self.wait(b"\n")
        while not self.text[:self.seen].rstrip(b"\n").split(b"\n")[-1][:3] in (b"ok ", b"bad"):
            self.wait(b"\n")
        return self.text[:self.seen].rstrip(b"\n").split(b"\n")[-1].decode()

    def do(self, line, wanted="ok"):
        self.type(line)
        got = self.answer()
        assert got.startswith(wanted), (line, got)
        return int(got.split()[1])


def events(d, *names):
    """virsh event in the background, until each has come."""
    p = [subprocess.Popen(["virsh", "-q", "-c", d.uri, "event", "a", "--event", n, "--loop", "--timeout", "60"],
                          stdout=subprocess.PIPE, text=True) for n in names]
    time.sleep(0.5)     # virsh says nothing when it is ready
    return p


def limits(d, *args, target="vda"):
    out = d.virsh("blkdeviotune", "a", target, *args)
    pairs = [[word.strip() for word in line.split(":")] for line in out.splitlines() if ":" in line]
    return {k: int(v) if v.isdigit() else v for k, v in pairs if v not in ("0", "")}


def chain(d, g, name="a"):
    """l0 <- l1 <- l2 <- l3, each with blocks of its own; the guest's words for them come back from check()."""
    img(d, "create", "-q", "-f", "raw", "l0", "8M")
    for i in (1, 2, 3):
        img(d, "create", "-q", "-f", "qcow2", "-b", f"{d.dir}/l{i - 1}", "-F", "raw" if i == 1 else "qcow2", f"l{i}")
    for i in (0, 1, 2, 3):
        kind = "raw" if i == 0 else "qcow2"
        for block in (i, 10 + i, 100 + i):
            # What disk.elf writes with seed i: words seed + block * 1024 + n.
            words = struct.pack("<1024I", *(i + block * 1024 + n for n in range(1024)))
            with open(d.dir + "/words", "wb") as f:
                f.write(words)
            subprocess.run(["qemu-io", "-f", kind, "-c", f"write -s words {block * 4096} 4096", f"l{i}"],
                           cwd=d.dir, check=True, stdout=subprocess.DEVNULL)


def check(g):
    for i in (0, 1, 2, 3):
        for block in (i, 10 + i, 100 + i):
            g.do(f"r 0 {block} 1 {i}")


def head(d):
    return d.virsh("domblklist", "a").split()[-1]


def behind(d, name):
    """the backing file of an image"""
    return json.loads(img(d, "info", "-U", "--output=json", name)).get("full-backing-filename")


def called(d, name):
    """by which name it calls that"""
    return json.loads(img(d, "info", "-U", "--output=json", name)).get("backing-filename")


def job(d):
    """-q would leave it out"""
    p = subprocess.run(["virsh", "-c", d.uri, "blockjob", "a", "vda", "--info"], capture_output=True, text=True, check=False)
    return p.stdout + p.stderr


def begin(d, more=b"", change=None):
    chain(d, None)
    with open(d.dir + "/l0", "r+b") as f:
        f.seek(4 << 20)
        f.write(more)
    if change:
        change()
    guest(d, "a", disk(d, "vda", "l3").replace("type='raw'", "type='qcow2'"))
    g = Guest(d, "a")
    check(g)
    return g


def doctor(d):
    subprocess.run([BUILD + "/vmsh/vmsh", "-c", d.uri, "doctor"], check=True, stdout=subprocess.DEVNULL)


def faulty(d, point=None):
    """Another vmmd takes over, which ends at this point."""
    d.kill()
    d.program = BUILD + "/tests/daemon/vmmd-faulty"
    d.env.pop("VMM_FAULT", None)
    if point:
        d.env["VMM_FAULT"] = point
    d.start()


def vmsh(d, *words, ok=True):
    p = subprocess.run([BUILD + "/vmsh/vmsh", "-c", d.uri, *words], capture_output=True, text=True, check=False)
    assert (p.returncode == 0) == ok, (words, p.stdout, p.stderr)
    return p.stdout if ok else p.stderr
