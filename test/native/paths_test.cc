// Which way a run of step 3 takes, as a table.
#include "cpu/kernels/gradient_path.h"

#include "check.h"

namespace warpdice::test {
namespace {

using cpu::Read;
using cpu::Write;

/// What differs from a call with float32 predictions [2,3,4096], uint8 labels and a gradient that does not fit the
/// caches, for CPUs that widen halves quickly.
struct Case {
  const char* name;
  void (*change)(Inputs& in, GradientOut& out);
  bool kept, widens_quickly;
  Read read;
  Write write;
  int64_t head;
};

alignas(64) char memory[64];

Inputs usual_inputs() {
  Inputs in;
  in.samples = 2;
  in.classes = 3;
  in.voxels = 4096;
  in.activation = Activation::softmax;
  in.predictions.data = &in;  // is compared, never read
  in.target.dtype = DType::uint8;
  return in;
}

/// Memory that begins `bytes` after the begin of a line; it is never read.
void* line_and(size_t bytes) { return memory + bytes; }

void halves(Inputs& in, GradientOut& out) { in.predictions.dtype = out.dtype = DType::bfloat16; }
void interleaved(Inputs& in, GradientOut&) { in.channels_last = true; }

const Case cases[] = {
    {"as usual", [](Inputs&, GradientOut&) {}, false, true, Read::direct, Write::streamed, 0},
    {"fits the caches", [](Inputs&, GradientOut& out) { out.streaming = false; }, false, true, Read::direct,
     Write::direct, 0},
    {"kept", [](Inputs&, GradientOut&) {}, true, true, Read::kept, Write::direct, 0},
    {"kept, interleaved", interleaved, true, true, Read::kept, Write::staged, 0},
    {"added", [](Inputs&, GradientOut& out) { out.accumulate = true; }, false, true, Read::direct, Write::staged, 0},
    {"replaces the predictions",
     [](Inputs& in, GradientOut& out) { out.data = const_cast<void*>(in.predictions.data); }, false, true, Read::direct,
     Write::direct, 0},
    {"begins within a line", [](Inputs&, GradientOut& out) { out.data = line_and(12); }, false, true, Read::direct,
     Write::streamed, 13},
    {"begins within an element", [](Inputs&, GradientOut& out) { out.data = line_and(2); }, false, true, Read::direct,
     Write::direct, 0},
    {"rows begin anywhere", [](Inputs& in, GradientOut&) { in.voxels = 4099; }, false, true, Read::direct,
     Write::staged_streamed, 0},
    {"rows begin anywhere, fits",
     [](Inputs& in, GradientOut& out) {
       in.voxels = 4099;
       out.streaming = false;
     },
     false, true, Read::direct, Write::direct, 0},
    {"interleaved", interleaved, false, true, Read::staged, Write::staged_streamed, 0},
    {"interleaved, fits",
     [](Inputs& in, GradientOut& out) {
       in.channels_last = true;
       out.streaming = false;
     },
     false, true, Read::staged, Write::staged, 0},
    {"channels last of one class",
     [](Inputs& in, GradientOut&) {
       in.channels_last = true;
       in.classes = 1;
     },
     false, true, Read::direct, Write::streamed, 0},
    {"float64", [](Inputs& in, GradientOut& out) { in.predictions.dtype = out.dtype = DType::float64; }, false, true,
     Read::direct, Write::streamed, 0},
    {"halves", halves, false, true, Read::halves, Write::streamed, 0},
    {"halves, on a CPU that widens them slowly", halves, false, false, Read::staged, Write::staged_streamed, 0},
    {"halves, softmax, begin within a line",
     [](Inputs& in, GradientOut& out) {
       halves(in, out);
       out.data = line_and(32);
     },
     false, true, Read::halves, Write::direct, 0},
    {"halves, sigmoid, begin within a line",
     [](Inputs& in, GradientOut& out) {
       halves(in, out);
       in.activation = Activation::sigmoid;
       out.data = line_and(32);
     },
     false, true, Read::halves, Write::streamed, 16},
    {"halves, rows begin anywhere",
     [](Inputs& in, GradientOut& out) {
       halves(in, out);
       in.voxels = 4099;
     },
     false, true, Read::halves, Write::direct, 0},
    {"halves, weighted",
     [](Inputs& in, GradientOut& out) {
       halves(in, out);
       in.weight.data = memory;
     },
     false, true, Read::staged, Write::staged_streamed, 0},
    {"halves, some ignored",
     [](Inputs& in, GradientOut& out) {
       halves(in, out);
       in.has_ignore = true;
     },
     false, true, Read::staged, Write::staged_streamed, 0},
    {"halves, dense target",
     [](Inputs& in, GradientOut& out) {
       halves(in, out);
       in.labels = false;
       in.target.dtype = DType::bfloat16;
     },
     false, true, Read::staged, Write::staged_streamed, 0},
    {"halves, focal",
     [](Inputs& in, GradientOut& out) {
       halves(in, out);
       in.focal = true;
     },
     false, true, Read::staged, Write::staged_streamed, 0},
    {"halves with a gradient of float32", [](Inputs& in, GradientOut&) { in.predictions.dtype = DType::float16; },
     false, true, Read::staged, Write::streamed, 0},
    {"halves with a gradient of float32, kept", [](Inputs& in, GradientOut&) { in.predictions.dtype = DType::float16; },
     true, true, Read::kept, Write::direct, 0},
};

}  // namespace

void test_paths() {
  for (const Case& test : cases) {
    Inputs in = usual_inputs();
    GradientOut out;
    out.data = memory;
    out.streaming = true;
    test.change(in, out);
    const cpu::GradientPath path = cpu::choose_path(in, {0, 0, in.voxels}, out, test.kept, test.widens_quickly);
    expect_close(test.name, static_cast<double>(path.read), static_cast<double>(test.read), 0);
    expect_close(test.name, static_cast<double>(path.write), static_cast<double>(test.write), 0);
    expect_close(test.name, static_cast<double>(path.head), static_cast<double>(test.head), 0);
  }

  // Step 1 keeps probabilities, which are float32, only where it reads float32.
  Inputs in = usual_inputs();
  const auto read = [&](bool keeps) { return static_cast<double>(cpu::choose_read(in, keeps, true)); };
  expect_close("step 1", read(false), static_cast<double>(Read::direct), 0);
  in.predictions.dtype = DType::float16;
  expect_close("step 1, halves", read(false), static_cast<double>(Read::halves), 0);
  expect_close("step 1, halves, kept", read(true), static_cast<double>(Read::staged), 0);
  in.channels_last = true;
  expect_close("step 1, interleaved", read(false), static_cast<double>(Read::staged), 0);
}

}  // namespace warpdice::test
