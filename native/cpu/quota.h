#pragma once
#include <string>

namespace warpdice::cpu {

/// How many processors the quotas of this process's control groups (cgroups) are worth, rounded up and at least 1; 0
/// without a quota. A container has one when it was started with `docker run --cpus` or limits.cpu of Kubernetes.
/// root: where the file system begins, "" outside of tests.
int quota_processors(const std::string& root);

}  // namespace warpdice::cpu
