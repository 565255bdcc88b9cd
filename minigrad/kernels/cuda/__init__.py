"""Kernels in CUDA C: on a GPU through cupy, on any machine with a C++ compiler in the emulator.

How to add a kernel, say `scale`:

1.  `scale.cu`, after `#include "common.cuh"` (reductions, 16-bit floats, 16-byte loads) or "tensor_core.cuh"
    (mma_m16n8k16, ldmatrix, cp_async16). Kernels are `extern "C" __global__ void`; a name is unique in its file.
    Sizes that must be constants are macros (HEAD_DIM, TILE), set for each version by load(). One comment line a
    version says what compile.py compiles: "// compile: HEAD_DIM=64 TILE=32", and "// needs: sm_80" if an
    architecture is too old. No standard headers (NVRTC has none), no inline PTX outside the .cuh files: common
    and tensor_core give the emulator its own version of each, hopper has none.

2.  `scale.py`, the function with the reference's signature. It checks and lays out (`prepared`: C-contiguous,
    this dtype, 16-byte aligned; `empty`: the results) and launches:

        def scale(x, factor):
            y = empty(x.shape, like=x)
            if y.size:
                x = prepared(x)
                arguments = (x, y, np.float32(factor), np.int32(x.size))
                load("scale.cu", {"TILE": 4}).launch("scale", blocks(x.size), 256, arguments)
            return y

    The same function serves cupy arrays (the GPU) and numpy arrays (the emulator); numbers are numpy scalars
    of the parameter's type, which the emulator checks and a GPU does not.

3.  `*_cuda("scale")` among the implementations of the Kernel in kernels/__init__.py registers it for both.

4.  Tests: `others("scale")` of tests/minigrad/kernels/implementations.py runs the kernel's test on every
    implementation, the emulator in its three orders. Then a line with small arguments in test_watched.py, which finds
    races and accesses out of bounds, and some in test_planted_faults.py: a mistake put into the .cu file's
    text, and a call that must notice it.

In the emulator every thread must reach every __syncthreads() of its block and every warp operation whose mask names
it: end a thread's work early with an `if` around it, not with a return before a barrier. A whole warp may return
early if no barrier of the block follows.

To run a kernel by hand: `module = load("softmax.cu"); module.launch("softmax_online", rows, 256, (x, y, np.int32(n)))`.
"""

from minigrad.kernels.cuda.loader import Module, empty, load, prepared

__all__ = ["Module", "empty", "load", "prepared"]
