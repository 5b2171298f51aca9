#!/usr/bin/python3 -B
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Says what happens at a daemon, by python3-libvirt alone: events.py URI LOOP

A line for each event of each kind there is, of domains, networks, pools, devices and secrets.  LOOP is who
waits for them: "default", libvirt's own; "poll", an implementation of its interface in here; "asyncio",
libvirtaio.  "listening" is printed when all is registered.  A line on standard input ends it: all
registrations are taken back one by one, and "let go" is printed.  It ends, too, when the daemon does.
"""
import asyncio
import os
import select
import sys
import threading
import time

import libvirt

DOMAIN = {
    libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE: "lifecycle", libvirt.VIR_DOMAIN_EVENT_ID_REBOOT: "reboot",
    libvirt.VIR_DOMAIN_EVENT_ID_RTC_CHANGE: "rtc", libvirt.VIR_DOMAIN_EVENT_ID_WATCHDOG: "watchdog",
    libvirt.VIR_DOMAIN_EVENT_ID_IO_ERROR: "io-error", libvirt.VIR_DOMAIN_EVENT_ID_GRAPHICS: "graphics",
    libvirt.VIR_DOMAIN_EVENT_ID_IO_ERROR_REASON: "io-error-reason",
    libvirt.VIR_DOMAIN_EVENT_ID_CONTROL_ERROR: "control-error", libvirt.VIR_DOMAIN_EVENT_ID_BLOCK_JOB: "block-job",
    libvirt.VIR_DOMAIN_EVENT_ID_DISK_CHANGE: "disk-change", libvirt.VIR_DOMAIN_EVENT_ID_TRAY_CHANGE: "tray",
    libvirt.VIR_DOMAIN_EVENT_ID_PMWAKEUP: "wakeup", libvirt.VIR_DOMAIN_EVENT_ID_PMSUSPEND: "sleep",
    libvirt.VIR_DOMAIN_EVENT_ID_BALLOON_CHANGE: "balloon", libvirt.VIR_DOMAIN_EVENT_ID_PMSUSPEND_DISK: "hibernate",
    libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED: "removed", libvirt.VIR_DOMAIN_EVENT_ID_BLOCK_JOB_2: "block-job-2",
    libvirt.VIR_DOMAIN_EVENT_ID_TUNABLE: "tunable", libvirt.VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE: "agent",
    libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_ADDED: "added", libvirt.VIR_DOMAIN_EVENT_ID_MIGRATION_ITERATION: "migration",
    libvirt.VIR_DOMAIN_EVENT_ID_JOB_COMPLETED: "job", libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVAL_FAILED: "stuck",
    libvirt.VIR_DOMAIN_EVENT_ID_METADATA_CHANGE: "metadata", libvirt.VIR_DOMAIN_EVENT_ID_BLOCK_THRESHOLD: "threshold",
    libvirt.VIR_DOMAIN_EVENT_ID_MEMORY_FAILURE: "memory-failure",
    libvirt.VIR_DOMAIN_EVENT_ID_MEMORY_DEVICE_SIZE_CHANGE: "memory-size",
}
LIFE = ("defined", "undefined", "started", "suspended", "resumed", "stopped", "shutdown", "slept", "crashed")
OTHERS = ("defined", "undefined", "started", "stopped", "created", "deleted")


def say(*words):
    print(*words, flush=True)


class PollLoop:
    """libvirt's event interface over poll(2).  Others than the loop's thread may call all but once()."""

    def __init__(self):
        self.lock = threading.RLock()
        self.handles, self.timers, self.freed = {}, {}, []
        self.last = 0
        self.wake_r, self.wake_w = os.pipe()
        os.set_blocking(self.wake_w, False)
        libvirt.virEventRegisterImpl(self.add_handle, self.update_handle, self.remove_handle,
                                     self.add_timer, self.update_timer, self.remove_timer)

    def changed(self):
        try:
            os.write(self.wake_w, b"x")
        except BlockingIOError:
            pass

    def number(self):
        self.last += 1
        return self.last

    def add_handle(self, fd, events, call, opaque):
        with self.lock:
            n = self.number()
            self.handles[n] = [fd, events, call, opaque]
        self.changed()
        return n

    def update_handle(self, n, events):
        with self.lock:
            self.handles[n][1] = events
        self.changed()

    def remove_handle(self, n):
        with self.lock:
            self.freed.append(self.handles.pop(n)[3])
        self.changed()
        return 0

    def add_timer(self, ms, call, opaque):
        with self.lock:
            n = self.number()
            self.timers[n] = [ms, time.monotonic() + ms / 1000, call, opaque]
        self.changed()
        return n

    def update_timer(self, n, ms):
        with self.lock:
            self.timers[n][:2] = [ms, time.monotonic() + ms / 1000]
        self.changed()

    def remove_timer(self, n):
        with self.lock:
            self.freed.append(self.timers.pop(n)[3])
        self.changed()
        return 0

    POLL = ((libvirt.VIR_EVENT_HANDLE_READABLE, select.POLLIN), (libvirt.VIR_EVENT_HANDLE_WRITABLE, select.POLLOUT),
            (libvirt.VIR_EVENT_HANDLE_ERROR, select.POLLERR), (libvirt.VIR_EVENT_HANDLE_HANGUP, select.POLLHUP))

    def wait(self):
        """(watches' numbers and events that are ready)"""
        poll = select.poll()
        poll.register(self.wake_r, select.POLLIN)
        with self.lock:
            watched = {n: (fd, events) for n, (fd, events, *_) in self.handles.items() if events}
            due = [at for ms, at, *_ in self.timers.values() if ms >= 0]
        for fd in {fd for fd, _ in watched.values()}:
            poll.register(fd, sum({p for _, (f, events) in watched.items() if f == fd for v, p in self.POLL if events & v}))
        ready = dict(poll.poll(max(0, (min(due) - time.monotonic()) * 1000) if due else None))
        if ready.pop(self.wake_r, 0):
            os.read(self.wake_r, 4096)
        for n, (fd, _) in watched.items():
            events = sum(v for v, p in self.POLL if ready.get(fd, 0) & p)
            if events:
                yield n, events

    def once(self):
        for n, events in list(self.wait()):
            with self.lock:
                handle = self.handles.get(n)
            if handle:
                fd, _, call, opaque = handle
                call(n, fd, events, opaque)
        now = time.monotonic()
        with self.lock:
            due = [(n, t) for n, t in self.timers.items() if t[0] >= 0 and t[1] <= now]
        for n, timer in due:
            timer[1] = now + timer[0] / 1000
            timer[2](n, timer[3])
        with self.lock:
            freed, self.freed = self.freed, []
        for opaque in freed:
            libvirt.virEventInvokeFreeCallback(opaque)


def text(what):
    return ",".join(f"{k}={v}" for k, v in sorted(what.items())) if isinstance(what, dict) else str(what)


class Listener:
    def __init__(self, uri, done):
        self.conn = libvirt.open(uri)
        self.conn.registerCloseCallback(lambda _c, reason, _o: (say("closed", reason), done()), None)
        self.conn.setKeepAlive(5, 3)
        self.registered = []
        for ident, name in DOMAIN.items():
            self.add("domain", ident, self.on_domain, name)
        self.add("network", libvirt.VIR_NETWORK_EVENT_ID_LIFECYCLE, self.on_other, "network")
        self.add("storagePool", libvirt.VIR_STORAGE_POOL_EVENT_ID_LIFECYCLE, self.on_other, "pool")
        self.add("storagePool", libvirt.VIR_STORAGE_POOL_EVENT_ID_REFRESH, self.on_refresh, "pool")
        for kind in ("nodeDevice", "secret"):
            for ident in (0, 1):
                self.add(kind, ident, self.on_refresh, kind)

    def add(self, kind, ident, call, opaque):
        number = getattr(self.conn, kind + "EventRegisterAny")(None, ident, call, opaque)
        self.registered.append((kind, number))

    def on_domain(self, _conn, dom, *what):
        *what, name = what
        if name == "lifecycle":
            what[0] = LIFE[what[0]]
        say(name, dom.name(), *map(text, what))

    def on_other(self, _conn, whose, event, _detail, name):
        say(name, whose.name(), OTHERS[event])

    def on_refresh(self, _conn, whose, name):
        say(name, whose.name(), "refreshed")

    def leave(self):
        for kind, number in self.registered:
            getattr(self.conn, kind + "EventDeregisterAny")(number)
        self.conn.unregisterCloseCallback()
        say("let go")
        self.conn.close()


def asked_to_end(done):
    sys.stdin.readline()
    done()


def by_thread(once):
    """Runs a loop that belongs to nobody in a thread, and ends when it is said."""
    def forever():
        while True:
            once()
    threading.Thread(target=forever, daemon=True).start()
    end = threading.Event()
    listener = Listener(sys.argv[1], end.set)
    say("listening")
    threading.Thread(target=asked_to_end, args=(end.set,), daemon=True).start()
    end.wait()
    return listener


async def by_asyncio():
    import libvirtaio                       # pylint: disable=import-outside-toplevel
    loop = asyncio.get_running_loop()
    libvirtaio.virEventRegisterAsyncIOImpl()
    end = asyncio.Event()

    def done():
        loop.call_soon_threadsafe(end.set)
    listener = Listener(sys.argv[1], done)
    say("listening")
    threading.Thread(target=asked_to_end, args=(done,), daemon=True).start()
    await end.wait()
    return listener


def main():
    libvirt.registerErrorHandler(lambda _ctx, _error: None, None)
    if sys.argv[2] == "asyncio":
        async def all_of_it():
            leave(await by_asyncio())
        asyncio.run(all_of_it())
        return
    if sys.argv[2] == "poll":
        once = PollLoop().once
    else:
        libvirt.virEventRegisterDefaultImpl()
        once = libvirt.virEventRunDefaultImpl
    leave(by_thread(once))


def leave(listener):
    if listener.conn.isAlive():
        listener.leave()


main()
