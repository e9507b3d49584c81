"""The versions of vLLM whose contract of `propose` this package was read and tested against."""

from __future__ import annotations

import re

OLDEST = (0, 31)
#: The first that is not supported.
BEYOND = (0, 34)


def refusal(version: str) -> str | None:
    """Why a version is not supported, or None where it is."""
    match = re.match(r"(\d+)\.(\d+)", version)
    if match is not None and OLDEST <= (int(match[1]), int(match[2])) < BEYOND:
        return None
    supported = f"{OLDEST[0]}.{OLDEST[1]} to {BEYOND[0]}.{BEYOND[1] - 1}"
    return (
        f"picospec-vllm supports vLLM {supported}, and this is {version}: the interface of proposers may change. "
        "Install a supported one, or set PICOSPEC_ANY_VLLM=on at your own risk"
    )
