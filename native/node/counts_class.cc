// The class `Counts` of binding.d.ts: the counts of a data set. Calls off the event loop add to them on their own
// thread, so that nothing is added up on JavaScript's.
#include "node/counts_class.h"

#include "cpu/counts.h"
#include "cpu/head/count.h"
#include "cpu/one_ignored.h"
#include "node/async_array.h"
#include "node/async_queue.h"
#include "node/count_arguments.h"

namespace warpdice {
namespace {

/// Read and written under the mutex.
struct SharedCounts {
  std::mutex mutex;
  cpu::Counts counts;

  explicit SharedCounts(cpu::Counts empty) : counts(std::move(empty)) {}

  cpu::Counts empty() const { return cpu::Counts(counts.kind()); }

  /// Of their own, so that two counts can be added to each other on two threads, and to themselves.
  cpu::Counts copy() {
    std::lock_guard<std::mutex> lock(mutex);
    return counts;
  }

  void add(const cpu::Counts& more, const cpu::SampleNames& names) {
    std::lock_guard<std::mutex> lock(mutex);
    counts.add(more, names);
  }
};

/// What stopped a batch from being counted.
struct Refusal {
  CountFaults faults;
  bool one_hot = false;
};

void throw_refusal(Napi::Env env, const Refusal& refusal) {
  if (refusal.one_hot) throw Napi::Error(env, make_error(env, "ERR_ONE_HOT", "The label maps are one-hot masks"));
  const bool predictions = refusal.faults.predictions.count > 0;
  const LabelFault& fault = predictions ? refusal.faults.predictions : refusal.faults.target;
  if (fault.count == 0) return;
  throw label_error(env, fault, predictions ? "predictions" : "target");
}

/// Adds a batch, unless it is refused.
Refusal add_batch(SharedCounts& shared, const cpu::Counts& batch, const cpu::SampleNames& names,
                  const CountFaults& faults, bool may_be_one_hot) {
  const Refusal refusal{faults, may_be_one_hot && batch.looks_one_hot()};
  if (!faults.any() && !refusal.one_hot) shared.add(batch, names);
  return refusal;
}

Refusal count_batch(SharedCounts& shared, const BoundCount& bound) {
  cpu::Counts batch = shared.empty();
  CountInputs inputs = bound.inputs;
  const cpu::OneIgnored target(inputs.in);
  const CountFaults faults =
      bound.head.channels ? cpu::head::count(inputs, bound.head, batch) : cpu::count(inputs, batch);
  return add_batch(shared, batch, bound.names, faults, bound.may_be_one_hot);
}

/// What a device has counted: see NativeCounts.add.
struct DeviceCounts {
  static constexpr int64_t kFaultWords = 2 * sizeof(LabelFault) / sizeof(int64_t);

  Array words;
  int64_t samples = 0, parts = 1, stride = 0;  // as for Counts::from_parts
  bool may_be_one_hot = false;
  cpu::SampleNames names;

  DeviceCounts(const Napi::CallbackInfo& info, const cpu::Counts& like) {
    Napi::Env env = info.Env();
    samples = info[1].As<Napi::Number>().Int64Value();
    may_be_one_hot = info[2].ToBoolean();
    names = names_argument(info[3], samples);
    const cpu::CountKind& kind = like.kind();
    const bool by_part = kind.has_cells_of_samples();
    parts = by_part ? samples : kind.tables();
    stride = like.cells() / kind.tables() + kFaultWords;
    size_t bytes = bytes_of(env, {parts, stride}, sizeof(int64_t));
    if (kind.by_sample && !by_part) {
      bytes += bytes_of(env, {parts, samples, 4 * kind.classes}, sizeof(int64_t));
      stride += samples * 4 * kind.classes;
    }
    words = bind_array(env, info[0], "counts", DType::int64, bytes, memory_of);
  }

  Refusal add_to(SharedCounts& shared) const {
    const cpu::Counts like = shared.empty();
    const auto* numbers = static_cast<const int64_t*>(words.memory.data);
    CountFaults faults;
    for (int64_t part = 0; part < parts; part++) {
      const auto* found = reinterpret_cast<const LabelFault*>(numbers + (part + 1) * stride - kFaultWords);
      if (faults.any() && !like.kind().has_cells_of_samples()) break;  // each threshold finds the same
      faults.add({found[0], found[1]});
    }
    return add_batch(shared, like.from_parts(samples, numbers, stride), names, faults, may_be_one_hot);
  }
};

/// A list of numbers that are not NaN; none for undefined.
std::vector<double> thresholds_argument(const Napi::Value& value) {
  constexpr int64_t kMaxThresholds = 65536;
  std::vector<double> thresholds;
  if (value.IsUndefined()) return thresholds;
  const Napi::Array list = array_of(value, "thresholds", kMaxThresholds);
  for (uint32_t i = 0; i < list.Length(); i++) thresholds.push_back(list.Get(i).ToNumber().DoubleValue());
  return thresholds;
}

class CountsObject;

/// Tells V8 how much the counts have grown, and throws for a batch that was refused.
void settle_batch(Napi::Env env, CountsObject& object, const Refusal& refusal);

/// Keeps the counts and the arguments alive: shared memory is used where it is.
class CountsWork : public AsyncWork {
 public:
  CountsWork(const Napi::CallbackInfo& info, CountsObject& object, std::shared_ptr<SharedCounts> shared,
             AsyncQueue& queue, size_t copied_bytes)
      : object_(object),
        shared_(std::move(shared)),
        held_(queue, copied_bytes),
        kept_(Napi::Persistent(Napi::Object::New(info.Env()))) {
    Napi::Object kept = kept_.Value();
    kept.Set("this", info.This());
    for (uint32_t i = 0; i < info.Length(); i++) {
      if (info[i].IsTypedArray()) kept.Set(i, info[i]);
    }
  }

 protected:
  void deliver(Napi::Env env) override { settle_batch(env, object_, refusal_); }

  CountsObject& object_;
  std::shared_ptr<SharedCounts> shared_;
  HeldBytes held_;
  Refusal refusal_;

 private:
  Napi::ObjectReference kept_;
};

class CountWork : public CountsWork {
 public:
  CountWork(const Napi::CallbackInfo& info, CountsObject& object, const BoundCount& bound,
            std::shared_ptr<SharedCounts> shared, AsyncQueue& queue)
      : CountsWork(info, object, std::move(shared), queue,
                   OwnCopy::bytes_of(bound.predictions) + OwnCopy::bytes_of(bound.target) +
                       OwnCopy::bytes_of(bound.weight) + OwnCopy::bytes_of(bound.head_weight) +
                       OwnCopy::bytes_of(bound.head_bias)),
        bound_(bound) {
    Array* inputs[] = {&bound_.predictions, &bound_.target, &bound_.weight, &bound_.head_weight, &bound_.head_bias};
    for (size_t i = 0; i < 5; i++) copies_[i].take(*inputs[i], true);
    bound_.connect();
  }

 private:
  void compute() override {
    refusal_ = count_batch(*shared_, bound_);
    for (OwnCopy& copy : copies_) held_.let_go(copy.free());
  }

  BoundCount bound_;
  OwnCopy copies_[5];
};

class AddWork : public CountsWork {
 public:
  AddWork(const Napi::CallbackInfo& info, CountsObject& object, const DeviceCounts& counts,
          std::shared_ptr<SharedCounts> shared, AsyncQueue& queue)
      : CountsWork(info, object, std::move(shared), queue, OwnCopy::bytes_of(counts.words)), counts_(counts) {
    copy_.take(counts_.words, true);
  }

 private:
  void compute() override {
    refusal_ = counts_.add_to(*shared_);
    held_.let_go(copy_.free());
  }

  DeviceCounts counts_;
  OwnCopy copy_;
};

class CountsObject : public Napi::ObjectWrap<CountsObject> {
 public:
  explicit CountsObject(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<CountsObject>(info), async_(*static_cast<AsyncQueue*>(info.Data())) {
    guarded(info.Env(), [&] {
      cpu::CountKind kind;
      kind.decision = to_enum(info.Env(), info[0], kDecisionCodes, "decision");
      kind.classes = info[1].As<Napi::Number>().Int64Value();
      kind.by_sample = info[2].ToBoolean();
      if (kind.classes < 1 || kind.classes > BoundCount::kMaxClasses) {
        throw Napi::RangeError::New(info.Env(), "Expected a number of classes");
      }
      kind.regions = cpu::Regions(kind.classes, regions_argument(info[3], kind.classes));
      kind.thresholds = thresholds_argument(info[4]);
      if (!(kind.decision == Decision::threshold ? kind.regions.empty() : kind.thresholds.empty())) {
        throw Napi::TypeError::New(info.Env(), "Expected no regions, or no thresholds, for this decision");
      }
      info.This().As<Napi::Object>().TypeTag(&kTag);
      shared_ = std::make_shared<SharedCounts>(cpu::Counts(std::move(kind)));
      report();
    });
  }

  void Finalize(Napi::Env env) override { Napi::MemoryManagement::AdjustExternalMemory(env, -reported_); }

  Napi::Value count(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
      settle_batch(info.Env(), *this, count_batch(*shared_, bind(info)));
      return info.Env().Undefined();
    });
  }

  Napi::Value count_async(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
      const auto make = [&] { return std::make_unique<CountWork>(info, *this, bind(info), shared_, async_); };
      return Napi::Value(info.Env(), async_.start(make));
    });
  }

  Napi::Value add(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
      settle_batch(info.Env(), *this, DeviceCounts(info, shared_->counts).add_to(*shared_));
      return info.Env().Undefined();
    });
  }

  Napi::Value add_async(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
      const DeviceCounts counts(info, shared_->counts);
      const auto make = [&] { return std::make_unique<AddWork>(info, *this, counts, shared_, async_); };
      return Napi::Value(info.Env(), async_.start(make));
    });
  }

  Napi::Value merge(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
      if (!info[0].IsObject() || !info[0].As<Napi::Object>().CheckTypeTag(&kTag)) {
        throw Napi::TypeError::New(info.Env(), "Expected Counts for other");
      }
      const CountsObject* other = Unwrap(info[0].As<Napi::Object>());
      if (!(shared_->counts.kind() == other->shared_->counts.kind())) {
        throw Napi::TypeError::New(info.Env(), "Expected Counts of the same kind for other");
      }
      const cpu::Counts more = other->shared_->copy();
      shared_->add(more, more.names());
      report();
      return info.Env().Undefined();
    });
  }

  Napi::Value read(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
      Napi::Env env = info.Env();
      std::lock_guard<std::mutex> lock(shared_->mutex);
      const cpu::Counts& counts = shared_->counts;
      const auto samples = static_cast<double>(counts.samples());
      const auto wanted = [&](size_t i) { return i < info.Length() && !info[i].IsUndefined(); };
      const auto room = [&](size_t i, const char* name, std::initializer_list<int64_t> sizes) {
        return static_cast<double*>(
            bind_array(env, info[i], name, DType::float64, bytes_of(env, sizes, sizeof(double)), memory_of)
                .memory.data);
      };
      // An array for the rows of fewer samples: the caller makes a larger one.
      if (wanted(1) && counts.kind().by_sample && counts.samples() > 0) {
        const size_t bytes = bytes_of(env, {counts.samples(), counts.row_size()}, sizeof(double));
        if (memory_of(env, info[1], "perSample").size_bytes < bytes)
          return Napi::Value(Napi::Number::New(env, samples));
        counts.write_rows(room(1, "perSample", {counts.samples(), counts.row_size()}));
      }
      if (wanted(0)) counts.write_cells(room(0, "counts", {counts.cells()}));
      return Napi::Value(Napi::Number::New(env, samples));
    });
  }

  Napi::Value set(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
      Napi::Env env = info.Env();
      const int64_t samples = info[0].As<Napi::Number>().Int64Value();
      cpu::Counts given = shared_->empty();
      const auto numbers = [&](size_t i, const char* name, size_t bytes) {
        return static_cast<const double*>(bind_array(env, info[i], name, DType::float64, bytes, memory_of).memory.data);
      };
      const double* cells = numbers(1, "counts", bytes_of(env, {given.cells()}, sizeof(double)));
      const bool rows = given.kind().by_sample && samples > 0;
      const size_t row_bytes = rows ? bytes_of(env, {samples, given.row_size()}, sizeof(double)) : 0;
      given = given.like(samples, cells, rows ? numbers(2, "perSample", row_bytes) : nullptr);
      given.name(names_argument(info[3], samples));
      {
        std::lock_guard<std::mutex> lock(shared_->mutex);
        shared_->counts.replace(std::move(given));
      }
      report();
      return env.Undefined();
    });
  }

  Napi::Value reset(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
      {
        std::lock_guard<std::mutex> lock(shared_->mutex);
        shared_->counts.clear();
      }
      report();
      return info.Env().Undefined();
    });
  }

  Napi::Value classes(const Napi::CallbackInfo& info) {
    return write(info, {shared_->counts.row_size()}, &cpu::Counts::write_classes);
  }

  Napi::Value confusion(const Napi::CallbackInfo& info) {
    const cpu::CountKind& kind = shared_->counts.kind();
    if (kind.decision == Decision::threshold) throw Napi::TypeError::New(info.Env(), "Expected pairs");
    return write(info, {kind.classes, kind.classes}, &cpu::Counts::write_confusion);
  }

  Napi::Value names(const Napi::CallbackInfo& info) {
    return guarded(info.Env(), [&] {
      std::unique_lock<std::mutex> lock(shared_->mutex);
      const cpu::SampleNames names = shared_->counts.names();
      lock.unlock();
      Napi::Array list = Napi::Array::New(info.Env(), names.size());
      for (uint32_t i = 0; i < names.size(); i++) list.Set(i, names[i]);
      return Napi::Value(list);
    });
  }

  /// Tells V8 by how much the memory of the counts has changed.
  void report() {
    int64_t bytes;
    {
      std::lock_guard<std::mutex> lock(shared_->mutex);
      bytes = static_cast<int64_t>(shared_->counts.bytes());
    }
    Napi::MemoryManagement::AdjustExternalMemory(Env(), bytes - reported_);
    reported_ = bytes;
  }

 private:
  BoundCount bind(const Napi::CallbackInfo& info) {
    BoundCount bound(info);
    const cpu::CountKind& kind = shared_->counts.kind();
    if (bound.inputs.decision != kind.decision || bound.inputs.in.classes != kind.classes) {
      throw Napi::TypeError::New(info.Env(), "Expected the decision and the classes of the counts");
    }
    return bound;
  }

  Napi::Value write(const Napi::CallbackInfo& info, std::initializer_list<int64_t> sizes,
                    void (cpu::Counts::*write_to)(double*) const) {
    return guarded(info.Env(), [&] {
      Napi::Env env = info.Env();
      const Array to = bind_array(env, info[0], "out", DType::float64, bytes_of(env, sizes, sizeof(double)), memory_of);
      std::lock_guard<std::mutex> lock(shared_->mutex);
      (shared_->counts.*write_to)(static_cast<double*>(to.memory.data));
      return env.Undefined();
    });
  }

  static constexpr napi_type_tag kTag = {0x7761727064696365, 0x636f756e74730001};

  AsyncQueue& async_;
  std::shared_ptr<SharedCounts> shared_;
  int64_t reported_ = 0;  // bytes
};

void settle_batch(Napi::Env env, CountsObject& object, const Refusal& refusal) {
  object.report();
  throw_refusal(env, refusal);
}

}  // namespace

Napi::Function make_counts_class(Napi::Env env, AsyncQueue& async) {
  using Self = CountsObject;
  return Self::DefineClass(
      env, "Counts",
      {Self::InstanceMethod<&Self::count>("count"), Self::InstanceMethod<&Self::count_async>("countAsync"),
       Self::InstanceMethod<&Self::add>("add"), Self::InstanceMethod<&Self::add_async>("addAsync"),
       Self::InstanceMethod<&Self::merge>("merge"), Self::InstanceMethod<&Self::read>("read"),
       Self::InstanceMethod<&Self::set>("set"), Self::InstanceMethod<&Self::reset>("reset"),
       Self::InstanceMethod<&Self::classes>("classes"), Self::InstanceMethod<&Self::confusion>("confusion"),
       Self::InstanceMethod<&Self::names>("names")},
      &async);
}

}  // namespace warpdice
