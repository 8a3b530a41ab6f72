// All steps of LIF neurons, a block of neurons at a time in registers: docs/reference/semantics.md, with integers in float32.
#include <cstdint>

namespace {
constexpr int64_t BLOCK = 64;
}

// current: of step t, sample n and neuron e at t * step + n * row + e, all below 2^24; step 0 where it is the same at
// every step. threshold, bias, reset_by (size): per neuron; reset_by null for the reset to zero. The leak is the sum of
// sign[i] * (V >> shift[i]), clipped to [-most, most]. spikes: (steps, samples, size), or null. total (samples, size).
extern "C" void mintaka_scan(const float *current, int64_t step, int64_t row, int64_t steps, int64_t all, int64_t begin,
                             int64_t end, int64_t size, const int32_t *threshold, const int32_t *bias,
                             const int32_t *reset_by, const int32_t *sign, const int32_t *shift, int64_t terms,
                             int32_t most, float *spikes, float *total) {
    for (int64_t n = begin; n < end; ++n) {
        for (int64_t first = 0; first < size; first += BLOCK) {
            const int64_t wide = size - first < BLOCK ? size - first : BLOCK;
            int32_t U[BLOCK] = {}, count[BLOCK] = {}, T[BLOCK] = {}, B[BLOCK] = {}, R[BLOCK] = {};
            for (int64_t e = 0; e < wide; ++e) {
                T[e] = threshold[first + e];
                B[e] = bias[first + e];
                if (reset_by) R[e] = reset_by[first + e];
            }
            for (int64_t t = 0; t < steps; ++t) {
                const float *I = current + t * step + n * row + first;
                int32_t K[BLOCK] = {}, s[BLOCK], V[BLOCK];
                for (int64_t e = 0; e < wide; ++e) K[e] = static_cast<int32_t>(I[e]);
                for (int64_t e = 0; e < BLOCK; ++e) {
                    K[e] += U[e] + B[e];
                    s[e] = K[e] > T[e] ? -1 : 0;
                    count[e] -= s[e];
                    V[e] = reset_by ? K[e] - (R[e] & s[e]) : K[e] & ~s[e];
                    U[e] = 0;
                }
                for (int64_t i = 0; i < terms; ++i) {
                    const int32_t by = shift[i];
                    if (sign[i] > 0)
                        for (int64_t e = 0; e < BLOCK; ++e) U[e] += V[e] >> by;
                    else
                        for (int64_t e = 0; e < BLOCK; ++e) U[e] -= V[e] >> by;
                }
                for (int64_t e = 0; e < BLOCK; ++e) {
                    U[e] = U[e] > most ? most : U[e];
                    U[e] = U[e] < -most ? -most : U[e];
                }
                if (spikes) {
                    float *out = spikes + (t * all + n) * size + first;
                    for (int64_t e = 0; e < wide; ++e) out[e] = static_cast<float>(-s[e]);
                }
            }
            for (int64_t e = 0; e < wide; ++e) total[n * size + first + e] = static_cast<float>(count[e]);
        }
    }
}
