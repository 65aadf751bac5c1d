#pragma once
// The meaning of a label: a class, no class, or a voxel to ignore.
#include <type_traits>

#include "math/types.h"

namespace warpdice {

/// The label of class 0. With one class a label is a 0/1 mask: label 1 is class 0, and label 0 is no class.
WARPDICE_ALWAYS_INLINE int64_t label_base(const Inputs& in) { return in.classes == 1 ? 1 : 0; }

/// Labels from 0 up to here, exclusive, are valid.
WARPDICE_ALWAYS_INLINE int64_t label_end(const Inputs& in) { return in.classes + label_base(in); }

/// Whether a label of this type can have the ignore index.
template <class Label>
WARPDICE_ALWAYS_INLINE bool may_ignore(const Inputs& in) {
  return in.has_ignore && static_cast<int64_t>(static_cast<Label>(in.ignore_index)) == in.ignore_index;
}

/// Reads labels of one type. An ignored label is neither a class nor a fault, even when the ignore index is a class.
template <class Label>
class LabelRule {
 public:
  /// The type in which labels are compared: 32 bits if that holds them, because 64 bits would take more registers in
  /// the CUDA kernels.
  using Wide = std::conditional_t<sizeof(Label) == 8, int64_t, int32_t>;

  WARPDICE_ALWAYS_INLINE explicit LabelRule(const Inputs& in)
      : base_(static_cast<Wide>(label_base(in))),
        end_(label_end(in) < kMax ? static_cast<Wide>(label_end(in)) : kMax),
        ignored_(static_cast<Wide>(in.ignore_index)),
        ignores_(may_ignore<Label>(in)) {}

  /// The values of a dense target of integers, which are 0 or 1.
  static WARPDICE_ALWAYS_INLINE LabelRule of_mask(const Inputs& in) {
    LabelRule rule(in);
    rule.base_ = 0;
    rule.end_ = 2;
    return rule;
  }

  WARPDICE_ALWAYS_INLINE bool is_ignored(Label label) const { return ignores_ && static_cast<Wide>(label) == ignored_; }

  /// Whether the label is a class, or the 0 of a mask. Ask is_ignored() first.
  WARPDICE_ALWAYS_INLINE bool is_valid(Label label) const {
    return static_cast<Wide>(label) >= 0 && static_cast<Wide>(label) < end_;
  }

  WARPDICE_ALWAYS_INLINE bool is_fault(Label label) const { return !is_valid(label) && !is_ignored(label); }

  /// The class of a valid label; -1 for the 0 of a mask.
  WARPDICE_ALWAYS_INLINE int32_t class_of(Label label) const {
    return static_cast<int32_t>(label) - static_cast<int32_t>(base_);
  }

  /// Every label below it is valid, if it is not negative.
  WARPDICE_ALWAYS_INLINE Wide end() const { return end_; }

 private:
  static constexpr Wide kMax = sizeof(Wide) == 8 ? static_cast<Wide>(INT64_MAX) : static_cast<Wide>(INT32_MAX);

  Wide base_, end_, ignored_;
  bool ignores_;
};

}  // namespace warpdice
