// Runs all native tests. Prints one line per failure and exits with 1 if there is any.
#include "check.h"
#include "cpu/engine.h"

int main() {
  using namespace warpdice::test;
  const size_t cases = test_engine();
  test_strategy();
  test_run();
  test_finalize();
  test_counts();
  test_paths();
  test_pool();
  test_head();
  test_work_queue();
  test_mpi();
  std::printf("%s: %d checks, %zu cases of the engine, %d failed\n", warpdice::cpu::simd_target(), checks.load(), cases,
              failures.load());
  return failures == 0 ? 0 : 1;
}
