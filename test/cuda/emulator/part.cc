// A part of the kernels of one type of predictions, which is quicker to compile than all of them: for mutants.mjs.
//
//   WARPDICE_LOSSES_OF, WARPDICE_HEADS_OF, WARPDICE_PREDICTIONS_OF     that type, where the part is wanted
#ifdef WARPDICE_LOSSES_OF
#include "cuda/kernels/dispatch.cuh"
#endif
#ifdef WARPDICE_HEADS_OF
#include "cuda/kernels/head_kernels.cuh"
#endif
#ifdef WARPDICE_PREDICTIONS_OF
#include "cuda/kernels/head_predict.cuh"
#endif

namespace warpdice::cuda {
#ifdef WARPDICE_LOSSES_OF
WARPDICE_KERNELS_OF(WARPDICE_LOSSES_OF);
#endif
#ifdef WARPDICE_HEADS_OF
WARPDICE_HEAD_KERNELS_OF(WARPDICE_HEADS_OF);
#endif
#ifdef WARPDICE_PREDICTIONS_OF
WARPDICE_HEAD_PREDICTIONS_OF(WARPDICE_PREDICTIONS_OF);
#endif
}  // namespace warpdice::cuda
