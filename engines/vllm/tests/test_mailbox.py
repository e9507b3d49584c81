"""The mailbox over real sockets: who gets in, and what a peer can do to it."""

from __future__ import annotations

import hmac
import os
import socket
import stat
import struct
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway import Gateway, connect, offer_frame
from picospec_vllm import wire
from picospec_vllm.limits import LIMITS
from picospec_vllm.mailbox import Mailbox
from picospec_vllm.offers import Box
from picospec_vllm.settings import Address, SettingsError, parse_address

SECRET = "a secret of the tests, long enough"
READY = wire.Ready(49152, 8, 1, 2, 123456789123, LIMITS.offer_tokens, LIMITS.sessions, binds=True)


@pytest.fixture(params=["unix", "tcp"])
def mailbox(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Mailbox]:
    address = Address(path=str(tmp_path / "m.sock")) if request.param == "unix" else parse_address("tcp:127.0.0.1:0", 0)
    opened = open_at(address)
    yield opened
    opened.close()


def open_at(address: Address, binds: bool = True) -> Mailbox:
    opened = made_at(address, binds=binds)
    opened.start()
    return opened


def made_at(
    address: Address,
    binds: bool = True,
    clock: Callable[[], float] = time.perf_counter,
    statistics: Callable[[], dict[str, object]] = lambda: {"steps": 3},
) -> Mailbox:
    return Mailbox(
        address=address,
        secret=SECRET,
        ready=READY,
        box=Box(LIMITS, READY.vocabulary, binds=binds),
        limits=LIMITS,
        statistics=statistics,
        clock=clock,
        random_bytes=os.urandom,
    )


def box_of(mailbox: Mailbox) -> Box:
    return mailbox._box


def test_tells_a_gateway_what_it_needs_and_takes_its_offers(mailbox: Mailbox) -> None:
    gateway = Gateway(mailbox.bound, SECRET)
    assert gateway.ready == READY
    gateway.begin(4, "cmpl-abc")
    gateway.offer_after(4, [1, 2, 3], [4, 5])
    gateway.offer_after(9, [1, 2, 3], [4, 5])
    found = gateway.statistics()
    assert found == {"steps": 3, "sessions": {"4": {"offers": 1, "proposed": 0, "accepted": 0}}}
    assert box_of(mailbox).counters.without_session == 1
    gateway.end(4)
    assert gateway.statistics()["sessions"] == {}


def test_tells_sessions_to_their_own_gateway_alone(mailbox: Mailbox) -> None:
    one, two = Gateway(mailbox.bound, SECRET), Gateway(mailbox.bound, SECRET)
    one.begin(1)
    assert list(one.statistics()["sessions"]) == ["1"]
    assert two.statistics()["sessions"] == {}


def test_a_connection_that_ends_takes_its_sessions_with_it(mailbox: Mailbox) -> None:
    one, two = Gateway(mailbox.bound, SECRET), Gateway(mailbox.bound, SECRET)
    one.begin(1)
    one.statistics()
    one.close()
    for _ in range(200):
        two.statistics()
        if len(box_of(mailbox)) == 0:
            break
    assert len(box_of(mailbox)) == 0


def test_refuses_another_secret_and_messages_before_it(mailbox: Mailbox) -> None:
    with pytest.raises(ConnectionRefusedError, match="another one"):
        Gateway(mailbox.bound, "another secret, long enough")
    stranger = connect(mailbox.bound)
    stranger.sendall(wire.encode(wire.STATISTICS, b""))
    assert b"has to be shown first" in read_all(stranger)


def test_a_proof_counts_for_its_own_connection_alone_and_earns_nothing_made_with_the_secret(mailbox: Mailbox) -> None:
    first, second = connect(mailbox.bound), connect(mailbox.bound)
    nonce = first.recv(4096)[-16:]
    second.recv(4096)
    shown = wire.encode(wire.AUTH, bytes(16) + wire.proof(SECRET, wire.GATEWAY, nonce, bytes(16)))
    first.sendall(shown)
    assert first.recv(4096)[4] == wire.READY
    second.sendall(shown)
    assert b"another one" in read_all(second)
    # The plugin's own proof, sent back, opens nothing.
    stranger = connect(mailbox.bound)
    nonce = stranger.recv(4096)[-16:]
    stranger.sendall(wire.encode(wire.AUTH, nonce + wire.proof(SECRET, wire.PLUGIN, nonce, nonce)))
    assert b"another one" in read_all(stranger)
    assert mailbox.counters.refused_secret == 2


def test_a_gateway_of_version_1_is_refused_with_the_reason(mailbox: Mailbox) -> None:
    old = connect(mailbox.bound)
    nonce = old.recv(4096)[-16:]
    old.sendall(wire.encode(wire.AUTH, hmac.digest(SECRET.encode(), nonce, "sha256")))
    assert b"install the same release of both" in read_all(old)


def test_gateways_are_told_that_rows_cannot_be_bound_at_once_and_in_the_greeting(mailbox: Mailbox) -> None:
    gateway = Gateway(mailbox.bound, SECRET)
    assert gateway.ready.binds
    with box_of(mailbox).lock:
        box_of(mailbox).stop_binding()
    assert gateway.read() == (wire.UNBOUND, b"")
    assert not Gateway(mailbox.bound, SECRET).ready.binds
    assert gateway.statistics()["steps"] == 3


def read_all(peer: socket.socket) -> bytes:
    data = b""
    try:
        while more := peer.recv(4096):
            data += more
    except ConnectionResetError:
        pass
    return data


@pytest.mark.parametrize("garbage", [b"GET / HTTP/1.1\r\n\r\n", struct.pack("<IB", 0xFFFFFFF0, 3), bytes(100)])
def test_garbage_ends_its_own_connection_alone(mailbox: Mailbox, garbage: bytes) -> None:
    gateway = Gateway(mailbox.bound, SECRET)
    stranger = connect(mailbox.bound)
    stranger.sendall(garbage)
    assert b"bytes" in read_all(stranger)
    assert gateway.statistics()["steps"] == 3


def test_a_crowd_of_silent_strangers_keeps_no_gateway_out(mailbox: Mailbox) -> None:
    strangers = [connect(mailbox.bound) for _ in range(LIMITS.strangers + 10)]
    gateway = Gateway(mailbox.bound, SECRET)
    assert gateway.statistics()["steps"] == 3
    assert mailbox.counters.refused_full > 0
    for stranger in strangers:
        stranger.close()


def test_more_gateways_than_the_bound_are_refused(mailbox: Mailbox) -> None:
    gateways = [Gateway(mailbox.bound, SECRET) for _ in range(LIMITS.connections)]
    with pytest.raises(ConnectionRefusedError, match="connected already"):
        Gateway(mailbox.bound, SECRET)
    for gateway in gateways:
        gateway.close()


def test_a_gateway_that_does_not_read_is_cut_off(mailbox: Mailbox) -> None:
    stalled = Gateway(mailbox.bound, SECRET)
    for session in range(900):
        stalled.begin(session)
    stalled.socket.settimeout(1)
    try:
        for _ in range(5000):
            stalled.socket.sendall(wire.encode(wire.STATISTICS, b""))
            if mailbox.counters.refused_unread:
                break
    except OSError:
        pass
    until = time.perf_counter() + 20
    while mailbox.counters.refused_unread == 0 and time.perf_counter() < until:
        time.sleep(0.01)
    assert mailbox.counters.refused_unread == 1


def test_a_flood_of_offers_leaves_the_box_bounded_and_another_gateway_served(mailbox: Mailbox) -> None:
    flood, other = Gateway(mailbox.bound, SECRET), Gateway(mailbox.bound, SECRET)
    flood.begin(1)
    flood.socket.settimeout(5)
    frames = b"".join(offer_frame(1, base, base, range(64)) for base in range(2000))
    flood.socket.setblocking(False)
    sent = 0
    slowest = 0.0
    for _ in range(20):
        try:
            sent += flood.socket.send(frames[sent % len(frames) :])
        except BlockingIOError:
            pass
        started = time.perf_counter()
        other.statistics()
        slowest = max(slowest, time.perf_counter() - started)
    assert sent > 0
    assert slowest < 1.0
    session = box_of(mailbox)._sessions[(1, 1)]
    assert len(session.offers) <= LIMITS.session_offers


def test_waiting_is_not_work_so_an_offer_at_an_idle_mailbox_is_followed_by_the_shortest_rest() -> None:
    now = [0.0]
    opened = made_at(parse_address("tcp:127.0.0.1:0", 0), clock=lambda: now[0])

    class Idle:
        """Its waits take a long time by the mailbox's clock."""

        def __init__(self, inner: Any) -> None:
            self.inner = inner

        def select(self, timeout: float) -> Any:
            found = self.inner.select(timeout)
            now[0] += 0.4
            return found

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

    rests: list[float] = []

    class Rests(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            assert timeout is not None
            rests.append(timeout)
            return super().wait(0.001)

    opened._selector = Idle(opened._selector)  # type: ignore[assignment]
    opened._closed = Rests()
    opened.start()
    gateway = Gateway(opened.bound, SECRET)
    for _ in range(3):
        gateway.statistics()
    opened.close()
    assert len(rests) >= 5
    assert set(rests) == {LIMITS.slice_s * LIMITS.rest_factor}


@pytest.mark.parametrize("kind", ["unix", "tcp"])
def test_a_connection_that_was_reset_before_its_turn_costs_no_other_its_own(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = Address(path=str(tmp_path / "m.sock")) if kind == "unix" else parse_address("tcp:127.0.0.1:0", 0)
    opened = made_at(address)
    other = connect(opened.bound)
    opened._turn()
    assert other.recv(4096)[4] == wire.CHALLENGE
    gone = connect(opened.bound)
    gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    gone.close()
    other.sendall(wire.encode(wire.STATISTICS, b""))
    # One turn, in which the reset connection has the first event.
    events = sorted(opened._selector.select(1), key=lambda event: event[0].fileobj is not opened._listener)
    assert len(events) == 2
    monkeypatch.setattr(opened._selector, "select", lambda timeout=None: events)
    opened._turn()
    assert b"has to be shown first" in read_all(other)
    assert opened.counters.errors == 0
    assert len(opened._peers) == 0
    monkeypatch.undo()
    opened.close()


def test_a_fault_in_one_answer_costs_no_other_gateway_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    def faulty() -> dict[str, object]:
        raise RuntimeError("dictionary changed size during iteration")

    opened = made_at(parse_address("tcp:127.0.0.1:0", 0), statistics=faulty)
    opened.start()
    one, two = Gateway(opened.bound, SECRET), Gateway(opened.bound, SECRET)
    # From here on turn by turn.
    opened._closed.set()
    opened._waker.send(b"x")
    opened._thread.join()
    one.socket.sendall(wire.encode(wire.STATISTICS, b""))
    two.begin(1)
    events = [event for event in opened._selector.select(1) if event[0].data is not None]
    events.sort(key=lambda event: event[0].data.number)
    assert len(events) == 2
    monkeypatch.setattr(opened._selector, "select", lambda timeout=None: events)
    opened._turn()
    assert (len(box_of(opened)), opened.counters.errors) == (1, 1)
    monkeypatch.undo()
    opened._closed.clear()
    opened.close()


def test_a_unix_socket_is_for_its_owner_alone_and_goes_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "m.sock"
    opened = open_at(Address(path=str(path)))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(SettingsError, match="another process listens"):
        open_at(Address(path=str(path)))
    opened.close()
    assert not path.exists()


def test_a_socket_that_an_engine_left_behind_is_replaced_and_a_file_is_not(tmp_path: Path) -> None:
    path = tmp_path / "m.sock"
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(path))
    left.close()
    open_at(Address(path=str(path))).close()
    path.write_text("somebody's")
    with pytest.raises(SettingsError, match="cannot listen"):
        open_at(Address(path=str(path)))
    assert path.read_text() == "somebody's"
