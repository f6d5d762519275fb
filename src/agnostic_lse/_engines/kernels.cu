// Sums of exponentials as states (peak, rest), lifted in one pass over memory.
//
// Nothing is included: all that is used is built into the run-time compiler. It must not fuse
// products into sums (--fmad=false), which would undo the exact sums below.

typedef long long Index;

struct Half {
    unsigned short bits;
};

struct Bfloat {
    unsigned short bits;
};

// What numbers are calculated in
template <class T>
struct Working {
    typedef T type;
};
template <>
struct Working<Half> {
    typedef float type;
};
template <>
struct Working<Bfloat> {
    typedef float type;
};

__device__ inline float widened(float x) { return x; }
__device__ inline double widened(double x) { return x; }
__device__ inline float widened(Bfloat x) { return __uint_as_float((unsigned)x.bits << 16); }

__device__ inline void narrow(float x, float& into) { into = x; }
__device__ inline void narrow(double x, double& into) { into = x; }
__device__ inline void narrow(float x, Bfloat& into) {
    const unsigned bits = __float_as_uint(x);
    // To nearest, ties to even; nan would carry into the sign
    const unsigned rounded = (bits + 0x7fffu + (bits >> 16 & 1u)) >> 16;
    into.bits = (unsigned short)(x == x ? rounded : 0x7fffu);
}

#ifdef __CUDACC__
__device__ inline float widened(Half x) {
    float wide;
    asm("cvt.f32.f16 %0, %1;" : "=f"(wide) : "h"(x.bits));
    return wide;
}
__device__ inline void narrow(float x, Half& into) {
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(into.bits) : "f"(x));
}
#endif

// Entries that lie side by side, loaded and stored at once
template <class T, int VECTOR>
struct alignas(sizeof(T) * VECTOR) Pack {
    T items[VECTOR];
};

// A number in two parts, the second of which holds what rounding took from the first. A sum kept
// so errs by the square of the roundoff, however many terms it has.
template <class W>
struct Pair {
    W high, low;
};

// The sum of exponentials exp(peak) * (1 + rest), or nothing where the peak is -inf
template <class W>
struct State {
    W peak;
    Pair<W> rest;
};

template <class W>
__device__ inline W nothing() {
    return (W)__int_as_float(0xff800000);
}

template <class W>
__device__ inline State<W> empty() {
    return {nothing<W>(), {0, 0}};
}

// Knuth's sum: the parts add up to x + y exactly.
template <class W>
__device__ inline Pair<W> two_sum(W x, W y) {
    const W sum = x + y;
    const W turned = sum - x;
    return {sum, (x - (sum - turned)) + (y - turned)};
}

template <class W>
__device__ inline Pair<W> plus(Pair<W> x, W y) {
    const Pair<W> sum = two_sum(x.high, y);
    return {sum.high, x.low + sum.low};
}

template <class W>
__device__ inline Pair<W> plus(Pair<W> x, Pair<W> y) {
    const Pair<W> sum = two_sum(x.high, y.high);
    return {sum.high, (x.low + y.low) + sum.low};
}

template <class W>
__device__ inline Pair<W> times(Pair<W> x, Pair<W> y) {
    const W high = x.high * y.high;
    return {high, fma(x.high, y.high, -high) + (x.high * y.low + x.low * y.high)};
}

// What exponents are taken relative to: -inf would leave no number.
template <class W>
__device__ inline W base_of(W peak) {
    return peak == nothing<W>() ? 0 : peak;
}

// x - base, 0 where both are +inf, which count each for 1
template <class W>
__device__ inline W relative(W x, W base) {
    return x == base ? 0 : x - base;
}

// What the difference x - base has lost to rounding, where it is below 0 and finite
template <class W>
__device__ inline W lost(W x, W base) {
    return two_sum(x, -base).low;
}

// exp(x - base), from the difference; exact: without the rounding of the difference, which in a
// logarithm is small beside the result, but not in a probability.
template <class W>
__device__ inline W power(W x, W base, W difference, bool exact) {
    const W scaled = exp(difference);
    return exact && difference < 0 && scaled > 0 ? scaled + scaled * lost(x, base) : scaled;
}

// exp(x - base) in two parts. A state may be scaled many times over, each time by very little, and
// exp would round each of these factors to the same side. 1 + expm1 is exact, and so the errors of
// all factors together are at most that of one; below log(1/2), exp errs by no more.
template <class W>
__device__ inline Pair<W> scale(W x, W base) {
    const W difference = relative(x, base);
    Pair<W> factor = {0, 0};
    if (difference > (W)-0.69) {
        factor = two_sum((W)1, expm1(difference));
    } else {
        factor.high = exp(difference);
    }
    if (difference < 0 && factor.high > 0) factor.low += factor.high * lost(x, base);
    return factor;
}

template <class W>
__device__ inline State<W> merged(State<W> one, State<W> other) {
    const bool first = one.peak >= other.peak;
    const State<W> upper = first ? one : other, lower = first ? other : one;
    const Pair<W> factor = scale(lower.peak, base_of(upper.peak));
    return {upper.peak, plus(upper.rest, times(plus(lower.rest, (W)1), factor))};
}

// Terms as they are added to a sum. Those of 16 bits are first added to each other: a few roundings
// of float32 are nothing in results of 11 bits, and the sum in two parts takes 7 operations.
template <class T>
struct Adder {
    typedef typename Working<T>::type W;
    Pair<W> sum;
    W waiting;

    __device__ void add(W term) {
        if (sizeof(T) == 2) {
            waiting += term;
        } else {
            sum = plus(sum, term);
        }
    }

    __device__ Pair<W> all() const { return sizeof(T) == 2 ? plus(sum, waiting) : sum; }
};

// Add terms to a state. A nan is no peak, but makes a rest of nan.
template <class T, int ITEMS, class W>
__device__ inline void absorb(State<W>& state, W (&x)[ITEMS], bool exact) {
    W peak = x[0];
#pragma unroll
    for (int i = 1; i < ITEMS; ++i) peak = fmax(peak, x[i]);
    if (peak > state.peak) {
        state = merged({peak, {0, 0}}, state);
        bool taken = false;
#pragma unroll
        for (int i = 0; i < ITEMS; ++i) {
            const bool takes = !taken && x[i] == peak;  // the peak itself stays out of the rest
            x[i] = takes ? nothing<W>() : x[i];
            taken = taken || takes;
        }
    }
    const W base = base_of(state.peak);
    Adder<T> adder = {state.rest, 0};
#pragma unroll
    for (int i = 0; i < ITEMS; ++i) adder.add(power(x[i], base, relative(x[i], base), exact));
    state.rest = adder.all();
}

// Write a state as the peak and the two parts of the rest, or at last as the peak and the rest,
// each in an array of its own.
template <class W>
__device__ inline void put(State<W> state, W* out, Index count, Index at, bool last) {
    const W rest = state.rest.high + state.rest.low;
    const W peak = rest == rest ? state.peak : rest;
    out[at] = last ? peak : state.peak;
    out[count + at] = last ? rest : state.rest.high;
    if (!last) out[2 * count + at] = state.rest.low;
}

// ---- Many rows or long ones: blocks of threads, each of several rows deep ----
//
// An array is seen as (outer, n, inner), and a slot is one of outer * inner sums along n. A block
// takes some neighbouring slots, its columns, and of each a segment of n, whose entries its rows
// take in turn; that of thread 0 then holds the sum of all.

const int THREADS = 256;

// How many blocks of so many threads have room for these bytes of entries in each thread: of a
// multiprocessor's 65536 registers a thread gets 64 for what it calculates, and three for each 4
// bytes. The compiler would rather have more threads, and spill.
__device__ constexpr int resident(int threads, int bytes) {
    return threads * (64 + bytes / 4 * 3) < 65536 ? 65536 / (threads * (64 + bytes / 4 * 3)) : 1;
}

// Return the state of a column's threads together, in its first row, added as a tree.
template <class W>
__device__ inline State<W> gathered(State<W> state, int row, int rows, int columns) {
    __shared__ State<W> shared[THREADS];
    for (int half; rows > 1; rows = half) {
        half = (rows + 1) / 2;
        if (half <= row && row < rows) shared[threadIdx.x] = state;
        __syncthreads();
        // What the next turn writes lies below what this one reads.
        if (row + half < rows) state = merged(state, shared[threadIdx.x + half * columns]);
    }
    __syncthreads();
    return state;
}

// How many entries a thread loads before it adds them: two packs
template <class T>
__device__ constexpr int items() {
    return 32 / sizeof(T);
}

template <class T, int VECTOR>
__global__ void
__launch_bounds__(THREADS, resident(THREADS, items<T>() * sizeof(typename Working<T>::type)))
lift_long(const T* x, typename Working<T>::type* out, Index slots, Index inner, Index outer_stride,
          Index inner_stride, Index n, Index stride, Index segment, Index splits, Index columns,
          Index rows, Index last, Index exact) {
    typedef typename Working<T>::type W;
    const int ITEMS = items<T>();
    const int row = threadIdx.x / (int)columns, column = threadIdx.x % (int)columns;
    const Index apart = rows * VECTOR;
    const Index blocks = (slots + columns - 1) / columns * splits;
    for (Index block = blockIdx.x; block < blocks; block += gridDim.x) {
        const Index slot = block / splits * columns + column, split = block % splits;
        const Index outer = slot / inner, place = slot % inner;
        State<W> state = empty<W>();
        if (slot < slots && row < rows) {
            const T* entries = x + outer * outer_stride + place * inner_stride;
            const Index stop = n < (split + 1) * segment ? n : (split + 1) * segment;
            Index at = split * segment + row * VECTOR;
            for (; at < stop; at += rows * ITEMS) {
                W terms[ITEMS];
                if (at + (ITEMS / VECTOR - 1) * apart + VECTOR <= stop) {
#pragma unroll
                    for (int i = 0; i < ITEMS; i += VECTOR) {
                        const T* from = entries + (at + i / VECTOR * apart) * (VECTOR > 1 ? 1 : stride);
                        const Pack<T, VECTOR> pack = *(const Pack<T, VECTOR>*)from;
#pragma unroll
                        for (int k = 0; k < VECTOR; ++k) terms[i + k] = widened(pack.items[k]);
                    }
                } else {
#pragma unroll
                    for (int i = 0; i < ITEMS; ++i) {
                        const Index entry = at + i / VECTOR * apart + i % VECTOR;
                        terms[i] = entry < stop ? widened(entries[entry * stride]) : nothing<W>();
                    }
                }
                absorb<T>(state, terms, exact);
            }
        }
        state = gathered(state, row, (int)rows, (int)columns);
        if (row == 0 && slot < slots) {
            put(state, out, slots * splits, (outer * splits + split) * inner + place, last);
        }
    }
}

// The same for states in the place of entries, as `put` wrote them
template <class W>
__global__ void __launch_bounds__(THREADS)
merge(const W* x, W* out, Index slots, Index inner, Index n, Index segment, Index splits,
      Index columns, Index rows, Index last) {
    const int row = threadIdx.x / (int)columns, column = threadIdx.x % (int)columns;
    const Index count = slots * n;
    const Index blocks = (slots + columns - 1) / columns * splits;
    for (Index block = blockIdx.x; block < blocks; block += gridDim.x) {
        const Index slot = block / splits * columns + column, split = block % splits;
        const Index outer = slot / inner, place = slot % inner;
        State<W> state = empty<W>();
        if (slot < slots && row < rows) {
            const Index stop = n < (split + 1) * segment ? n : (split + 1) * segment;
            for (Index entry = split * segment + row; entry < stop; entry += rows) {
                const Index at = (outer * n + entry) * inner + place;
                state = merged(state, {x[at], {x[count + at], x[2 * count + at]}});
            }
        }
        state = gathered(state, row, (int)rows, (int)columns);
        if (row == 0 && slot < slots) {
            put(state, out, slots * splits, (outer * splits + split) * inner + place, last);
        }
    }
}

// ---- Rows that fit in the registers of a group of threads ----

const unsigned WARP = 0xffffffffu;
enum Mode { PARTIAL, LAST, SOFTMAX, LOG_SOFTMAX };

template <class W>
__device__ inline W exchanged(W x, int apart) {
    return __shfl_xor_sync(WARP, x, apart);
}

template <class W>
__device__ inline Pair<W> exchanged(Pair<W> x, int apart) {
    return {exchanged(x.high, apart), exchanged(x.low, apart)};
}

struct Larger {
    template <class W>
    __device__ W operator()(W x, W y) const {
        return fmax(x, y);
    }
};

struct Sum {
    template <class W>
    __device__ Pair<W> operator()(Pair<W> x, Pair<W> y) const {
        return plus(x, y);
    }
};

// Combine the values of a group of threads, for each of them.
template <int GROUP, class V, class Combine>
__device__ inline V combined(V value, Combine combine) {
#pragma unroll
    for (int apart = 1; apart < GROUP && apart < 32; apart *= 2) {
        value = combine(value, exchanged(value, apart));
    }
    if (GROUP > 32) {
        const int WARPS = GROUP / 32;
        __shared__ V shared[WARPS > 0 ? WARPS : 1];
        if (threadIdx.x % 32 == 0) shared[threadIdx.x / 32] = value;
        __syncthreads();
        value = shared[threadIdx.x % (WARPS > 0 ? WARPS : 1)];
#pragma unroll
        for (int apart = 1; apart < WARPS; apart *= 2) {
            value = combine(value, exchanged(value, apart));
        }
        __syncthreads();
    }
    return value;
}

// Count the threads of a group for which something is true.
template <int GROUP>
__device__ inline int counted(bool is_true) {
    if (GROUP == 1) return is_true;
    if (GROUP > 32) return __syncthreads_count(is_true);
    const unsigned mask = GROUP < 32 ? (1u << GROUP % 32) - 1 : WARP;
    const int first = threadIdx.x % 32 / GROUP * GROUP;
    return __popc(__ballot_sync(WARP, is_true) >> first & mask);
}

// How many threads the blocks of groups have
__device__ constexpr int threads(int group) { return group < THREADS ? THREADS : group; }

// A group takes a row, which has at most GROUP * ITEMS entries. Probabilities go where the entries
// lie in x. Packs need a stride of 1 and a length that is a multiple of theirs.
template <class T, int GROUP, int ITEMS, int VECTOR>
__global__ void
__launch_bounds__(threads(GROUP),
                  resident(threads(GROUP), ITEMS * sizeof(typename Working<T>::type)))
rows(const T* x, void* out, Index slots, Index inner, Index outer_stride, Index inner_stride,
     Index n, Index stride, Index mode, Index exact) {
    typedef typename Working<T>::type W;
    const int ROWS = threads(GROUP) / GROUP;
    const int lane = threadIdx.x % GROUP;
    // All threads go the same way, since they meet in `combined`.
    for (Index first = blockIdx.x * (Index)ROWS; first < slots; first += gridDim.x * (Index)ROWS) {
        const Index slot = first + threadIdx.x / GROUP;
        const int stop = slot < slots ? (int)n : 0;
        const Index start = inner == 1
            ? slot * outer_stride
            : slot / inner * outer_stride + slot % inner * inner_stride;
        W terms[ITEMS];
        W peak = nothing<W>();
#pragma unroll
        for (int i = 0; i < ITEMS; i += VECTOR) {
            const int at = (i / VECTOR * GROUP + lane) * VECTOR;
            Pack<T, VECTOR> pack;
            if (at < stop) {
                pack = *(const Pack<T, VECTOR>*)(x + start + (VECTOR > 1 ? at : at * stride));
            }
#pragma unroll
            for (int k = 0; k < VECTOR; ++k) {
                terms[i + k] = at < stop ? widened(pack.items[k]) : nothing<W>();
                peak = fmax(peak, terms[i + k]);
            }
        }
        const W own = peak;
        peak = combined<GROUP>(peak, Larger());
        const W base = base_of(peak);
        // Each thread leaves one peak out, if it has any, and they count those afterwards.
        const bool has_peak = own == peak && peak > nothing<W>();
        bool left_out = !has_peak;
        Adder<T> adder = {{0, 0}, 0};
#pragma unroll
        for (int i = 0; i < ITEMS; ++i) {
            const W difference = relative(terms[i], base);
            const W scaled = power(terms[i], base, difference, exact);
            const bool leave = !left_out && terms[i] == peak;
            adder.add(leave ? (W)0 : scaled);
            left_out = left_out || leave;
            terms[i] = mode == LOG_SOFTMAX ? difference : scaled;
        }
        Pair<W> sum = combined<GROUP>(adder.all(), Sum());
        const int peaks = counted<GROUP>(has_peak);
        sum = plus(sum, (W)(peaks > 0 ? peaks - 1 : 0));
        if (mode == PARTIAL || mode == LAST) {
            if (lane == 0 && slot < slots) put({peak, sum}, (W*)out, slots, slot, mode == LAST);
            continue;
        }
        const W rest = sum.high + sum.low;
        const W whole = mode == LOG_SOFTMAX ? log1p(rest) : 1 + rest;
#pragma unroll
        for (int i = 0; i < ITEMS; i += VECTOR) {
            const int at = (i / VECTOR * GROUP + lane) * VECTOR;
            Pack<T, VECTOR> pack;
#pragma unroll
            for (int k = 0; k < VECTOR; ++k) {
                const W term = terms[i + k];
                narrow(mode == LOG_SOFTMAX ? term - whole : term / whole, pack.items[k]);
            }
            if (at < stop) {
                *(Pack<T, VECTOR>*)((T*)out + start + (VECTOR > 1 ? at : at * stride)) = pack;
            }
        }
    }
}

// ---- Probabilities of rows that fit in no registers, from their states ----

// x is dense, of lengths (.., b, c, d), and a step along each of them leads so many slots on.
struct Steps {
    Index b, c, d, step_a, step_b, step_c, step_d;
};

// The slot of an entry but for the steps along d, from its place before that
__device__ inline Index row_of(Index place, const Steps& to) {
    const Index c = place % to.c, above = place / to.c;
    return above / to.b * to.step_a + above % to.b * to.step_b + c * to.step_c;
}

template <class T, int VECTOR>
__global__ void __launch_bounds__(THREADS)
spread(const T* x, T* out, const typename Working<T>::type* states, Index slots, Index size,
       Index b, Index c, Index d, Index step_a, Index step_b, Index step_c, Index step_d,
       Index log) {
    typedef typename Working<T>::type W;
    const Steps to = {b, c, d, step_a, step_b, step_c, step_d};
    const bool exact = !log && sizeof(T) > 2;
    const Index apart = (Index)gridDim.x * THREADS * VECTOR;
    Index at = (blockIdx.x * (Index)THREADS + threadIdx.x) * VECTOR;
    for (; at < size; at += apart) {
        Pack<T, VECTOR> pack;
        const bool full = at + VECTOR <= size;
        if (full) {
            pack = *(const Pack<T, VECTOR>*)(x + at);
        } else {
#pragma unroll
            for (int k = 0; k < VECTOR; ++k) {
                if (at + k < size) pack.items[k] = x[at + k];
            }
        }
        Index place = at / d, along = at % d, row = row_of(place, to), known = -1;
        W base = 0, whole = 1;
#pragma unroll
        for (int k = 0; k < VECTOR; ++k) {
            const Index slot = row + along * step_d;
            if (slot != known && at + k < size) {
                const W rest = states[slots + slot];
                base = base_of(states[slot]);
                whole = log ? log1p(rest) : 1 + rest;
                known = slot;
            }
            const W term = widened(pack.items[k]), difference = relative(term, base);
            narrow(log ? difference - whole : power(term, base, difference, exact) / whole,
                   pack.items[k]);
            if (++along == d) {
                along = 0;
                row = row_of(++place, to);
            }
        }
        if (full) {
            *(Pack<T, VECTOR>*)(out + at) = pack;
        } else {
#pragma unroll
            for (int k = 0; k < VECTOR; ++k) {
                if (at + k < size) out[at + k] = pack.items[k];
            }
        }
    }
}
