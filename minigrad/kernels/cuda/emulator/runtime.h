// What the emulator's parts know of each other: runtime.cpp runs threads, checks.cpp watches what they access.

#pragma once
#include <cstddef>

#include "emulator.h"

namespace emulator {

enum Order { FORWARD, REVERSE, PERMUTED };

struct Range {
    const char *begin, *end;
    bool has(const void *p) const { return p >= begin && p < end; }
};

Range shared_arrays();  // the __shared__ arrays with a size
Range dynamic_shared_memory();
Range stacks();
bool in_shared_guard(const void *address);  // just behind shared memory
int thread_number();                        // of the current thread in its block
[[noreturn]] void stop(const char *reason);

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
