"""What a proposer sees of vLLM: a batch of rows that grow by what was sampled, and verifies drafts as vLLM does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from picospec_vllm.hashing import extend
from picospec_vllm.limits import LIMITS, Limits
from picospec_vllm.offers import Box
from picospec_vllm.stepper import Stepper

KEY = 987_654_321_987
VOCABULARY = 1000


#: When the tests' clock starts. Offers are made then.
NOW_S = 100.0


@dataclass
class Batch:
    """Rows of tokens in one array, as vLLM keeps them: past a row's length stand the drafts of steps before."""

    width: int = 400
    rows: int = 4
    ids: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.token_ids_cpu = np.full((self.rows, self.width), 777, dtype=np.int32)
        self.num_tokens_no_spec = np.zeros(self.rows, dtype=np.int32)
        self.req_ids: list[str] = self.ids

    def set(self, row: int, tokens: Sequence[int]) -> None:
        self.token_ids_cpu[row, : len(tokens)] = tokens
        self.num_tokens_no_spec[row] = len(tokens)

    def append(self, row: int, tokens: Sequence[int]) -> None:
        length = int(self.num_tokens_no_spec[row])
        self.token_ids_cpu[row, length : length + len(tokens)] = tokens
        self.num_tokens_no_spec[row] = length + len(tokens)


class Bench:
    """A stepper with a box and rows whose true continuations are known."""

    def __init__(
        self,
        *,
        ids: list[str] | None = None,
        ngrams: bool = False,
        adapt: bool = False,
        limits: Limits = LIMITS,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self.now_s = NOW_S
        self.batch = Batch(ids=ids or [])
        self.names = ids
        self.box = Box(limits, VOCABULARY, binds=ids is not None)
        self.stepper = Stepper(
            box=self.box,
            key=KEY,
            most_drafts=8,
            vocabulary=VOCABULARY,
            limits=limits,
            ngrams=ngrams,
            adapt=adapt,
            clock=clock or (lambda: self.now_s),
        )

    def offer(self, session: int, prefix: Sequence[int], tokens: Sequence[int], connection: int = 1) -> None:
        from array import array  # noqa: PLC0415

        self.box.offer(connection, session, len(prefix), extend(0, prefix, KEY), array("I", tokens), NOW_S)

    def step(self, sampled: list[list[int]]) -> list[list[int]]:
        """Rows sampled this; the array already has it."""
        self.now_s += 0.05
        batch = self.batch
        return self.stepper.step(
            sampled, batch.num_tokens_no_spec.tolist(), batch.token_ids_cpu, self.names and self.names[: len(sampled)]
        )

    def commit(self, tokens: list[list[int]]) -> list[list[int]]:
        for row, more in enumerate(tokens):
            self.batch.append(row, more)
        return self.step(tokens)
