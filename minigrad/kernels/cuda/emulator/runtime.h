// What the emulator's parts know of each other: launch.cpp runs a grid, threads.cpp a block, and checks.cpp watches
// what the threads access.

#pragma once
#include <cstddef>

#include "emulator.h"

namespace emulator {

enum Order { FORWARD, REVERSE, PERMUTED };

struct Range {
    const char *begin, *end;
    bool has(const void *p) const { return p >= begin && p < end; }
};

// --- threads.cpp ---
void prepare_threads(void (*call)(void **), void **values);  // for the launch of a kernel with these arguments
void run_block(Order how, int salt);
int position(Order how, int i, int n, int salt);
uint3 index_of(int thread);
int thread_number();  // of the current thread in its block
Range stacks();
bool is_stack_overflow(const void *address);
char *make_stacks();
void use_stacks(char *memory);
void forget_fibers();

// --- launch.cpp ---
[[noreturn]] void stop();  // with the report that there is
[[noreturn]] void fault_of_block(const char *format, ...) __attribute__((format(printf, 1, 2)));
Range shared_arrays();  // the __shared__ arrays with a size
Range dynamic_shared_memory();
bool in_shared_guard(const void *address);  // just behind shared memory

// --- checks.cpp ---
#ifdef EMULATOR_CHECKED
void launch_started();
void block_started();
void barrier_passed();                             // by the whole block
void collective_passed(int warp, unsigned lanes);  // by these lanes
void copy_asked_for(void *destination, const void *place);
void copy_arrived(void *destination, const void *place);
#else
inline void launch_started() {}
inline void block_started() {}
inline void barrier_passed() {}
inline void collective_passed(int, unsigned) {}
inline void copy_asked_for(void *, const void *) {}
inline void copy_arrived(void *, const void *) {}
#endif

}  // namespace emulator
