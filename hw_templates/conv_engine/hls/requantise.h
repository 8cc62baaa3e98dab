// Post-processing of one result (rtl/requant.v). With shift = 12 + code:
//
//     v     = sat25(sum + bias)                                      sat_n: saturation to n signed bits
//     r     = (v * multiplier + 2^(shift-1)) >> shift
//     added = sat9((residual * residual_multiplier + 2^15) >> 16)
//     y     = table[sat8(r + (added before the table ? added : 0)) + 128]
//     out   = added behind the table ? sat8(y + added) : y
//
// The product is shifted by shift - 1 in three steps, each a selection, and saturated behind the second and the last one; its
// lowest bit rounds. So no shifter and no adder has the width of the product.
#pragma once

#include "choose.h"
#include "commands.h"

// Saturation to so many signed bits.
template <int BITS, int WIDE>
S<BITS> saturated(S<WIDE> value) {
#pragma HLS INLINE
    constexpr int64_t MOST = (static_cast<int64_t>(1) << (BITS - 1)) - 1;
    const S<BITS> low = wrapped_signed<BITS>(value);
    return S<WIDE>(low) == value ? low : value < 0 ? S<BITS>(-MOST - 1) : S<BITS>(MOST);
}

struct LaneParameters {
    int32_t bias;
    U<16> multiplier;
    U<5> code;  // the shift, less 12

    explicit LaneParameters(uint64_t packed)
        : bias(static_cast<int32_t>(static_cast<uint32_t>(packed))),
          multiplier(static_cast<uint16_t>(packed >> 32)),
          code(static_cast<uint8_t>(packed >> 48) & 31) {}
};

// r: the sum with its bias, scaled and rounded. It is exact up to 9 bits, beyond which what follows saturates.
inline S<11> scaled(int32_t sum, const LaneParameters& of_lane) {
#pragma HLS INLINE
    const int32_t biased = static_cast<int32_t>(static_cast<uint32_t>(sum) + static_cast<uint32_t>(of_lane.bias));
    const S<25> v = saturated<25, 32>(biased);
    const S<42> all = product<25, 17>(v, S<17>(of_lane.multiplier));
#pragma HLS BIND_OP variable = all op = mul impl = dsp  // a slice
    const S<31> high = all >> 11;                       // a shift is 12 at least, and one bit rounds
    const S<31> by_eights[4] = {high, S<31>(high >> 8), S<31>(high >> 16), S<31>(high >> 24)};
#pragma HLS ARRAY_PARTITION variable = by_eights complete  // wires
    const S<31> coarse = chosen(by_eights, U<2>(of_lane.code >> 3));
    const S<18> kept = wrapped_signed<18>(coarse);
    const bool fits = S<31>(kept) == coarse;
    const S<18> by_twos[4] = {kept, S<18>(kept >> 2), S<18>(kept >> 4), S<18>(kept >> 6)};
#pragma HLS ARRAY_PARTITION variable = by_twos complete  // wires
    const S<18> fine = chosen(by_twos, wrapped<2>(of_lane.code >> 1));
    const S<18> finest = (of_lane.code & U<5>(1)) != 0 ? S<18>(fine >> 1) : fine;
    const S<11> most = coarse < 0 ? S<11>(-1024) : S<11>(1023);
    const S<11> twice = fits ? saturated<11, 18>(finest) : most;
    return S<11>(twice >> 1) + S<11>(twice & S<11>(1));
}

// What is added of another map.
inline S<9> addend(int8_t residual, U<24> multiplier) {
#pragma HLS INLINE
    const S<33> all = product<8, 25>(residual, S<25>(multiplier));
#pragma HLS BIND_OP variable = all op = mul impl = dsp  // a slice
    return saturated<9, 17>(S<17>((all + S<33>(1 << 15)) >> 16));
}

// The index in the table of activations, and the result of what it says.
inline U<8> table_index(S<11> r, S<9> before) {
#pragma HLS INLINE
    const S<8> index = saturated<8, 12>(S<12>(r) + S<12>(before));
    return U<8>(S<10>(index) + S<10>(128));
}

inline int8_t result(int8_t activated, S<9> behind) {
#pragma HLS INLINE
    return static_cast<int8_t>(saturated<8, 10>(S<10>(activated) + S<10>(behind)));
}
