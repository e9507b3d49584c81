"""One step of the engine: what became of the last drafts, which drafts continue each row, how many of them it gets."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from . import ngram
from .decide import Candidate, decide
from .limits import Limits
from .offers import Box, Offer, Session
from .request_ids import names
from .rows import Row, Rows, TokenTable
from .step_cost import StepCost

#: Prefixes of a row that have offers, nearest first: what was offered before these is out of date, as a rule.
PREFIXES_TRIED = 3


@dataclass(slots=True)
class SourceCounters:
    #: Rows that the source could continue, by step.
    found: int = 0
    proposed: int = 0
    judged: int = 0
    accepted: int = 0


@dataclass(slots=True)
class StepCounters:
    steps: int = 0
    rows: int = 0
    prefilling: int = 0
    offers: SourceCounters = field(default_factory=SourceCounters)
    ngrams: SourceCounters = field(default_factory=SourceCounters)


@dataclass(frozen=True, slots=True)
class Found:
    """Drafts that continue a row, and whose they are: a session's, or the row's own (None)."""

    index: int
    row: Row
    drafts: list[int]
    source: Session | None


class Stepper:
    """`step` is called once a step, by the engine's thread. It does no I/O; its clock is an argument."""

    def __init__(
        self,
        *,
        box: Box,
        key: int,
        most_drafts: int,
        vocabulary: int,
        limits: Limits,
        ngrams: bool,
        adapt: bool,
        clock: Callable[[], float],
    ) -> None:
        self.counters = StepCounters()
        self.cost = StepCost()
        self.rows = Rows(key, limits.offer_tokens)
        self.most_drafts, self.vocabulary = most_drafts, vocabulary
        self._box, self._limits = box, limits
        self._ngrams, self._adapt, self._clock = ngrams, adapt, clock
        self._last_s: float | None = None
        #: Tokens of the step that runs now, and the rows in it.
        self._last_tokens = 0
        self._last_keys: set[str | int] = set()

    def step(
        self,
        sampled: Sequence[Sequence[int]],
        lengths: Sequence[int],
        table: TokenTable,
        request_ids: Sequence[str] | None,
    ) -> list[list[int]]:
        """Drafts for each row, each a list of at most `most_drafts` ints below the vocabulary's size.

        `lengths[i]`: the tokens of row i that are committed. `request_ids`: None where they are not known.
        """
        now_s = self._clock()
        self.counters.steps += 1
        keys: set[str | int] = {request_ids[i] if request_ids else i for i in range(len(sampled))}
        self._learn_cost(sampled, keys, now_s)
        self.rows.keep(keys)
        drafts: list[list[int]] = [[] for _ in sampled]
        live = self._live_rows(sampled, lengths, table, request_ids)
        found = self._find(live, table)
        counts = self._counts(found, len(live))
        for each, count in zip(found, counts, strict=True):
            drafts[each.index] = each.row.proposed = each.drafts[:count]
            each.row.source = each.source
            self._count_proposed(each.source, count)
        self._last_s = now_s
        self._last_tokens = len(live) + sum(counts)
        self._last_keys = keys if len(live) == len(sampled) else set()
        return drafts

    def _learn_cost(self, sampled: Sequence[Sequence[int]], keys: set[str | int], now_s: float) -> None:
        # A step with other rows than were there, or with prompts in it, tells nothing about rows and drafts.
        if self._last_s is not None and keys and keys == self._last_keys and all(sampled):
            self.cost.record(self._last_tokens, now_s - self._last_s)

    def _live_rows(
        self,
        sampled: Sequence[Sequence[int]],
        lengths: Sequence[int],
        table: TokenTable,
        request_ids: Sequence[str] | None,
    ) -> list[tuple[int, Row]]:
        """Rows that decode. Prompts that are being read are hashed ahead."""
        hashing = len(self._box) > 0
        live: list[tuple[int, Row]] = []
        waiting: list[tuple[int, Row]] = []
        width = int(table.shape[1])
        for index, tokens in enumerate(sampled):
            request_id = request_ids[index] if request_ids else None
            key: str | int = index if request_id is None else request_id
            fresh = not self.rows.known(key)
            row = self.rows.get(key, names(request_id) if fresh and request_id else ())
            length = int(lengths[index])
            if not tokens or not 0 < length <= width:
                self.counters.prefilling += 1
                row.proposed = []
                if 0 < length <= width:
                    row.length = length
                    waiting.append((index, row))
                continue
            self._judge(row, tokens, length)
            row.length = length
            live.append((index, row))
        self.counters.rows += len(live)
        if hashing:
            self._hash(live + waiting, table, whole=request_ids is None)
        return live

    def _hash(self, rows: list[tuple[int, Row]], table: TokenTable, whole: bool) -> None:
        """Rows that lack little first; the rest share what is left, so that one long prompt keeps no row waiting."""
        budget = self._limits.step_hash_tokens
        lacking = sorted(rows, key=lambda each: each[1].length - each[1].hashed)
        for done, (index, row) in enumerate(lacking):
            share = -(-budget // (len(lacking) - done))
            budget -= self.rows.follow(row, table, index, row.length, whole, share)

    def _judge(self, row: Row, tokens: Sequence[int], length: int) -> None:
        """What became of the drafts that the row got. vLLM may have dropped them: then their step tells nothing."""
        drafts, source = row.proposed, row.source
        row.proposed, row.source = [], None
        if not drafts or length != row.length + len(tokens):
            return
        accepted = 0
        while accepted < min(len(drafts), len(tokens)) and drafts[accepted] == tokens[accepted]:
            accepted += 1
        counters = self.counters.ngrams if source is None else self.counters.offers
        counters.judged += min(accepted + 1, len(drafts))
        counters.accepted += accepted
        if source is None:
            row.ngrams.judge(accepted, len(drafts))
        else:
            source.accepted += accepted
            source.acceptance.judge(accepted, len(drafts))

    def _count_proposed(self, source: Session | None, count: int) -> None:
        counters = self.counters.ngrams if source is None else self.counters.offers
        counters.found += 1
        counters.proposed += count
        if source is not None:
            source.proposed += count

    def _find(self, live: list[tuple[int, Row]], table: TokenTable) -> list[Found]:
        found: list[Found] = []
        without: list[tuple[int, Row]] = []
        with self._box.lock:
            for index, row in live:
                offer = self._offered(row, table, index) if len(self._box) > 0 else None
                # While the drafts of a session are worth nothing, they keep no n-gram draft away.
                if offer is None or offer[1].acceptance.rests():
                    without.append((index, row))
                else:
                    found.append(Found(index, row, *offer))
        if self._ngrams:
            until_s = self._clock() + self._limits.step_ngram_s
            for index, row in without:
                if self._clock() >= until_s:
                    break
                if row.ngrams.rests():
                    continue
                drafts = self._looked_up(row, table, index)
                if drafts:
                    found.append(Found(index, row, drafts, None))
        return found

    def _offered(self, row: Row, table: TokenTable, index: int) -> tuple[list[int], Session] | None:
        """The drafts of the row's own session; where it has none, those of the most successful one with its prefix."""
        if row.hashed != row.length:
            return None
        box = self._box
        if box.binds and (row.session is None or row.session.ended):
            row.session = box.session_of(row.names)
        if box.binds and row.session is not None:
            return self._of_session(row.session, row, table, index)
        return self._by_content(row, table, index)

    def _by_content(self, row: Row, table: TokenTable, index: int) -> tuple[list[int], Session] | None:
        offered, tried = self._box.by_prefix, 0
        for passed, prefix_hash in enumerate(reversed(row.hashes)):
            entries = offered.get(prefix_hash)
            if entries is None:
                continue
            best: tuple[list[int], Session] | None = None
            for session, offer in entries:
                rest = self._rest(row, table, index, offer) if offer.base == row.length - passed else None
                if rest and (best is None or session.acceptance.rate > best[1].acceptance.rate):
                    best = rest, session
            tried += 1
            if best is not None or tried == PREFIXES_TRIED:
                return best
        return None

    def _of_session(
        self, session: Session, row: Row, table: TokenTable, index: int
    ) -> tuple[list[int], Session] | None:
        """The offer that was sent last goes first: what was sent after a rejection knows of it.

        Committed tokens never change, so what the row has passed or left, and what was sent before the offer that is
        taken, is of no use any more.
        """
        found: list[int] | None = None
        useless: list[int] = []
        for offer in reversed(session.offers.values()):
            if offer.base > row.length:
                continue
            rest = None if found else self._rest(row, table, index, offer)
            if rest:
                found = rest
            else:
                useless.append(offer.base)
        for base in useless:
            self._box.drop(session, base)
        return (found, session) if found else None

    def _rest(self, row: Row, table: TokenTable, index: int, offer: Offer) -> list[int] | None:
        """What an offer says after the row's length, where the row went as it says up to there."""
        tokens = offer.tokens
        passed = row.length - offer.base
        if not 0 <= passed < len(tokens) or row.hash_at(offer.base) != offer.prefix_hash:
            return None
        if passed and tokens[:passed].tolist() != table[index, slice(offer.base, row.length)].tolist():
            return None
        return tokens[passed : passed + self.most_drafts].tolist()

    def _looked_up(self, row: Row, table: TokenTable, index: int) -> list[int]:
        start = max(0, row.length - self._limits.ngram_window_tokens)
        tokens = table[index, slice(start, row.length)]
        at = ngram.find(tokens.tobytes(), self.most_drafts)
        if at is None:
            return []
        drafts = table[index, slice(start + at[0], start + at[1])].tolist()
        # vLLM's own tokens, but a row of a multimodal prompt may hold placeholders that are none.
        return drafts if all(0 <= token < self.vocabulary for token in drafts) else []

    def _counts(self, found: list[Found], rows: int) -> list[int]:
        if not self._adapt:
            return [len(each.drafts) for each in found]
        candidates = [
            Candidate(len(each.drafts), each.row.ngrams if each.source is None else each.source.acceptance)
            for each in found
        ]
        return decide(candidates, rows, self.cost)
