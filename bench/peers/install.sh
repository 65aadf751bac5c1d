#!/bin/sh
# Installs the peers of the benchmark that are no npm packages, on Debian or Ubuntu: PyTorch for the CPU, and an allocator
# that does not give freed tensors back to the system between two steps.
set -eu
as_root=
[ "$(id -u)" = 0 ] || as_root=sudo
$as_root apt-get install -y --no-install-recommends python3-torch libtcmalloc-minimal4
