#pragma once
#include <algorithm>
#include <cstdlib>

namespace warpdice::cpu {

/// The integer in an environment variable: from 1, and `most` where it is larger. `missing` when there is none.
inline long integer_setting(const char* name, long most, long missing) {
  const char* text = std::getenv(name);
  if (!text) return missing;
  char* end = nullptr;
  const long value = std::strtol(text, &end, 10);
  return end == text || *end != '\0' || value < 1 ? missing : std::min(value, most);
}

}  // namespace warpdice::cpu
