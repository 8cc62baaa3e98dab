// Reading and writing parts of maps at a memory port: requests that run ahead of the words.
//
// A part is cut into bursts of at most MAX_BURST words that end at multiples of as many, so that none crosses 4 KiB. The
// process that uses a port asks and takes by itself, and never has more under way than the adapter of the port holds: a request
// beyond that would block in front of the reads that make room for it. All of a part goes like this:
//
//     Reading reading;
//     reading.begin(port, limit, part);              // asks for the first bursts
//     for (bool more = true; more;) {
//     #pragma HLS PIPELINE II = 1
//         more = !reading.last;                      // of the word that is taken in this trip
//         const Word word = reading.take(port);      // asks for another burst behind each that ends
//     }
//     ... reading.beyond ...
//
//     Writing writing;
//     writing.begin(limit, protected_words, part);
//     for (bool more = true; more;) {
//         more = !writing.last;
//         writing.put(port, pending, word);          // `pending`: a static of the process that stores
//     }
//     drain(port, pending);                          // where all responses are waited for
//
// A consumer ends with `last` and not on a count of its own, so fields of a descriptor that disagree leave no word behind and
// starve nobody. A burst that would end beyond `limit` words is made at the arena's start instead, a written one with no byte
// enabled, as one is that begins before `protected_words`; `beyond` says so. A stage that stops early asks for one more burst, the
// last one, and takes what was asked for; or it fills the burst that it writes. Should a tool not schedule request and word in one
// loop at an interval of one, this header alone changes. Responses that are errors, the adapter does not show.
#pragma once

#include "commands.h"

#if defined(VENDOR_HEADERS)
#include <hls_burst_maxi.h>
#else
#include "host_hls.h"
#endif

template <typename Wide>
using ReadPort = hls::burst_maxi<Wide>;
template <typename Wide>
using WritePort = hls::burst_maxi<Wide>;

constexpr int MOST_BURSTS = 16;  // under way, at a port
constexpr int BURST_BITS = 5;    // of the words of a burst
static_assert(MAX_BURST == 16, "the adapters of the ports hold 16 bursts of as many words");

// The bursts of a part, one after the other: `rows` x `runs` runs of `beats` words. With `repeat` each run and each row is made
// twice, but for the first copy where it is odd. Runs are made two ahead and cut one ahead, so that each recurrence is one
// addition and selections. Rows and runs of 0 count as 2^CW and beats of 0 as 1, so that any command ends.
class Bursts {
public:
    U<AW> word;  // of the present burst
    U<BURST_BITS> words;
    bool one;   // word
    bool last;  // of the part

    void begin(const Part& part, bool repeat, bool odd_row, bool odd_col) {
        at = row_at = part.word;
        run_step = part.run_step;
        row_step = part.row_step;
        runs = runs_left = part.runs;
        rows_left = part.rows;
        beats = part.beats == 0 ? U<BEATS>(1) : part.beats;
        is_long = beats > MAX_BURST;
        few_beats = is_long ? U<BURST_BITS>(MAX_BURST) : wrapped<BURST_BITS>(beats);
        repeats = repeat;
        second_row = odd_row;
        second_col = begins_odd = odd_col;
        next = cut(next_run());
        waiting = next_run();
        ends_run = true;
        step();
    }

    void step() {
        if (ends_run) {
            word = next.word;
            words = next.head;
            one = next.one;
            rest = next.rest;
            ends_run = next.whole;
            last_run = next.last;
            next = cut(waiting);
            waiting = next_run();
        } else {
            const bool fits = rest <= MAX_BURST;
            one = rest == 1;
            word = wrapped<AW>((word | (MAX_BURST - 1)) + 1);
            words = fits ? wrapped<BURST_BITS>(rest) : U<BURST_BITS>(MAX_BURST);
            rest = wrapped<BEATS>(rest - MAX_BURST);  // anything behind a run's last burst
            ends_run = fits;
        }
        last = ends_run && last_run;
    }

private:
    struct Run {
        U<AW> word;
        U<BURST_BITS> room;  // words to the next multiple of MAX_BURST
        bool last;
    };
    struct CutRun {
        U<AW> word;
        U<BURST_BITS> head;  // words of its first burst
        bool one, whole;     // it has one word; it is the only burst
        U<BEATS> rest;
        bool last;
    };

    // One adder makes the next run of a row, and the next row. A repeated run or row is made twice before it steps.
    Run next_run() {
        const bool last_col = runs_left == 1, last_row = rows_left == 1;
        const U<BURST_BITS> room = MAX_BURST - wrapped<BURST_BITS - 1>(at);
        const Run run = {at, room, last_col && last_row};
        const bool moves = !repeats || (last_col ? second_row : second_col);
        const U<AW> from = last_col ? row_at : at;
        const U<AW> by = !moves ? U<AW>(0) : last_col ? row_step : run_step;
        at = wrapped<AW>(from + by);
        row_at = last_col ? at : row_at;
        second_col = last_col ? begins_odd : !second_col;
        second_row = last_col ? !second_row : second_row;
        runs_left = last_col ? runs : wrapped<CW>(runs_left - 1);
        rows_left = last_col ? wrapped<CW>(rows_left - 1) : rows_left;
        return run;
    }

    CutRun cut(const Run& run) const {
        const bool whole = !is_long && few_beats <= run.room;
        const U<BURST_BITS> head = whole ? few_beats : run.room;
        const bool one = few_beats == 1 || run.room == 1;
        return {run.word, head, one, whole, U<BEATS>(beats - head), run.last};
    }

    U<AW> at, row_at, run_step, row_step;
    U<CW> runs, runs_left, rows_left;
    U<BEATS> beats, rest;
    U<BURST_BITS> few_beats;  // of a run, at most MAX_BURST
    bool is_long;             // a run has more
    bool repeats, second_row, second_col, begins_odd, ends_run, last_run;
    Run waiting;
    CutRun next;
};

// Whether a burst would end beyond so many words.
inline bool ends_beyond(U<AW> word, U<BURST_BITS> words, U<AW> limit) {
    const U<AW + 1> end = U<AW + 1>(word) + words;
    return end > limit;
}

class Reading {
public:
    bool last;    // the next word is the last one
    bool beyond;  // a burst was made at the arena's start

    template <typename Wide>
    void begin(ReadPort<Wide> port, U<AW> limit, const Part& part, bool repeat = false, bool odd_row = false,
               bool odd_col = false) {
#pragma HLS INLINE
        bursts.begin(part, repeat, odd_row, odd_col);
        arena_words = limit;
        beyond = asked_all = false;
        newest = oldest = 0;
    first_bursts:
        for (int count = 0; count < MOST_BURSTS; ++count) {
#pragma HLS PIPELINE II = 1  // a request a cycle
            if (!asked_all) ask(port, false);
        }
        next_burst();
        next_burst();
    }

    // With `stops` a burst that is asked for is the last one.
    template <typename Wide>
    Wide take(ReadPort<Wide> port, bool stops = false) {
#pragma HLS INLINE  // request and word belong to the loop of the caller
        const Wide word = port.read();
        if (one_left) {
            if (!asked_all) ask(port, stops);
            next_burst();
        } else {
            left = left - 1;
            one_left = left == 1;
        }
        last = one_left && in_last;
        return word;
    }

private:
    struct Asked {
        U<BURST_BITS> words;
        bool one;  // word
        bool last;
    };

    template <typename Wide>
    void ask(ReadPort<Wide> port, bool stops) {
#pragma HLS INLINE
        const bool outside = ends_beyond(bursts.word, bursts.words, arena_words);
        port.read_request(outside ? U<AW>(0) : bursts.word, bursts.words);
        asked_all = bursts.last || stops;
        asked[newest] = {bursts.words, bursts.one, asked_all};
        newest = wrapped<BURST_BITS - 1>(newest + 1);
        beyond = beyond || outside;
        bursts.step();
    }

    // The burst behind the one that begins waits in a register, as its place in the ring is known a trip ahead.
    void next_burst() {
#pragma HLS INLINE
        left = upcoming.words;
        one_left = upcoming.one;
        in_last = upcoming.last;
        last = one_left && in_last;
        upcoming = asked[oldest];
        oldest = wrapped<BURST_BITS - 1>(oldest + 1);
    }

    Bursts bursts;
    U<AW> arena_words;
    Asked asked[MOST_BURSTS] = {};  // bursts under way, in a ring
    Asked upcoming = {};
    U<BURST_BITS - 1> newest, oldest;
    U<BURST_BITS> left;  // words of the burst that is taken
    bool one_left, in_last, asked_all;
};

class Writing {
public:
    bool last;      // the next word is the last one
    bool one_left;  // it is the last one of its burst
    bool beyond;    // a burst was masked

    void begin(U<AW> limit, U<AW> protected_words, const Part& part) {
        bursts.begin(part, false, false, false);
        arena_words = limit;
        first_word = protected_words;
        beyond = masked = false;
        next_burst();
    }

    // `pending` counts bursts without a response. One that does not write only steps: a condition around all of it would lengthen
    // the recurrences of what steps here.
    template <typename Wide>
    void put(WritePort<Wide> port, U<BURST_BITS>& pending, Wide word, bool writes = true) {
#pragma HLS INLINE  // request, word and response belong to the loop of the caller
        if (begins) {
            // The oldest response came long ago, as a rule: this waits only where memory is slower than 16 bursts.
            if (writes && pending == MOST_BURSTS) {
                port.write_response();
            } else if (writes) {
                pending = pending + 1;
            }
            masked = ends_beyond(bursts.word, bursts.words, arena_words) || bursts.word < first_word;
            beyond = beyond || masked;
            if (writes) port.write_request(masked ? U<AW>(0) : bursts.word, bursts.words);
            in_last = bursts.last;
            bursts.step();
        }
        if (writes) port.write(word, masked ? 0 : -1);
        if (one_left) {
            next_burst();
        } else {
            begins = false;
            left = left - 1;
            one_left = left == 1;
            last = one_left && in_last;
        }
    }

private:
    void next_burst() {
#pragma HLS INLINE
        begins = true;
        left = bursts.words;
        one_left = bursts.one;
        last = bursts.one && bursts.last;
    }

    Bursts bursts;
    U<AW> arena_words, first_word;
    U<BURST_BITS> left;  // words of the burst that is written
    bool begins, in_last, masked;
};

// Waits until all that was written is in memory.
template <typename Wide>
void drain(WritePort<Wide> port, U<BURST_BITS>& pending) {
#pragma HLS INLINE
responses:
    while (pending != 0) {
#pragma HLS PIPELINE II = 1
        port.write_response();
        pending = pending - 1;
    }
}
