"""Which drafts a row gets."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from types import FrameType
from typing import Any

import numpy as np
import pytest

from engine import KEY, NOW_S, Bench
from picospec_vllm.hashing import extend
from picospec_vllm.limits import LIMITS
from picospec_vllm.request_ids import names
from picospec_vllm.rows import Row, Rows

PROMPT = list(range(100, 150))
ANSWER = list(range(200, 300))


def bench(**options: object) -> Bench:
    made = Bench(**options)  # type: ignore[arg-type]
    made.batch.set(0, PROMPT)
    made.box.begin(1, 5, "")
    return made


def test_an_offer_goes_to_the_row_with_its_prefix_and_skips_what_was_committed() -> None:
    one = bench()
    one.offer(5, PROMPT, ANSWER[:20])
    assert one.commit([ANSWER[:1]]) == [ANSWER[1:9]]
    assert one.commit([ANSWER[1:4]]) == [ANSWER[4:12]]


def test_an_offer_that_the_row_left_is_not_used() -> None:
    one = bench()
    one.offer(5, PROMPT, ANSWER[:20])
    one.commit([ANSWER[:1]])
    assert one.commit([[999]]) == [[]]


def test_a_row_that_is_prefilling_gets_none() -> None:
    one = bench()
    one.offer(5, PROMPT, ANSWER)
    assert one.step([[]]) == [[]]
    assert one.commit([ANSWER[:1]]) == [ANSWER[1:9]]


def test_stale_drafts_past_the_rows_length_are_not_read() -> None:
    one = bench(ngrams=True)
    one.batch.token_ids_cpu[0, len(PROMPT) + 1 :] = ANSWER[1] - 1
    one.offer(5, [*PROMPT, ANSWER[0], ANSWER[1] - 1], ANSWER[5:9])
    assert one.commit([ANSWER[:1]]) == [[]]


def test_rows_that_change_places_are_followed_again() -> None:
    one, other = bench(), list(range(300, 340))
    one.batch.set(1, other)
    one.offer(5, [*PROMPT, 1], [2, 3])
    assert one.commit([[1], [1]]) == [[2, 3], []]
    one.batch.set(1, [*PROMPT, 1, 2])
    one.batch.set(0, [*other, 1, 7])
    assert one.step([[7], [2]]) == [[], [3]]
    assert one.stepper.rows.counters.rebuilt == 2


def test_the_session_that_was_most_successful_lately_goes_first() -> None:
    one = bench()
    for session, rate in ((6, 0.2), (7, 0.9), (8, 0.5)):
        one.box.begin(session, session, "")
        one.box._sessions[(session, session)].acceptance.rate = rate
        one.offer(session, [*PROMPT, 1], [session, session], connection=session)
    assert one.commit([[1]]) == [[7, 7]]


def test_bad_offers_of_many_sessions_do_not_displace_a_good_one_for_an_equal_prefix() -> None:
    one = bench()
    one.box._sessions[(1, 5)].acceptance.rate = 0.9
    one.offer(5, [*PROMPT, 1], [2, 3])
    for session in range(100, 140):
        one.box.begin(2, session, "")
        one.offer(session, [*PROMPT, 1], [9, 9], connection=2)
    assert one.commit([[1]]) == [[2, 3]]
    assert one.box.counters.over_prefix_bound == 40 + 1 - LIMITS.prefix_offers


def test_offers_go_with_their_session_and_with_their_connection() -> None:
    one = bench()
    one.offer(5, PROMPT, ANSWER)
    one.box.begin(2, 5, "")
    one.offer(5, PROMPT, ANSWER, connection=2)
    one.box.end(1, 5)
    one.box.end_connection(2)
    assert one.commit([ANSWER[:1]]) == [[]]
    assert (len(one.box), one.box.by_prefix, one.box._by_request) == (0, {}, {})


def test_a_bound_session_offers_to_its_own_row_alone() -> None:
    one = Bench(ids=["cmpl-aaaa-0-12345678", "cmpl-bbbb-0-12345678"])
    one.batch.set(0, PROMPT)
    one.batch.set(1, PROMPT)
    one.box.begin(1, 5, "aaaa")
    one.offer(5, PROMPT, ANSWER[:20])
    assert one.commit([ANSWER[:1], ANSWER[:1]]) == [ANSWER[1:9], []]


def test_a_row_with_a_session_takes_no_other_sessions_offers() -> None:
    one = Bench(ids=["cmpl-aaaa-0-12345678"])
    one.batch.set(0, PROMPT)
    one.box.begin(1, 5, "aaaa")
    one.box.begin(2, 5, "")
    one.offer(5, PROMPT, ANSWER[:20], connection=2)
    assert one.commit([ANSWER[:1]]) == [[]]


def test_without_request_ids_the_offers_of_a_named_request_are_dropped_and_counted() -> None:
    one = Bench(ids=["cmpl-aaaa-0-12345678"])
    one.batch.set(0, PROMPT)
    one.box.begin(1, 5, "bbbb")
    one.offer(5, PROMPT, ANSWER[:20])
    assert one.commit([ANSWER[:1]]) == [[]]
    one.box.stop_binding()
    one.names = None
    assert one.commit([ANSWER[1:2]]) == [[]]
    one.offer(5, [*PROMPT, *ANSWER[:3]], ANSWER[3:20])
    assert one.commit([ANSWER[2:3]]) == [[]]
    assert (one.box.counters.unbound, one.box.by_prefix) == (2, {})
    # Who names no request asked for it.
    one.box.begin(1, 6, "")
    one.offer(6, [*PROMPT, *ANSWER[:4]], ANSWER[4:20])
    assert one.commit([ANSWER[3:4]]) == [ANSWER[4:12]]


def test_a_session_that_begins_again_elsewhere_keeps_its_request() -> None:
    one = Bench(ids=["cmpl-aaaa-0-12345678"])
    one.batch.set(0, PROMPT)
    one.box.begin(1, 5, "aaaa")
    one.box.begin(2, 9, "aaaa")
    one.box.end_connection(1)
    one.offer(9, PROMPT, ANSWER[:20], connection=2)
    assert one.commit([ANSWER[:1]]) == [ANSWER[1:9]]


def test_ngrams_continue_a_row_that_has_no_offer() -> None:
    one = bench(ngrams=True)
    one.batch.set(0, [1, 2, 3, 4, 5, 6, 7, 8, 9, 1, 2])
    assert one.commit([[3]]) == [[4, 5, 6, 7, 8, 9, 1, 2]]
    assert one.stepper.counters.ngrams.proposed == 8


def test_offers_that_are_always_rejected_leave_the_row_to_ngrams() -> None:
    one = bench(ngrams=True, adapt=True)
    answer = list(range(200, 210)) * 25
    tokens = list(PROMPT)
    for token in answer:
        one.offer(5, tokens, [token, 999])
        tokens.append(token)
        one.commit([[token]])
    proposed = one.box.sessions_of(1)["5"]["proposed"]
    assert proposed < 40
    assert one.stepper.counters.ngrams.found > 150


def test_what_became_of_drafts_is_counted_by_source() -> None:
    one = bench()
    one.offer(5, PROMPT, ANSWER[:20])
    one.commit([ANSWER[:1]])
    one.commit([[*ANSWER[1:4], 999]])
    counters = one.stepper.counters.offers
    assert (counters.found, counters.proposed, counters.judged, counters.accepted) == (1, 8, 4, 3)
    assert one.box.sessions_of(1) == {"5": {"offers": 1, "proposed": 8, "accepted": 3}}
    assert one.box.sessions_of(2) == {}


def test_bounds_of_a_session() -> None:
    one = bench()
    for base in range(100):
        one.box.offer(1, 5, base, base, np_array([1] * 100), NOW_S)
    one.box.offer(1, 5, 0, 0, np_array([1000]), NOW_S)
    session = one.box._sessions[(1, 5)]
    assert list(session.offers) == list(range(100 - LIMITS.session_offers, 100))
    assert all(len(offer.tokens) == LIMITS.offer_tokens for offer in session.offers.values())
    assert (one.box.counters.bad_token, one.box.counters.cut) == (1, 100)
    one.box.expire(NOW_S + LIMITS.offer_age_s)
    assert session.offers == {}


def np_array(tokens: list[int]):  # type: ignore[no-untyped-def]  # noqa: ANN201
    from array import array  # noqa: PLC0415

    return array("I", tokens)


def test_a_flood_of_sessions_ends_those_of_its_own_connection() -> None:
    one = Bench(limits=replace(LIMITS, sessions=10))
    one.box.begin(1, 1, "")
    for session in range(100):
        one.box.begin(2, session, "")
    assert len(one.box) == 10
    assert (1, 1) in one.box._sessions


def test_a_long_prompt_is_hashed_over_several_steps() -> None:
    one = Bench(limits=replace(LIMITS, step_hash_tokens=20))
    one.batch.set(0, PROMPT)
    one.box.begin(1, 5, "")
    one.offer(5, PROMPT, ANSWER[:20])
    assert one.step([[]]) == [[]]
    assert one.commit([ANSWER[:1]]) == [[]]
    assert one.commit([ANSWER[1:2]]) == [ANSWER[2:10]]


def test_one_long_prompt_keeps_no_row_behind_it_without_its_hash() -> None:
    one = Bench(limits=replace(LIMITS, step_hash_tokens=180))
    one.batch.set(0, [7] * 390)
    one.batch.set(1, PROMPT)
    one.batch.set(2, [8] * 390)
    one.box.begin(1, 5, "")
    one.offer(5, PROMPT, ANSWER[:20])
    assert one.commit([[7], ANSWER[:1], [8]]) == [[], ANSWER[1:9], []]
    # What the short one does not need, the long ones share.
    assert [one.stepper.rows.get(row, ()).hashed for row in range(3)] == [65, 51, 64]


def test_a_new_session_is_taken_for_the_same_whatever_became_of_anothers_drafts() -> None:
    one = bench(adapt=True)
    tokens = list(PROMPT)
    for token in ANSWER[:60]:
        one.offer(5, tokens, [token, 999])
        tokens.append(token)
        one.commit([[token]])
    one.box.begin(1, 6, "")
    assert one.box._sessions[(1, 5)].acceptance.rate < 0.4
    assert one.box._sessions[(1, 6)].acceptance.rate == 0.65


def test_running_hashes_are_those_of_the_whole_prefix_seed_6() -> None:
    source = random.Random(6)
    table = np.zeros((1, 3000), dtype=np.int32)
    rows, row, length = Rows(KEY, 64), Row(), 0
    for _ in range(200):
        more = source.randrange(1, 14)
        table[0, length : length + more] = [source.randrange(49152) for _ in range(more)]
        if source.random() < 0.05:
            table[0, source.randrange(length + more)] += 1
        length += more
        rows.follow(row, table, 0, length, whole=True, budget=100_000)
        for base in range(max(0, length - 64), length + 1):
            assert row.hash_at(base) == extend(0, table[0, :base].tolist(), KEY)
        assert row.hash_at(length + 1) is None
    assert rows.counters.rebuilt > 0


def test_what_a_gateway_may_call_a_request() -> None:
    assert "abc" in names("cmpl-abc-0-0123abcd")
    assert "abc-0" in names("cmpl-abc-0-0123abcd")
    assert "cmpl-abc-0" in names("cmpl-abc-0-0123abcd")
    assert "abc" in names("generate-tokens-abc-0123abcd")
    assert "0b9c7d3e-aaaa-bbbb-cccc-0123456789ab" in names("cmpl-0b9c7d3e-aaaa-bbbb-cccc-0123456789ab-0-0123abcd")
    assert names("offline") == ("offline",)


def opcodes(act: Callable[[], object]) -> int:
    """How many of Python's instructions it takes: the same on every machine, however busy."""
    count = 0

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        frame.f_trace_opcodes = True
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        act()
    finally:
        sys.settrace(before)
    return count


def work_of_steps(length: int, bound: bool, forgets: bool = False) -> int:
    """Instructions of the longest of a few steps, each with 64 rows and an offer for each of them."""
    ids = [f"cmpl-{row:032d}-0-12345678" for row in range(64)]
    limits = replace(LIMITS, step_hash_tokens=10**9) if forgets else LIMITS
    one = Bench(ids=ids if bound else None, ngrams=True, adapt=True, limits=limits)
    source = random.Random(7)
    one.batch.token_ids_cpu = np.zeros((64, 4096), dtype=np.int32)
    one.batch.num_tokens_no_spec = np.zeros(64, dtype=np.int32)
    for row in range(64):
        one.batch.set(row, [source.randrange(1000) for _ in range(length)])
        one.box.begin(1, row, f"{row:032d}")
    for _ in range(64):
        one.step([[]] * 64)
    most = 0
    for _ in range(5):
        for row in range(64):
            known = int(one.batch.num_tokens_no_spec[row])
            one.offer(row, one.batch.token_ids_cpu[row, :known].tolist(), [source.randrange(1000)] * 24)
        sampled = [[source.randrange(1000)] for _ in range(64)]
        for row, more in enumerate(sampled):
            one.batch.append(row, more)
        if forgets:
            one.stepper.rows = Rows(one.stepper.rows._key, LIMITS.offer_tokens)
        most = max(most, opcodes(partial(one.step, sampled)))
    return most


@pytest.mark.parametrize("bound", [True, False])
def test_a_step_with_64_rows_takes_as_much_work_however_long_the_rows_are(bound: bool) -> None:
    short, long = work_of_steps(200, bound), work_of_steps(2000, bound)
    assert long < 1.05 * short
    # A millisecond or so: 12 ns for each.
    assert long < 100_000
    assert work_of_steps(2000, bound, forgets=True) > 2 * long
