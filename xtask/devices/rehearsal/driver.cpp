// A CUDA driver for one device that is the CPU: everything that cudarc calls of libcuda, cuBLAS and cuRAND for mflow, and
// kernels that were compiled as C++. All calls finish before they return. What a real driver refuses, this one does too;
// what a real one would not notice ends the process with a text: see README.md.
#include <sys/mman.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <mutex>
#include <string>
#include <unordered_map>

#include "kernel.h"

#define API extern "C" __attribute__((visibility("default")))

namespace {
using Result = int;
using Address = unsigned long long;
constexpr Result OK = 0, INVALID_VALUE = 1, OUT_OF_MEMORY = 2, NO_DEVICE = 101, INVALID_IMAGE = 200, NOT_FOUND = 500,
                 OUT_OF_RESOURCES = 701, NOT_SUPPORTED = 801;

std::recursive_mutex mutex;
using Lock = std::lock_guard<std::recursive_mutex>;

const char *option(const char *name, const char *otherwise) {
  const char *v = getenv(name);
  return v ? v : otherwise;
}
bool flag(const char *name) { return strcmp(option(name, "0"), "0") != 0; }

[[noreturn]] void die(const char *format, ...);

void trace(const char *format, ...) {
  static const bool wanted = flag("FAKE_TRACE");
  if (!wanted) return;
  va_list args;
  va_start(args, format);
  vfprintf(stderr, format, args);
  va_end(args);
  fputc('\n', stderr);
}

struct Counts {
  std::map<std::string, long> launches;
  long allocations = 0, frees = 0, to_device = 0, to_host = 0, in_device = 0, fills = 0, syncs = 0, products = 0, events = 0,
       refused = 0;
  size_t bytes = 0;
} counts;
size_t live_bytes = 0;

// ---------------------------------------------------------------------------------------------------------------- memory

// Allocations, by their first address. Each ends at (FAKE_GUARD=end, the default) or begins at (start) an unmapped page;
// FAKE_GUARD=off is quick: it aligns them as a device does, to 256 bytes, with zones around that are looked at when they are
// freed.
constexpr size_t ZONE = 256;
struct Allocation {
  size_t len;
  char *base;
  size_t mapped;
};
std::map<Address, Allocation> allocations;
std::deque<std::pair<char *, size_t>> quarantine;
enum class Guard { END, START, OFF };
Guard guard_mode() {
  static const std::string name = option("FAKE_GUARD", "end");
  return name == "start" ? Guard::START : name == "off" ? Guard::OFF : Guard::END;
}

Result added(Address *out, char *start, size_t len, char *base, size_t mapped) {
  allocations[(Address)start] = {len, base, mapped};
  counts.allocations++, counts.bytes += len;
  live_bytes += len;
  *out = (Address)start;
  return OK;
}

Result allocate(Address *out, size_t len) {
  const size_t page = 4096;
  if (len == 0) {
    // cuMemAlloc refuses; of pools of memory nothing is documented, and candle's own tests make empty tensors on devices.
    static const bool refuse = flag("FAKE_REFUSE_EMPTY");
    if (!refuse) return *out = 0, OK;
    trace("refused: an allocation of 0 bytes");
    counts.refused++;
    return INVALID_VALUE;
  }
  if (len > (size_t(64) << 30)) return OUT_OF_MEMORY;
  if (guard_mode() == Guard::OFF) {
    const size_t all = (len + 255) / 256 * 256 + 2 * ZONE;
    char *base = (char *)aligned_alloc(256, all);
    if (!base) return OUT_OF_MEMORY;
    memset(base, 0xa5, ZONE);
    memset(base + ZONE, 0xff, len);
    memset(base + ZONE + len, 0xa5, all - ZONE - len);
    return added(out, base + ZONE, len, base, all);
  }
  const size_t body = (len + page - 1) / page * page, mapped = body + 2 * page;
  char *base = (char *)mmap(nullptr, mapped, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED || mprotect(base + page, body, PROT_READ | PROT_WRITE)) return OUT_OF_MEMORY;
  char *start = base + page;
  if (guard_mode() == Guard::END) start += body - len;
  // What nobody wrote is NaN.
  memset(start, 0xff, len);
  return added(out, start, len, base, mapped);
}

// Whether nobody wrote between `from` and `to`.
bool untouched(const char *from, const char *to) {
  for (; from < to; from++) {
    if (*from != char(0xa5)) return false;
  }
  return true;
}

Result release(Address at) {
  if (at == 0) return OK;
  const auto found = allocations.find(at);
  if (found == allocations.end()) die("free of %llx, which is not allocated", at);
  const Allocation &of = found->second;
  live_bytes -= of.len;
  counts.frees++;
  if (guard_mode() == Guard::OFF) {
    if (!untouched(of.base, of.base + ZONE) || !untouched(of.base + ZONE + of.len, of.base + of.mapped))
      die("something wrote beside an allocation of %zu bytes", of.len);
    memset(of.base, 0xff, of.mapped);
    free(of.base);
    allocations.erase(found);
    return OK;
  }
  // For a while nothing else lies there: a use after it is noticed.
  mprotect(of.base, of.mapped, PROT_NONE);
  madvise(of.base, of.mapped, MADV_DONTNEED);
  quarantine.push_back({of.base, of.mapped});
  if (quarantine.size() > 512) {
    munmap(quarantine.front().first, quarantine.front().second);
    quarantine.pop_front();
  }
  allocations.erase(found);
  return OK;
}

// Whether `len` bytes from `at` lie in one allocation; its end alone does too.
bool is_device(Address at, size_t len) {
  auto next = allocations.upper_bound(at);
  if (next == allocations.begin()) return false;
  const auto &[start, of] = *--next;
  return at + len <= start + of.len;
}
void need_device(const char *what, Address at, size_t len) {
  if (len > 0 && !is_device(at, len)) die("%s: %zu bytes at %llx are not of one allocation", what, len, at);
}

// --------------------------------------------------------------------------------------------------------------- kernels

std::map<std::string, Kernel> &kernels() {
  static std::map<std::string, Kernel> all;
  return all;
}

// What the PTX says of a kernel.
struct Entry {
  std::string name;
  std::vector<size_t> sizes;
  unsigned most_threads = 1024;
  unsigned dynamic_limit = 48 * 1024;
  const Kernel *kernel = nullptr;
};
struct Module {
  std::map<std::string, Entry> entries;
};

bool starts(const std::string &text, size_t at, const char *with) { return text.compare(at, strlen(with), with) == 0; }

Module *parse(const std::string &ptx) {
  auto *module = new Module;
  const std::string word = ".visible .entry ";
  for (size_t at = ptx.find(word); at != std::string::npos; at = ptx.find(word, at + 1)) {
    Entry entry;
    const size_t open = ptx.find('(', at), close = ptx.find("\n)", open);
    entry.name = ptx.substr(at + word.size(), open - at - word.size());
    for (size_t p = ptx.find(".param ", open); p != std::string::npos && p < close; p = ptx.find(".param ", p + 1)) {
      size_t type = p + strlen(".param ");
      if (starts(ptx, type, ".align ")) type = ptx.find(".b8", type);
      const size_t end = ptx.find_first_of(",\n", type), bracket = ptx.find('[', type);
      size_t size = 0;
      if (starts(ptx, type, ".b8") && bracket < end) {
        size = strtoul(&ptx[bracket + 1], nullptr, 10);
      } else {
        size = strtoul(&ptx[type + 2], nullptr, 10) / 8;
      }
      entry.sizes.push_back(size);
    }
    const size_t body = ptx.find('{', close), bound = ptx.find(".maxntid ", close);
    if (bound < body) entry.most_threads = strtoul(&ptx[bound + 9], nullptr, 10);
    module->entries[entry.name] = entry;
  }
  return module;
}

}  // namespace

// As in device.h.
struct Dim3 {
  unsigned x, y, z;
};
Dim3 threadIdx, blockIdx, blockDim, gridDim;
unsigned char *fake_shared;

namespace {

// The threads of a block: each has a stack of its own once it waits for others; those that never wait use one after the
// other.
enum class State { READY, BARRIER, WARP, DONE };
struct Fiber {
  void *stack_pointer;
  unsigned thread;
  State state;
  uint64_t given[2];
  unsigned exchanges;
  // Whether its thread ever waited, and how many threads it took.
  bool waited;
  unsigned threads;
};
constexpr size_t STACK = 256 * 1024;
std::vector<Fiber *> fibers;
Fiber *current;
void *scheduler_pointer;
const Entry *running;
void **running_parameters;
unsigned block_size, next_thread;
bool reverse_order;
std::vector<Fiber *> of_thread;

// Keeps the registers of the caller on its stack, and goes on where the other one stopped.
extern "C" void fake_switch(void **from, void *to);
asm(R"(
.text
.globl fake_switch
.hidden fake_switch
fake_switch:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
)");

void take_thread(Fiber *f) {
  f->thread = reverse_order ? block_size - 1 - next_thread : next_thread;
  next_thread++;
  f->threads++;
}
void place(unsigned thread) {
  if (blockDim.x == block_size) {
    threadIdx = {thread, 0, 0};
  } else {
    threadIdx = {thread % blockDim.x, thread / blockDim.x % blockDim.y, thread / blockDim.x / blockDim.y};
  }
}

void fiber_main() {
  for (;;) {
    running->kernel->call(running->kernel->function, running_parameters);
    // Threads that never wait come one after the other.
    if (!current->waited && next_thread < block_size) {
      take_thread(current);
      place(current->thread);
      continue;
    }
    current->state = State::DONE;
    fake_switch(&current->stack_pointer, scheduler_pointer);
  }
}

Fiber *fiber(size_t k) {
  while (fibers.size() <= k) {
    char *stack = (char *)mmap(nullptr, STACK + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    mprotect(stack, 4096, PROT_NONE);
    void **top = (void **)(stack + STACK + 4096);
    // The function begins as if it were called.
    *--top = nullptr;
    *--top = (void *)fiber_main;
    for (int i = 0; i < 6; i++) *--top = nullptr;
    fibers.push_back(new Fiber{top, 0, State::DONE, {}, 0, false, 0});
  }
  return fibers[k];
}

void resume(Fiber *f) {
  place(f->thread);
  f->state = State::READY;
  current = f;
  fake_switch(&scheduler_pointer, f->stack_pointer);
  current = nullptr;
}

void yield(State state) {
  Fiber *self = current;
  self->state = state;
  self->waited = true;
  fake_switch(&self->stack_pointer, scheduler_pointer);
}

void run_block() {
  std::vector<Fiber *> waiting;
  block_size = blockDim.x * blockDim.y * blockDim.z;
  next_thread = 0;
  of_thread.clear();
  bool any_done = false;
  while (next_thread < block_size) {
    Fiber *f = fiber(waiting.size());
    f->exchanges = 0, f->waited = false, f->threads = 0;
    take_thread(f);
    resume(f);
    any_done |= f->state == State::DONE || f->threads > 1;
    if (f->state != State::DONE) waiting.push_back(f);
  }
  while (!waiting.empty()) {
    static std::map<std::string, bool> told;
    if (any_done && !told[running->name]) {
      told[running->name] = true;
      fprintf(stderr, "fake: %s: threads ended while others wait at a barrier\n", running->name.c_str());
    }
    // Warps wait for themselves only.
    bool warps = false;
    for (Fiber *f : waiting) warps |= f->state == State::WARP;
    std::vector<Fiber *> next;
    any_done = false;
    for (Fiber *f : waiting) {
      if (warps && f->state != State::WARP) {
        next.push_back(f);
        continue;
      }
      resume(f);
      if (f->state == State::DONE) {
        any_done = true;
      } else {
        next.push_back(f);
      }
    }
    // Threads may end together after a barrier.
    if (next.empty() || warps) any_done = false;
    waiting = next;
  }
}

struct sigaction before_segv, before_bus;
void on_fault(int number, siginfo_t *info, void *) {
  const Address at = (Address)info->si_addr;
  char text[512];
  int n = 0;
  if (running && current) {
    n = snprintf(text, sizeof text, "fake: %s reads or writes %llx, block (%u, %u, %u) thread %u\n", running->name.c_str(), at,
                 blockIdx.x, blockIdx.y, blockIdx.z, threadIdx.x);
  } else {
    n = snprintf(text, sizeof text, "fake: fault at %llx outside of kernels\n", at);
  }
  (void)!write(2, text, n);
  for (const auto &[start, of] : allocations) {
    if (at + 8192 >= start && at < start + of.len + 8192) {
      n = snprintf(text, sizeof text, "fake:   near an allocation of %zu bytes at %llx: %lld after its start\n", of.len, start,
                   (long long)(at - start));
      (void)!write(2, text, n);
    }
  }
  sigaction(number, number == SIGSEGV ? &before_segv : &before_bus, nullptr);
  abort();
}

[[noreturn]] void die(const char *format, ...) {
  va_list args;
  va_start(args, format);
  fprintf(stderr, "fake: ");
  vfprintf(stderr, format, args);
  if (running) fprintf(stderr, " (%s)", running->name.c_str());
  fputc('\n', stderr);
  va_end(args);
  abort();
}

void report(const char *label) {
  long launches = 0;
  for (const auto &[name, n] : counts.launches) launches += n;
  fprintf(stderr,
          "fake: %s: launches %ld, products %ld, allocations %ld (%zu bytes), frees %ld, to device %ld, to host %ld, in device %ld, "
          "fills %ld, synchronisations %ld, events %ld, refused %ld\n",
          label, launches, counts.products, counts.allocations, counts.bytes, counts.frees, counts.to_device, counts.to_host,
          counts.in_device, counts.fills, counts.syncs, counts.events, counts.refused);
  for (const auto &[name, n] : counts.launches) fprintf(stderr, "fake:   %6ld %s\n", n, name.c_str());
}

struct AtExit {
  ~AtExit() {
    if (flag("FAKE_REPORT")) report("in all");
  }
} at_exit;

}  // namespace

void fake_register(const char *name, Kernel kernel) { kernels()[name] = std::move(kernel); }
void fake_barrier() { yield(State::BARRIER); }
uint64_t fake_exchange(uint64_t value, int mask) {
  Fiber *self = current;
  const unsigned turn = self->exchanges++ % 2;
  self->given[turn] = value;
  if (of_thread.empty()) of_thread.resize(block_size);
  of_thread[self->thread] = self;
  yield(State::WARP);
  const unsigned other = self->thread ^ mask;
  return other < block_size && of_thread[other] ? of_thread[other]->given[turn] : value;
}

// What was counted since the last call.
API void fake_cuda_report(const char *label) {
  Lock lock(mutex);
  report(label);
  counts = {};
}
API void fake_cuda_reset() {
  Lock lock(mutex);
  counts = {};
}

// ---------------------------------------------------------------------------------------------------------------- driver

API Result cuInit(unsigned) {
  static std::once_flag once;
  std::call_once(once, [] {
    struct sigaction action = {};
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigaction(SIGSEGV, &action, &before_segv);
    sigaction(SIGBUS, &action, &before_bus);
  });
  return OK;
}
API Result cuDriverGetVersion(int *v) { return *v = 13000, OK; }
API Result cuGetErrorName(Result r, const char **out) {
  switch (r) {
    case OK: *out = "CUDA_SUCCESS"; break;
    case INVALID_VALUE: *out = "CUDA_ERROR_INVALID_VALUE"; break;
    case OUT_OF_MEMORY: *out = "CUDA_ERROR_OUT_OF_MEMORY"; break;
    case NOT_FOUND: *out = "CUDA_ERROR_NOT_FOUND"; break;
    case OUT_OF_RESOURCES: *out = "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES"; break;
    default: *out = "CUDA_ERROR"; break;
  }
  return OK;
}
API Result cuGetErrorString(Result, const char **out) { return *out = "refused by the fake driver", OK; }
API Result cuDeviceGetCount(int *n) { return *n = 1, OK; }
API Result cuDeviceGet(int *device, int number) {
  if (number != 0) return NO_DEVICE;
  return *device = 0, OK;
}
API Result cuDeviceGetName(char *name, int len, int) { return snprintf(name, len, "fake"), OK; }
API Result cuDeviceTotalMem_v2(size_t *bytes, int) { return *bytes = size_t(139) << 30, OK; }
API Result cuDeviceGetAttribute(int *out, int attribute, int) {
  switch (attribute) {
    case 1: *out = 1024; break;          // threads of a block
    case 2: case 3: *out = 1024; break;  // its sides
    case 4: *out = 64; break;
    case 5: *out = INT32_MAX; break;  // sides of a grid
    case 6: case 7: *out = 65535; break;
    case 8: *out = 48 * 1024; break;  // shared memory of a block
    case 10: *out = 32; break;        // a warp
    case 12: *out = 65536; break;     // registers of a block
    case 16: *out = 132; break;       // multiprocessors
    case 39: *out = 2048; break;      // threads of one
    case 75: *out = 9; break;         // compute capability
    case 76: *out = 0; break;
    case 81: case 97: *out = 227 * 1024; break;
    case 115: *out = 1; break;  // memory pools
    default: *out = 0;
  }
  return OK;
}
API Result cuDevicePrimaryCtxRetain(void **context, int) { return *context = (void *)0x10, OK; }
API Result cuDevicePrimaryCtxRelease_v2(int) { return OK; }
API Result cuCtxSetCurrent(void *) { return OK; }
API Result cuCtxGetCurrent(void **context) { return *context = (void *)0x10, OK; }
API Result cuCtxSynchronize() {
  Lock lock(mutex);
  return counts.syncs++, OK;
}
API Result cuDeviceGetDefaultMemPool(void **pool, int) { return *pool = (void *)0x20, OK; }
API Result cuDeviceGetMemPool(void **pool, int) { return *pool = (void *)0x20, OK; }
API Result cuMemPoolSetAttribute(void *pool, int attribute, void *value) {
  if (pool != (void *)0x20 || attribute < 1 || attribute > 8 || !value) return INVALID_VALUE;
  trace("pool: attribute %d is %llu", attribute, *(unsigned long long *)value);
  return OK;
}

API Result cuStreamCreate(void **stream, unsigned) { return *stream = new int, OK; }
API Result cuStreamCreateWithPriority(void **stream, unsigned, int) { return *stream = new int, OK; }
API Result cuStreamDestroy_v2(void *stream) { return delete (int *)stream, OK; }
API Result cuStreamSynchronize(void *) {
  Lock lock(mutex);
  return counts.syncs++, OK;
}
API Result cuStreamWaitEvent(void *, void *, unsigned) {
  Lock lock(mutex);
  return counts.events++, OK;
}
API Result cuStreamIsCapturing(void *, int *status) { return *status = 0, OK; }
API Result cuEventCreate(void **event, unsigned) { return *event = new int, OK; }
API Result cuEventRecord(void *, void *) {
  Lock lock(mutex);
  return counts.events++, OK;
}
API Result cuEventQuery(void *) { return OK; }
API Result cuEventSynchronize(void *) { return OK; }
API Result cuEventDestroy_v2(void *event) { return delete (int *)event, OK; }

API Result cuMemAlloc_v2(Address *out, size_t len) {
  Lock lock(mutex);
  return allocate(out, len);
}
API Result cuMemAllocAsync(Address *out, size_t len, void *) {
  Lock lock(mutex);
  return allocate(out, len);
}
API Result cuMemFree_v2(Address at) {
  Lock lock(mutex);
  return release(at);
}
API Result cuMemFreeAsync(Address at, void *) {
  Lock lock(mutex);
  return release(at);
}
API Result cuMemGetInfo_v2(size_t *free, size_t *total) {
  Lock lock(mutex);
  *total = size_t(139) << 30;
  *free = *total - live_bytes;
  return OK;
}
API Result cuMemcpyHtoDAsync_v2(Address to, const void *from, size_t len, void *) {
  Lock lock(mutex);
  need_device("copy to the device", to, len);
  trace("copy to the device: %zu bytes", len);
  if (len > 0 && is_device((Address)from, 1)) die("copy from the host of an address of the device");
  counts.to_device++;
  return memcpy((void *)to, from, len), OK;
}
API Result cuMemcpyHtoD_v2(Address to, const void *from, size_t len) { return cuMemcpyHtoDAsync_v2(to, from, len, nullptr); }
API Result cuMemcpyDtoHAsync_v2(void *to, Address from, size_t len, void *) {
  Lock lock(mutex);
  need_device("copy to the host", from, len);
  trace("copy to the host: %zu bytes", len);
  counts.to_host++;
  return memcpy(to, (const void *)from, len), OK;
}
API Result cuMemcpyDtoH_v2(void *to, Address from, size_t len) { return cuMemcpyDtoHAsync_v2(to, from, len, nullptr); }
API Result cuMemcpyDtoDAsync_v2(Address to, Address from, size_t len, void *) {
  Lock lock(mutex);
  need_device("copy in the device, from", from, len);
  need_device("copy in the device, to", to, len);
  counts.in_device++;
  return memmove((void *)to, (const void *)from, len), OK;
}
API Result cuMemcpyDtoD_v2(Address to, Address from, size_t len) { return cuMemcpyDtoDAsync_v2(to, from, len, nullptr); }
API Result cuMemsetD8Async(Address at, unsigned char value, size_t len, void *) {
  Lock lock(mutex);
  need_device("fill", at, len);
  trace("fill of %zu bytes", len);
  counts.fills++;
  return memset((void *)at, value, len), OK;
}
API Result cuMemsetD8_v2(Address at, unsigned char value, size_t len) { return cuMemsetD8Async(at, value, len, nullptr); }

API Result cuModuleLoadData(void **out, const void *image) {
  Lock lock(mutex);
  const std::string ptx = (const char *)image;
  if (ptx.find(".version") == std::string::npos) return INVALID_IMAGE;
  *out = parse(ptx);
  return OK;
}
API Result cuModuleLoadDataEx(void **out, const void *image, unsigned, int *, void **) { return cuModuleLoadData(out, image); }
// Modules are few: they stay.
API Result cuModuleUnload(void *) { return OK; }
API Result cuModuleGetFunction(void **out, void *of, const char *name) {
  Lock lock(mutex);
  auto &entries = ((Module *)of)->entries;
  const auto found = entries.find(name);
  if (found == entries.end()) {
    fprintf(stderr, "fake: no kernel %s in this module\n", name);
    return NOT_FOUND;
  }
  Entry &entry = found->second;
  const auto kernel = kernels().find(name);
  if (kernel == kernels().end()) {
    fprintf(stderr, "fake: the kernel %s was not compiled for the CPU\n", name);
    return NOT_FOUND;
  }
  entry.kernel = &kernel->second;
  if (entry.sizes != entry.kernel->sizes) die("%s: parameters of the PTX are others than those of the source", name);
  size_t total = 0;
  for (size_t size : entry.sizes) total += (size + 7) / 8 * 8;
  if (total > 4096) fprintf(stderr, "fake: %s: %zu bytes of parameters\n", name, total);
  *out = &entry;
  return OK;
}
API Result cuFuncSetAttribute(void *function, int attribute, int value) {
  if (attribute == 8) ((Entry *)function)->dynamic_limit = value;
  return OK;
}
API Result cuFuncGetAttribute(int *out, int attribute, void *function) {
  return *out = attribute == 0 ? ((Entry *)function)->most_threads : 0, OK;
}

API Result cuLaunchKernel(void *function, unsigned gx, unsigned gy, unsigned gz, unsigned bx, unsigned by, unsigned bz,
                          unsigned shared, void *, void **parameters, void **) {
  Lock lock(mutex);
  Entry *entry = (Entry *)function;
  trace("%s<<<(%u, %u, %u), (%u, %u, %u), %u>>>", entry->name.c_str(), gx, gy, gz, bx, by, bz, shared);
  const unsigned long long threads = (unsigned long long)bx * by * bz;
  if (gx == 0 || gy == 0 || gz == 0 || threads == 0 || gx > INT32_MAX || gy > 65535 || gz > 65535 || threads > 1024 ||
      threads > entry->most_threads || shared > entry->dynamic_limit) {
    fprintf(stderr, "fake: refused: %s<<<(%u, %u, %u), (%u, %u, %u), %u>>>\n", entry->name.c_str(), gx, gy, gz, bx, by, bz, shared);
    counts.refused++;
    return INVALID_VALUE;
  }
  running = entry;
  for (size_t k = 0; k < entry->sizes.size(); k++) {
    if (!entry->kernel->pointers[k]) continue;
    const Address at = *(Address *)parameters[k];
    if (at != 0 && !is_device(at, 0)) die("parameter %zu is %llx, which is not of the device", k, at);
  }
  counts.launches[entry->name]++;
  running_parameters = parameters;
  // Exactly as long as asked for, behind it an unmapped page.
  static char *room = [] {
    char *base = (char *)mmap(nullptr, 260 * 1024, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    mprotect(base + 4096, 252 * 1024, PROT_READ | PROT_WRITE);
    return base + 4096;
  }();
  fake_shared = (unsigned char *)room + 252 * 1024 - (shared + 15) / 16 * 16;
  gridDim = {gx, gy, gz};
  blockDim = {bx, by, bz};
  static const bool reverse = flag("FAKE_REVERSE");
  reverse_order = reverse;
  const unsigned long long blocks = (unsigned long long)gx * gy * gz;
  for (unsigned long long k = 0; k < blocks; k++) {
    const unsigned long long b = reverse ? blocks - 1 - k : k;
    blockIdx = {unsigned(b % gx), unsigned(b / gx % gy), unsigned(b / gx / gy)};
    if (shared) memset(fake_shared, 0xff, shared);
    run_block();
  }
  running = nullptr;
  return OK;
}

// --------------------------------------------------------------------------------------------------------------- cuBLAS

namespace {
template <class T>
Result product(const char *name, int transa, int transb, long long m, long long n, long long k, const void *alpha_at, const void *a_at,
               long long lda, long long stride_a, const void *b_at, long long ldb, long long stride_b, const void *beta_at,
               void *c_at, long long ldc, long long stride_c, long long batch) {
  Lock lock(mutex);
  counts.products++;
  trace("%s %c%c m %lld n %lld k %lld lda %lld ldb %lld ldc %lld batch %lld", name, "NTC"[transa], "NTC"[transb], m, n, k, lda, ldb,
        ldc, batch);
  const long long rows_a = transa ? k : m, rows_b = transb ? n : k;
  const auto most = [](long long v) { return v > 1 ? v : 1; };
  if (m < 0 || n < 0 || k < 0 || batch < 0 || lda < most(rows_a) || ldb < most(rows_b) || ldc < most(m)) {
    fprintf(stderr, "fake: refused: %s m %lld n %lld k %lld lda %lld ldb %lld ldc %lld\n", name, m, n, k, lda, ldb, ldc);
    counts.refused++;
    return 7;
  }
  const T alpha = *(const T *)alpha_at, beta = *(const T *)beta_at;
  for (long long i = 0; i < batch; i++) {
    const T *a = (const T *)a_at + i * stride_a, *b = (const T *)b_at + i * stride_b;
    T *c = (T *)c_at + i * stride_c;
    if (m > 0 && n > 0 && k > 0) {
      need_device("product, a", (Address)a, sizeof(T) * ((transa ? m : k) * lda - lda + rows_a));
      need_device("product, b", (Address)b, sizeof(T) * ((transb ? k : n) * ldb - ldb + rows_b));
    }
    if (m > 0 && n > 0) need_device("product, c", (Address)c, sizeof(T) * ((n - 1) * ldc + m));
    std::vector<T> column(m);
    for (long long col = 0; col < n; col++) {
      std::fill(column.begin(), column.end(), T(0));
      for (long long l = 0; l < k; l++) {
        const T of_b = transb ? b[col + l * ldb] : b[l + col * ldb];
        if (transa) {
          for (long long row = 0; row < m; row++) column[row] += a[l + row * lda] * of_b;
        } else {
          for (long long row = 0; row < m; row++) column[row] += a[row + l * lda] * of_b;
        }
      }
      for (long long row = 0; row < m; row++) {
        T &to = c[row + col * ldc];
        to = alpha * column[row] + (beta == T(0) ? T(0) : beta * to);
      }
    }
  }
  return OK;
}
}  // namespace

API Result cublasCreate_v2(void **handle) { return *handle = new int, OK; }
API Result cublasDestroy_v2(void *handle) { return delete (int *)handle, OK; }
API Result cublasSetStream_v2(void *, void *) { return OK; }
API Result cublasSetWorkspace_v2(void *, void *, size_t) { return OK; }
API Result cublasSetPointerMode_v2(void *, int) { return OK; }
API Result cublasGemmStridedBatchedEx(void *, int transa, int transb, int m, int n, int k, const void *alpha, const void *a, int type,
                                      int lda, long long stride_a, const void *b, int, int ldb, long long stride_b,
                                      const void *beta, void *c, int, int ldc, long long stride_c, int batch, int, int) {
  if (type != 0) die("cuBLAS: type %d", type);
  return product<float>("sgemm", transa, transb, m, n, k, alpha, a, lda, stride_a, b, ldb, stride_b, beta, c, ldc, stride_c, batch);
}
API Result cublasSgemmStridedBatched(void *, int transa, int transb, int m, int n, int k, const float *alpha, const float *a, int lda,
                                     long long stride_a, const float *b, int ldb, long long stride_b, const float *beta, float *c,
                                     int ldc, long long stride_c, int batch) {
  return product<float>("sgemm", transa, transb, m, n, k, alpha, a, lda, stride_a, b, ldb, stride_b, beta, c, ldc, stride_c, batch);
}
API Result cublasDgemmStridedBatched(void *, int transa, int transb, int m, int n, int k, const double *alpha, const double *a,
                                     int lda, long long stride_a, const double *b, int ldb, long long stride_b,
                                     const double *beta, double *c, int ldc, long long stride_c, int batch) {
  return product<double>("dgemm", transa, transb, m, n, k, alpha, a, lda, stride_a, b, ldb, stride_b, beta, c, ldc, stride_c, batch);
}

// --------------------------------------------------------------------------------------------------------------- cuRAND

API Result curandCreateGenerator(void **generator, int) { return *generator = new int, OK; }
API Result curandDestroyGenerator(void *generator) { return delete (int *)generator, OK; }
API Result curandSetPseudoRandomGeneratorSeed(void *, unsigned long long) { return OK; }
API Result curandSetGeneratorOffset(void *, unsigned long long) { return OK; }
API Result curandSetStream(void *, void *) { return OK; }

// What nothing should call. stubs.inc lists the rest of what cudarc declares.
#define STUB(name) \
  API Result name() { die("%s was called", #name); }
#include "stubs.inc"
