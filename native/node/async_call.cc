// A call of a loss that is computed on a thread of cpu::WorkQueue.
#include "node/async_call.h"

#include "cpu/engine.h"
#include "node/async_array.h"
#include "node/run_call.h"

namespace warpdice {
namespace {

/// Holds on to the arrays: shared memory is used where it is.
class AsyncCall : public AsyncWork {
 public:
  AsyncCall(AsyncQueue& queue, const BoundCall& bound, const Napi::CallbackInfo& info)
      : bound_(bound), held_(queue, copied_bytes()) {
    take_copies();
    Napi::Array kept = Napi::Array::New(info.Env(), aCount);
    for (size_t i = 0; i < aCount; i++) {
      if (bound.arrays[i].memory.data) kept.Set(static_cast<uint32_t>(i), info[kArrayArguments[i]]);
    }
    arrays_ = Napi::Persistent(kept.As<Napi::Object>());
  }

 private:
  size_t copied_bytes() const {
    size_t bytes = 0;
    for (const Array& array : bound_.arrays) bytes += OwnCopy::bytes_of(array);
    return bytes;
  }

  void take_copies() {
    for (size_t i = 0; i < aCount; i++) {
      const bool read = !bound_.writes(i) || bound_.accumulates(i);
      copies_[i].take(bound_.arrays[i], read);
    }
    bound_.connect();
  }

  void compute() override {
    faults_ = run_call(bound_);
    // JavaScript's thread may be long in coming, and takes only the results.
    for (size_t i = 0; i < aCount; i++) {
      if (!bound_.writes(i)) held_.let_go(copies_[i].free());
    }
  }

  void deliver(Napi::Env env) override {
    if (faults_.count > 0) throw label_error(env, faults_);
    hand_over(env);
  }

  /// Copies the results to where the caller wants them, or none.
  void hand_over(Napi::Env env) {
    std::array<Memory, aCount> to;
    for (size_t i = 0; i < aCount; i++) {
      if (!bound_.writes(i) || !copies_[i]) continue;
      const Napi::Value array = arrays_.Value().Get(static_cast<uint32_t>(i));
      to[i] = memory_after(env, array, kArrayNames[i], bound_.arrays[i].used_bytes);
    }
    for (size_t i = 0; i < aCount; i++) {
      if (to[i].data) cpu::copy(to[i].data, copies_[i].data(), bound_.arrays[i].used_bytes);
    }
  }

  BoundCall bound_;
  HeldBytes held_;
  std::array<OwnCopy, aCount> copies_;
  Napi::ObjectReference arrays_;
  LabelFault faults_;
};

}  // namespace

std::unique_ptr<AsyncWork> make_async_call(AsyncQueue& queue, const BoundCall& bound, const Napi::CallbackInfo& info) {
  return std::make_unique<AsyncCall>(queue, bound, info);
}

}  // namespace warpdice
