// The classes DeviceLoss and DevicePlan of binding.d.ts. A call has the arguments of a call of the class Loss, with
// Buffers for arrays.
#include <map>

#include "cuda/plan.h"
#include "node/call_arguments.h"
#include "node/cuda/classes.h"
#include "node/cuda/environment.h"

namespace warpdice::device {
namespace {

/// float32 or float64.
DType to_factor_dtype(Napi::Env env, const Napi::Value& value) {
  const DType dtype = to_dtype(env, value);
  if (dtype == DType::float32 || dtype == DType::float64) return dtype;
  throw Napi::TypeError::New(env, "Expected float32 or float64 for gradScale and upstream");
}

/// float32, float64 or uint8.
DType to_pairs_dtype(Napi::Env env, const Napi::Value& value) {
  const DType dtype = to_dtype(env, value);
  return dtype == DType::uint8 ? dtype : to_factor_dtype(env, value);
}

/// A call that is ready to be enqueued, and the buffers that it writes.
struct PreparedCall {
  cuda::OwnedCall owned;
  std::vector<Span*> outputs;
  Origin origin;  // of its results, or of the statistics that it reads

  /// Call this once the call is enqueued: who reads its results then gets the faults.
  void publish() const {
    for (Span* output : outputs) output->origin = origin;
  }
};

/// A loss, with its constants on every device that has used it.
class LossOnDevices {
 public:
  explicit LossOnDevices(const Napi::CallbackInfo& info)
      : setup_(std::make_shared<const LossSetup>(info.Env(), info[0].As<Napi::Object>())) {
    if (info[1].IsUndefined()) return;
    communicator_ = unwrap<CommunicatorObject>(info.Env(), info[1], "communicator").communicator();
    signature_ = info[2].ToString();
  }

  /// The call that the arguments ask for. kept: that of a plan, whose memory it uses again; else it gets new memory.
  PreparedCall prepare(const Napi::CallbackInfo& info, const Origin& kept = {}) {
    Napi::Env env = info.Env();
    if (info.Length() != kArguments) throw Napi::TypeError::New(env, "Expected the arguments of binding.d.ts");
    const auto& stream = to_stream(info, kStream);
    const DType upstream = to_factor_dtype(env, info[kUpstreamType]);
    const DType pairs = to_pairs_dtype(env, info[kPairsType]);
    const BoundCall bound(setup_, info, memory_of_buffer, upstream, pairs);
    PreparedCall prepared;
    cuda::OwnedCall& owned = prepared.owned;
    static_cast<Call&>(owned.call) = bound.call;
    owned.call.upstream_dtype = upstream;
    owned.call.pairs_dtype = pairs;
    if (!info[kScaleBuffer].IsUndefined()) use_scale(info, bound, owned);
    use_constants(owned, stream);
    if (bound.call.steps & kStatistics) {
      auto& faults = prepared.origin.faults = kept.faults;
      if (!faults) faults = cuda::DeviceMemory::allocate(stream, sizeof(LabelFault));
      owned.call.faults = owned.keep<LabelFault>(faults, cuda::Access::write);
      if (communicator_ && bound.call.steps != kStatistics) use_ranks(owned, kept, prepared.origin, stream);
    }
    for (size_t i = 0; i < aCount; i++) {
      if (!bound.arrays[i].memory.data) continue;
      Span& span = unwrap<BufferObject>(env, info[kArrayArguments[i]], kArrayNames[i]).span();
      owned.uses.push_back({span.memory, bound.writes(i) ? cuda::Access::write : cuda::Access::read});
      if (bound.writes(i)) prepared.outputs.push_back(&span);
      else if (i == aStatistics) prepared.origin = span.origin;
    }
    return prepared;
  }

 private:
  /// The statistics are to be added up over the ranks, in memory that both halves of the call use.
  void use_ranks(cuda::OwnedCall& owned, const Origin& kept, Origin& origin,
                 const std::shared_ptr<cuda::Stream>& stream) const {
    origin.ranks = kept.ranks;
    if (!origin.ranks) {
      const int64_t groups = owned.call.groups(), classes = owned.call.in.classes;
      const std::string name = "allReduce of statistics [" + std::to_string(groups) + ", " + std::to_string(classes) +
                               ", " + std::to_string(kSumCount) + "] (" + signature_ + ")";
      origin.ranks = std::make_shared<const cuda::AllRanks>(communicator_, name, groups * classes * kSumCount, stream);
    }
    owned.keep<double>(origin.ranks->memory(), cuda::Access::write);
    owned.ranks = origin.ranks;
  }

  struct Constants {
    std::shared_ptr<cuda::DeviceMemory> class_weights, entropy_weights, positive_weight, focal_alpha, distances;
  };

  /// Adds the scalar on the device. No result may lie in its memory, because a plan reads it again.
  static void use_scale(const Napi::CallbackInfo& info, const BoundCall& bound, cuda::OwnedCall& owned) {
    Napi::Env env = info.Env();
    const DType dtype = to_factor_dtype(env, info[kScaleType]);
    const Array scale = bind_array(env, info[kScaleBuffer], "gradScale", dtype, size_of(dtype), memory_of_buffer);
    for (size_t i = 0; i < aCount; i++) {
      if (!bound.writes(i) || !overlap(bound.arrays[i], scale)) continue;
      throw Napi::RangeError::New(env, std::string("Expected memory of its own for ") + kArrayNames[i] +
                                           " but received an array that overlaps gradScale");
    }
    owned.call.device_scale = {scale.memory.data, dtype};
    const Span& span = unwrap<BufferObject>(env, info[kScaleBuffer], "gradScale").span();
    owned.uses.push_back({span.memory, cuda::Access::read});
  }

  void use_constants(cuda::OwnedCall& owned, const std::shared_ptr<cuda::Stream>& stream) {
    if (constants_.count(stream->device()) == 0) {
      const auto upload = [&](const std::vector<double>& numbers) { return cuda::upload_doubles(numbers, stream); };
      constants_[stream->device()] = {upload(setup_->class_weights), upload(setup_->entropy_weights),
                                      upload(setup_->positive_weight), upload(setup_->focal_alpha),
                                      upload(setup_->distances)};
    }
    const Constants& constants = constants_[stream->device()];
    const auto kept = [&](const std::shared_ptr<cuda::DeviceMemory>& numbers) -> const double* {
      return numbers ? owned.keep<double>(numbers, cuda::Access::read) : nullptr;  // never those on the host
    };
    owned.call.options.class_weights = kept(constants.class_weights);
    owned.call.options.entropy_weights = kept(constants.entropy_weights);
    owned.call.in.positive_weight.factors = kept(constants.positive_weight);
    owned.call.in.focal_alpha.factors = kept(constants.focal_alpha);
    owned.call.in.distances = kept(constants.distances);
    make_consistent(owned.call.in, owned.call.options);
  }

  const std::shared_ptr<const LossSetup> setup_;
  std::shared_ptr<nccl::Communicator> communicator_;  // of its hook; null: it has none on devices
  std::string signature_;
  std::map<int, Constants> constants_;
};

class DevicePlan : public Napi::ObjectWrap<DevicePlan> {
 public:
  struct Parts {
    std::shared_ptr<LossOnDevices> loss;
    Origin origin;
    std::unique_ptr<cuda::Plan> plan;
  };

  explicit DevicePlan(const Napi::CallbackInfo& info) : Napi::ObjectWrap<DevicePlan>(info) {
    if (!info[0].IsExternal()) throw Napi::TypeError::New(info.Env(), "Expected a plan to be made by a loss");
    parts_ = std::move(*info[0].As<Napi::External<Parts>>().Data());
  }

  /// bind(...arguments)
  void bind(const Napi::CallbackInfo& info) {
    guarded(info.Env(), [&] {
      live();  // throws before anything is prepared
      PreparedCall prepared = parts_.loss->prepare(info, parts_.origin);
      live().bind(std::move(prepared.owned), to_stream(info, kStream));
      prepared.publish();
    });
  }

  /// execute(stream)
  void execute(const Napi::CallbackInfo& info) {
    guarded(info.Env(), [&] { live().execute(to_stream(info, 0)); });
  }

  void dispose(const Napi::CallbackInfo&) { parts_ = {}; }

 private:
  cuda::Plan& live() {
    if (!parts_.plan) throw Error("ERR_DISPOSED", "Expected a live plan but received a disposed one");
    return *parts_.plan;
  }

  Parts parts_;
};

class DeviceLoss : public Napi::ObjectWrap<DeviceLoss> {
 public:
  explicit DeviceLoss(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<DeviceLoss>(info), loss_(std::make_shared<LossOnDevices>(info)) {}

  /// run(...arguments)
  void run(const Napi::CallbackInfo& info) {
    guarded(info.Env(), [&] {
      const PreparedCall prepared = loss_->prepare(info);
      cuda::run(prepared.owned, to_stream(info, kStream));
      prepared.publish();
    });
  }

  /// check(...arguments)
  void check(const Napi::CallbackInfo& info) {
    guarded(info.Env(), [&] { cuda::refuse_unsupported(loss_->prepare(info).owned.call); });
  }

  /// plan(...arguments)
  Napi::Value plan(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&]() -> Napi::Value {
      PreparedCall prepared = loss_->prepare(info);
      DevicePlan::Parts parts{loss_, prepared.origin, nullptr};
      parts.plan = std::make_unique<cuda::Plan>(std::move(prepared.owned), to_stream(info, kStream));
      prepared.publish();
      const auto external = Napi::External<DevicePlan::Parts>::New(info.Env(), &parts);
      return Environment::of(info.Env()).plan_class.New({external});
    });
  }

 private:
  std::shared_ptr<LossOnDevices> loss_;
};

}  // namespace

Napi::Function make_device_loss_class(Napi::Env env) {
  return DeviceLoss::DefineClass(
      env, "DeviceLoss",
      {DeviceLoss::InstanceMethod<&DeviceLoss::run>("run"), DeviceLoss::InstanceMethod<&DeviceLoss::check>("check"),
       DeviceLoss::InstanceMethod<&DeviceLoss::plan>("plan")});
}

Napi::Function make_device_plan_class(Napi::Env env) {
  return DevicePlan::DefineClass(env, "DevicePlan",
                                 {DevicePlan::InstanceMethod<&DevicePlan::bind>("bind"),
                                  DevicePlan::InstanceMethod<&DevicePlan::execute>("execute"),
                                  DevicePlan::InstanceMethod<&DevicePlan::dispose>("dispose")});
}

}  // namespace warpdice::device
