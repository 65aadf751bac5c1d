// The class `Loss` of binding.d.ts.
#include "node/loss_class.h"

#include "node/async_call.h"
#include "node/run_call.h"

namespace warpdice {
namespace {

class NativeLoss : public Napi::ObjectWrap<NativeLoss> {
 public:
  explicit NativeLoss(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<NativeLoss>(info), async_(*static_cast<AsyncQueue*>(info.Data())) {
    Napi::Env env = info.Env();
    guarded(env, [&] {
      if (info.Length() != 1 || !info[0].IsObject()) throw Napi::TypeError::New(env, "Expected an object of options");
      setup_ = std::make_shared<const LossSetup>(env, info[0].As<Napi::Object>());
    });
  }

  Napi::Value run(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
      const BoundCall bound(setup_, info);
      const LabelFault fault = run_call(bound);
      if (fault.count > 0) throw label_error(info.Env(), fault);
      return info.Env().Undefined();
    });
  }

  Napi::Value check(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
      const BoundCall checked(setup_, info);
      return info.Env().Undefined();
    });
  }

  Napi::Value run_async(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
      const auto make = [&] { return make_async_call(async_, BoundCall(setup_, info), info); };
      return Napi::Value(info.Env(), async_.start(make));
    });
  }

 private:
  AsyncQueue& async_;
  std::shared_ptr<const LossSetup> setup_;
};

}  // namespace

Napi::Function make_loss_class(Napi::Env env, AsyncQueue& async) {
  return NativeLoss::DefineClass(
      env, "Loss",
      {NativeLoss::InstanceMethod<&NativeLoss::run>("run"), NativeLoss::InstanceMethod<&NativeLoss::check>("check"),
       NativeLoss::InstanceMethod<&NativeLoss::run_async>("runAsync")},
      &async);
}

}  // namespace warpdice
