// The product of spikes with integer weights as hardware does it: for every spike, its row of weights is added.
#include <cstdint>
#include <cstring>
#include <vector>

namespace {
constexpr int64_t BLOCK = 64;  // columns that are summed at a time, in registers
typedef int16_t Lanes __attribute__((vector_size(32), aligned(2), may_alias));
constexpr int64_t LANES = 16, PARTS = BLOCK / LANES;
}  // namespace

// x (rows, size_in): bytes 0 or 1. weight (size_in, width): every sum fits into 16 bits; width is a multiple of BLOCK.
// out (rows, columns), columns <= width. fanout (size_in): synapses behind an input. sops (rows): crossed synapses.
extern "C" void mintaka_gather(const uint8_t *x, int64_t rows, int64_t size_in, const int16_t *weight, int64_t width,
                               int64_t columns, const int64_t *fanout, float *out, int64_t *sops) {
    std::vector<int64_t> events(static_cast<size_t>(size_in));
    for (int64_t row = 0; row < rows; ++row, x += size_in, out += columns) {
        int64_t count = 0, crossed = 0, i = 0;
        for (; i + 64 <= size_in; i += 64) {
            uint64_t mask = 0;  // bit k: x[i + k]
            for (int64_t k = 0; k < 8; ++k) {
                uint64_t bytes;
                std::memcpy(&bytes, x + i + 8 * k, 8);
                mask |= (bytes * 0x0102040810204080ull >> 56) << (8 * k);
            }
            for (; mask; mask &= mask - 1) events[count++] = i + __builtin_ctzll(mask);
        }
        for (; i < size_in; ++i)
            if (x[i]) events[count++] = i;
        for (int64_t e = 0; e < count; ++e) crossed += fanout[events[e]];
        sops[row] = crossed;
        for (int64_t begin = 0; begin < columns; begin += BLOCK) {
            Lanes sum[PARTS] = {};
            for (int64_t e = 0; e < count; ++e) {
                const Lanes *w = reinterpret_cast<const Lanes *>(weight + events[e] * width + begin);
                for (int64_t p = 0; p < PARTS; ++p) sum[p] += w[p];
            }
            const int64_t wanted = columns - begin < BLOCK ? columns - begin : BLOCK;
            int16_t sums[BLOCK];
            std::memcpy(sums, sum, sizeof sums);
            for (int64_t c = 0; c < wanted; ++c) out[begin + c] = sums[c];
        }
    }
}
