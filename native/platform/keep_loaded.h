#pragma once

namespace warpdice {

/// Keeps the addon in memory until the process ends: a worker that ends unloads it otherwise, under the threads of the
/// pool. On Linux the linker's nodelete does this.
void keep_loaded();

}  // namespace warpdice
