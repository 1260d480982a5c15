"""Asks a Cassandra node one question: answers.py HOST PORT [USER PASSWORD].

Exits 0 when it lets us in and answers a query. It speaks version 4 of the
native protocol by hand, so that waiting for a node needs no driver:
https://cassandra.apache.org/doc/latest/cassandra/reference/native-protocol.html
"""

import socket
import struct
import sys

STARTUP, READY, AUTHENTICATE, QUERY, RESULT, AUTH_RESPONSE, AUTH_SUCCESS = 1, 2, 3, 7, 8, 15, 16
ONE = 1


def text(s):
    return struct.pack(">H", len(s)) + s.encode()


def read(sock, size):
    data = b""
    while len(data) < size:
        part = sock.recv(size - len(data))
        if not part:
            raise ConnectionError("closed by the node")
        data += part
    return data


def ask(sock, opcode, body):
    """Sends one frame and returns the opcode of the answer."""
    sock.sendall(struct.pack(">BBHBI", 4, 0, 0, opcode, len(body)) + body)
    answer, size = struct.unpack(">4xBI", read(sock, 9))
    read(sock, size)
    return answer


def main(host, port, user="", password=""):
    with socket.create_connection((host, int(port)), timeout=5) as sock:
        answer = ask(sock, STARTUP, struct.pack(">H", 1) + text("CQL_VERSION") + text("3.0.0"))
        if answer == AUTHENTICATE:
            token = b"\0" + user.encode() + b"\0" + password.encode()
            answer = ask(sock, AUTH_RESPONSE, struct.pack(">i", len(token)) + token)
        if answer not in (READY, AUTH_SUCCESS):
            sys.exit(f"{host}:{port} does not let us in (opcode {answer})")
        query = b"SELECT host_id FROM system.local"
        answer = ask(sock, QUERY, struct.pack(">I", len(query)) + query + struct.pack(">HB", ONE, 0))
        if answer != RESULT:
            sys.exit(f"{host}:{port} does not answer a query (opcode {answer})")


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except OSError as problem:
        sys.exit(str(problem))
