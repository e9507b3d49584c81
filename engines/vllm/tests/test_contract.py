"""What this package relies on in vLLM, read in the sources of installed versions.

PICOSPEC_TEST_VLLM names files, separated by colons, each with what `node scripts/vllm-environment.mjs` printed for a
version.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from picospec_vllm import versions

NAMED = [path for path in os.environ.get("PICOSPEC_TEST_VLLM", "").split(":") if path]
pytestmark = [pytest.mark.vllm, pytest.mark.skipif(not NAMED, reason="PICOSPEC_TEST_VLLM is not set")]


@pytest.fixture(params=NAMED or ["none"], scope="module")
def environment(request: pytest.FixtureRequest) -> Any:
    found: Any = json.loads(Path(request.param).read_text())
    return found


@pytest.fixture(scope="module")
def root(environment: Any) -> Path:
    """Where the version's sources are: found without an import, which takes seconds."""
    overlays = environment["environment"]["PYTHONPATH"].split(":")[1:]
    python = Path(environment["python"])
    for place in [Path(each) for each in overlays] + sorted(
        (python.parent.parent / "lib").glob("python3*/site-packages")
    ):
        if (place / "vllm").is_dir():
            return place / "vllm"
    raise AssertionError("vLLM is not there")


def function(root: Path, path: str, name: str) -> ast.FunctionDef:
    tree = ast.parse((root / path).read_text())
    return next(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef) and node.name == name)


def test_is_a_supported_version(environment: Any) -> None:
    assert versions.refusal(environment["version"]) is None


def test_the_runner_calls_propose_with_its_own_arrays(root: Path) -> None:
    propose = function(root, "v1/worker/gpu_model_runner.py", "propose_draft_token_ids")
    calls = [ast.unparse(node) for node in ast.walk(propose) if isinstance(node, ast.Call)]
    expected = (
        "cast(Any, self.drafter).propose(sampled_token_ids, self.input_batch.num_tokens_no_spec, "
        "self.input_batch.token_ids_cpu, slot_mappings=slot_mappings)"
    )
    assert expected in calls


def test_the_runner_makes_the_proposer_while_it_is_made(root: Path) -> None:
    tree = ast.parse((root / "v1/worker/gpu_model_runner.py").read_text())
    runner = next(node for node in ast.walk(tree) if isinstance(node, ast.ClassDef) and node.name == "GPUModelRunner")
    made = next(node for node in runner.body if isinstance(node, ast.FunctionDef) and node.name == "__init__")
    assert "create_custom_proposer(self.vllm_config)" in ast.unparse(made)


def test_the_batch_tells_request_ids(root: Path) -> None:
    source = (root / "v1/worker/gpu_input_batch.py").read_text()
    assert "def req_ids(self) -> list[str]" in source


def test_vllm_adds_8_digits_to_the_apis_request_ids(root: Path) -> None:
    assert 'f"{request.external_req_id}-{random_uuid():.8}"' in (root / "v1/engine/input_processor.py").read_text()
    completion = next((root / "entrypoints/openai/completion").glob("serving.py")).read_text()
    assert 'f"cmpl-{self._base_request_id(raw_request, request.request_id)}"' in completion


def test_the_faults_on_cpu_are_mended(environment: Any) -> None:
    program = """
import torch
from picospec_vllm import mends
import vllm.v1.sample.rejection_sampler as sampler
print(mends.mend_cpu())
ends = torch.tensor([2, 2, 5], dtype=torch.int32)
print(sampler.expand_batch_to_tokens(torch.tensor([0.5, 9.0, 0.0]), ends, 5, 0, 1).tolist())
print(sampler.expand_batch_to_tokens(torch.tensor([5, 9, 7], dtype=torch.int32), ends, 5).tolist())
print(sampler.apply_top_k_top_p(torch.empty(0, 4), torch.empty(0, dtype=torch.int32), None).shape[0])
print(mends.mend_cpu())
"""
    found = subprocess.run(
        [environment["python"], "-c", program],
        env={**os.environ, **environment["environment"]},
        capture_output=True,
        text=True,
        timeout=200,
        check=True,
    )
    lines = found.stdout.strip().split("\n")[-5:]
    assert "sampling parameters" in lines[0]
    assert lines[1:] == ["[0.5, 0.5, 1.0, 1.0, 1.0]", "[5, 5, 7, 7, 7]", "0", "[]"]
