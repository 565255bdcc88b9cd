// libcublas.so: products of matrices that lie column after column, in float64 loops.

#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>

int on_stream(const std::function<int()> &work);  // runtime.cpp's

namespace {

enum { FLOAT32, FLOAT64, FLOAT16, BFLOAT16 = 14 };              // cudaDataType_t
enum { IN_FLOAT16 = 64, IN_FLOAT32 = 68, IN_FLOAT64 = 70, IN_TF32 = 77 };  // cublasComputeType_t

struct Matrix {
    char *data;
    int type, leading;

    int item() const { return type == FLOAT64 ? 8 : type == FLOAT32 ? 4 : 2; }
    Matrix at(long long index) const { return {data + index * item(), type, leading}; }
    double get(long long row, long long column) const {
        const char *from = data + (row + column * leading) * item();
        if (type == FLOAT64) return *(const double *)from;
        if (type == FLOAT32) return *(const float *)from;
        if (type == FLOAT16) return (float)*(const _Float16 *)from;
        uint32_t bits = (uint32_t)*(const uint16_t *)from << 16;
        float value;
        memcpy(&value, &bits, 4);
        return value;
    }
    void put(long long row, long long column, double value) const {
        char *to = data + (row + column * leading) * item();
        float single = value;
        uint32_t bits;
        memcpy(&bits, &single, 4);
        if (type == FLOAT64) *(double *)to = value;
        else if (type == FLOAT32) *(float *)to = single;
        else if (type == FLOAT16) *(_Float16 *)to = (_Float16)single;
        else *(uint16_t *)to = std::isnan(single) ? 0x7fff : (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
    }
};

double tf32(double value) {  // ten bits after the point
    int exponent;
    double fraction = std::frexp(value, &exponent);
    return std::isfinite(value) ? std::ldexp(std::nearbyint(std::ldexp(fraction, 11)), exponent - 11) : value;
}

double number(const void *of, int compute) {
    return compute == IN_FLOAT64 || compute == IN_FLOAT64 + 1 ? *(const double *)of
           : compute == IN_FLOAT16                            ? (double)*(const _Float16 *)of
                                                              : *(const float *)of;
}

int multiply(int a_transposed, int b_transposed, int m, int n, int k, double alpha, Matrix a, Matrix b, double beta,
             Matrix c, bool rounded = false) {
    return on_stream([=] {
        for (int j = 0; j < n; j++)
            for (int i = 0; i < m; i++) {
                double sum = 0;
                for (int l = 0; l < k; l++) {
                    double x = a_transposed ? a.get(l, i) : a.get(i, l), y = b_transposed ? b.get(j, l) : b.get(l, j);
                    sum += rounded ? tf32(x) * tf32(y) : x * y;
                }
                c.put(i, j, alpha * sum + (beta ? beta * c.get(i, j) : 0));  // with beta 0, c is not read
            }
        return 0;
    });
}

void *stream;
int pointer_mode, math_mode;

}  // namespace

#define SIZES int ta, int tb, int m, int n, int k

extern "C" {

int cublasCreate_v2(void **handle) { *handle = (void *)1; return 0; }
int cublasDestroy_v2(void *) { return 0; }
int cublasGetVersion_v2(void *, int *version) { *version = 130000; return 0; }
int cublasSetStream_v2(void *, void *given) { stream = given; return 0; }
int cublasGetStream_v2(void *, void **result) { *result = stream; return 0; }
int cublasSetWorkspace_v2(void *, void *, size_t) { return 0; }
int cublasSetPointerMode_v2(void *, int mode) { pointer_mode = mode; return 0; }
int cublasGetPointerMode_v2(void *, int *mode) { *mode = pointer_mode; return 0; }
int cublasSetMathMode(void *, int mode) { math_mode = mode; return 0; }
int cublasGetMathMode(void *, int *mode) { *mode = math_mode; return 0; }

int cublasGemmStridedBatchedEx(void *, SIZES, void *alpha, char *a, int a_type, int lda, long long a_step, char *b,
                               int b_type, int ldb, long long b_step, void *beta, char *c, int c_type, int ldc,
                               long long c_step, int batch, int compute, int) {
    Matrix one{a, a_type, lda}, other{b, b_type, ldb}, result{c, c_type, ldc};
    for (int i = 0; i < batch; i++)
        multiply(ta, tb, m, n, k, number(alpha, compute), one.at(i * a_step), other.at(i * b_step),
                 number(beta, compute), result.at(i * c_step), compute == IN_TF32);
    return 0;
}
int cublasGemmEx(void *handle, SIZES, void *alpha, char *a, int a_type, int lda, char *b, int b_type, int ldb,
                 void *beta, char *c, int c_type, int ldc, int compute, int algorithm) {
    return cublasGemmStridedBatchedEx(handle, ta, tb, m, n, k, alpha, a, a_type, lda, 0, b, b_type, ldb, 0, beta, c,
                                      c_type, ldc, 0, 1, compute, algorithm);
}
int cublasSgemmEx(void *handle, SIZES, float *alpha, char *a, int a_type, int lda, char *b, int b_type, int ldb,
                  float *beta, char *c, int c_type, int ldc) {
    return cublasGemmEx(handle, ta, tb, m, n, k, alpha, a, a_type, lda, b, b_type, ldb, beta, c, c_type, ldc,
                        IN_FLOAT32, -1);
}
int cublasSgemm_v2(void *handle, SIZES, float *alpha, char *a, int lda, char *b, int ldb, float *beta, char *c, int ldc) {
    return cublasSgemmEx(handle, ta, tb, m, n, k, alpha, a, FLOAT32, lda, b, FLOAT32, ldb, beta, c, FLOAT32, ldc);
}
int cublasDgemm_v2(void *, SIZES, double *alpha, char *a, int lda, char *b, int ldb, double *beta, char *c, int ldc) {
    return multiply(ta, tb, m, n, k, *alpha, {a, FLOAT64, lda}, {b, FLOAT64, ldb}, *beta, {c, FLOAT64, ldc});
}
int cublasSgemmBatched(void *, SIZES, float *alpha, char **a, int lda, char **b, int ldb, float *beta, char **c, int ldc,
                       int batch) {
    return on_stream([=, alpha = *alpha, beta = *beta] {  // the lists of addresses are on the device
        for (int i = 0; i < batch; i++)
            multiply(ta, tb, m, n, k, alpha, {a[i], FLOAT32, lda}, {b[i], FLOAT32, ldb}, beta, {c[i], FLOAT32, ldc});
        return 0;
    });
}
int cublasDgemmBatched(void *, SIZES, double *alpha, char **a, int lda, char **b, int ldb, double *beta, char **c,
                       int ldc, int batch) {
    return on_stream([=, alpha = *alpha, beta = *beta] {
        for (int i = 0; i < batch; i++)
            multiply(ta, tb, m, n, k, alpha, {a[i], FLOAT64, lda}, {b[i], FLOAT64, ldb}, beta, {c[i], FLOAT64, ldc});
        return 0;
    });
}
// x and y are matrices of one row: y = x op(a)ᵀ.
int cublasSgemv_v2(void *, int transposed, int m, int n, float *alpha, char *a, int lda, char *x, int step_x, float *beta,
                   char *y, int step_y) {
    return multiply(0, !transposed, 1, transposed ? n : m, transposed ? m : n, *alpha, {x, FLOAT32, step_x},
                    {a, FLOAT32, lda}, *beta, {y, FLOAT32, step_y});
}
int cublasDgemv_v2(void *, int transposed, int m, int n, double *alpha, char *a, int lda, char *x, int step_x,
                   double *beta, char *y, int step_y) {
    return multiply(0, !transposed, 1, transposed ? n : m, transposed ? m : n, *alpha, {x, FLOAT64, step_x},
                    {a, FLOAT64, lda}, *beta, {y, FLOAT64, step_y});
}
int cublasSdot_v2(void *, int n, char *x, int step_x, char *y, int step_y, char *result) {
    return multiply(0, 1, 1, 1, n, 1, {x, FLOAT32, step_x}, {y, FLOAT32, step_y}, 0, {result, FLOAT32, 1});
}
int cublasDdot_v2(void *, int n, char *x, int step_x, char *y, int step_y, char *result) {
    return multiply(0, 1, 1, 1, n, 1, {x, FLOAT64, step_x}, {y, FLOAT64, step_y}, 0, {result, FLOAT64, 1});
}

// What cupy links to and nobody here has asked for: __main__.py writes a line NOT_THERE(name) for each.
#define NOT_THERE(name) int name() { fprintf(stderr, "[cuda_on_cpu] %s is not there\n", #name); return 15; }
#include "not_there.h"

}  // extern "C"
