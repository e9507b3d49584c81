"""The shell: its contract with vLLM, and what it does with faults."""

from __future__ import annotations

import random
from importlib import metadata
from types import SimpleNamespace
from typing import Any

import pytest

from engine import VOCABULARY, Batch
from gateway import Gateway
from picospec_vllm import Proposer, versions
from picospec_vllm.proposer import valid

SECRET = "a secret of the tests, long enough"


def config(**parallel: int) -> Any:
    ranks = {"tensor_parallel_size": 1, "pipeline_parallel_size": 1, "rank": 0}
    ranks |= {"data_parallel_index": 0, "data_parallel_size": 1}
    return SimpleNamespace(
        speculative_config=SimpleNamespace(num_speculative_tokens=8),
        model_config=SimpleNamespace(get_vocab_size=lambda: VOCABULARY),
        parallel_config=SimpleNamespace(**(ranks | parallel)),
        device_config=SimpleNamespace(device_type="cuda"),
    )


class GPUModelRunner:
    """What vLLM's runner is to a proposer."""

    def __init__(self, vllm_config: Any) -> None:
        self.proposer = Proposer(vllm_config)
        self.input_batch = Batch(ids=["cmpl-aaaa-0-0123abcd", "cmpl-bbbb-0-0123abcd"])

    def step(self, tokens: list[list[int]]) -> list[list[int]]:
        batch = self.input_batch
        for row, more in enumerate(tokens):
            batch.append(row, more)
        lengths: Any = batch.num_tokens_no_spec
        return self.proposer.propose(tokens, lengths, batch.token_ids_cpu, slot_mappings=None)


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    known = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: "0.32.0+cpu" if name == "vllm" else known(name))
    monkeypatch.setenv("PICOSPEC_MAILBOX", "tcp:127.0.0.1:0")
    monkeypatch.setenv("PICOSPEC_SECRET", SECRET)


def test_offers_of_a_gateway_reach_the_row_of_their_request_alone() -> None:
    runner = GPUModelRunner(config())
    assert runner.proposer._mailbox is not None
    gateway = Gateway(runner.proposer._mailbox.bound, SECRET)
    prompt = list(range(50))
    gateway.begin(3, "aaaa")
    gateway.offer_after(3, prompt, range(100, 120))
    gateway.statistics()
    runner.input_batch.set(0, prompt)
    runner.input_batch.set(1, prompt)
    assert runner.step([[100], [100]]) == [[101, 102, 103, 104], []]
    assert gateway.statistics()["rows_by"] == "request id"
    runner.input_batch = Batch(ids=[])
    runner.input_batch.set(0, prompt)
    assert runner.step([[100]]) == [[]]
    found = gateway.statistics()
    assert (found["rows_by"], found["errors"], found["box"]["unbound"]) == ("content", {}, 1)
    gateway.statistics()
    assert gateway.unbound == 1
    runner.proposer.close()


def test_returns_plain_lists_whatever_vllm_gives() -> None:
    runner = GPUModelRunner(config())
    propose: Any = runner.proposer.propose
    assert propose([[1], []], None, None) == [[], []]
    assert propose([[1]], [5], "no array", later=1) == [[]]
    assert propose([], [], runner.input_batch.token_ids_cpu) == []
    assert sum(runner.proposer._counters.errors.values()) >= 2
    runner.proposer.close()


def test_random_rows_give_valid_drafts_seed_8() -> None:
    source = random.Random(8)
    runner = GPUModelRunner(config())
    for row in range(2):
        runner.input_batch.set(row, [source.randrange(5) for _ in range(20)])
    for _ in range(60):
        drafts = runner.step([[source.randrange(5) for _ in range(source.randrange(4))] for _ in range(2)])
        assert valid(drafts, 2, 8, VOCABULARY)
    assert runner.proposer._counters.errors == {}
    runner.proposer.close()


def test_tells_what_would_end_the_engine() -> None:
    import numpy as np  # noqa: PLC0415

    assert valid([[1, 2], []], 2, 2, 10)
    wrong: list[object] = [[[10]], [[-1]], [[1, 2, 3]], [[np.int32(1)]], [[True]], [np.array([1])], [(1,)], [], None]
    for each in wrong:
        assert not valid(each, 1, 2, 10), each


@pytest.mark.parametrize("rank", [1, 2])
def test_other_tensor_parallel_ranks_return_nothing_and_open_no_port(rank: int) -> None:
    runner = GPUModelRunner(config(tensor_parallel_size=3, rank=rank))
    assert runner.proposer._mailbox is None
    assert runner.step([[1, 2, 1, 2, 1], [1]]) == [[], []]


def test_refuses_pipeline_parallelism_with_the_reason() -> None:
    with pytest.raises(RuntimeError, match="pipeline parallelism"):
        Proposer(config(pipeline_parallel_size=2))


def test_without_a_secret_ngrams_go_on(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.delenv("PICOSPEC_SECRET")
    runner = GPUModelRunner(config())
    assert runner.proposer._mailbox is None
    assert "n-gram drafts alone: there is no secret" in caplog.text
    runner.input_batch.set(0, [1, 2, 3, 4, 5, 1, 2])
    assert runner.step([[3]])[0][:2] == [4, 5]


@pytest.mark.parametrize("version", ["0.31.0", "0.32.0+cpu", "0.33.1"])
def test_supports_the_versions_that_were_tested(version: str) -> None:
    assert versions.refusal(version) is None


@pytest.mark.parametrize("version", ["0.30.2", "0.34.0", "1.0", "main"])
def test_refuses_other_versions(version: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "version", lambda name: version)
    with pytest.raises(RuntimeError, match=r"supports vLLM 0\.31 to 0\.33"):
        Proposer(config())
