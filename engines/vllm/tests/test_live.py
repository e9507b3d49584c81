"""A real vLLM with the plugin: the same text whatever is offered, and drafts that are used.

PICOSPEC_TEST_VLLM as in test_contract.py: one server is started for each version; float32 and
temperature 0, where texts of different batch shapes are equal.
"""

from __future__ import annotations

import json
import os
import random
import secrets
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway import Gateway, complete, prefix_hashes

NAMED = [path for path in os.environ.get("PICOSPEC_TEST_VLLM", "").split(":") if path]
pytestmark = [pytest.mark.vllm, pytest.mark.skipif(not NAMED, reason="PICOSPEC_TEST_VLLM is not set")]
SECRET = "a secret of the tests, long enough"
TOKENS = 48
START_S = 240
#: Text whose answer repeats nothing, so that n-gram drafts are few.
QUESTION = "Explain why the sky is blue."


@dataclass
class Server:
    port: int
    mailbox: str
    prompt: list[int]
    truth: list[int]


@pytest.fixture(params=NAMED or ["none"], scope="module")
def server(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    named: Any = json.loads(Path(request.param).read_text())
    folder = tmp_path_factory.mktemp("vllm")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    mailbox = f"unix:{folder}/m.sock"
    speculation = {"method": "custom_class", "model": "picospec_vllm.Proposer", "num_speculative_tokens": 8}
    settings = {"PICOSPEC_MAILBOX": mailbox, "PICOSPEC_SECRET": SECRET}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [*named["serve"], "--port", str(port), "--speculative-config", json.dumps(speculation)],
            env={**os.environ, **named["environment"], **settings},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        until = time.monotonic() + START_S
        while not is_up(port):
            assert process.poll() is None, (folder / "log").read_text()[-3000:]
            assert time.monotonic() < until, "vLLM was not up in time"
            time.sleep(1)
        prompt = tokens_of(port, QUESTION)
        yield Server(port, mailbox, prompt, complete(port, prompt, TOKENS)[0])
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)


def is_up(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=2):
            return True
    except OSError:
        return False


def tokens_of(port: int, question: str) -> list[int]:
    body = {"model": "smollm2", "messages": [{"role": "user", "content": question}], "add_generation_prompt": True}
    asked = urllib.request.Request(
        f"http://127.0.0.1:{port}/tokenize", json.dumps(body).encode(), {"content-type": "application/json"}
    )
    with urllib.request.urlopen(asked, timeout=20) as answer:  # noqa: S310
        found: list[int] = json.load(answer)["tokens"]
    return found


def drafted(server: Server, drafts: Callable[[int], list[int]]) -> tuple[list[int], int, dict[str, Any]]:
    """An answer while drafts are offered after each chunk. @returns its tokens, its chunks, and the statistics"""
    gateway = Gateway(server.mailbox, SECRET)
    request_id = secrets.token_hex(16)
    hashes = prefix_hashes(server.prompt + server.truth, gateway.ready.key)
    gateway.begin(1, request_id)

    def offer(tokens: list[int]) -> None:
        base = len(server.prompt) + len(tokens)
        if drafts(len(tokens)):
            gateway.offer(1, base, hashes[base], drafts(len(tokens)))

    offer([])
    tokens, _, chunks = complete(server.port, server.prompt, TOKENS, offer, request_id=request_id)
    statistics = gateway.statistics()
    gateway.close()
    return tokens, chunks, statistics


def test_right_drafts_give_the_same_text_in_few_steps(server: Server) -> None:
    tokens, chunks, statistics = drafted(server, lambda at: server.truth[at : at + 24])
    assert tokens == server.truth
    assert chunks < TOKENS / 3
    assert statistics["rows_by"] == "request id"
    assert statistics["sessions"]["1"]["accepted"] > TOKENS / 2


def test_wrong_and_random_drafts_give_the_same_text_seed_9(server: Server) -> None:
    source = random.Random(9)
    truth = server.truth
    # One that is right first, so that the row is still there when the offer arrives.
    wrong = drafted(server, lambda at: truth[at : at + 2] + [(token + 7) % 40000 for token in truth[at + 2 : at + 20]])
    some = drafted(server, lambda at: [source.randrange(49152) for _ in range(24)])
    for tokens, _, statistics in (wrong, some):
        assert tokens == truth
        assert statistics["errors"] == {}
    assert wrong[2]["sessions"]["1"]["proposed"] > 0


def test_a_session_does_not_speed_up_another_request_with_the_same_prompt(server: Server) -> None:
    gateway = Gateway(server.mailbox, SECRET)
    gateway.begin(1, secrets.token_hex(16))
    for at in range(0, TOKENS, 2):
        gateway.offer_after(1, server.prompt + server.truth[:at], server.truth[at : at + 24])
    before = gateway.statistics()["offers"]["found"]
    tokens, _, chunks = complete(server.port, server.prompt, TOKENS)
    assert tokens == server.truth
    assert gateway.statistics()["offers"]["found"] == before
    assert chunks > TOKENS / 2
    gateway.close()


def test_sampling_on_cpu_is_that_of_the_temperature_that_was_asked_for(server: Server) -> None:
    """top_k 1 leaves one token: with the faults of vLLM on CPU, the texts differ, or the engine ends."""
    tokens, _, statistics = drafted(server, lambda at: server.truth[at : at + 24])
    assert len(statistics["mends"]) > 0
    for settings in ({"top_k": 1}, {"top_k": 1, "top_p": 0.5}, {"top_p": 1e-6}):
        hot, _, _ = complete(server.port, server.prompt, TOKENS, None, temperature=1.5, **settings)
        assert hot == tokens, settings
