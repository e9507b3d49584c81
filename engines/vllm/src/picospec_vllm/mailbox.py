"""The socket that gateways offer drafts through: one thread, one selector, nothing that blocks but the selector.

The thread works for at most `slice_s` and then sleeps for several times as long, whatever is sent to it: it shares the
interpreter's lock with the engine.
"""

from __future__ import annotations

import hmac
import json
import os
import selectors
import socket
import stat
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

from . import wire
from .limits import Limits
from .offers import Box
from .settings import Address, SettingsError


@dataclass(slots=True)
class MailboxCounters:
    connections: int = 0
    refused_full: int = 0
    refused_secret: int = 0
    refused_late: int = 0
    refused_frame: int = 0
    refused_unread: int = 0
    frames: int = 0
    errors: int = 0


@dataclass(slots=True, eq=False)
class _Peer:
    number: int
    socket: socket.socket
    reader: wire.FrameReader
    nonce: bytes
    since_s: float
    known: bool = False
    #: Bytes arrived that hold whole frames: its turn goes on without new ones.
    pending: bool = False
    unsent: bytearray = field(default_factory=bytearray)


class _Refused(Exception):
    def __init__(self, counter: str, reason: str) -> None:
        super().__init__(reason)
        self.counter = counter


class Mailbox:
    """Owns its socket and thread: `close` ends both."""

    def __init__(
        self,
        *,
        address: Address,
        secret: str,
        ready: wire.Ready,
        box: Box,
        limits: Limits,
        statistics: Callable[[], dict[str, object]],
        clock: Callable[[], float],
        random_bytes: Callable[[int], bytes],
    ) -> None:
        self.counters = MailboxCounters()
        self._secret, self._ready, self._box, self._limits = secret, ready, box, limits
        self._statistics, self._clock, self._random_bytes = statistics, clock, random_bytes
        self._peers: dict[int, _Peer] = {}
        self._next = 0
        self._swept_s = clock()
        self._address = address
        self._listener = listen(address)
        self._waker, self._woken = socket.socketpair()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ, None)
        self._selector.register(self._woken, selectors.EVENT_READ, None)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="picospec-mailbox", daemon=True)

    @property
    def bound(self) -> str:
        """The address as it is: with the port that the system chose, where that was asked for."""
        if self._address.path:
            return f"unix:{self._address.path}"
        host, port = self._listener.getsockname()[:2]
        return f"tcp:{host}:{port}"

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        if self._closed.is_set():
            return
        self._closed.set()
        self._waker.send(b"x")
        if self._thread.ident is not None:
            self._thread.join(timeout=5)
        for peer in list(self._peers.values()):
            self._leave(peer)
        for each in (self._listener, self._waker, self._woken):
            each.close()
        self._selector.close()
        if self._address.path:
            _remove_socket(self._address.path)

    def _run(self) -> None:
        while not self._closed.is_set():
            started = self._clock()
            try:
                worked = self._turn(started)
            except Exception:  # noqa: BLE001 - one peer's fault must not end the mailbox of the others
                self.counters.errors += 1
                worked = True
            if worked:
                took = min(self._clock() - started, 10 * self._limits.slice_s)
                self._closed.wait(max(took, self._limits.slice_s) * self._limits.rest_factor)

    def _turn(self, now_s: float) -> bool:
        """Waits for something to do and does a slice of it. @returns whether there was something"""
        pending = any(peer.pending for peer in self._peers.values())
        events = self._selector.select(0 if pending else 0.5)
        # From here on, since waiting is not work.
        now_s = self._clock()
        until_s = now_s + self._limits.slice_s
        for key, mask in events:
            if key.fileobj is self._listener:
                self._accept(now_s)
            elif isinstance(key.data, _Peer):
                self._serve(key.data, mask, until_s, now_s)
        if pending:
            for peer in [peer for peer in self._peers.values() if peer.pending]:
                self._serve(peer, 0, until_s, now_s)
        if now_s - self._swept_s >= 1.0:
            self._swept_s = now_s
            self._sweep(now_s)
        return bool(events) or pending

    def _accept(self, now_s: float) -> None:
        try:
            accepted, _ = self._listener.accept()
        except OSError:
            return
        accepted.setblocking(False)
        strangers = [peer for peer in self._peers.values() if not peer.known]
        if len(strangers) >= self._limits.strangers:
            # The oldest goes, not the newest: a gateway shows the secret at once, so a crowd cannot keep it out.
            self._refuse(strangers[0], "refused_full", "too many connections that have not shown the secret")
        if accepted.family != socket.AF_UNIX:
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # The kernel's share of what a peer does not read.
        accepted.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self._limits.unsent_bytes)
        self._next += 1
        self.counters.connections += 1
        nonce = self._random_bytes(wire.NONCE_BYTES)
        peer = _Peer(self._next, accepted, wire.FrameReader(self._limits.frame_bytes), nonce, now_s)
        self._peers[peer.number] = peer
        self._selector.register(accepted, selectors.EVENT_READ, peer)
        try:
            self._send(peer, wire.challenge(nonce))
        except OSError:
            # It hung up before it was greeted.
            self._leave(peer)

    def _serve(self, peer: _Peer, mask: int, until_s: float, now_s: float) -> None:
        try:
            if mask & selectors.EVENT_WRITE:
                self._flush(peer)
            if mask & selectors.EVENT_READ and not peer.pending:
                data = peer.socket.recv(self._limits.turn_bytes)
                if not data:
                    self._leave(peer)
                    return
                peer.reader.feed(data)
            peer.pending = False
            while (frame := peer.reader.next()) is not None:
                self.counters.frames += 1
                self._handle(peer, wire.decode(*frame), now_s)
                if self._clock() >= until_s:
                    peer.pending = True
                    return
        except BlockingIOError:
            return
        except wire.WireError as error:
            self._refuse(peer, "refused_frame", str(error))
        except _Refused as error:
            self._refuse(peer, error.counter, str(error))
        except OSError:
            self._leave(peer)

    def _handle(self, peer: _Peer, message: wire.Message, now_s: float) -> None:
        if not peer.known:
            if not isinstance(message, wire.Auth):
                raise _Refused("refused_secret", "the secret has to be shown first")
            if not hmac.compare_digest(message.digest, wire.digest(self._secret, peer.nonce)):
                raise _Refused("refused_secret", "the secret is another one")
            if sum(other.known for other in self._peers.values()) >= self._limits.connections:
                raise _Refused("refused_full", f"{self._limits.connections} gateways are connected already")
            peer.known = True
            self._send(peer, wire.ready(self._ready))
        elif isinstance(message, wire.Offer):
            self._box.offer(peer.number, message.session, message.base, message.prefix_hash, message.tokens, now_s)
        elif isinstance(message, wire.Begin):
            if len(message.request_id.encode()) > self._limits.request_id_bytes:
                raise _Refused("refused_frame", f"a request id has at most {self._limits.request_id_bytes} bytes")
            self._box.begin(peer.number, message.session, message.request_id)
        elif isinstance(message, wire.End):
            self._box.end(peer.number, message.session)
        elif isinstance(message, wire.AskStatistics):
            statistics = {**self._statistics(), "sessions": self._box.sessions_of(peer.number)}
            self._send(peer, wire.encode(wire.STATISTICS_ANSWER, json.dumps(statistics).encode()))
        else:
            raise _Refused("refused_frame", "the secret was shown already")

    def _send(self, peer: _Peer, data: bytes) -> None:
        if len(peer.unsent) + len(data) > self._limits.unsent_bytes + len(data) * (not peer.unsent):
            raise _Refused("refused_unread", "answers are not read")
        peer.unsent += data
        self._flush(peer)

    def _flush(self, peer: _Peer) -> None:
        try:
            while peer.unsent:
                del peer.unsent[: peer.socket.send(peer.unsent)]
        except BlockingIOError:
            pass
        events = selectors.EVENT_READ | (selectors.EVENT_WRITE if peer.unsent else 0)
        self._selector.modify(peer.socket, events, peer)

    def _refuse(self, peer: _Peer, counter: str, reason: str) -> None:
        setattr(self.counters, counter, getattr(self.counters, counter) + 1)
        _try_send(peer.socket, wire.refused(reason))
        self._leave(peer)

    def _leave(self, peer: _Peer) -> None:
        if self._peers.pop(peer.number, None) is None:
            return
        self._selector.unregister(peer.socket)
        peer.socket.close()
        if peer.known:
            self._box.end_connection(peer.number)

    def _sweep(self, now_s: float) -> None:
        self._box.expire(now_s)
        for peer in list(self._peers.values()):
            if not peer.known and now_s - peer.since_s > self._limits.stranger_s:
                self._refuse(peer, "refused_late", "the secret was not shown in time")


def _try_send(to: socket.socket, data: bytes) -> None:
    try:
        to.send(data)
    except OSError:
        pass


def _remove_socket(path: str) -> None:
    try:
        if stat.S_ISSOCK(os.lstat(path).st_mode):
            os.unlink(path)
    except OSError:
        pass


def listen(address: Address) -> socket.socket:
    """@raises SettingsError where the address is in use"""
    if address.path:
        probe = socket.socket(socket.AF_UNIX)
        try:
            probe.connect(address.path)
        except OSError:
            # A socket that an engine left behind answers no more.
            _remove_socket(address.path)
        else:
            raise SettingsError(f"another process listens on {address.path}")
        finally:
            probe.close()
        listener = socket.socket(socket.AF_UNIX)
        # Made for the owner alone: a mode set after the bind would come too late for who is quick.
        before = os.umask(0o177)
        try:
            listener.bind(address.path)
        except OSError as error:
            listener.close()
            raise SettingsError(f"cannot listen on {address.path}: {error.strerror}") from error
        finally:
            os.umask(before)
    else:
        listener = socket.socket(socket.AF_INET6 if ":" in address.host else socket.AF_INET)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((address.host, address.port))
        except OSError as error:
            listener.close()
            raise SettingsError(f"cannot listen on {address.host}:{address.port}: {error.strerror}") from error
    listener.listen(16)
    listener.setblocking(False)
    return listener
