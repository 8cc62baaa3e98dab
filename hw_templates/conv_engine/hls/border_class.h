// The class of a row (column) of an average pool's result (rtl/border_class.v): its first `low` and last `high` ones are classes of
// their own, those between are one.
#pragma once

#include "commands.h"

class BorderClass {
public:
    U<4> number;

    void begin(U<CW> first, U<CW> extent, U<4> first_ones, U<4> last_ones) {
#pragma HLS INLINE
        at = from = first;
        low = U<CW>(first_ones);
        high_from = wrapped<CW>(extent - U<CW>(last_ones));
        const U<4> behind = wrapped<4>(first_ones + first - high_from + 1);
        number = first <= low ? wrapped<4>(first) : first < high_from ? first_ones : behind;
        first_number = number;
    }

    // To the next one, or again to the first one.
    void step(bool steps, bool again) {
#pragma HLS INLINE
        const U<CW> next = wrapped<CW>(at + U<CW>(1));
        const bool counts = steps && (at < low || next >= high_from);
        number = again ? first_number : counts ? wrapped<4>(number + U<4>(1)) : number;
        at = again ? from : steps ? next : at;
    }

private:
    U<CW> at, from, low, high_from;
    U<4> first_number;
};
