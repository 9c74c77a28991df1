"""Ports for servers that are started, or started again, after the port was chosen: the kernel's own choice (port 0) lies where
it also takes the ports of connections that leave, and one of those may have it by then."""
import itertools
import os
import socket
import threading

LOWEST = 10000
_lock = threading.Lock()


def _candidates():
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as limits:
        end = int(limits.read().split()[0])
    assert end > LOWEST, "connections that leave may have any port"
    start = os.getpid() * 97 % (end - LOWEST)
    for i in itertools.count():
        yield LOWEST + (start + i) % (end - LOWEST)


_ports = _candidates()


def free_port():
    """Nobody has it now, no connection that leaves will, and this process is not given it again soon."""
    with _lock:
        for port in _ports:
            try:
                socket.create_server(("127.0.0.1", port)).close()
                return port
            except OSError:
                continue
