#!/bin/sh
# Installs the peers of the benchmark, on Debian or Ubuntu: PyTorch for the CPU, an allocator that does not give freed tensors back
# to the system between two steps, and the npm packages that warpdice itself does not need (TensorFlow.js and jax-js it has).
set -eu
cd "$(dirname "$0")"
as_root=
[ "$(id -u)" = 0 ] || as_root=sudo
$as_root apt-get update
$as_root apt-get install -y --no-install-recommends python3-torch libtcmalloc-minimal4
npm ci --omit=peer --legacy-peer-deps --no-audit --no-fund
