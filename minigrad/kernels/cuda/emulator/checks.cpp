// Watches every access to memory of a kernel that was compiled for it: is it inside an array, was shared memory
// written before it is read, and may another thread of the block access the same byte at the same time?
//
// The compiler's thread sanitizer puts a call before each access (__tsan_read4 and others), its undefined-behaviour
// sanitizer one where an index leaves its array or an address is not aligned. Normally these calls go to the
// sanitizers' own libraries; here they come to this file. Whether two accesses are ordered is decided as in vector
// clocks (Mattern, "Virtual time and global states of distributed systems", 1988): one counter of barriers for the
// block, and within each warp what every lane knows of the others.

#include <dlfcn.h>
#include <link.h>

#include <algorithm>
#include <vector>

#include "runtime.h"

namespace emulator {
namespace {

enum Kind { OUT_OF_BOUNDS, UNINITIALISED, RACE, INDEX, MISALIGNED };

// What is told to Python; a kind of finding in the same place is counted, not repeated.
struct Finding {
    int kind, count;
    const void *place, *other_place;  // in the library, as offsets
    const char *file;                 // INDEX and MISALIGNED: where, instead of place
    int line, bytes;
    int64_t index;
    const char *address;
    int writes, other_writes;
    uint3 block, thread, other_thread;
};

struct Access {
    unsigned epoch, clock;
    const void *place;
    short thread;  // counted from 1; 0: none
    bool atomic;
};

// The last accesses to one byte. Of its readers two are kept: a third thread's write may race with one that was
// forgotten, if it is ordered after both that were not.
struct Cell {
    Access writer, reader, another_reader;
};

struct Memory {
    Range range;
    std::vector<Cell> cells;
    std::vector<bool> written;  // of shared memory only
};

constexpr int MOST_FINDINGS = 100, WARPS = 32;

std::vector<Finding> findings;
std::vector<Memory> arrays;
Memory fixed, dynamic;  // shared memory
Range arena, library, own_stacks;
unsigned epoch;
unsigned clocks[WARPS][32][32];  // [warp][lane]: how far that lane knows every other lane of its warp to be

const void *offset(const void *place) {
    return reinterpret_cast<const void *>(static_cast<const char *>(place) - library.begin);
}

void report(Finding f) {
    for (Finding &old : findings)
        if (old.kind == f.kind && old.place == f.place && old.other_place == f.other_place && old.line == f.line) {
            old.count++;
            return;
        }
    if (findings.size() == MOST_FINDINGS) return;
    f.count = 1;
    f.block = blockIdx;
    f.thread = threadIdx;
    findings.push_back(f);
}

Finding finding(Kind kind, const void *address, int bytes, bool write, const void *place) {
    Finding f{};
    f.kind = kind, f.address = static_cast<const char *>(address), f.bytes = bytes, f.writes = write;
    f.place = offset(place);
    return f;
}

bool ordered(const Access &before, int thread) {
    if (before.epoch != epoch) return true;
    int other = before.thread - 1;
    if (other / 32 != thread / 32) return false;
    return clocks[thread / 32][thread % 32][other % 32] >= before.clock;
}

bool races(const Access &before, const Access &now) {
    if (!before.thread || before.thread == now.thread || (before.atomic && now.atomic)) return false;
    return !ordered(before, now.thread - 1);
}

enum How { READ, WRITE, ATOMIC_READ, ATOMIC_WRITE, PENDING_WRITE };

void visit(Memory &memory, const char *address, int bytes, How how, const void *place) {
    bool write = how != READ && how != ATOMIC_READ, atomic = how == ATOMIC_READ || how == ATOMIC_WRITE;
    int thread = thread_number();
    Access now{epoch, clocks[thread / 32][thread % 32][thread % 32], place, static_cast<short>(thread + 1), atomic};
    Access rival{};
    bool unwritten = false, rival_writes = false;
    size_t first = address - memory.range.begin;
    for (size_t i = first; i < first + bytes; i++) {
        Cell &cell = memory.cells[i];
        if (!memory.written.empty()) {
            unwritten |= !write && !memory.written[i];
            if (write && how != PENDING_WRITE) memory.written[i] = true;
        }
        for (const Access *before : {&cell.another_reader, &cell.reader, &cell.writer}) {
            bool before_writes = before == &cell.writer;
            if ((write || before_writes) && races(*before, now)) rival = *before, rival_writes = before_writes;
        }
        if (write) {
            cell.writer = now;
        } else {
            if (cell.reader.thread != now.thread) cell.another_reader = cell.reader;
            cell.reader = now;
        }
    }
    if (unwritten) report(finding(UNINITIALISED, address, bytes, write, place));
    if (rival.thread) {
        Finding f = finding(RACE, address, bytes, write, place);
        f.other_place = offset(rival.place), f.other_writes = rival_writes, f.other_thread = index_of(rival.thread - 1);
        report(f);
    }
}

void access(const void *pointer, int bytes, How how, const void *place) {
    bool write = how != READ && how != ATOMIC_READ;
    auto *address = static_cast<const char *>(pointer), *last = address + bytes - 1;
    bool in_kernel = own_stacks.has(__builtin_frame_address(0));
    if (!in_kernel || own_stacks.has(address)) return;
    for (Memory &memory : arrays)
        if (memory.range.has(address) && memory.range.has(last))
            return visit(memory, address, bytes, how, place);
    for (Memory *memory : {&fixed, &dynamic})
        if (memory->range.has(address) && memory->range.has(last))
            return visit(*memory, address, bytes, how, place);
    if (in_shared_guard(address)) return report(finding(OUT_OF_BOUNDS, address, bytes, write, place));
    if (library.has(address)) return;  // a constant or a __device__ variable
    report(finding(OUT_OF_BOUNDS, address, bytes, write, place));
    if (!arena.has(address)) stop();  // there may be no memory at that address
}

Memory memory_of(Range range, bool shared) {
    size_t bytes = range.end - range.begin;
    Memory memory{range, std::vector<Cell>(bytes), {}};
    if (shared) memory.written.resize(bytes);
    return memory;
}

Range library_range() {
    Dl_info info;
    dladdr(reinterpret_cast<void *>(&library_range), &info);
    auto *begin = static_cast<const char *>(info.dli_fbase);
    Range found{begin, begin};
    auto extend = [](dl_phdr_info *each, size_t, void *result) {
        auto &range = *static_cast<Range *>(result);
        if (reinterpret_cast<const char *>(each->dlpi_addr) != range.begin) return 0;
        for (int i = 0; i < each->dlpi_phnum; i++) {
            const auto &segment = each->dlpi_phdr[i];
            if (segment.p_type == PT_LOAD) range.end = std::max(range.end, range.begin + segment.p_vaddr + segment.p_memsz);
        }
        return 1;
    };
    dl_iterate_phdr(extend, &found);
    return found;
}

}  // namespace

// --- what the runtime tells -----------------------------------------------------------------------------------

void launch_started() {
    findings.clear();
    library = library_range();
    own_stacks = stacks();
    fixed = memory_of(shared_arrays(), true);
    dynamic = memory_of(dynamic_shared_memory(), true);
}

void block_started() {
    epoch++;
    std::fill(fixed.written.begin(), fixed.written.end(), false);
    std::fill(dynamic.written.begin(), dynamic.written.end(), false);
    memset(clocks, 0, sizeof clocks);
    for (auto &warp : clocks)
        for (int lane = 0; lane < 32; lane++) warp[lane][lane] = 1;
}

void barrier_passed() { epoch++; }

void collective_passed(int warp, unsigned lanes) {
    unsigned known[32] = {};
    for (int i = 0; i < 32; i++)
        for (int j = 0; j < 32 && lanes >> i & 1; j++) known[j] = std::max(known[j], clocks[warp][i][j]);
    for (int i = 0; i < 32; i++) {
        if (!(lanes >> i & 1)) continue;
        std::copy(known, known + 32, clocks[warp][i]);
        clocks[warp][i][i]++;
    }
}

void atomic_access(void *address, int bytes) {
    // Both: it reads what was there and writes what will be.
    access(address, bytes, ATOMIC_READ, __builtin_return_address(0));
    access(address, bytes, ATOMIC_WRITE, __builtin_return_address(0));
}

void copy_asked_for(void *destination, const void *place) { access(destination, 16, PENDING_WRITE, place); }

void copy_arrived(void *destination, const void *place) { access(destination, 16, WRITE, place); }

// --- what Python tells and asks ----------------------------------------------------------------------------------

extern "C" void emulator_watch(const char *arena_begin, const char *arena_end, int count, const char **ends) {
    arena = {arena_begin, arena_end};
    arrays.clear();
    for (int i = 0; i < count; i++) arrays.push_back(memory_of({ends[2 * i], ends[2 * i + 1]}, false));
}

extern "C" int emulator_findings(const Finding **first) {
    *first = findings.data();
    return static_cast<int>(findings.size());
}

extern "C" const char *emulator_shared(int which, size_t *bytes) {
    Range range = which ? dynamic_shared_memory() : shared_arrays();
    *bytes = range.end - range.begin;
    return range.begin;
}

}  // namespace emulator

// --- what the compiler calls -------------------------------------------------------------------------------------

using emulator::access;
#define HERE __builtin_return_address(0)
#define HOOK(bytes)                                                                            \
    extern "C" void __tsan_read##bytes(void *p) { access(p, bytes, emulator::READ, HERE); }               \
    extern "C" void __tsan_write##bytes(void *p) { access(p, bytes, emulator::WRITE, HERE); }               \
    extern "C" void __tsan_unaligned_read##bytes(void *p) { access(p, bytes, emulator::READ, HERE); }     \
    extern "C" void __tsan_unaligned_write##bytes(void *p) { access(p, bytes, emulator::WRITE, HERE); }
HOOK(1)
HOOK(2)
HOOK(4)
HOOK(8)
HOOK(16)
extern "C" void __tsan_read_range(void *p, size_t bytes) { access(p, static_cast<int>(bytes), emulator::READ, HERE); }
extern "C" void __tsan_write_range(void *p, size_t bytes) { access(p, static_cast<int>(bytes), emulator::WRITE, HERE); }
extern "C" void __tsan_init() {}
extern "C" void __tsan_func_entry(void *) {}
extern "C" void __tsan_func_exit() {}

struct Location {
    const char *file;
    unsigned line, column;
};

extern "C" void __ubsan_handle_out_of_bounds(Location *location, intptr_t index) {
    emulator::Finding f{};
    f.kind = emulator::INDEX, f.file = location->file, f.line = location->line, f.index = index;
    emulator::report(f);
}

// For __ubsan's alignment check; the only other cause, a null pointer, is not asked for.
extern "C" void __ubsan_handle_type_mismatch_v1(Location *location, void *address) {
    emulator::Finding f{};
    f.kind = emulator::MISALIGNED, f.file = location->file, f.line = location->line;
    f.address = static_cast<const char *>(address);
    emulator::report(f);
    emulator::stop();
}
