"""Rows of the engine's batch: what of each was seen, and the hashes of its latest prefixes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from .acceptance import Acceptance
from .hashing import extend, extend_all
from .offers import Session


class TokenRow(Protocol):
    """A slice of vLLM's int32 array of tokens."""

    def tobytes(self) -> bytes: ...
    def tolist(self) -> list[int]: ...


class TokenTable(Protocol):
    """`token_ids_cpu`: a NumPy array of int32 [rows, tokens]. Past a row's length stand stale drafts."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    def __getitem__(self, at: tuple[int, slice], /) -> TokenRow: ...


#: Where rows tell their request ids, so much of what was seen is compared with what is there; else all of it.
TAIL_TOKENS = 32


@dataclass(slots=True, eq=False)
class Row:
    names: tuple[str, ...] = ()
    #: Tokens [seen_from, hashed) as they were seen.
    seen: bytes = b""
    seen_from: int = 0
    #: Tokens that are hashed.
    hashed: int = 0
    #: Hashes after `hashed - len(hashes) + 1` to `hashed` tokens, at most `window + 1` of them.
    hashes: list[int] = field(default_factory=lambda: [0])
    session: Session | None = None
    ngrams: Acceptance = field(default_factory=Acceptance.of_ngrams)
    #: What the last step got: its drafts, their source, and the row's length then.
    proposed: list[int] = field(default_factory=list)
    source: Session | None = None
    length: int = 0

    def hash_at(self, length: int) -> int | None:
        """Hash of the first `length` tokens, where it is still known."""
        index = len(self.hashes) - 1 - (self.hashed - length)
        return self.hashes[index] if 0 <= index < len(self.hashes) else None


@dataclass(slots=True)
class RowCounters:
    rebuilt: int = 0
    waited_for_hash: int = 0


class Rows:
    """Follows rows from step to step. A row is known by its request id, or by its place and all of its tokens."""

    def __init__(self, key: int, window: int) -> None:
        self.counters = RowCounters()
        self._key = key
        self._window = window
        self._rows: dict[str | int, Row] = {}

    def __len__(self) -> int:
        return len(self._rows)

    def get(self, key: str | int, names: tuple[str, ...]) -> Row:
        row = self._rows.get(key)
        if row is None:
            row = self._rows[key] = Row(names=names)
        return row

    def known(self, key: str | int) -> bool:
        return key in self._rows

    def keep(self, keys: set[str | int]) -> None:
        if len(self._rows) > len(keys):
            self._rows = {key: row for key, row in self._rows.items() if key in keys}

    def follow(self, row: Row, table: TokenTable, index: int, length: int, whole: bool, budget: int) -> int:
        """Hashes what is new of a row, at most `budget` tokens. @returns how many it hashed

        `whole`: all of what was seen is compared, since the row is known by its place alone.
        """
        if row.hashed > length or (row.seen and table[index, slice(row.seen_from, row.hashed)].tobytes() != row.seen):
            self.counters.rebuilt += 1
            row.seen, row.seen_from, row.hashed, row.hashes = b"", 0, 0, [0]
            row.proposed, row.ngrams = [], Acceptance.of_ngrams()
        upto = min(length, row.hashed + budget)
        count = upto - row.hashed
        if count > 0:
            self._extend(row, table[index, slice(row.hashed, upto)].tolist())
            row.hashed = upto
            row.seen_from = 0 if whole else max(0, upto - TAIL_TOKENS)
            row.seen = table[index, slice(row.seen_from, upto)].tobytes()
        if row.hashed < length:
            self.counters.waited_for_hash += 1
        return count

    def _extend(self, row: Row, tokens: list[int]) -> None:
        late = max(0, len(tokens) - self._window)
        value = extend(row.hashes[-1], tokens[:late], self._key)
        row.hashes = row.hashes if late == 0 else [value]
        row.hashes += extend_all(value, tokens[late:], self._key)
        del row.hashes[: -(self._window + 1)]
