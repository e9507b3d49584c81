from __future__ import annotations

import random
from array import array

from picospec_vllm import ngram


def find(tokens: list[int], most: int = 8) -> list[int]:
    at = ngram.find(array("i", tokens).tobytes(), most)
    return [] if at is None else tokens[at[0] : at[1]]


def test_gives_what_followed_the_last_time() -> None:
    assert find([9, 1, 2, 3, 4, 5, 6, 1, 2, 3]) == [4, 5, 6, 1, 2, 3]
    assert find([1, 2, 7, 1, 2, 8, 1, 2]) == [8, 1, 2]
    assert find([1, 2, 3, 4, 5, 6, 1, 2], most=2) == [3, 4]


def test_gives_nothing_where_nothing_stood_before() -> None:
    assert find([]) == []
    assert find([1]) == []
    assert find([1, 2]) == []
    assert find([1, 2, 3, 4]) == []


def test_a_token_that_repeats_goes_on() -> None:
    assert find([7, 7, 7, 7, 7, 7])[:1] == [7]


def test_bytes_that_match_across_tokens_are_no_match() -> None:
    # 0x00010000 0x00000001 ... read two bytes further is another token.
    tokens = [0x01000000, 0x00000001, 5, 6, 0x00010000, 0x00000100, 1]
    drafts = find(tokens)
    assert drafts == []


def test_agrees_with_a_search_token_by_token_seed_5() -> None:
    source = random.Random(5)
    for _ in range(2000):
        tokens = [source.randrange(300) % 5 * 257 for _ in range(source.randrange(30))]
        expected: list[int] = []
        for size in range(ngram.LONGEST, ngram.SHORTEST - 1, -1):
            for start in range(len(tokens) - size - 1, -1, -1):
                if len(tokens) > size and tokens[start : start + size] == tokens[-size:]:
                    expected = tokens[start + size : start + size + 8]
                    break
            if expected:
                break
        assert find(tokens) == expected, tokens
