#pragma once
// What native code throws. native/node turns it into a JavaScript WarpDiceError.
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

}  // namespace warpdice
