// Which of the compiled SIMD targets this process runs.
#include <cstdlib>
#include <string>

#include "cpu/engine.h"
#include "cpu/kernels/kernels.h"

#if defined(WARPDICE_X86)
#include <cpuid.h>
#endif

namespace warpdice::cpu {

#if defined(WARPDICE_X86)
namespace baseline {
extern const Kernels kernels;
}
#if defined(WARPDICE_AVX2)
namespace avx2 {
extern const Kernels kernels;
}
#endif
#if defined(WARPDICE_AVX512)
namespace avx512 {
extern const Kernels kernels;
}
#endif
#else
namespace neon {
extern const Kernels kernels;
}
#endif

namespace {

#if defined(WARPDICE_X86)
struct Features {
  bool avx2 = false, avx512 = false;
};

/// What the processor has and the system saves. Not __builtin_cpu_supports: it answers from the compiler's runtime, and
/// that of Zig says no to everything.
Features features() {
  unsigned a, b, c, d;
  if (!__get_cpuid(1, &a, &b, &c, &d) || !(c & bit_OSXSAVE)) return {};
  const bool fma = c & bit_FMA, half = c & bit_F16C;
  unsigned saved, high;
  asm volatile("xgetbv" : "=a"(saved), "=d"(high) : "c"(0));
  constexpr unsigned kVectors = 0x06, kVectors512 = 0xe6;  // bits of XCR0
  if ((saved & kVectors) != kVectors || !__get_cpuid_count(7, 0, &a, &b, &c, &d)) return {};
  constexpr unsigned kAvx512 = bit_AVX512F | bit_AVX512BW | bit_AVX512DQ | bit_AVX512VL;
  Features found;
  found.avx2 = (b & bit_AVX2) && fma && half;
  found.avx512 = found.avx2 && (saved & kVectors512) == kVectors512 && (b & kAvx512) == kAvx512;
  return found;
}
#endif

/// The best compiled target that this CPU runs, or the one that WARPDICE_SIMD names if it can.
const Kernels& choose_kernels() {
#if defined(WARPDICE_X86)
  [[maybe_unused]] const Features has = features();
  const char* forced = std::getenv("WARPDICE_SIMD");
  const std::string name = forced ? forced : "";
  if (name == "baseline") return baseline::kernels;
#if defined(WARPDICE_AVX512)
  if (has.avx512 && name != "avx2") return avx512::kernels;
#endif
#if defined(WARPDICE_AVX2)
  if (has.avx2) return avx2::kernels;
#endif
  return baseline::kernels;
#else
  return neon::kernels;
#endif
}

/// All that are compiled, the longest vectors first. A processor that runs one runs those after it.
const Kernels* const kCompiled[] = {
#if defined(WARPDICE_X86)
#if defined(WARPDICE_AVX512)
    &avx512::kernels,
#endif
#if defined(WARPDICE_AVX2)
    &avx2::kernels,
#endif
    &baseline::kernels,
#else
    &neon::kernels,
#endif
};

}  // namespace

const Kernels& kernels() {
  static const Kernels& chosen = choose_kernels();
  return chosen;
}

const Kernels* shorter_vectors(const Kernels& than) {
  for (const Kernels* target : kCompiled) {
    if (target->vector_bytes < than.vector_bytes) return target;
  }
  return nullptr;
}

const char* simd_target() { return kernels().name; }

}  // namespace warpdice::cpu
