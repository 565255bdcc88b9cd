"""A GPU that is not there: the real cupy, and with it `pytest -m gpu`, on a CPU.

    python -m tests.support.cuda_on_cpu DIR                                  makes its environment (Linux, g++; minutes)
    DIR/bin/python -m pytest -m gpu -p tests.support.cuda_on_cpu.sorting     runs the GPU tests in it

cupy asks libraries for everything: the CUDA runtime and driver for memory, streams, graphs and launches, NVRTC to
compile, cuBLAS to multiply. Here are stand-ins for them, which do as much as cupy and we ask for:

    runtime.cpp   memory, copies, events, streams and their recording as graphs; it refuses what a GPU refuses
    nvrtc.cpp     "compiles" by keeping the source
    cublas.cpp    products, in loops
    kernels.py    builds the source of a kernel, cupy's or ours, for the emulator, and launches it there

The one part of cupy that is compiled again, from its own source, is the module that has the CUDA runtime linked in.

What this shows: that every call of ours is one that cupy and CUDA know, with arguments they take, in an order they
allow, and that the numbers come out right. What it cannot show: speed, races between blocks, Hopper's instructions,
and what a compiler for a GPU makes of the code.
"""
