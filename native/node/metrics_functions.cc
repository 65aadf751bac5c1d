// The functions `count` and `countAsync` of binding.d.ts.
#include "node/metrics_functions.h"

#include <algorithm>
#include <vector>

#include "cpu/counts.h"
#include "node/async_array.h"
#include "node/async_work.h"
#include "node/count_arguments.h"

namespace warpdice {
namespace {

void throw_faults(Napi::Env env, const CountFaults& faults) {
  const bool predictions = faults.predictions.count > 0;
  const LabelFault& fault = predictions ? faults.predictions : faults.target;
  if (fault.count == 0) return;
  Napi::Error error = label_error(env, fault);
  error.Value().Set("predictions", predictions);
  throw error;
}

class CountWork : public AsyncWork {
 public:
  explicit CountWork(const Napi::CallbackInfo& info) : bound_(info) {
    Array* inputs[] = {&bound_.predictions, &bound_.target, &bound_.weight};
    for (size_t i = 0; i < 3; i++) copies_[i].take(*inputs[i], true);
    bound_.connect();
    counts_.resize(bound_.counts.used_bytes / sizeof(double));
    Napi::Array kept = Napi::Array::New(info.Env());
    for (const size_t argument :
         {BoundCount::kCounts, BoundCount::kPredictions, BoundCount::kTarget, BoundCount::kWeight}) {
      kept.Set(kept.Length(), info[argument]);
    }
    arrays_ = Napi::Persistent(kept.As<Napi::Object>());
  }

 private:
  void execute() override { faults_ = cpu::count(bound_.inputs, counts_.data()); }

  void settle(Napi::Env env) override {
    throw_faults(env, faults_);
    const Memory to = memory_after(env, arrays_.Value().Get(uint32_t{0}), "counts", bound_.counts.used_bytes);
    std::copy(counts_.begin(), counts_.end(), static_cast<double*>(to.data));
  }

  BoundCount bound_;
  OwnCopy copies_[3];
  std::vector<double> counts_;
  Napi::ObjectReference arrays_;  // keeps shared memory alive
  CountFaults faults_;
};

}  // namespace

Napi::Value count_classes(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    const BoundCount bound(info);
    throw_faults(info.Env(), cpu::count(bound.inputs, static_cast<double*>(bound.counts.memory.data)));
    return info.Env().Undefined();
  });
}

Napi::Value count_classes_async(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    return Napi::Value(info.Env(), AsyncWork::start(info.Env(), std::make_unique<CountWork>(info)));
  });
}

}  // namespace warpdice
