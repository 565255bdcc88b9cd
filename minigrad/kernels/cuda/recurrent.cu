// One step of a long short-term memory for `rows` sequences: all that follows the product of the state with the
// weight, in one pass. A thread has one unit of one sequence and all four of its gates, i, f, g, o.
//
// Memory bounds it: forward moves 64 bytes a unit, 36 of them reads, and backward 56, where separate operations on
// arrays would move each gate a dozen times.

#include "activation.cuh"

// c = f c + i g,  h = o tanh(c), in place. gates and activated are (rows, 4 hidden), the rest (rows, hidden).
extern "C" __global__ void lstm_step(const float *gates, const float *product, float *h, float *c, float *output,
                                     float *activated, float *cells, int rows, int hidden) {
    long long unit = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
    if (unit >= static_cast<long long>(rows) * hidden) return;
    long long start = unit / hidden * 4 * hidden + unit % hidden;
    float a[4];
#pragma unroll
    for (int k = 0; k < 4; k++) a[k] = gates[start + k * hidden] + product[start + k * hidden];
    float i = logistic(a[0]), f = logistic(a[1]), g = tanhf(a[2]), o = logistic(a[3]);
    float cell = f * c[unit] + i * g, state = o * tanhf(cell);
    c[unit] = cells[unit] = cell;
    h[unit] = output[unit] = state;
    activated[start] = i;
    activated[start + hidden] = f;
    activated[start + 2 * hidden] = g;
    activated[start + 3 * hidden] = o;
}

// The gradient of the gates before their activations, from dh and dc of later steps and `grad` of this one's output;
// dc becomes that of the step before. `earlier` is the step before's c.
extern "C" __global__ void lstm_step_backward(const float *grad, const float *activated, const float *cells,
                                              const float *earlier, const float *dh, float *dc, float *dgates,
                                              int rows, int hidden) {
    long long unit = static_cast<long long>(blockIdx.x) * blockDim.x + threadIdx.x;
    if (unit >= static_cast<long long>(rows) * hidden) return;
    long long start = unit / hidden * 4 * hidden + unit % hidden;
    float i = activated[start], f = activated[start + hidden], g = activated[start + 2 * hidden];
    float o = activated[start + 3 * hidden], tanh_c = tanhf(cells[unit]);
    float of_h = dh[unit] + grad[unit], of_c = dc[unit] + of_h * o * (1 - tanh_c * tanh_c);
    dgates[start] = of_c * g * i * (1 - i);
    dgates[start + hidden] = of_c * earlier[unit] * f * (1 - f);
    dgates[start + 2 * hidden] = of_c * i * (1 - g * g);
    dgates[start + 3 * hidden] = of_h * tanh_c * o * (1 - o);
    dc[unit] = of_c * f;
}
