#pragma once
// What simt.cc tells ThreadSanitizer and AddressSanitizer about its fibers. run.mjs defines which of them checks the
// kernels (SIMT_TSAN, SIMT_ASAN). simt.cc itself is not instrumented, because it jumps between stacks.
//
// To ThreadSanitizer every thread of a block is a thread of its own: only what orders two accesses on a GPU orders them
// here. A shuffle does not.
#include <cstddef>

#ifdef SIMT_TSAN

#include <sanitizer/tsan_interface.h>

namespace simt {

constexpr bool kLooksForRaces = true;
inline void* new_fiber() { return __tsan_create_fiber(0); }
inline void* this_fiber() { return __tsan_get_current_fiber(); }
inline void enter_fiber(void* fiber) { __tsan_switch_to_fiber(fiber, __tsan_switch_to_fiber_no_sync); }
/// Orders all accesses until now before those that follow an acquire() of the same address.
inline void release(void* address) { __tsan_release(address); }
inline void acquire(void* address) { __tsan_acquire(address); }

}  // namespace simt

#else

namespace simt {

constexpr bool kLooksForRaces = false;
inline void* new_fiber() { return nullptr; }
inline void* this_fiber() { return nullptr; }
inline void enter_fiber(void*) {}
inline void release(void*) {}
inline void acquire(void*) {}

}  // namespace simt

#endif

#ifdef SIMT_ASAN

#include <sanitizer/asan_interface.h>

namespace simt {
/// A thread that was stopped has left the guards of its variables on the stack.
inline void clear_stack(void* stack, size_t size_bytes) { __asan_unpoison_memory_region(stack, size_bytes); }
}  // namespace simt

#else

namespace simt {
inline void clear_stack(void*, size_t) {}
}  // namespace simt

#endif
