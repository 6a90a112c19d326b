"""Bytes as the kernel counts them: those that clients outside this process took, also after they are gone."""

from __future__ import annotations

import socket
import subprocess
import sys

from gateway.demo.wire import Wire

CLIENT = "import socket, sys; s = socket.create_connection(('127.0.0.1', int(sys.argv[1]))); print(len(s.recv(9999, socket.MSG_WAITALL)))"


def test_bytes_a_client_took_are_counted_and_remembered() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        wire = Wire([port])
        with subprocess.Popen([sys.executable, "-c", CLIENT, str(port)], stdout=subprocess.PIPE) as client:
            connection, _ = server.accept()
            connection.sendall(b"x" * 9999)
            assert client.stdout is not None
            assert client.stdout.readline() == b"9999\n"
            assert wire.count() == 9999
            connection.close()
        assert wire.count() == 9999


def test_clients_of_this_process_and_other_ports_do_not_count() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_server(("127.0.0.1", 0)) as other:
        wire = Wire([server.getsockname()[1]])
        for listener in (server, other):
            with socket.create_connection(listener.getsockname()) as client:
                connection, _ = listener.accept()
                with connection:
                    connection.sendall(b"xyz")
                    assert client.recv(3) == b"xyz"
                    assert wire.count() == 0
