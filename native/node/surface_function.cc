#include "node/surface_function.h"

#include "cpu/one_ignored.h"
#include "node/async_array.h"
#include "node/surface_arguments.h"

namespace warpdice {
namespace {

void measure(const BoundSurfaces& bound) {
  cpu::SurfaceInputs inputs = bound.inputs();
  const cpu::OneIgnored target(inputs.count.in);
  cpu::measure_surfaces(inputs, static_cast<double*>(bound.rows.memory.data));
}

/// Keeps the arrays alive: shared memory is used where it is.
class SurfaceWork : public AsyncWork {
 public:
  SurfaceWork(const Napi::CallbackInfo& info, const BoundSurfaces& bound, AsyncQueue& queue)
      : bound_(bound), held_(queue, copied_bytes(bound)), kept_(Napi::Persistent(Napi::Object::New(info.Env()))) {
    copies_[0].take(bound_.count.predictions, true);
    copies_[1].take(bound_.count.target, true);
    bound_.count.connect();
    Napi::Object kept = kept_.Value();
    for (uint32_t i = 0; i < info.Length(); i++) {
      if (info[i].IsTypedArray()) kept.Set(i, info[i]);
    }
  }

 private:
  static size_t copied_bytes(const BoundSurfaces& bound) {
    return OwnCopy::bytes_of(bound.count.predictions) + OwnCopy::bytes_of(bound.count.target);
  }

  void compute() override {
    measure(bound_);
    for (OwnCopy& copy : copies_) held_.let_go(copy.free());
  }

  void deliver(Napi::Env) override {}  // the rows are in shared memory

  BoundSurfaces bound_;
  HeldBytes held_;
  OwnCopy copies_[2];
  Napi::ObjectReference kept_;
};

}  // namespace

Napi::Value measure_surfaces(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    measure(BoundSurfaces(info));
    return info.Env().Undefined();
  });
}

Napi::Value measure_surfaces_async(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&] {
    auto& queue = *static_cast<AsyncQueue*>(info.Data());
    const BoundSurfaces bound(info);
    const auto make = [&] { return std::make_unique<SurfaceWork>(info, bound, queue); };
    return Napi::Value(info.Env(), queue.start(make));
  });
}

}  // namespace warpdice
