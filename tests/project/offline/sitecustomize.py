"""On PYTHONPATH, this refuses every connection of a Python process and of those it starts."""

import socket


def refuse(*args, **kwargs):
    raise OSError("this test refuses the network")


socket.socket.connect = refuse
socket.socket.connect_ex = refuse
socket.getaddrinfo = refuse
