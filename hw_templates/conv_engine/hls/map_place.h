// Places in the map memory of a part of a map, one a trip: pixel by pixel, WORDS channel words a trip, row by row of a ring
// (rtl/map_place.v).
//
// The channel words of a pixel go round the banks, so a place is a line and the bank of its first word; banks before it hold
// what follows in the next line. Behind the ring's end the next row is the first one. Lines count from the begin of the half.
#pragma once

#include "commands.h"

constexpr int common_divisor(int a, int b) { return b == 0 ? a : common_divisor(b, a % b); }

// A position that goes on by `step` and turns from `turns_from` on. Both sums of the position behind the present one are registers,
// and whether it turns: a sum behind a comparison would be a long chain.
template <int BITS>
class Turning {
public:
    void begin(U<BITS> step, U<BITS> turning_step, U<BITS> turns_from) {
#pragma HLS INLINE
        straight_step = step;
        turned_step = turning_step;
        from = turns_from;
    }

    // The position behind `at`, once it was told of it.
    U<BITS> next() const {
#pragma HLS INLINE
        return turns ? turned : straight;
    }

    void stands_at(U<BITS> at) {
#pragma HLS INLINE
        straight = wrapped<BITS>(at + straight_step);
        turned = wrapped<BITS>(at + turned_step);
        turns = at >= from;
    }

    bool turns;  // behind the present position

private:
    U<BITS> straight, turned, straight_step, turned_step, from;
};

template <int WORDS>
class MapPlace {
public:
    static constexpr int STEP =
        common_divisor(MAP_BANKS, WORDS);  // a trip's first word lies in a multiple of these banks

    U<MA> line;
    U<BW> bank;

    // `command` is that of the loader or that of the store: both say where a part lies.
    template <typename Command>
    void begin(const Command& command) {
#pragma HLS INLINE
        line = col_at = command.line;
        bank = first_bank = command.bank;
        col_step = command.col_step;
        rows.begin(command.row_step, wrapped<MA>(command.row_step - command.ring),
                   wrapped<MA>(command.ring_end - command.row_step));
        rows.stands_at(line);
        banks.begin(wrapped<BW>(WORDS), wrapped<BW>(WORDS - MAP_BANKS), wrapped<BW>(MAP_BANKS - WORDS));
        banks.stands_at(bank);
    }

    // Goes on in the pixel, to the next column, or to the next row.
    void step(bool last_word, bool last_col) {
#pragma HLS INLINE
        const bool ends_row = last_word & last_col;
        const U<MA> sum = wrapped<MA>((last_word ? col_at : line) + (last_word ? col_step : U<MA>(banks.turns)));
        line = ends_row ? rows.next() : sum;
        col_at = last_word ? line : col_at;
        if (ends_row) rows.stands_at(rows.next());
        bank = last_word ? first_bank : banks.next();
        banks.stands_at(bank);
    }

private:
    U<MA> col_at, col_step;
    U<BW> first_bank;
    Turning<MA> rows;
    Turning<BW> banks;
};
