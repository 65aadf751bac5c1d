#pragma once
// Makes allocations of this addon fail, to try what it does without memory. The linker passes its calls of malloc and
// operator new through allocations.cc; V8 and Node have their own.
#include <cstdint>

namespace fake {

/// The `first`-th allocation from now on fails, and `lasting` also all after it. 0: none.
void fail_allocations(int64_t first, bool lasting);

/// How many there were since then.
int64_t allocations();

}  // namespace fake
