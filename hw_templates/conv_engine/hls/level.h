// Counters of loops within loops, which say a trip ahead that they are at their last iteration (rtl/loop_level.v).
#pragma once

#include "widths.h"

// Counts `count` iterations, over and over; `last` says whether the present one is the last.
template <int BITS>
class Level {
public:
    bool last;

    void begin(U<BITS> count) {
#pragma HLS INLINE
        at = 0;
        last_but_one = wrapped<BITS>(count - 2);
        once = count == 1;
        last = once;
    }

    void step(bool steps) {
#pragma HLS INLINE
        const bool ends = last ? once : at == last_but_one;
        at = !steps ? at : last ? U<BITS>(0) : U<BITS>(at + U<BITS>(1));
        last = steps ? ends : last;
    }

private:
    U<BITS> at, last_but_one;
    bool once;
};

// The words of a pixel, some of them a trip, the last time maybe fewer; then those of the next pixel.
template <int BITS>
class PixelWords {
public:
    U<BITS> left;
    bool last;

    void begin(U<BITS> words, U<BITS> of_trip) {
#pragma HLS INLINE
        left = all = words;
        step_by = of_trip;
        last_but_one = of_trip + of_trip;
        once = words <= of_trip;
        last = once;
    }

    void step() {
#pragma HLS INLINE
        const bool ends = last ? once : left <= last_but_one;
        left = last ? all : U<BITS>(left - step_by);
        last = ends;
    }

private:
    U<BITS> all, step_by, last_but_one;
    bool once;
};
