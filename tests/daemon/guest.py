# SPDX-License-Identifier: LGPL-2.1-or-later
"""A guest of one page with a disk, on a real worker, and what is said to it."""
import struct
import subprocess

from harness import BUILD, Raw, receive, string, xml

GUEST = BUILD + "/tests/payload/disk.elf"
DISK = """<disk type='file' device='disk'><driver name='qemu' type='raw'/>
    <source file='{}'/><target dev='vda' bus='virtio'/></disk>"""


def begin(d, name="a", extra="", form="raw"):
    """A defined guest that runs, and has written to its disk."""
    image = f"{d.dir}/{name}.img"
    subprocess.run(["qemu-img", "create", "-q", "-f", form, image, "1M"], check=True)
    path = f"{d.dir}/{name}.xml"
    with open(path, "w", encoding="ascii") as f:
        f.write(xml(name, devices=DISK.format(image).replace("'raw'", f"'{form}'") + extra)
                .replace("/boot/vmlinuz", GUEST).replace(">64<", ">16<"))
    d.virsh("define", path)
    d.virsh("start", name)
    g = Guest(d, name)
    g.wait(b"ready")
    g.ask("w 0 3 4 77")
    return g


class Guest:
    """The console of a guest, from its worker's beginning."""

    def __init__(self, d, name="a"):
        self.c = Raw(d)
        ident = self.c.call(23, string(name))[1]
        assert self.c.call(201, ident + struct.pack(">II", 0, 0))[0] == 0
        self.serial = self.c.serial
        self.text = b""

    def wait(self, wanted, since=0):
        while wanted not in self.text[since:]:
            fields, body = receive(self.c.s)
            assert fields[4] == 3 and body, (self.text, fields)
            self.text += body

    def ask(self, line):
        """What it is told it does well, and it has not begun anew."""
        since = len(self.text)
        self.send(line)
        self.wait(b"ok ", since)

    def send(self, line):
        line = line.encode() + b"\n"
        self.c.s.sendall(struct.pack(">IIIiIII", 28 + len(line), 0x20008086, 1, 201, 3, self.serial, 2) + line)
