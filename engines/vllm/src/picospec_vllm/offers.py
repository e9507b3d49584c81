"""Offers that wait to be used: by session, and by the prefix that they continue.

A session that names its request is bound to that request's row: its offers go to no other row, and the row takes no
other session's. Where rows do not tell their requests, its offers are dropped: by content they would speed up another
tenant's row. A session without a request id offers by content: to a row with the same prefix that has no session of its
own.
"""

from __future__ import annotations

import threading
from array import array
from collections import Counter, OrderedDict
from dataclasses import dataclass, field

from .acceptance import Acceptance
from .limits import Limits


@dataclass(slots=True, eq=False)
class Offer:
    base: int
    prefix_hash: int
    #: What may follow the first `base` tokens.
    tokens: array[int]
    expires_s: float


@dataclass(slots=True, eq=False)
class Session:
    connection: int
    number: int
    request_id: str
    acceptance: Acceptance
    offers: OrderedDict[int, Offer] = field(default_factory=OrderedDict)
    ended: bool = False
    offered: int = 0
    proposed: int = 0
    accepted: int = 0

    def counters(self) -> dict[str, int]:
        return {"offers": self.offered, "proposed": self.proposed, "accepted": self.accepted}


@dataclass(slots=True)
class OfferCounters:
    offers: int = 0
    sessions: int = 0
    without_session: int = 0
    #: Of sessions that name a request, while rows do not tell theirs.
    unbound: int = 0
    bad_token: int = 0
    cut: int = 0
    empty: int = 0
    replaced: int = 0
    out_of_age: int = 0
    over_session_bound: int = 0
    over_prefix_bound: int = 0
    sessions_over_bound: int = 0


class Box:
    """The lock is held for one message at a time by the mailbox, and for one step by the proposer."""

    def __init__(self, limits: Limits, vocabulary: int, binds: bool) -> None:
        #: Whether rows tell their request ids. Once they do not, it is so for good.
        self.binds = binds
        self.lock = threading.Lock()
        self.counters = OfferCounters()
        self._limits = limits
        self._vocabulary = vocabulary
        self._sessions: OrderedDict[tuple[int, int], Session] = OrderedDict()
        self._by_connection: Counter[int] = Counter()
        self._by_request: dict[str, Session] = {}
        #: Read by the proposer, under the lock.
        self.by_prefix: dict[int, list[tuple[Session, Offer]]] = {}

    def __len__(self) -> int:
        return len(self._sessions)

    def begin(self, connection: int, number: int, request_id: str) -> None:
        with self.lock:
            self._end((connection, number))
            if len(self._sessions) >= self._limits.sessions:
                # The oldest of the gateway that has most of them, so that one gateway's flood ends its own.
                most = max(self._by_connection, key=lambda each: self._by_connection[each])
                self.counters.sessions_over_bound += 1
                self._end(next(key for key in self._sessions if key[0] == most))
            session = Session(connection, number, request_id, Acceptance.of_session())
            self._sessions[(connection, number)] = session
            self._by_connection[connection] += 1
            self.counters.sessions += 1
            if request_id:
                self._by_request[request_id] = session

    def offer(
        self, connection: int, number: int, base: int, prefix_hash: int, tokens: array[int], now_s: float
    ) -> None:
        counters = self.counters
        if not tokens:
            counters.empty += 1
            return
        if len(tokens) > self._limits.offer_tokens:
            tokens = tokens[: self._limits.offer_tokens]
            counters.cut += 1
        if max(tokens) >= self._vocabulary:
            counters.bad_token += 1
            return
        offer = Offer(base, prefix_hash, tokens, now_s + self._limits.offer_age_s)
        with self.lock:
            session = self._sessions.get((connection, number))
            if session is None:
                counters.without_session += 1
                return
            counters.offers += 1
            session.offered += 1
            if session.request_id and not self.binds:
                counters.unbound += 1
                return
            if base in session.offers:
                counters.replaced += 1
                self.drop(session, base)
            elif len(session.offers) >= self._limits.session_offers:
                counters.over_session_bound += 1
                self.drop(session, next(iter(session.offers)))
            session.offers[base] = offer
            if not session.request_id:
                self._index(session, offer)

    def end(self, connection: int, number: int) -> None:
        with self.lock:
            self._end((connection, number))

    def end_connection(self, connection: int) -> None:
        # One at a time, so that the proposer never waits for a thousand.
        for key in [key for key in list(self._sessions) if key[0] == connection]:
            with self.lock:
                self._end(key)

    def expire(self, now_s: float) -> None:
        """Removes offers that are out of age. One session at a time, as above."""
        for session in list(self._sessions.values()):
            with self.lock:
                for base in [b for b, offer in session.offers.items() if offer.expires_s <= now_s]:
                    self.counters.out_of_age += 1
                    self.drop(session, base)

    def sessions_of(self, connection: int) -> dict[str, dict[str, int]]:
        return {
            str(key[1]): session.counters() for key, session in list(self._sessions.items()) if key[0] == connection
        }

    # What follows is for the proposer, which holds the lock.

    def session_of(self, names: tuple[str, ...]) -> Session | None:
        """The session that named this request, under one of the names that it may be known by."""
        for name in names:
            session = self._by_request.get(name)
            if session is not None:
                return session
        return None

    def stop_binding(self) -> None:
        """Rows no longer tell their request ids: offers of sessions that name one are dropped, now and from here on."""
        self.binds = False
        for session in self._sessions.values():
            for base in list(session.offers if session.request_id else ()):
                self.counters.unbound += 1
                self.drop(session, base)

    def drop(self, session: Session, base: int) -> None:
        offer = session.offers.pop(base)
        entries = self.by_prefix.get(offer.prefix_hash)
        if entries is None:
            return
        entries[:] = [entry for entry in entries if entry[1] is not offer]
        if not entries:
            del self.by_prefix[offer.prefix_hash]

    def _end(self, key: tuple[int, int]) -> None:
        session = self._sessions.pop(key, None)
        if session is None:
            return
        session.ended = True
        self._by_connection[key[0]] -= 1
        if self._by_connection[key[0]] == 0:
            del self._by_connection[key[0]]
        for base in list(session.offers):
            self.drop(session, base)
        # A later session may have named the same request: a gateway that connected again.
        if self._by_request.get(session.request_id) is session:
            del self._by_request[session.request_id]

    def _index(self, session: Session, offer: Offer) -> None:
        others = self.by_prefix.setdefault(offer.prefix_hash, [])
        others.append((session, offer))
        if len(others) > self._limits.prefix_offers:
            self.counters.over_prefix_bound += 1
            worst, dropped = min(others, key=lambda entry: entry[0].acceptance.rate)
            self.drop(worst, dropped.base)
