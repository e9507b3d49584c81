"""A gateway's side of the mailbox, and of vLLM's API: what the tests speak with."""

from __future__ import annotations

import hmac
import http.client
import json
import secrets
import socket
import struct
import time
from collections.abc import Callable, Sequence
from typing import Any

from picospec_vllm import wire
from picospec_vllm.hashing import extend, extend_all


class Gateway:
    """One connection to a mailbox."""

    def __init__(self, address: str, secret: str) -> None:
        self.socket = connect(address)
        kind, body = self.read()
        assert kind == wire.CHALLENGE
        assert body[:6] == b"PSMB\x02\x00"
        nonces = body[6:] + secrets.token_bytes(16)
        # From PROTOCOL.md, not from the plugin's code.
        shown = hmac.digest(secret.encode(), b"picospec mailbox 2 gateway\0" + nonces, "sha256")
        self.socket.sendall(wire.encode(wire.AUTH, nonces[16:] + shown))
        kind, body = self.read()
        if kind == wire.REFUSED:
            raise ConnectionRefusedError(body.decode())
        assert kind == wire.READY
        label = b"picospec mailbox 2 plugin\0"
        assert body[:32] == hmac.digest(secret.encode(), label + nonces + body[32:], "sha256")
        vocabulary, most, rank, ranks, key, offer_tokens, sessions, binds = struct.unpack("<IHHHQHIB", body[32:])
        self.ready = wire.Ready(vocabulary, most, rank, ranks, key, offer_tokens, sessions, binds == 1)
        self.unbound = 0

    def read(self) -> tuple[int, bytes]:
        length = struct.unpack("<I", self._exactly(4))[0]
        data = self._exactly(length)
        return data[0], data[1:]

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def begin(self, session: int, request_id: str = "") -> None:
        text = request_id.encode()
        self.socket.sendall(wire.encode(wire.BEGIN, struct.pack("<IH", session, len(text)) + text))

    def offer(self, session: int, base: int, prefix_hash: int, tokens: Sequence[int]) -> None:
        self.socket.sendall(offer_frame(session, base, prefix_hash, tokens))

    def offer_after(self, session: int, prefix: Sequence[int], tokens: Sequence[int]) -> None:
        self.offer(session, len(prefix), extend(0, prefix, self.ready.key), tokens)

    def end(self, session: int) -> None:
        self.socket.sendall(wire.encode(wire.END, struct.pack("<I", session)))

    def statistics(self) -> dict[str, Any]:
        self.socket.sendall(wire.encode(wire.STATISTICS, b""))
        kind, body = self.read()
        while kind == wire.UNBOUND:
            self.unbound += 1
            kind, body = self.read()
        assert kind == wire.STATISTICS_ANSWER
        found: dict[str, Any] = json.loads(body)
        return found

    def close(self) -> None:
        self.socket.close()


def connect(address: str) -> socket.socket:
    kind, rest = address.split(":", 1)
    if kind == "unix":
        connected = socket.socket(socket.AF_UNIX)
        connected.connect(rest)
    else:
        host, port = rest.rsplit(":", 1)
        connected = socket.create_connection((host, int(port)))
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connected.settimeout(20)
    return connected


def offer_frame(session: int, base: int, prefix_hash: int, tokens: Sequence[int]) -> bytes:
    head = struct.pack("<IIQH", session, base, prefix_hash, len(tokens))
    return wire.encode(wire.OFFER, head + struct.pack(f"<{len(tokens)}I", *tokens))


def prefix_hashes(tokens: Sequence[int], key: int) -> list[int]:
    """Hashes of the first 0, 1, ... tokens."""
    return [0, *extend_all(0, tokens, key)]


def complete(
    port: int, prompt: Sequence[int], most: int, on_tokens: Callable[[list[int]], None] | None = None, **settings: Any
) -> tuple[list[int], float, int]:
    """Streams a completion. @returns its tokens, the seconds from the first to the last chunk, and the chunks"""
    request_id = settings.pop("request_id", None) or secrets.token_hex(16)
    body = {"model": "smollm2", "prompt": list(prompt), "max_tokens": most, "temperature": 0, "ignore_eos": True}
    body |= {"stream": True, "return_token_ids": True} | settings
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    headers = {"content-type": "application/json", "X-Request-Id": request_id}
    connection.request("POST", "/v1/completions", json.dumps(body), headers)
    answer = connection.getresponse()
    if answer.status != 200:
        raise RuntimeError(f"{answer.status}: {answer.read()[:500]!r}")
    tokens: list[int] = []
    chunks, first = 0, 0.0
    for line in answer:
        if not line.startswith(b"data: {"):
            continue
        for choice in json.loads(line[6:]).get("choices", []):
            more = choice.get("token_ids") or []
            if more:
                chunks += 1
                first = first or time.perf_counter()
                tokens += more
                if on_tokens:
                    on_tokens(tokens)
    connection.close()
    return tokens, time.perf_counter() - first, chunks
