#pragma once
// What a head predicts: classes or probabilities.
#include <vector>

#include "math/call.h"

namespace warpdice {

struct Prediction {
  Call call;                     // its shape, features and head; `in` has the activation of probabilities
  std::vector<int64_t> classes;  // whose probabilities are wanted; empty: the class of the largest logit is
  void* out = nullptr;  // probabilities [N,classes,S] or [N,S,classes], float64 for float64 features, else float32
                        // classes [N,S]: the lowest at a tie; NaN is never the largest
  DType dtype = DType::uint8;  // of classes: uint8 or uint16
};

}  // namespace warpdice
