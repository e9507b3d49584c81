"""The plugin that leaves vLLM's faults on CPU as they are: a control, which the test of frequencies has to catch."""

from picospec_vllm.proposer import Proposer


class Unmended(Proposer):
    def _mend(self, shape):
        return []
