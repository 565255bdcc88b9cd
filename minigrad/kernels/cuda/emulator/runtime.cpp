// Runs a kernel's blocks one after the other, each thread of a block a fiber with a stack of its own.
//
// A fiber runs until it has to wait, at a barrier or for the other lanes of its warp, and then hands over to the
// scheduler, which starts the next thread in one of three orders. Code that is right gives the same result in all
// of them. What cannot go on (a barrier that part of a block never reaches, a warp that waits for ever) and what
// touches memory that is not there stops the launch with a report.

#include <csetjmp>
#include <csignal>
#include <cstdarg>
#include <cstdlib>
#include <link.h>
#include <sys/mman.h>
#include <ucontext.h>

#include <vector>

#include "emulator.h"
#include "runtime.h"

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace emulator {
namespace {

constexpr size_t STACK = 128 << 10, PAGE = 4096;
constexpr int MOST_THREADS = 1024;
constexpr size_t DYNAMIC_SHARED = 227 << 10, SHARED_GUARD = 4096;  // the most of a Hopper GPU
constexpr unsigned char POISON = 0xff;  // NaN in every float type, -1 in the integers

enum State { READY, AT_BARRIER, IN_COLLECTIVE, ENDED };

struct Copy {
    void *destination;
    uint4 value;
    int group;
    const void *place;  // where it was asked for
};

struct Thread {
    jmp_buf context;
    bool started;  // its fiber exists, and waits in `context`
    State state;
    uint3 index;
    Site site;  // of the call it waits in
    bool predicate;
    const char *collective;
    unsigned mask;
    void *request;
    Finish finish;
    std::vector<Copy> copies;  // asked for and not yet waited for
    int groups;                // of copies committed
};

Thread threads[MOST_THREADS];
Thread *current;
int thread_count, live, at_barrier, barrier_votes;
bool barrier_opened;
int order[MOST_THREADS];  // of the threads, warp by warp

jmp_buf scheduler, launcher;
char *stack_memory;
void (*kernel)(void **);
void **arguments;
char report[4096];

alignas(1024) unsigned char dynamic_memory[DYNAMIC_SHARED + SHARED_GUARD];
size_t dynamic_bytes;
// Linked last, so it lies behind a kernel's __shared__ arrays.
alignas(64) thread_local unsigned char fixed_guard[SHARED_GUARD];

int number(const Thread *thread) { return static_cast<int>(thread - threads); }

unsigned existing_lanes() {  // of the current thread's warp: the last one may be part of a warp
    int lanes = thread_count - (number(current) & -32);
    return lanes >= 32 ? 0xffffffff : (1u << lanes) - 1;
}

// --- fibers ------------------------------------------------------------------------------------------------------

__attribute__((noinline)) void hand_over() {
    if (!_setjmp(current->context)) _longjmp(scheduler, 1);
}

// A fiber outlives its block: it waits at the end of this loop until it is needed as a thread of another one.
void fiber() {
    for (;;) {
        kernel(arguments);
        current->state = ENDED;
        live--;
        hand_over();
    }
}

char *stack_of(int i) { return stack_memory + i * STACK; }

char *make_stacks() {
    size_t bytes = MOST_THREADS * STACK;
    void *memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return nullptr;
    auto *begin = static_cast<char *>(memory);
    for (int i = 0; i < MOST_THREADS; i++) mprotect(begin + i * STACK, PAGE, PROT_NONE);  // stops one that overflows
    return begin;
}

void forget_fibers() {
    for (Thread &thread : threads) thread.started = false;
}

__attribute__((noinline)) void start(Thread &thread) {
    int i = number(&thread);
    ucontext_t context;
    getcontext(&context);
    context.uc_stack.ss_sp = stack_of(i) + PAGE;
    // Tops at different distances from a page's end, or all of them would compete for the same lines of the cache.
    context.uc_stack.ss_size = STACK - PAGE - i % 64 * 192;
    context.uc_link = nullptr;
    makecontext(&context, fiber, 0);
    thread.started = true;
    setcontext(&context);
}

__attribute__((noinline)) void run(Thread &thread) {
    current = &thread;
    threadIdx = thread.index;
    if (_setjmp(scheduler)) return;
    if (thread.started) _longjmp(thread.context, 1);
    start(thread);
}

// --- reports -----------------------------------------------------------------------------------------------------

[[noreturn]] void stop() {
    forget_fibers();  // they wait in the middle of a kernel, never to go on
    siglongjmp(launcher, 1);
}

void describe(char *text, size_t size, const Thread &thread) {
    snprintf(text, size, "thread (%u, %u, %u)", thread.index.x, thread.index.y, thread.index.z);
}

const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

// Threads grouped by what they wait for, one line a group: "at __syncthreads() in softmax.cu:12: 31 threads, ..."
void describe_waiting(char *text, size_t size) {
    bool told[MOST_THREADS] = {};
    size_t length = 0;
    for (int i = 0; i < thread_count && length + 200 < size; i++) {
        if (told[i]) continue;
        const Thread &first = threads[i];
        int count = 0;
        for (int j = i; j < thread_count; j++) {
            const Thread &other = threads[j];
            bool same = other.state == first.state &&
                        (first.state == ENDED || (other.site.line == first.site.line &&
                                                  (first.state == AT_BARRIER || other.mask == first.mask)));
            if (same) told[j] = true, count++;
        }
        char who[64];
        describe(who, sizeof who, first);
        length += snprintf(text + length, size - length, "\n    %d thread%s, the first %s, ", count,
                           count == 1 ? "" : "s", who);
        if (first.state == ENDED)
            length += snprintf(text + length, size - length, count == 1 ? "has ended" : "have ended");
        else if (first.state == AT_BARRIER)
            length += snprintf(text + length, size - length, "at the barrier in %s:%d", base_name(first.site.file),
                               first.site.line);
        else
            length += snprintf(text + length, size - length, "at %s(mask 0x%08x) in %s:%d", first.collective,
                               first.mask, base_name(first.site.file), first.site.line);
    }
}

[[noreturn]] void fault_of_block(const char *what) {
    char waiting[2048];
    describe_waiting(waiting, sizeof waiting);
    snprintf(report, sizeof report, "block (%u, %u, %u): %s:%s", blockIdx.x, blockIdx.y, blockIdx.z, what, waiting);
    stop();
}

void segmentation_fault(int, siginfo_t *info, void *) {
    char who[64];
    describe(who, sizeof who, *current);
    auto *address = static_cast<char *>(info->si_addr);
    bool overflow = address >= stack_of(number(current)) && address < stack_of(number(current)) + PAGE;
    snprintf(report, sizeof report, "block (%u, %u, %u), %s: %s", blockIdx.x, blockIdx.y, blockIdx.z, who,
             overflow ? "its local variables do not fit the emulator's 128 KB stack"
                      : "an access far outside every array");
    stop();
}

// --- one block ---------------------------------------------------------------------------------------------------

// The i-th of n in an order: forward, reverse, or permuted (steps of a length that has no factor in common with n).
int position(Order how, int i, int n, int salt) {
    if (how == FORWARD) return i;
    if (how == REVERSE) return n - 1 - i;
    auto coprime = [](int a, int b) {
        while (b) { int rest = a % b; a = b, b = rest; }
        return a == 1;
    };
    int step = n * 5 / 8 + 1 + salt % 3;
    while (!coprime(step, n)) step++;
    return static_cast<int>((static_cast<int64_t>(i) * step + salt) % n);
}

void choose_order(Order how, int salt) {
    int warps = (thread_count + 31) / 32, next = 0;
    for (int w = 0; w < warps; w++) {
        int first = 32 * position(how, w, warps, salt), lanes = min(32, thread_count - first);
        for (int i = 0; i < lanes; i++) order[next++] = first + position(how, i, lanes, salt + w);
    }
}

// Run each warp as far as it goes, again and again, until all its threads have ended.
void run_block() {
    while (live) {
        bool progress = false;
        barrier_opened = false;
        for (int first = 0; first < thread_count && !barrier_opened;) {
            int end = first + 1;
            while (end < thread_count && order[end] / 32 == order[first] / 32) end++;
            bool again = true;
            while (again && !barrier_opened) {
                again = false;
                for (int i = first; i < end && !barrier_opened; i++)
                    if (threads[order[i]].state == READY) run(threads[order[i]]), again = progress = true;
            }
            first = end;
        }
        if (!progress && live) {
            bool ended = live < thread_count, at_one = at_barrier == live;
            fault_of_block(ended && at_one ? "divergent barrier, part of the block ended without reaching it"
                                           : "deadlock, no thread can go on");
        }
    }
}

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
        if (guard[i] != expected[i]) {
            snprintf(report, sizeof report, "block (%u, %u, %u): writes past the end of its %zu bytes of %s, at byte %zu",
                     blockIdx.x, blockIdx.y, blockIdx.z, bytes_before, what, bytes_before + i);
            stop();
        }
}

void start_block(Range shared) {
    live = thread_count, at_barrier = 0;
    for (int i = 0; i < thread_count; i++) {
        threads[i].state = READY;
        threads[i].copies.clear();
        threads[i].groups = 0;
    }
    memset(const_cast<char *>(shared.begin), POISON, shared.end - shared.begin);
    memset(dynamic_memory, POISON, dynamic_bytes);
    fill_guard(fixed_guard);
    fill_guard(dynamic_memory + dynamic_bytes);
    block_started();
}

}  // namespace

// --- what kernels wait for ---------------------------------------------------------------------------------------

int barrier(bool predicate, Site site) {
    current->state = AT_BARRIER;
    current->site = site;
    current->predicate = predicate;
    if (++at_barrier == live && live == thread_count) {
        int votes = 0;
        for (int i = 0; i < thread_count; i++) {
            if (threads[i].site.line != site.line || strcmp(threads[i].site.file, site.file))
                fault_of_block("divergent barrier, the block's threads wait at different ones");
            votes += threads[i].predicate;
        }
        for (int i = 0; i < thread_count; i++) threads[i].state = READY;
        at_barrier = 0, barrier_votes = votes, barrier_opened = true;
        barrier_passed();
    }
    hand_over();
    return barrier_votes;
}

int lane() { return number(current) % 32; }

unsigned live_lanes() {
    unsigned lanes = existing_lanes();
    for (int i = 0; i < 32; i++)
        if (lanes >> i & 1 && threads[(number(current) & -32) + i].state == ENDED) lanes &= ~(1u << i);
    return lanes;
}

void collective(const char *name, unsigned mask, void *request, Finish finish, Site site) {
    Thread &me = *current;
    me.state = IN_COLLECTIVE;
    me.site = site, me.collective = name, me.mask = mask, me.request = request, me.finish = finish;
    if (!(mask >> lane() & 1)) fault("%s: the mask 0x%08x does not name the calling lane %d", name, mask, lane());

    Thread *warp = threads + (number(current) & -32);
    unsigned waited_for = mask & existing_lanes();  // if one has ended, this is a deadlock
    void *requests[32] = {};
    for (int i = 0; i < 32; i++) {
        if (!(waited_for >> i & 1)) continue;
        if (warp[i].state != IN_COLLECTIVE || warp[i].mask != mask) return hand_over();
        if (warp[i].finish != finish)
            fault("lanes of one warp wait in different operations: %s in line %d and %s in line %d", name, site.line,
                  warp[i].collective, warp[i].site.line);
        requests[i] = warp[i].request;
    }
    if (finish) finish(requests);
    for (int i = 0; i < 32; i++)
        if (waited_for >> i & 1) warp[i].state = READY;
    collective_passed(number(current) / 32, waited_for);
    hand_over();
}

void copy_later(void *destination, uint4 value) {
    const void *place = __builtin_return_address(0);
    copy_asked_for(destination, place);
    current->copies.push_back({destination, value, current->groups, place});
}

void commit_copies() { current->groups++; }

void wait_for_copies(unsigned pending_groups) {
    auto &copies = current->copies;
    int done = current->groups - static_cast<int>(pending_groups);
    auto next = copies.begin();
    for (; next != copies.end() && next->group < done; ++next) {
        copy_arrived(next->destination, next->place);
        memcpy(next->destination, &next->value, 16);
    }
    copies.erase(copies.begin(), next);
}

void fault(const char *format, ...) {
    char who[64], what[1024];
    va_list rest;
    va_start(rest, format);
    vsnprintf(what, sizeof what, format, rest);
    va_end(rest);
    describe(who, sizeof who, *current);
    snprintf(report, sizeof report, "block (%u, %u, %u), %s: %s", blockIdx.x, blockIdx.y, blockIdx.z, who, what);
    stop();
}

void *dynamic_shared() { return dynamic_memory; }

// --- what checks.cpp asks ----------------------------------------------------------------------------------------

int thread_number() { return number(current); }

void stop(const char *reason) {
    snprintf(report, sizeof report, "%s", reason);
    stop();
}

bool in_shared_guard(const void *address) {
    auto *fixed = reinterpret_cast<char *>(fixed_guard), *dynamic = reinterpret_cast<char *>(dynamic_memory);
    return Range{fixed, fixed + SHARED_GUARD}.has(address) ||
           Range{dynamic + dynamic_bytes, dynamic + dynamic_bytes + SHARED_GUARD}.has(address);
}

Range dynamic_shared_memory() {
    auto *begin = reinterpret_cast<char *>(dynamic_memory);
    return {begin, begin + dynamic_bytes};
}

Range stacks() { return {stack_memory, stack_memory + MOST_THREADS * STACK}; }

// The library's TLS segment up to the guard behind it.
Range shared_arrays() {
    fill_guard(fixed_guard);  // also makes sure that this thread has its TLS segment
    Range found{};
    auto visit = [](dl_phdr_info *library, size_t, void *result) {
        bool ours = false;
        for (int i = 0; i < library->dlpi_phnum; i++) {
            const auto &segment = library->dlpi_phdr[i];
            auto begin = library->dlpi_addr + segment.p_vaddr, here = reinterpret_cast<uintptr_t>(&threads);
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

// --- a launch ----------------------------------------------------------------------------------------------------

// Run every block of a grid; 0, or 1 with a report of what stopped it. All libraries share the stacks, made by the
// first that needs them; `others_ran` since this one did.
extern "C" int emulator_launch(void (*call)(void **), void **values, const unsigned *grid, const unsigned *block,
                               size_t shared_bytes, int how, char **shared_stacks, int others_ran) {
    static char signal_stack[64 << 10];
    if (!*shared_stacks && !(*shared_stacks = make_stacks())) {
        snprintf(report, sizeof report, "there is no memory for the threads' stacks");
        return 1;
    }
    stack_memory = *shared_stacks;
    if (others_ran) forget_fibers();
    kernel = call, arguments = values, dynamic_bytes = shared_bytes;
    gridDim = dim3(grid[0], grid[1], grid[2]), blockDim = dim3(block[0], block[1], block[2]);
    thread_count = block[0] * block[1] * block[2];
    for (int i = 0; i < thread_count; i++)
        threads[i].index = {i % block[0], i / block[0] % block[1], i / block[0] / block[1]};
    Range shared = shared_arrays();
    launch_started();

    stack_t ours{}, theirs;
    ours.ss_sp = signal_stack, ours.ss_size = sizeof signal_stack;
    sigaltstack(&ours, &theirs);
    struct sigaction action {}, before_segv, before_bus;
    action.sa_sigaction = segmentation_fault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigaction(SIGSEGV, &action, &before_segv);
    sigaction(SIGBUS, &action, &before_bus);
    volatile int failed = 0;
    if (!sigsetjmp(launcher, 1)) {
        int blocks = gridDim.x * gridDim.y * gridDim.z;
        for (int i = 0; i < blocks; i++) {
            int b = position(static_cast<Order>(how), i, blocks, 1);
            blockIdx = {b % gridDim.x, b / gridDim.x % gridDim.y, b / gridDim.x / gridDim.y};
            choose_order(static_cast<Order>(how), i);
            start_block(shared);
            run_block();
            check_guard("dynamic shared memory", dynamic_memory + dynamic_bytes, dynamic_bytes);
            check_guard("__shared__ arrays", fixed_guard, shared.end - shared.begin);
        }
    } else {
        failed = 1;
    }
    sigaction(SIGSEGV, &before_segv, nullptr);
    sigaction(SIGBUS, &before_bus, nullptr);
    sigaltstack(&theirs, nullptr);
    fflush(stdout);
    return failed;
}

extern "C" const char *emulator_report() { return report; }
extern "C" size_t emulator_static_shared() {
    Range shared = shared_arrays();
    return shared.end - shared.begin;
}

}  // namespace emulator
