// A launch: every block of a grid in turn, with shared memory that is NaN at first and guard zones behind it, until
// the end or the first thing that cannot go on.

#include <csetjmp>
#include <csignal>
#include <cstdarg>
#include <link.h>

#include "runtime.h"

namespace emulator {
namespace {

constexpr size_t DYNAMIC_SHARED = 227 << 10, SHARED_GUARD = 4096;  // the most of a Hopper GPU
constexpr unsigned char POISON = 0xff;                             // NaN in every float type, -1 in the integers

sigjmp_buf launcher;
char report[4096];
alignas(1024) unsigned char dynamic_memory[DYNAMIC_SHARED + SHARED_GUARD];
size_t dynamic_bytes;
// Linked last, so it lies behind a kernel's __shared__ arrays.
alignas(64) thread_local unsigned char fixed_guard[SHARED_GUARD];

// NaN in every float type, and no word like its neighbours: a kernel that reads NaN here and writes it there shows.
unsigned guard_word(size_t i) { return 0xffc0ffc0 | (i * 2654435761u >> 6 & 0x003f003f); }

void fill_guard(unsigned char *guard) {
    for (size_t i = 0; i < SHARED_GUARD / 4; i++) {
        unsigned word = guard_word(i);
        memcpy(guard + 4 * i, &word, 4);
    }
}

void check_guard(const char *what, const unsigned char *guard, size_t bytes_before) {
    unsigned char expected[SHARED_GUARD];
    fill_guard(expected);
    for (size_t i = 0; i < SHARED_GUARD; i++)
        if (guard[i] != expected[i])
            fault_of_block("writes past the end of its %zu bytes of %s, at byte %zu", bytes_before, what,
                           bytes_before + i);
}

void poison_shared_memory(Range fixed) {
    memset(const_cast<char *>(fixed.begin), POISON, fixed.end - fixed.begin);
    memset(dynamic_memory, POISON, dynamic_bytes);
    fill_guard(fixed_guard);
    fill_guard(dynamic_memory + dynamic_bytes);
}

void segmentation_fault(int, siginfo_t *info, void *) {
    fault(is_stack_overflow(info->si_addr) ? "its local variables do not fit the emulator's 128 KB stack"
                                           : "an access far outside every array");
}

// A segmentation fault stops the launch and not Python while this exists.
struct SignalGuard {
    stack_t stack_before;
    struct sigaction segv_before, bus_before;

    SignalGuard() {
        static char memory[64 << 10];
        stack_t stack{};
        stack.ss_sp = memory, stack.ss_size = sizeof memory;
        sigaltstack(&stack, &stack_before);
        struct sigaction action {};
        action.sa_sigaction = segmentation_fault;
        action.sa_flags = SA_SIGINFO | SA_ONSTACK;
        sigaction(SIGSEGV, &action, &segv_before);
        sigaction(SIGBUS, &action, &bus_before);
    }
    ~SignalGuard() {
        sigaction(SIGSEGV, &segv_before, nullptr);
        sigaction(SIGBUS, &bus_before, nullptr);
        sigaltstack(&stack_before, nullptr);
    }
};

void run_blocks(Order how) {
    Range fixed = shared_arrays();
    int blocks = gridDim.x * gridDim.y * gridDim.z;
    for (int i = 0; i < blocks; i++) {
        unsigned b = position(how, i, blocks, 1);
        blockIdx = {b % gridDim.x, b / gridDim.x % gridDim.y, b / gridDim.x / gridDim.y};
        poison_shared_memory(fixed);
        block_started();
        run_block(how, i);
        check_guard("dynamic shared memory", dynamic_memory + dynamic_bytes, dynamic_bytes);
        check_guard("__shared__ arrays", fixed_guard, fixed.end - fixed.begin);
    }
}

}  // namespace

// --- stopping ----------------------------------------------------------------------------------------------------

void stop() {
    forget_fibers();  // they wait in the middle of a kernel, never to go on
    siglongjmp(launcher, 1);
}

void fault_of_block(const char *format, ...) {
    int length = snprintf(report, sizeof report, "block (%u, %u, %u): ", blockIdx.x, blockIdx.y, blockIdx.z);
    va_list rest;
    va_start(rest, format);
    vsnprintf(report + length, sizeof report - length, format, rest);
    va_end(rest);
    stop();
}

void fault(const char *format, ...) {
    int length = snprintf(report, sizeof report, "block (%u, %u, %u), thread (%u, %u, %u): ", blockIdx.x, blockIdx.y,
                          blockIdx.z, threadIdx.x, threadIdx.y, threadIdx.z);
    va_list rest;
    va_start(rest, format);
    vsnprintf(report + length, sizeof report - length, format, rest);
    va_end(rest);
    stop();
}

// --- shared memory -----------------------------------------------------------------------------------------------

void *dynamic_shared() { return dynamic_memory; }

Range dynamic_shared_memory() {
    auto *begin = reinterpret_cast<char *>(dynamic_memory);
    return {begin, begin + dynamic_bytes};
}

bool in_shared_guard(const void *address) {
    auto *fixed = reinterpret_cast<char *>(fixed_guard), *dynamic = reinterpret_cast<char *>(dynamic_memory);
    return Range{fixed, fixed + SHARED_GUARD}.has(address) ||
           Range{dynamic + dynamic_bytes, dynamic + dynamic_bytes + SHARED_GUARD}.has(address);
}

// The library's TLS segment up to the guard behind it.
Range shared_arrays() {
    fill_guard(fixed_guard);  // also makes sure that this thread has its TLS segment
    Range found{};
    auto visit = [](dl_phdr_info *library, size_t, void *result) {
        bool ours = false;
        for (int i = 0; i < library->dlpi_phnum; i++) {
            const auto &segment = library->dlpi_phdr[i];
            auto begin = library->dlpi_addr + segment.p_vaddr, here = reinterpret_cast<uintptr_t>(report);
            if (segment.p_type == PT_LOAD && here >= begin && here < begin + segment.p_memsz) ours = true;
        }
        if (!ours) return 0;
        *static_cast<Range *>(result) = {static_cast<const char *>(library->dlpi_tls_data),
                                         reinterpret_cast<char *>(fixed_guard)};
        return 1;
    };
    dl_iterate_phdr(visit, &found);
    return found;
}

// --- what Python calls -------------------------------------------------------------------------------------------

// Run every block of a grid; 0, or 1 with a report of what stopped it. All libraries share the stacks, made by the
// first that needs them; `others_ran` since this one did.
extern "C" int emulator_launch(void (*call)(void **), void **values, const unsigned *grid, const unsigned *block,
                               size_t shared_bytes, int how, char **shared_stacks, int others_ran) {
    *report = 0;
    if (!*shared_stacks && !(*shared_stacks = make_stacks())) {
        snprintf(report, sizeof report, "there is no memory for the threads' stacks");
        return 1;
    }
    use_stacks(*shared_stacks);
    if (others_ran) forget_fibers();
    dynamic_bytes = shared_bytes;
    gridDim = dim3(grid[0], grid[1], grid[2]), blockDim = dim3(block[0], block[1], block[2]);
    prepare_threads(call, values);
    launch_started();
    SignalGuard guard;
    if (sigsetjmp(launcher, 1)) return 1;
    run_blocks(static_cast<Order>(how));
    fflush(stdout);
    return 0;
}

extern "C" const char *emulator_report() { return report; }

extern "C" size_t emulator_static_shared() {
    Range shared = shared_arrays();
    return shared.end - shared.begin;
}

}  // namespace emulator
