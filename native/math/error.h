#pragma once
// What native code throws. The binding turns it into a JavaScript WarpDiceError; nothing below the
// binding knows JavaScript.
#include <cstdint>
#include <stdexcept>
#include <string>

namespace warpdice {

/// A fault with a code that callers can switch on, such as "ERR_OUT_OF_MEMORY".
class Error : public std::runtime_error {
 public:
  Error(const char* code, const std::string& message) : std::runtime_error(message), code_(code) {}
  const char* code() const { return code_; }

 private:
  const char* code_;  // a string literal
};

/// The target values that name no class (or, in an integer mask or one-hot target, are not 0 or 1).
struct LabelFault {
  int64_t count = 0;
  int64_t first_index = 0;  // flat index into the target
  int64_t first_value = 0;
};

}  // namespace warpdice
