#pragma once
// How the CPU does a call: decided from the call's shape, options and dtypes before anything is computed.
#include "math/call.h"

namespace warpdice::cpu {

/// The properties of the CPU on which the decision depends.
struct Capabilities {
  int vector_bytes = 0;                     // of the SIMD target
  int64_t cache_bytes = int64_t{24} << 20;  // most of the last-level cache that a group of server cores shares
  int64_t sums_bytes = int64_t{16} << 20;   // scratch memory for the sums of a call and their slopes
};

struct Strategy {
  /// true: a few samples at a time go through all steps while the caches hold their predictions. false: each step takes
  /// the whole batch.
  bool fuses_steps = false;
  /// The labels are counted first: the first gradient needs the divisor of the mean, which follows from the counts.
  bool counts_labels = false;
  /// true: step 1 writes the probabilities to the gradient's memory, and step 3 reads them there. false: step 3
  /// computes them again.
  bool reuses_probabilities = false;
  /// Step 3 writes around the caches, where the array's alignment allows it.
  bool streams = false;
  /// Samples that go through the steps together: fewer than all when the steps are fused, or few are held.
  int64_t samples_at_once = 0;
  /// Samples whose sums are in memory at a time: fewer than all where those of all would exceed sums_bytes.
  int64_t samples_held = 0;
  /// What the means divide by is known before step 1.
  bool knows_totals = false;
  /// The sums of all samples are computed to see what they add up to, and then again, of a few samples at a time.
  bool sums_twice = false;
};

/// A call that fits the cache takes all samples at once and reuses probabilities. A larger one takes as many samples as
/// fill half the cache, computes probabilities twice and writes around the caches: reading them back would cost more,
/// except with narrow vectors, where computing them costs more.
Strategy choose_strategy(const Call& call, const Capabilities& capabilities);

}  // namespace warpdice::cpu
