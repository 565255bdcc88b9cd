// libcuda.so.1 and the part of the CUDA runtime that cupy calls, on a CPU. An A100, says the device. What is asked of
// a stream is done at once, except while it is being captured: then it is kept, and done when the graph is launched.
// Kernels are built and launched by Python (kernels.py), through four callbacks.

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <functional>
#include <map>
#include <vector>

#include <driver_types.h>  // NVIDIA's, for cudaDeviceProp

using std::function, std::map, std::vector;

namespace {

enum { SUCCESS, INVALID_VALUE, OUT_OF_MEMORY, NOT_FOUND = 500, ILLEGAL_ADDRESS = 700, NOT_SUPPORTED = 801,
       CAPTURE_UNSUPPORTED = 900, CAPTURE_INVALIDATED = 901 };
enum { TO_DEVICE = 1, FROM_DEVICE, ON_DEVICE };
constexpr size_t MEMORY = 16ull << 30, GUARD = 512;
constexpr int SHARED_LIMIT = 49152, SHARED_OPT_IN = 166912;

struct Function {
    void *id;
    vector<int> sizes;        // of the arguments, in bytes
    vector<char> is_pointer;
    int shared_limit = SHARED_LIMIT;
};

struct Graph {
    vector<function<int()>> work;
};

struct Callbacks {
    int (*load_file)(const char *path, void **module);
    int (*load)(const void *image, void **module);
    int (*find)(void *module, const char *name, void **function, int *count, int *sizes, char *is_pointer);
    int (*launch)(void *function, unsigned *grid, unsigned *block, unsigned shared, void **arguments);
} python;

map<char *, size_t> allocated;
size_t held;
Graph *capturing;
void *captured_stream;
bool spoilt;  // the capture, by a call that is not allowed in one
long streams = 16;
int last_error;

int fail(int error, const char *what) {
    fprintf(stderr, "[cuda_on_cpu] %s\n", what);
    return last_error = error;
}

bool on_device(const void *address) {
    auto next = allocated.upper_bound((char *)address);
    if (next == allocated.begin()) return false;
    --next;
    return (char *)address <= next->first + next->second;
}

int not_while_capturing(const char *what) {
    if (!capturing) return SUCCESS;
    spoilt = true;
    return fail(CAPTURE_UNSUPPORTED, what);
}

int check_copy(void *to, const void *from, size_t bytes, int kind) {
    bool wrong = (kind == TO_DEVICE && !on_device(to)) || (kind == FROM_DEVICE && !on_device(from)) ||
                 (kind == ON_DEVICE && !(on_device(to) && on_device(from)));
    return bytes && wrong ? fail(INVALID_VALUE, "a copy whose device address is the host's") : SUCCESS;
}

}  // namespace

// Do it now, or when the graph that is being captured is launched.
int on_stream(const function<int()> &work) {
    if (!capturing) return work();
    capturing->work.push_back(work);
    return SUCCESS;
}

extern "C" {

void set_callbacks(Callbacks *callbacks) { python = *callbacks; }

// --- the runtime: errors, the device -----------------------------------------------------------------------------

const char *cudaGetErrorName(int error) {
    switch (error) {
        case SUCCESS: return "cudaSuccess";
        case INVALID_VALUE: return "cudaErrorInvalidValue";
        case OUT_OF_MEMORY: return "cudaErrorMemoryAllocation";
        case ILLEGAL_ADDRESS: return "cudaErrorIllegalAddress";
        case NOT_SUPPORTED: return "cudaErrorNotSupported";
        case CAPTURE_UNSUPPORTED: return "cudaErrorStreamCaptureUnsupported";
        case CAPTURE_INVALIDATED: return "cudaErrorStreamCaptureInvalidated";
        default: return "cudaErrorUnknown";
    }
}
const char *cudaGetErrorString(int error) { return error == OUT_OF_MEMORY ? "out of memory" : cudaGetErrorName(error); }
int cudaGetLastError() { int error = last_error; last_error = SUCCESS; return error; }
int cudaDriverGetVersion(int *version) { *version = 13000; return SUCCESS; }
int cudaRuntimeGetVersion(int *version) { *version = 13000; return SUCCESS; }
int cudaGetDevice(int *device) { *device = 0; return SUCCESS; }
int cudaSetDevice(int device) { return device ? INVALID_VALUE : SUCCESS; }
int cudaGetDeviceCount(int *count) { *count = 1; return SUCCESS; }
int cudaDeviceCanAccessPeer(int *can, int, int) { *can = 0; return SUCCESS; }
int cudaDeviceGetLimit(size_t *value, int) { *value = 1024; return SUCCESS; }
int cudaDeviceSetLimit(int, size_t) { return SUCCESS; }
int cudaDeviceGetPCIBusId(char *text, int size, int) { snprintf(text, size, "0000:00:00.0"); return SUCCESS; }
int cudaGetDeviceProperties(cudaDeviceProp *p, int) {
    memset(p, 0, sizeof *p);
    strcpy(p->name, "a CPU that plays an A100");
    p->major = 8, p->warpSize = 32, p->multiProcessorCount = 108, p->totalGlobalMem = MEMORY;
    p->sharedMemPerBlock = SHARED_LIMIT, p->sharedMemPerBlockOptin = SHARED_OPT_IN;
    p->sharedMemPerMultiprocessor = SHARED_OPT_IN + 1024, p->regsPerBlock = 65536, p->l2CacheSize = 40 << 20;
    p->maxThreadsPerBlock = 1024, p->maxThreadsPerMultiProcessor = 2048;
    p->maxThreadsDim[0] = p->maxThreadsDim[1] = 1024, p->maxThreadsDim[2] = 64;
    p->maxGridSize[0] = 2147483647, p->maxGridSize[1] = p->maxGridSize[2] = 65535;
    return SUCCESS;
}
int cudaDeviceGetAttribute(int *value, int attribute, int) {
    static const map<int, int> attributes{
        {cudaDevAttrMaxThreadsPerBlock, 1024}, {cudaDevAttrMaxBlockDimX, 1024}, {cudaDevAttrMaxBlockDimY, 1024},
        {cudaDevAttrMaxBlockDimZ, 64}, {cudaDevAttrMaxGridDimX, 2147483647}, {cudaDevAttrMaxGridDimY, 65535},
        {cudaDevAttrMaxGridDimZ, 65535}, {cudaDevAttrMaxSharedMemoryPerBlock, SHARED_LIMIT}, {cudaDevAttrWarpSize, 32},
        {cudaDevAttrMultiProcessorCount, 108}, {cudaDevAttrMaxThreadsPerMultiProcessor, 2048},
        {cudaDevAttrComputeCapabilityMajor, 8}, {cudaDevAttrMaxSharedMemoryPerBlockOptin, SHARED_OPT_IN}};
    auto found = attributes.find(attribute);
    *value = found == attributes.end() ? 0 : found->second;
    return SUCCESS;
}
int cudaDeviceSynchronize() { return not_while_capturing("cudaDeviceSynchronize while capturing"); }
int cudaProfilerStart() { return SUCCESS; }
int cudaProfilerStop() { return SUCCESS; }

// --- memory: full of NaN at first -----------------------------------------------------------------------------------

int cudaMalloc(void **address, size_t bytes) {
    if (held + bytes > MEMORY) return last_error = OUT_OF_MEMORY;
    *address = aligned_alloc(512, (bytes + GUARD + 511) / 512 * 512);
    memset(*address, 0xff, bytes + GUARD);
    allocated[(char *)*address] = bytes, held += bytes;
    return SUCCESS;
}
int cudaFree(void *address) {
    if (!address) return SUCCESS;
    auto found = allocated.find((char *)address);
    if (found == allocated.end()) return fail(INVALID_VALUE, "cudaFree of an address that is not allocated");
    held -= found->second;
    allocated.erase(found);
    free(address);
    return SUCCESS;
}
int cudaMallocManaged(void **address, size_t bytes, unsigned) { return cudaMalloc(address, bytes); }
int cudaMallocAsync(void **address, size_t bytes, void *) { return cudaMalloc(address, bytes); }
int cudaFreeAsync(void *address, void *) { return cudaFree(address); }
int cudaHostAlloc(void **address, size_t bytes, unsigned) { *address = malloc(bytes ? bytes : 1); return SUCCESS; }
int cudaFreeHost(void *address) { free(address); return SUCCESS; }
int cudaMemGetInfo(size_t *available, size_t *total) { *available = MEMORY - held, *total = MEMORY; return SUCCESS; }
int cudaMemcpy(void *to, const void *from, size_t bytes, int kind) {
    int error = not_while_capturing("cudaMemcpy while capturing");
    if (!error) error = check_copy(to, from, bytes, kind);
    if (!error) memmove(to, from, bytes);
    return error;
}
int cudaMemcpyAsync(void *to, const void *from, size_t bytes, int kind, void *) {
    if (int error = check_copy(to, from, bytes, kind)) return error;
    return on_stream([=] { memmove(to, from, bytes); return SUCCESS; });
}
int cudaMemset(void *to, int value, size_t bytes) { return on_stream([=] { memset(to, value, bytes); return SUCCESS; }); }
int cudaMemsetAsync(void *to, int value, size_t bytes, void *) { return cudaMemset(to, value, bytes); }
int cudaPointerGetAttributes(cudaPointerAttributes *found, const void *address) {
    memset(found, 0, sizeof *found);
    found->type = on_device(address) ? cudaMemoryTypeDevice : cudaMemoryTypeUnregistered;
    found->devicePointer = const_cast<void *>(address);
    return SUCCESS;
}

// --- streams, graphs, events --------------------------------------------------------------------------------------

int cudaStreamCreate(void **stream) { *stream = (void *)++streams; return SUCCESS; }
int cudaStreamCreateWithFlags(void **stream, unsigned) { return cudaStreamCreate(stream); }
int cudaStreamCreateWithPriority(void **stream, unsigned, int) { return cudaStreamCreate(stream); }
int cudaStreamDestroy(void *) { return SUCCESS; }
int cudaStreamSynchronize(void *) { return not_while_capturing("cudaStreamSynchronize while capturing"); }
int cudaStreamQuery(void *) { return not_while_capturing("cudaStreamQuery while capturing"); }
int cudaStreamWaitEvent(void *, void *, unsigned) { return SUCCESS; }
int cudaStreamGetFlags(void *, unsigned *flags) { *flags = 1; return SUCCESS; }
int cudaStreamGetPriority(void *, int *priority) { *priority = 0; return SUCCESS; }
int cudaStreamIsCapturing(void *stream, int *answer) { *answer = capturing && stream == captured_stream; return SUCCESS; }
int cudaStreamBeginCapture(void *stream, int) {
    if (!stream) return fail(CAPTURE_UNSUPPORTED, "the default stream cannot be captured");
    if (capturing) return fail(CAPTURE_UNSUPPORTED, "a capture within a capture");
    capturing = new Graph, captured_stream = stream, spoilt = false;
    return SUCCESS;
}
int cudaStreamEndCapture(void *, void **graph) {
    if (!capturing) return fail(INVALID_VALUE, "the end of a capture that did not begin");
    *graph = spoilt ? nullptr : capturing;
    capturing = nullptr;
    return spoilt ? fail(CAPTURE_INVALIDATED, "the capture was invalidated") : SUCCESS;
}
int cudaStreamAddCallback(void *stream, void (*call)(void *, int, void *), void *data, unsigned) {
    return on_stream([=] { call(stream, SUCCESS, data); return SUCCESS; });
}
int cudaLaunchHostFunc(void *, void (*call)(void *), void *data) {
    return on_stream([=] { call(data); return SUCCESS; });
}
int cudaGraphInstantiate(void **executable, void *graph, unsigned long long) { *executable = graph; return SUCCESS; }
int cudaGraphUpload(void *, void *) { return SUCCESS; }
int cudaGraphDestroy(void *) { return SUCCESS; }
int cudaGraphExecDestroy(void *) { return SUCCESS; }
int cudaGraphLaunch(void *graph, void *) {
    for (auto &work : static_cast<Graph *>(graph)->work)
        if (int error = work()) return error;
    return SUCCESS;
}
int cudaEventCreate(void **event) { *event = new timespec{}; return SUCCESS; }
int cudaEventCreateWithFlags(void **event, unsigned) { return cudaEventCreate(event); }
int cudaEventDestroy(void *event) { delete static_cast<timespec *>(event); return SUCCESS; }
int cudaEventRecord(void *event, void *) { clock_gettime(CLOCK_MONOTONIC, static_cast<timespec *>(event)); return SUCCESS; }
int cudaEventQuery(void *) { return SUCCESS; }
int cudaEventSynchronize(void *) { return not_while_capturing("cudaEventSynchronize while capturing"); }
int cudaEventElapsedTime(float *milliseconds, timespec *from, timespec *to) {
    *milliseconds = (to->tv_sec - from->tv_sec) * 1e3 + (to->tv_nsec - from->tv_nsec) * 1e-6;
    return SUCCESS;
}

// What cupy links to and nobody here has asked for: __main__.py writes a line NOT_THERE(name) for each.
#define NOT_THERE(name) int name() { return fail(NOT_SUPPORTED, #name " is not there"); }
#include "not_there.h"

// --- the driver: modules and launches -----------------------------------------------------------------------------

int cuGetErrorName(int error, const char **name) { *name = cudaGetErrorName(error); return SUCCESS; }
int cuGetErrorString(int error, const char **text) { *text = cudaGetErrorString(error); return SUCCESS; }
int cuDevicePrimaryCtxRelease_v2(int) { return SUCCESS; }
int cuCtxGetCurrent(void **context) { *context = (void *)1; return SUCCESS; }
int cuCtxSetCurrent(void *) { return SUCCESS; }
int cuCtxGetDevice(int *device) { *device = 0; return SUCCESS; }
int cuStreamGetCtx(void *, void **context) { *context = (void *)1; return SUCCESS; }
int cuModuleLoad(void **module, const char *path) { return python.load_file(path, module); }
int cuModuleLoadData(void **module, const void *image) { return python.load(image, module); }
int cuModuleUnload(void *) { return SUCCESS; }
int cuModuleGetFunction(void **result, void *module, const char *name) {
    int sizes[256], count = 0;
    char is_pointer[256];
    void *id = nullptr;
    if (int error = python.find(module, name, &id, &count, sizes, is_pointer)) return error;
    *result = new Function{id, vector<int>(sizes, sizes + count), vector<char>(is_pointer, is_pointer + count)};
    return SUCCESS;
}
int cuFuncGetAttribute(int *value, int attribute, Function *function) {
    *value = attribute == 8 ? function->shared_limit : attribute == 0 ? 1024 : 0;  // 8: most dynamic shared memory
    return SUCCESS;
}
int cuFuncSetAttribute(Function *function, int attribute, int value) {
    if (attribute != 8) return SUCCESS;
    if (value > SHARED_OPT_IN) return fail(INVALID_VALUE, "more shared memory was asked for than an A100 has");
    function->shared_limit = value;
    return SUCCESS;
}
int cuOccupancyMaxActiveBlocksPerMultiprocessor(int *blocks, void *, int, size_t) { *blocks = 2; return SUCCESS; }
int cuOccupancyMaxPotentialBlockSize(int *grid, int *block, void *, void *, size_t, int) {
    *grid = 216, *block = 256;
    return SUCCESS;
}
int cuLaunchKernel(Function *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                   unsigned shared, void *stream, void **arguments, void **) {
    if ((int)shared > function->shared_limit) return fail(INVALID_VALUE, "more shared memory than was asked for");
    if (!gx || !gy || !gz || gx > 2147483647u || gy > 65535 || gz > 65535) return fail(INVALID_VALUE, "grid size");
    if (!bx || !by || !bz || bx * by * bz > 1024 || bz > 64) return fail(INVALID_VALUE, "block size");
    if (capturing && stream != captured_stream) return fail(CAPTURE_UNSUPPORTED, "a launch beside the captured stream");
    vector<vector<char>> values;
    for (size_t i = 0; i < function->sizes.size(); i++) {
        auto *begin = static_cast<char *>(arguments[i]);
        values.emplace_back(begin, begin + function->sizes[i]);
        void *address = nullptr;
        if (function->is_pointer[i]) memcpy(&address, begin, sizeof address);
        if (address && !on_device(address)) return fail(ILLEGAL_ADDRESS, "a launch with an address of the host");
    }
    return on_stream([=] {
        vector<void *> addresses;
        for (auto &value : values) addresses.push_back(const_cast<char *>(value.data()));
        unsigned grid[]{gx, gy, gz}, block[]{bx, by, bz};
        return python.launch(function->id, grid, block, shared, addresses.data());
    });
}

}  // extern "C"
