// tensor_core.cuh's instructions for the CPU: the last lane of a warp to arrive does the work for all of them.

#pragma once

namespace emulator {

struct Multiply {
    const unsigned *a, *b;
    const float *c;
    float *d;

    template <class T>
    static float half(const unsigned *registers, int i) {
        return to_float(T{static_cast<unsigned short>(registers[i / 2] >> 16 * (i % 2))});
    }

    template <class T>
    static void finish(void **requests) {
        float a[16][16], b[16][8], d[16][8];
        for (int lane = 0; lane < 32; lane++) {
            if (!requests[lane]) fault("mma_m16n8k16: lane %d takes no part", lane);
            const auto &r = *static_cast<Multiply *>(requests[lane]);
            int g = lane / 4, t = lane % 4;
            for (int i = 0; i < 8; i++) a[g + i / 2 % 2 * 8][2 * t + i % 2 + i / 4 * 8] = half<T>(r.a, i);
            for (int i = 0; i < 4; i++) b[2 * t + i % 2 + i / 2 * 8][g] = half<T>(r.b, i);
            for (int i = 0; i < 4; i++) d[g + i / 2 * 8][2 * t + i % 2] = r.c[i];
        }
        for (int i = 0; i < 16; i++)
            for (int k = 0; k < 16; k++)
                for (int j = 0; j < 8; j++) d[i][j] += a[i][k] * b[k][j];
        for (int lane = 0; lane < 32; lane++)
            for (int i = 0; i < 4; i++)
                static_cast<Multiply *>(requests[lane])->d[i] = d[lane / 4 + i / 2 * 8][2 * (lane % 4) + i % 2];
    }
};

struct LoadMatrix {
    unsigned short row[8];  // the one this lane gave the address of
    unsigned *registers;

    template <int COUNT, bool TRANSPOSED>
    static void finish(void **requests) {
        for (int lane = 0; lane < 32; lane++)
            if (!requests[lane]) fault("ldmatrix: lane %d takes no part", lane);
        for (int lane = 0; lane < 32; lane++)
            for (int matrix = 0; matrix < COUNT; matrix++) {
                unsigned short two[2];
                for (int i = 0; i < 2; i++) {
                    int row = lane / 4, column = 2 * (lane % 4) + i;
                    auto *owner = static_cast<LoadMatrix *>(requests[8 * matrix + (TRANSPOSED ? column : row)]);
                    two[i] = owner->row[TRANSPOSED ? row : column];
                }
                static_cast<LoadMatrix *>(requests[lane])->registers[matrix] = two[0] | unsigned{two[1]} << 16;
            }
    }
};

inline void check_16(const char *what, const void *address) {
    if (reinterpret_cast<uintptr_t>(address) % 16) fault("%s: the address %p is no multiple of 16", what, address);
}

template <int COUNT, bool TRANSPOSED>
void load_matrix(unsigned *registers, const void *row, Site site) {
    LoadMatrix request{{}, registers};
    if (lane() < 8 * COUNT) {
        check_16("ldmatrix", row);
        auto *from = static_cast<const unsigned short *>(row);
        for (int i = 0; i < 8; i++) request.row[i] = from[i];
    }
    collective("ldmatrix", 0xffffffff, &request, LoadMatrix::finish<COUNT, TRANSPOSED>, site);
}

}  // namespace emulator

template <class T>
void mma_m16n8k16(float (&d)[4], const unsigned (&a)[4], const unsigned (&b)[2], const float (&c)[4],
                  emulator::Site site = emulator::Site::here()) {
    emulator::Multiply request{a, b, c, d};
    emulator::collective("mma_m16n8k16", 0xffffffff, &request, emulator::Multiply::finish<T>, site);
}

inline void ldmatrix_x4(unsigned (&r)[4], const void *row, emulator::Site site = emulator::Site::here()) {
    emulator::load_matrix<4, false>(r, row, site);
}
inline void ldmatrix_x4_trans(unsigned (&r)[4], const void *row, emulator::Site site = emulator::Site::here()) {
    emulator::load_matrix<4, true>(r, row, site);
}
inline void ldmatrix_x2(unsigned (&r)[2], const void *row, emulator::Site site = emulator::Site::here()) {
    emulator::load_matrix<2, false>(r, row, site);
}
inline void ldmatrix_x2_trans(unsigned (&r)[2], const void *row, emulator::Site site = emulator::Site::here()) {
    emulator::load_matrix<2, true>(r, row, site);
}

// What is copied arrives when it is waited for: who reads it before finds shared memory as it was.
inline void cp_async16(void *shared, const void *global, bool valid = true) {
    emulator::check_16("cp_async16", shared);
    uint4 value{};
    if (valid) {
        emulator::check_16("cp_async16", global);
        value = *static_cast<const uint4 *>(global);
    }
    emulator::copy_later(shared, value);
}
inline void cp_async_commit() { emulator::commit_copies(); }
template <int PENDING>
void cp_async_wait() { emulator::wait_for_copies(PENDING); }
