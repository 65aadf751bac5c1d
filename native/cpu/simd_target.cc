// Which of the compiled SIMD targets this process runs.
#include <cstdlib>
#include <string>

#include "cpu/engine.h"
#include "cpu/kernels/kernels.h"

namespace warpdice::cpu {

#if defined(WARPDICE_X86)
namespace baseline {
extern const Kernels kernels;
}
namespace avx2 {
extern const Kernels kernels;
}
namespace avx512 {
extern const Kernels kernels;
}
#else
namespace neon {
extern const Kernels kernels;
}
#endif

namespace {

/// The best target that this CPU runs, or the one that WARPDICE_SIMD names if it can.
const Kernels& choose_kernels() {
#if defined(WARPDICE_X86)
  __builtin_cpu_init();
  // Clang 14 has no name for F16C here; every CPU with AVX2 has it.
  const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  const bool has_avx512 = has_avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                          __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  const char* forced = std::getenv("WARPDICE_SIMD");
  const std::string name = forced ? forced : "";
  if (name == "baseline") return baseline::kernels;
  if (name == "avx2" && has_avx2) return avx2::kernels;
  if (has_avx512 && name != "avx2") return avx512::kernels;
  return has_avx2 ? avx2::kernels : baseline::kernels;
#else
  return neon::kernels;
#endif
}

}  // namespace

const Kernels& kernels() {
  static const Kernels& chosen = choose_kernels();
  return chosen;
}

const char* simd_target() { return kernels().name; }

}  // namespace warpdice::cpu
