// A call that runs on a pool thread of Node's.
#include "async_call.h"

#include <cstdlib>
#include <cstring>

#include "async_work.h"

namespace warpdice {
namespace {

/// Memory that JavaScript could detach meanwhile is copied: inputs before, outputs after. Shared memory is used where
/// it is, and referenced until the call is done.
class AsyncCall : public AsyncWork {
 public:
  AsyncCall(const BoundCall& bound, const Napi::CallbackInfo& info) : bound_(bound) {
    take_copies();
    Napi::Array kept = Napi::Array::New(info.Env(), aCount);
    for (size_t i = 0; i < aCount; i++) {
      if (bound.arrays[i].memory.data) kept.Set(static_cast<uint32_t>(i), info[kArrayArguments[i]]);
    }
    arrays_ = Napi::Persistent(kept.As<Napi::Object>());
  }

 private:
  void take_copies() {
    for (size_t i = 0; i < aCount; i++) {
      Array& array = bound_.arrays[i];
      if (!array.memory.data || array.memory.shared) continue;
      copies_[i].reset(static_cast<char*>(std::malloc(array.used_bytes)));
      if (!copies_[i]) throw std::bad_alloc();
      const bool read = !array.output || ((i == aGrad || i == aTargetGrad) && bound_.call.grad.accumulate);
      if (read) cpu::copy(copies_[i].get(), array.memory.data, array.used_bytes, false);
      array.memory.data = copies_[i].get();
    }
    bound_.connect();
  }

  void execute() override { faults_ = warpdice::run(bound_.call); }

  void settle(Napi::Env env) override {
    if (faults_.count > 0) throw label_error(env, faults_);
    hand_over(env);
  }

  /// Copies the results to where the caller wants them, if that is still there.
  void hand_over(Napi::Env env) {
    std::array<Memory, aCount> to;
    for (size_t i = 0; i < aCount; i++) {
      const Array& array = bound_.arrays[i];
      if (!array.output || !copies_[i]) continue;
      to[i] = memory_of(env, arrays_.Value().Get(static_cast<uint32_t>(i)), kArrayNames[i]);
      if (to[i].size_bytes < array.used_bytes) {
        throw Napi::TypeError::New(env, std::string("Expected ") + kArrayNames[i] +
                                            " to keep its memory during the call but it was detached or shrunk");
      }
    }
    for (size_t i = 0; i < aCount; i++) {
      if (to[i].data) cpu::copy(to[i].data, copies_[i].get(), bound_.arrays[i].used_bytes, false);
    }
  }

  struct Free {
    void operator()(char* memory) const { std::free(memory); }
  };

  BoundCall bound_;
  std::array<std::unique_ptr<char, Free>, aCount> copies_;
  Napi::ObjectReference arrays_;
  LabelFault faults_;
};

}  // namespace

napi_value start_async(const BoundCall& bound, const Napi::CallbackInfo& info) {
  return AsyncWork::start(info.Env(), std::make_unique<AsyncCall>(bound, info));
}

}  // namespace warpdice
