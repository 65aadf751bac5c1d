// The functions of the emulator that kernels_test.cc and count_test.cc call, for a real GPU: the conversions of
// half-precision numbers are CUDA's, and the GPU orders the threads.
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include "../emulator/simt.h"

namespace simt {

Config& config() {
  static Config only;
  return only;
}

const std::string& last_fault() {
  static std::string words;
  words = cudaGetErrorString(cudaGetLastError());
  return words;
}

float half_to_float(uint16_t bits) { return __half2float(__half(__half_raw{bits})); }
uint16_t float_to_half(float x) { return __half_raw(__float2half_rn(x)).x; }
float bfloat16_to_float(uint16_t bits) { return __bfloat162float(__nv_bfloat16(__nv_bfloat16_raw{bits})); }
uint16_t float_to_bfloat16(float x) { return __nv_bfloat16_raw(__float2bfloat16_rn(x)).x; }

}  // namespace simt
