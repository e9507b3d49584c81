#!/usr/bin/env bash
# PyTorch for the recipe, on Debian 12 or Ubuntu; does nothing where it is there.
set -euo pipefail
if /usr/bin/python3 -c "import torch, numpy" 2>/dev/null; then exit 0; fi
as_root=$([ "$(id -u)" -eq 0 ] || echo sudo)
$as_root apt-get update -qq -o Acquire::Retries=3
$as_root env DEBIAN_FRONTEND=noninteractive apt-get install -qq -o Acquire::Retries=3 --no-install-recommends \
  python3-torch python3-numpy libopenblas0-pthread >/dev/null
