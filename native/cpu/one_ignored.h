#pragma once
#include "cpu/memory/workspace.h"
#include "math/types.h"

namespace warpdice::cpu {

/// While it lives, the inputs have one label to ignore: where their target may hold several, it is a copy in which all
/// are the same. The copy takes the memory of the labels once more.
class OneIgnored {
 public:
  explicit OneIgnored(Inputs& in);
  OneIgnored(const OneIgnored&) = delete;
  OneIgnored& operator=(const OneIgnored&) = delete;
  ~OneIgnored();
};

}  // namespace warpdice::cpu
