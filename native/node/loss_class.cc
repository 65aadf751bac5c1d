// The class `Loss` of binding.d.ts.
#include "node/loss_class.h"

#include "cpu/run.h"
#include "node/async_call.h"

namespace warpdice {
namespace {

class NativeLoss : public Napi::ObjectWrap<NativeLoss> {
 public:
  explicit NativeLoss(const Napi::CallbackInfo& info) : Napi::ObjectWrap<NativeLoss>(info) {
    Napi::Env env = info.Env();
    if (info.Length() != 1 || !info[0].IsObject()) throw Napi::TypeError::New(env, "Expected an object of options");
    setup_ = std::make_shared<const LossSetup>(env, info[0].As<Napi::Object>());
  }

  Napi::Value run(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
      const LabelFault fault = cpu::run(BoundCall(setup_, info).call);
      if (fault.count > 0) throw label_error(info.Env(), fault);
      return info.Env().Undefined();
    });
  }

  Napi::Value check(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
      BoundCall(setup_, info);
      return info.Env().Undefined();
    });
  }

  Napi::Value run_async(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] { return Napi::Value(info.Env(), start_async(BoundCall(setup_, info), info)); });
  }

 private:
  std::shared_ptr<const LossSetup> setup_;
};

}  // namespace

Napi::Function make_loss_class(Napi::Env env) {
  return NativeLoss::DefineClass(
      env, "Loss",
      {NativeLoss::InstanceMethod<&NativeLoss::run>("run"), NativeLoss::InstanceMethod<&NativeLoss::check>("check"),
       NativeLoss::InstanceMethod<&NativeLoss::run_async>("runAsync")});
}

}  // namespace warpdice
