"""The kernels that are products, by the vendor's library: BLAS for numpy arrays, cuBLAS for cupy's."""
