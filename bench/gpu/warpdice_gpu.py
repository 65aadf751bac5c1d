"""warpdice's CUDA kernels on PyTorch's memory and streams, through engine.cc (build-gpu/test/cuda/gpu/libwarpdice_gpu.so)."""

import ctypes

import torch

DTYPES = {torch.float32: 0, torch.float64: 1, torch.float16: 2, torch.bfloat16: 3, torch.uint8: 4, torch.int32: 5, torch.int64: 6}
ACTIVATIONS = {"none": 0, "sigmoid": 1, "softmax": 2}


class Library:
    def __init__(self, path):
        self.functions = ctypes.CDLL(path)
        pointer, i64, i32 = ctypes.c_void_p, ctypes.c_int64, ctypes.c_int
        self.functions.warpdice_plan.argtypes = [i64, i64, i64, i32, i32, i32, i32, ctypes.POINTER(pointer)]
        self.functions.warpdice_plan.restype = ctypes.c_char_p
        self.functions.warpdice_run.argtypes = [pointer, pointer, pointer, pointer, pointer, i32, i32, pointer]
        self.functions.warpdice_run.restype = ctypes.c_char_p
        self.functions.warpdice_head_plan.argtypes = [i64, i64, i64, i64, i32, i32, i32, ctypes.POINTER(pointer)]
        self.functions.warpdice_head_plan.restype = ctypes.c_char_p
        self.functions.warpdice_head_run.argtypes = [pointer] * 10
        self.functions.warpdice_head_run.restype = ctypes.c_char_p
        self.functions.warpdice_kept_bytes.argtypes = [pointer]
        self.functions.warpdice_kept_bytes.restype = i64
        self.functions.warpdice_close.argtypes = [pointer]
        self.functions.warpdice_close.restype = None


class Plan:
    """For logits [N,C,S] (channels last: [N,S,C]) and labels [N,S]."""

    def __init__(self, library, shape, dtype, label_dtype, activation, channels_last=False):
        self.functions = library.functions
        self.handle = ctypes.c_void_p()
        N, C, S = shape
        self._check(
            self.functions.warpdice_plan(
                N, C, S, DTYPES[dtype], DTYPES[label_dtype], ACTIVATIONS[activation], channels_last, ctypes.byref(self.handle)
            )
        )

    def run(self, logits, labels, value, gradient, statistics=True, differentiate=True):
        stream = torch.cuda.current_stream().cuda_stream
        self._check(
            self.functions.warpdice_run(
                self.handle, logits.data_ptr(), labels.data_ptr(), value.data_ptr(), gradient.data_ptr(), statistics, differentiate, stream
            )
        )

    def kept_bytes(self):
        return self.functions.warpdice_kept_bytes(self.handle)

    def close(self):
        self.functions.warpdice_close(self.handle)

    @staticmethod
    def _check(fault):
        if fault:
            raise RuntimeError(fault.decode())


class HeadPlan(Plan):
    """For features [N,K,S], a weight [C,K] and a bias [C] of the same dtype, and labels [N,S]."""

    def __init__(self, library, sizes, dtype, label_dtype, activation):
        self.functions = library.functions
        self.handle = ctypes.c_void_p()
        codes = DTYPES[dtype], DTYPES[label_dtype], ACTIVATIONS[activation]
        self._check(self.functions.warpdice_head_plan(*sizes, *codes, ctypes.byref(self.handle)))

    def run(self, features, weight, bias, labels, value, gradients):
        """gradients: of features, weight and bias."""
        arrays = [features, weight, bias, labels, value, *gradients]
        stream = torch.cuda.current_stream().cuda_stream
        self._check(self.functions.warpdice_head_run(self.handle, *(array.data_ptr() for array in arrays), stream))
