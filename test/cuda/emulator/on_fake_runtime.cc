// Makes kernels part of the fake CUDA runtime: their launches go to its streams and graphs.
#include "fake.h"
#include "simt.h"

static const bool joined = [] {
  simt::executor = fake::launch;
  fake::bind_kernel = simt::bind;
  simt::loading = fake::load_kernel;
  return true;
}();
