#pragma once
#include <cstddef>

namespace warpdice::cpu {

/// Asks the system to use huge pages for memory that nobody has touched yet, when its setting is "madvise". A pass over
/// many classes reads from as many pages at once, so fewer pages help; the first touch faults 512 times less often.
void prefer_huge_pages(void* data, size_t size_bytes);

}  // namespace warpdice::cpu
