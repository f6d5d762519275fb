// Runs CUDA kernels on the host, one block after another, for their tests.
//
// Each thread of a block is a fiber that runs until it meets the others, at a barrier of its warp
// or of its block. Which one goes first is up to the caller: results that depend on it race.

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include <utility>
#include <vector>

using std::exp;
using std::expm1;
using std::fma;
using std::fmax;
using std::log1p;

#define __device__
#define __global__
#define __shared__ static  // blocks run one after another
#define __launch_bounds__(...)

struct Dim3 {
    unsigned x, y, z;
};

static Dim3 threadIdx, blockIdx, blockDim, gridDim;

namespace emulator {

enum Waits { RUNS, FOR_WARP, FOR_BLOCK, NO_MORE };

struct Thread {
    ucontext_t context;
    std::vector<char> stack;
    Waits waits;
    char sent[32];
    bool vote;
};

static std::vector<Thread> threads;
static ucontext_t scheduler;
static void (*body)();

static void wait(Waits what) {
    Thread& self = threads[threadIdx.x];
    self.waits = what;
    const unsigned place = threadIdx.x;
    swapcontext(&self.context, &scheduler);
    threadIdx.x = place;
}

static void run_thread() {
    body();
    threads[threadIdx.x].waits = NO_MORE;
    swapcontext(&threads[threadIdx.x].context, &scheduler);
}

static bool all(size_t first, size_t stop, Waits what) {
    for (size_t i = first; i < stop; ++i) {
        if (threads[i].waits != what) return false;
    }
    return true;
}

static bool release(size_t first, size_t stop, Waits what) {
    if (!all(first, stop, what)) return false;
    for (size_t i = first; i < stop; ++i) threads[i].waits = RUNS;
    return true;
}

static void run_block(bool backwards) {
    const size_t count = threads.size();
    for (Thread& thread : threads) {
        thread.waits = RUNS;
        getcontext(&thread.context);
        thread.stack.resize(1 << 16);
        thread.context.uc_stack.ss_sp = thread.stack.data();
        thread.context.uc_stack.ss_size = thread.stack.size();
        makecontext(&thread.context, run_thread, 0);
    }
    while (!all(0, count, NO_MORE)) {
        for (size_t i = 0; i < count; ++i) {
            const size_t place = backwards ? count - 1 - i : i;
            if (threads[place].waits != RUNS) continue;
            threadIdx.x = (unsigned)place;
            swapcontext(&scheduler, &threads[place].context);
        }
        bool moves = release(0, count, FOR_BLOCK) || all(0, count, NO_MORE);
        for (size_t warp = 0; warp < count; warp += 32) {
            moves = release(warp, warp + 32, FOR_WARP) || moves;
        }
        if (!moves) {
            fprintf(stderr, "The threads of a block wait at different barriers.\n");
            abort();
        }
    }
}

// The arguments come as addresses of numbers and pointers of 64 bits.
template <class... A, size_t... I>
void launch(void (*kernel)(A...), void** arguments, unsigned blocks, unsigned size, bool backwards,
            std::index_sequence<I...>) {
    static void (*the_kernel)(A...);
    static void** the_arguments;
    the_kernel = kernel;
    the_arguments = arguments;
    body = [] { the_kernel(*(A*)the_arguments[I]...); };
    threads.resize(size);
    gridDim = {blocks, 1, 1};
    blockDim = {size, 1, 1};
    for (unsigned i = 0; i < blocks; ++i) {
        blockIdx = {backwards ? blocks - 1 - i : i, 0, 0};
        run_block(backwards);
    }
}

}  // namespace emulator

#define EMULATED(name, ...)                                                                    \
    extern "C" void name(void** arguments, unsigned blocks, unsigned size, int backwards) {    \
        emulator::run(__VA_ARGS__, arguments, blocks, size, backwards);                        \
    }

namespace emulator {
template <class... A>
void run(void (*kernel)(A...), void** arguments, unsigned blocks, unsigned size, bool backwards) {
    launch(kernel, arguments, blocks, size, backwards, std::index_sequence_for<A...>());
}
}  // namespace emulator

static inline void __syncthreads() { emulator::wait(emulator::FOR_BLOCK); }

static inline int __syncthreads_count(bool is_true) {
    emulator::threads[threadIdx.x].vote = is_true;
    __syncthreads();
    int count = 0;
    for (const emulator::Thread& thread : emulator::threads) count += thread.vote;
    __syncthreads();
    return count;
}

template <class T>
T __shfl_xor_sync(unsigned, T value, int apart) {
    memcpy(emulator::threads[threadIdx.x].sent, &value, sizeof value);
    emulator::wait(emulator::FOR_WARP);
    memcpy(&value, emulator::threads[threadIdx.x ^ apart].sent, sizeof value);
    emulator::wait(emulator::FOR_WARP);
    return value;
}

static inline unsigned __ballot_sync(unsigned, bool is_true) {
    emulator::threads[threadIdx.x].vote = is_true;
    emulator::wait(emulator::FOR_WARP);
    unsigned votes = 0;
    for (unsigned i = 0; i < 32; ++i) {
        votes |= (unsigned)emulator::threads[threadIdx.x / 32 * 32 + i].vote << i;
    }
    emulator::wait(emulator::FOR_WARP);
    return votes;
}

static inline int __popc(unsigned bits) { return __builtin_popcount(bits); }

template <class To, class From>
To same_bits(From from) {
    To to;
    memcpy(&to, &from, sizeof to);
    return to;
}

static inline float __int_as_float(int bits) { return same_bits<float>(bits); }
static inline float __uint_as_float(unsigned bits) { return same_bits<float>(bits); }
static inline unsigned __float_as_uint(float x) { return same_bits<unsigned>(x); }

// Half precision, for which the device has instructions
struct Half;
static inline float widened(Half x);
static inline void narrow(float x, Half& into);

#include "kernels.cu"

static inline float widened(Half x) { return (float)same_bits<_Float16>(x.bits); }
static inline void narrow(float x, Half& into) {
    into.bits = same_bits<unsigned short>((_Float16)x);
}
