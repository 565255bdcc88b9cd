// Runs one block: each of its threads is a fiber, with a stack of its own.
//
// A fiber runs until it has to wait, at a barrier or for the other lanes of its warp, and then hands over to the
// scheduler, which starts the next thread in one of three orders. Code that is right gives the same result in all
// of them. A barrier that part of the block never reaches and a warp that waits forever stop the launch.

#include <csetjmp>
#include <sys/mman.h>
#include <ucontext.h>

#include <vector>

#include "runtime.h"

uint3 threadIdx, blockIdx;
dim3 blockDim, gridDim;

namespace emulator {
namespace {

constexpr size_t STACK = 128 << 10, PAGE = 4096;
constexpr int MOST_THREADS = 1024;

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
    Site site;       // of the call it waits in
    bool predicate;  // at a barrier
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
unsigned in_collective[MOST_THREADS / 32];  // the lanes of each warp
int order[MOST_THREADS];                    // of the threads, warp by warp

jmp_buf scheduler;
char *stack_memory;
void (*kernel)(void **);
void **arguments;

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

// --- the order of threads ----------------------------------------------------------------------------------------

void choose_order(Order how, int salt) {
    int warps = (thread_count + 31) / 32, next = 0;
    for (int w = 0; w < warps; w++) {
        int first = 32 * position(how, w, warps, salt), lanes = min(32, thread_count - first);
        for (int i = 0; i < lanes; i++) order[next++] = first + position(how, i, lanes, salt + w);
    }
}

const char *base_name(const char *path) {
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

// Threads grouped by what they wait for, a line each: "31 threads, the first thread (0, 0, 0), at the barrier in ..."
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
        length += snprintf(text + length, size - length, "\n    %d thread%s, the first thread (%u, %u, %u), ", count,
                           count == 1 ? "" : "s", first.index.x, first.index.y, first.index.z);
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

[[noreturn]] void stop_block(const char *what) {
    char waiting[2048];
    describe_waiting(waiting, sizeof waiting);
    fault_of_block("%s:%s", what, waiting);
}

// Let the threads at the barrier go on, with the number of their predicates that are true.
void open_barrier() {
    int votes = 0;
    for (int i = 0; i < thread_count; i++) {
        if (threads[i].state != AT_BARRIER) continue;
        votes += threads[i].predicate;
        threads[i].state = READY;
    }
    at_barrier = 0, barrier_votes = votes, barrier_opened = true;
    barrier_passed();
}

}  // namespace

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

// --- one block ---------------------------------------------------------------------------------------------------

void prepare_threads(void (*call)(void **), void **values) {
    kernel = call, arguments = values;
    thread_count = blockDim.x * blockDim.y * blockDim.z;
    for (int i = 0; i < thread_count; i++) threads[i].index = index_of(i);
}

uint3 index_of(int thread) {
    unsigned i = thread;
    return {i % blockDim.x, i / blockDim.x % blockDim.y, i / blockDim.x / blockDim.y};
}

// Run each warp as far as it goes, again and again, until all its threads have ended.
void run_block(Order how, int salt) {
    live = thread_count, at_barrier = 0;
    memset(in_collective, 0, sizeof in_collective);
    for (int i = 0; i < thread_count; i++) {
        threads[i].state = READY;
        threads[i].copies.clear();
        threads[i].groups = 0;
    }
    choose_order(how, salt);
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
#ifdef EMULATOR_ENDED_PASS_BARRIERS  // as on GPUs since Volta, for kernels that are not ours to fix
            if (ended && at_one) {
                open_barrier();
                continue;
            }
#endif
            stop_block(ended && at_one ? "divergent barrier, part of the block ended without reaching it"
                                       : "deadlock, no thread can go on");
        }
    }
}

// --- what kernels wait for ---------------------------------------------------------------------------------------

int barrier(bool predicate, Site site) {
    current->state = AT_BARRIER;
    current->site = site;
    current->predicate = predicate;
    if (++at_barrier == live && live == thread_count) {
        for (int i = 0; i < thread_count; i++)
            if (threads[i].site.line != site.line || strcmp(threads[i].site.file, site.file))
                stop_block("divergent barrier, the block's threads wait at different ones");
        open_barrier();
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
    unsigned &arrived = in_collective[number(current) / 32];
    arrived |= 1u << lane();
    if ((arrived & waited_for) != waited_for) return hand_over();
    void *requests[32] = {};
    for (int i = 0; i < 32; i++) {
        if (!(waited_for >> i & 1)) continue;
        if (warp[i].mask != mask) return hand_over();
        if (warp[i].finish != finish)
            fault("lanes of one warp wait in different operations: %s in line %d and %s in line %d", name, site.line,
                  warp[i].collective, warp[i].site.line);
        requests[i] = warp[i].request;
    }
    if (finish) finish(requests);
    for (int i = 0; i < 32; i++)
        if (waited_for >> i & 1) warp[i].state = READY;
    arrived &= ~waited_for;
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

// --- for the other files -----------------------------------------------------------------------------------------

int thread_number() { return number(current); }

Range stacks() { return {stack_memory, stack_memory + MOST_THREADS * STACK}; }

bool is_stack_overflow(const void *address) {
    char *end_of_stack = stack_of(number(current));
    return Range{end_of_stack, end_of_stack + PAGE}.has(address);
}

char *make_stacks() {
    size_t bytes = MOST_THREADS * STACK;
    void *memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) return nullptr;
    auto *begin = static_cast<char *>(memory);
    for (int i = 0; i < MOST_THREADS; i++) mprotect(begin + i * STACK, PAGE, PROT_NONE);  // stops one that overflows
    return begin;
}

void use_stacks(char *memory) { stack_memory = memory; }

void forget_fibers() {
    for (Thread &thread : threads) thread.started = false;
}

}  // namespace emulator
