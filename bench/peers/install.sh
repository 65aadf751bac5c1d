#!/bin/sh
# Installs what the peers of the benchmark need, on Debian or Ubuntu: an allocator that does not give freed tensors back to the system
# between two steps, a compiler for torch.compile, and the npm packages that warpdice itself does not need (TensorFlow.js and jax-js it
# has). PyTorch and the libraries come from PyPI, as for `npm run peers`: about 7 GB in a cache folder, once.
set -eu
cd "$(dirname "$0")"
as_root=
[ "$(id -u)" = 0 ] || as_root=sudo
$as_root apt-get update
$as_root apt-get install -y --no-install-recommends libtcmalloc-minimal4 g++ python3-venv python3-dev
npm ci --omit=peer --legacy-peer-deps --no-audit --no-fund
node -e "import('../../test/peers/environment.mjs').then((peers) => process.exit(peers.pythonWithPeers() ? 0 : 1))"
