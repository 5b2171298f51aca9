# SPDX-License-Identifier: LGPL-2.1-or-later
"""TCP ports of this host."""
import socket


def free_ports(n):
    holders = [socket.socket() for _ in range(n)]
    for s in holders:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in holders]
    for s in holders:
        s.close()
    return ports


def port_is_open(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0
