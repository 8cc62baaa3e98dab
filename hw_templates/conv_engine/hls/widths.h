// Integers of a stated number of bits: U<N> from 0 on, S<N> with a sign.
//
// With VENDOR_HEADERS they are those of Vitis HLS, which makes hardware of that width. Under a compiler of the host each value is checked: one that leaves its range ends the
// program, so a simulation proves the widths. With ENGINE_EXACT_BITS, clang makes LLVM integers of that width, for what is read
// from its IR. Sums and products are those of int64_t; what should wrap says so (`wrapped`). `product` has the bits of both
// factors. An index of a memory goes through `place_in`, which a simulation checks, or through `any_place_in` where what is
// read beyond the memory's end does not matter: hardware reads some word.
//
// Programs whose descriptors are damaged run with ENGINE_WRAPS, with which nothing is checked: as in hardware a value keeps its
// lowest bits, and a place beyond a memory's end is some word of it.
#pragma once

#include <cstdint>

#if defined(VENDOR_HEADERS)

#include <ap_int.h>
template <int BITS>
using U = ap_uint<BITS>;
template <int BITS>
using S = ap_int<BITS>;
template <int BITS, typename Value>
U<BITS> wrapped(Value value) {
    return U<BITS>(value);
}
template <int BITS, typename Value>
S<BITS> wrapped_signed(Value value) {
    return S<BITS>(value);
}
template <int A, int B>
S<A + B> product(S<A> a, S<B> b) {
#pragma HLS INLINE
    return a * b;
}
template <int WORDS, typename Value>
Value place_in(Value place) {
#pragma HLS INLINE
    return place;
}
template <int WORDS, typename Value>
Value any_place_in(Value place) {
#pragma HLS INLINE
    return place;
}

#elif defined(ENGINE_EXACT_BITS)

template <int BITS>
using U = unsigned _BitInt(BITS);
template <int BITS>
using S = _BitInt(BITS);
template <int BITS, typename Value>
U<BITS> wrapped(Value value) {
    return static_cast<U<BITS> >(value);
}
template <int BITS, typename Value>
S<BITS> wrapped_signed(Value value) {
    return static_cast<S<BITS> >(value);
}
template <int A, int B>
S<A + B> product(S<A> a, S<B> b) {
    return static_cast<S<A + B> >(a) * static_cast<S<A + B> >(b);
}
template <int WORDS, typename Value>
Value place_in(Value place) {
    return place;
}
template <int WORDS, typename Value>
Value any_place_in(Value place) {
    return place;
}

#else

#include <cstdio>
#include <cstdlib>

[[noreturn]] inline void leaves_its_range(int bits, bool has_sign, int64_t value) {
    std::fprintf(stderr, "conv_engine: error: %lld does not fit %s<%d>\n", static_cast<long long>(value),
                 has_sign ? "S" : "U", bits);
    std::abort();
}

template <int BITS, bool SIGN>
class HostInteger {
    static_assert(BITS >= 1 && BITS <= 62, "sums of values must fit int64_t");

public:
    constexpr HostInteger() : value(0) {}
    constexpr HostInteger(int64_t from) : value(kept(from)) {}
    constexpr operator int64_t() const { return value; }
    HostInteger& operator+=(int64_t other) { return *this = value + other; }
    HostInteger& operator-=(int64_t other) { return *this = value - other; }
    HostInteger& operator++() { return *this += 1; }
    HostInteger& operator--() { return *this -= 1; }

private:
    static constexpr int64_t LEAST = SIGN ? -(static_cast<int64_t>(1) << (BITS - 1)) : 0;
    static constexpr int64_t MOST = (static_cast<int64_t>(1) << (SIGN ? BITS - 1 : BITS)) - 1;

    static constexpr int64_t kept(int64_t from) {
        if (from >= LEAST && from <= MOST) return from;
#if !defined(ENGINE_WRAPS)
        leaves_its_range(BITS, SIGN, from);
#endif
        return ((from - LEAST) & (MOST - LEAST)) + LEAST;
    }

    int64_t value;
};
template <int BITS>
using U = HostInteger<BITS, false>;
template <int BITS>
using S = HostInteger<BITS, true>;
template <int BITS, typename Value>
U<BITS> wrapped(Value value) {
    return static_cast<int64_t>(value) & ((static_cast<int64_t>(1) << BITS) - 1);
}
template <int BITS, typename Value>
S<BITS> wrapped_signed(Value value) {
    const int64_t half = static_cast<int64_t>(1) << (BITS - 1);
    return (static_cast<int64_t>(wrapped<BITS>(value)) ^ half) - half;
}
template <int A, int B>
S<A + B> product(S<A> a, S<B> b) {
    return static_cast<int64_t>(a) * static_cast<int64_t>(b);
}
template <int WORDS, typename Value>
int64_t any_place_in(Value place) {
    return place < WORDS ? static_cast<int64_t>(place) : WORDS - 1;
}
template <int WORDS, typename Value>
int64_t place_in(Value place) {
#if defined(ENGINE_WRAPS)
    return any_place_in<WORDS>(place);
#else
    if (place < 0 || place >= WORDS) {
        std::fprintf(stderr, "conv_engine: error: place %lld of %d words\n", static_cast<long long>(place), WORDS);
        std::abort();
    }
    return place;
#endif
}

#endif
