"""The class that vLLM loads: it reads the configuration, opens the mailbox, and keeps faults away from the engine."""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

from . import mends, versions, wire
from .hashing import key_from
from .limits import LIMITS, Limits
from .mailbox import Mailbox
from .offers import Box
from .request_ids import find_runner, request_ids
from .rows import TokenTable
from .settings import Settings, SettingsError, read
from .stepper import Stepper

log = logging.getLogger("vllm.picospec")

UNBOUND = "vLLM's request ids are not found, so offers for named requests are dropped: gateways get no drafts verified"


@dataclass(slots=True)
class ProposerCounters:
    #: Time of the engine's thread inside `propose`: processor time, and by the clock.
    propose_cpu_s: float = 0.0
    propose_s: float = 0.0
    slowest_cpu_s: float = 0.0
    steps_over_1ms_cpu: int = 0
    errors: dict[str, int] = field(default_factory=dict)
    invalid: int = 0


class Proposer:
    """vLLM's contract (0.31 to 0.33): the constructor gets the VllmConfig; `propose` gets what each row sampled and
    returns, for each row, a list of at most `num_speculative_tokens` ints below the vocabulary's size. Else it ends
    the engine.
    """

    def __init__(self, vllm_config: Any) -> None:
        shape = EngineShape.of(vllm_config)
        settings = read(os.environ, shape.data_rank, lambda path: Path(path).read_text("utf-8"))
        version = metadata.version("vllm")
        if not settings.any_version and (reason := versions.refusal(version)) is not None:
            raise RuntimeError(reason)
        if shape.pipeline_size > 1:
            raise RuntimeError(
                "picospec-vllm is not tested with pipeline parallelism, so it refuses it: use --tensor-parallel-size"
            )
        self._counters = ProposerCounters()
        self._version = version
        self._mends = self._mend(shape)
        self._stepper: Stepper | None = None
        self._mailbox: Mailbox | None = None
        if not shape.is_output_rank:
            # vLLM takes the drafts of the output rank alone.
            return
        self._runner = find_runner(sys._getframe(1))
        self._open(shape, settings, LIMITS)

    def _open(self, shape: EngineShape, settings: Settings, limits: Limits) -> None:
        key = key_from(int.from_bytes(os.urandom(8), "little"))
        box = Box(limits, shape.vocabulary, binds=self._runner is not None)
        self._box = box
        self._stepper = Stepper(
            box=box,
            key=key,
            most_drafts=shape.most_drafts,
            vocabulary=shape.vocabulary,
            limits=limits,
            ngrams=settings.ngram,
            adapt=settings.adapt,
            clock=time.perf_counter,
        )
        fallback = "n-gram drafts alone" if settings.ngram else "no drafts"
        if settings.address is None:
            log.warning("picospec: no mailbox, %s: %s", fallback, settings.why)
            return
        ready = wire.Ready(
            vocabulary=shape.vocabulary,
            most_drafts=shape.most_drafts,
            rank=shape.data_rank,
            ranks=shape.data_size,
            key=key,
            offer_tokens=limits.offer_tokens,
            sessions=limits.sessions,
            binds=box.binds,
        )
        try:
            self._mailbox = Mailbox(
                address=settings.address,
                secret=settings.secret,
                ready=ready,
                box=box,
                limits=limits,
                statistics=self.statistics,
                clock=time.perf_counter,
                random_bytes=os.urandom,
            )
        except SettingsError as error:
            log.warning("picospec: no mailbox, %s: %s", fallback, error)
            return
        self._mailbox.start()
        if box.binds:
            log.info("picospec: mailbox at %s, rows are known by request id", self._mailbox.bound)
        else:
            log.warning("picospec: mailbox at %s; %s", self._mailbox.bound, UNBOUND)

    def _mend(self, shape: EngineShape) -> list[str]:
        if not shape.on_cpu:
            return []
        try:
            mended = mends.mend_cpu()
        except Exception as error:  # noqa: BLE001 - vLLM runs on as it is without the plugin
            self._count("mend", error)
            return []
        for each in mended:
            log.warning("picospec: mended a fault of vLLM %s on CPU: %s", self._version, each)
        return mended

    def load_model(self, *args: object, **kwargs: object) -> None:
        """There is none; some of vLLM's runners call it without asking whether it is there."""

    def propose(
        self,
        sampled_token_ids: Sequence[Sequence[int]],
        num_tokens_no_spec: Sequence[int],
        token_ids_cpu: TokenTable,
        slot_mappings: object = None,
        **later: object,
    ) -> list[list[int]]:
        rows = len(sampled_token_ids)
        stepper = self._stepper
        if stepper is None:
            return [[] for _ in range(rows)]
        cpu, clock = time.thread_time(), time.perf_counter()
        try:
            ids = None
            if self._box.binds:
                ids = request_ids(self._runner, num_tokens_no_spec, token_ids_cpu, rows)
                if ids is None:
                    self._stop_binding()
            drafts = stepper.step(sampled_token_ids, num_tokens_no_spec, token_ids_cpu, ids)
            if not valid(drafts, rows, stepper.most_drafts, stepper.vocabulary):
                self._counters.invalid += 1
                drafts = [[] for _ in range(rows)]
        except Exception as error:  # noqa: BLE001 - an exception here would end the engine
            self._count("propose", error)
            drafts = [[] for _ in range(rows)]
        self._time(time.thread_time() - cpu, time.perf_counter() - clock)
        return drafts

    def _stop_binding(self) -> None:
        with self._box.lock:
            self._box.stop_binding()
        log.warning("picospec: %s", UNBOUND)

    def _count(self, where: str, error: Exception) -> None:
        name = f"{where}: {type(error).__name__}"
        errors = self._counters.errors
        if name not in errors and len(errors) < 32:
            log.exception("picospec: an error in %s; it is counted, and the engine goes on", where)
        if name in errors or len(errors) < 32:
            errors[name] = errors.get(name, 0) + 1

    def _time(self, cpu_s: float, took_s: float) -> None:
        counters = self._counters
        counters.propose_cpu_s += cpu_s
        counters.propose_s += took_s
        counters.slowest_cpu_s = max(counters.slowest_cpu_s, cpu_s)
        counters.steps_over_1ms_cpu += cpu_s > 0.001

    def statistics(self) -> dict[str, object]:
        """Plain values, for JSON. What became of single sessions is not in it: that is told to their gateway alone."""
        stepper, mailbox = self._stepper, self._mailbox
        found: dict[str, object] = {
            "version": metadata.version("picospec-vllm") if _is_installed() else "0.1.0",
            "vllm": self._version,
            "mends": self._mends,
            "threads": threading.active_count(),
            **asdict(self._counters),
        }
        if stepper is not None:
            found |= asdict(stepper.counters)
            found["rows_by"] = "request id" if self._box.binds else "content"
            found["followed"] = asdict(stepper.rows.counters)
            found["step_ms_by_tokens"] = stepper.cost.points()
            found["box"] = {**asdict(self._box.counters), "sessions_now": len(self._box)}
        if mailbox is not None:
            found["mailbox"] = asdict(mailbox.counters)
        return found

    def close(self) -> None:
        if self._mailbox is not None:
            self._mailbox.close()


@dataclass(frozen=True, slots=True)
class EngineShape:
    """What the plugin reads of VllmConfig."""

    most_drafts: int
    vocabulary: int
    is_output_rank: bool
    pipeline_size: int
    data_rank: int
    data_size: int
    on_cpu: bool

    @classmethod
    def of(cls, config: Any) -> EngineShape:
        parallel = config.parallel_config
        tensor_size = int(parallel.tensor_parallel_size)
        return cls(
            most_drafts=int(config.speculative_config.num_speculative_tokens),
            vocabulary=int(config.model_config.get_vocab_size()),
            is_output_rank=int(parallel.rank) % tensor_size == 0,
            pipeline_size=int(parallel.pipeline_parallel_size),
            data_rank=int(parallel.data_parallel_index),
            data_size=int(parallel.data_parallel_size),
            on_cpu=str(getattr(config.device_config, "device_type", "")) == "cpu",
        )


def valid(drafts: object, rows: int, most: int, vocabulary: int) -> bool:
    """Whether vLLM can take it: NumPy rows, a token out of the vocabulary or a draft too many would end its engine."""
    return (
        type(drafts) is list
        and len(drafts) == rows
        and all(
            type(row) is list
            and len(row) <= most
            and all(type(token) is int and 0 <= token < vocabulary for token in row)
            for row in drafts
        )
    )


def _is_installed() -> bool:
    try:
        metadata.version("picospec-vllm")
    except metadata.PackageNotFoundError:
        return False
    return True
