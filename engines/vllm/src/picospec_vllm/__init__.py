"""PicoSpec's plugin for vLLM: drafts from outside, into an unmodified vLLM, through its custom proposer."""

from .proposer import Proposer

__all__ = ["Proposer"]
