#pragma once
// What the files of runtime_test share.
#include <cstdio>
#include <string>

#include "math/error.h"

namespace checks {

inline int failures = 0, count = 0;

inline void expect(bool condition, const char* what) {
  count++;
  if (condition) return;
  failures++;
  std::printf("failed: %s\n", what);
}

/// The Error that `body` throws, as "code: message"; empty if it throws none.
template <class Body>
std::string error_of(Body body) {
  try {
    body();
  } catch (const warpdice::Error& error) {
    return std::string(error.code()) + ": " + error.what();
  }
  return "";
}

void streams(bool pools);
void transfers();
void launches();

}  // namespace checks
