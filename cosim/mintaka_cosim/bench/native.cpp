// Streams samples through a Verilated accelerator and writes down what comes out. One source for every design: the
// generated mintaka_ports.h lists its layers, each as its ports' prefix (with the underscore) and its name.
//
// usage: top STIMULUS OUT PROGRESS [WAVES], the last only of a build that traces
// STIMULUS: 64-bit header {samples, words per beat, classes, patience, input stall %, output stall %, longest stall,
//           seed}; then 64-bit words per sample {beats, steps as the port of that name gets it where there is one}; then
//           the beats as 32-bit words, least significant first.
// OUT/samples.bin: 64-bit words per sample {class, o_cycles, accepted, finished, steps, logits...}; a last one {cycles}.
// OUT/<layer>.counters: 64-bit words per sample {sops, events, busy}, the totals of all samples so far.
// OUT/<layer>.ends: of a design with early exit, 64-bit words: the size of the taps at the end of each sample, in bytes.
// OUT/<layer>.taps: per tapped cycle the 32-bit words of its fields, k first.

#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <type_traits>
#include <vector>

#include "Vtop.h"
#include "mintaka_ports.h"
#include "verilated.h"
#if VM_TRACE_FST
#include "verilated_fst_c.h"
using Trace = VerilatedFstC;
#elif VM_TRACE_VCD
#include "verilated_vcd_c.h"
using Trace = VerilatedVcdC;
#endif

namespace {

[[noreturn]] void fail(const std::string& sentence) {
    std::fprintf(stderr, "mintaka: %s\n", sentence.c_str());
    std::exit(3);
}

struct File {
    std::FILE* handle;
    std::string path;
    File(const std::string& name, const char* mode) : handle(std::fopen(name.c_str(), mode)), path(name) {
        if (!handle) fail("cannot open " + path);
    }
    template <typename T> void put(const T* values, size_t count) {
        if (std::fwrite(values, sizeof(T), count, handle) != count) fail("cannot write " + path);
    }
    template <typename T> void get(T* values, size_t count) {
        if (std::fread(values, sizeof(T), count, handle) != count) fail(path + " is too short");
    }
    int64_t size() const { return std::ftell(handle); }
    void close() {
        if (std::fclose(handle)) fail("cannot write " + path);
    }
};

// A port is a plain unsigned integer up to 64 bits, and an array of 32-bit words above.
template <typename Port> constexpr bool wide = !std::is_integral_v<Port>;

template <typename Port> void drive(Port& port, const uint32_t* words) {
    if constexpr (wide<Port>) {
        for (size_t i = 0; i < sizeof(Port) / 4; ++i) port[i] = words[i];
    } else if constexpr (sizeof(Port) == 8) {
        port = static_cast<uint64_t>(words[0]) | static_cast<uint64_t>(words[1]) << 32;
    } else {
        port = static_cast<Port>(words[0]);
    }
}

template <typename Port> void record(File& file, const Port& port, int width) {
    const int count = (width + 31) / 32;
    uint32_t words[sizeof(Port) / 4 + 1] = {};
    if constexpr (wide<Port>) {
        for (int i = 0; i < count; ++i) words[i] = port[i];
    } else {
        words[0] = static_cast<uint32_t>(port);
        if constexpr (sizeof(Port) == 8) words[1] = static_cast<uint32_t>(port >> 32);
    }
    file.put(words, count);
}

template <typename Port> int64_t signed_value(Port port, int width) {
    static_assert(!wide<Port>, "a logit has at most 64 bits");
    return static_cast<int64_t>(static_cast<uint64_t>(port) << (64 - width)) >> (64 - width);
}

// xorshift64*: stalls must not depend on the C++ library's generators.
struct Random {
    uint64_t state;
    uint64_t below(uint64_t limit) {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        return (state * 0x2545F4914F6CDD1DULL >> 33) % limit;
    }
};

// Pauses of 1, 2, 4, ... or `longest` cycles, begun with a chance of `percent` in each free cycle.
struct Pauses {
    Random random;
    uint64_t percent, lengths, left = 0;
    Pauses(uint64_t seed, uint64_t percent_, uint64_t longest) : random{seed}, percent(percent_), lengths(1) {
        while (longest >>= 1) ++lengths;
    }
    bool pause() {
        if (left) return left--;
        if (!percent || random.below(100) >= percent) return false;
        left = (1ULL << random.below(lengths)) - 1;
        return true;
    }
};

struct Layer {
    const char* name;
    File counters;
    uint64_t finished = 0;
    Layer(const std::string& out, const char* layer) : name(layer), counters(out + "/" + layer + ".counters", "wb") {}
    void done(uint32_t sops, uint32_t events, uint32_t busy) {
        const int64_t row[3] = {sops, events, busy};
        counters.put(row, 3);
        ++finished;
    }
};

}  // namespace

int main(int argc, char** argv) {
    if (argc != 4 + VM_TRACE) fail("wants STIMULUS OUT PROGRESS, and WAVES where it traces");
    File stimulus(argv[1], "rb");
    const std::string out = argv[2], progress = argv[3];
    uint64_t header[8];
    stimulus.get(header, 8);
    const auto [samples, words, classes, patience, stall_in, stall_out, longest, seed] = header;
    struct Sample {
        uint64_t beats, steps;
    };
    std::vector<Sample> sample(samples);
    stimulus.get(sample.data(), samples);
    std::vector<uint32_t> beat(words + 2, 0);

    auto context = std::make_unique<VerilatedContext>();
    auto top = std::make_unique<Vtop>(context.get(), "top");
    Pauses input(4 * seed + 1, stall_in, longest), output(4 * seed + 3, stall_out, longest);
    File file(out + "/samples.bin", "wb");
    std::vector<Layer> layers;
    layers.reserve(64);
#define OPEN(L, NAME) layers.emplace_back(out, NAME);
    MINTAKA_LAYERS(OPEN)
#define OPEN_TAPS(L, NAME) File taps_##L(out + "/" NAME ".taps", "wb");
    MINTAKA_TAPPED(OPEN_TAPS)
#if MINTAKA_EXITS
#define OPEN_ENDS(L, NAME) File ends_##L(out + "/" NAME ".ends", "wb");
    MINTAKA_TAPPED(OPEN_ENDS)
#endif

#if VM_TRACE
    context->traceEverOn(true);
    Trace trace;
    top->trace(&trace, 99);
    trace.open(argv[4]);
    if (!trace.isOpen()) fail(std::string("cannot write ") + argv[4]);
    uint64_t time = 0;
    const auto dump = [&] { trace.dump(time++); };
#else
    const auto dump = [] {};
#endif
    const auto tick = [&] {
        dump();
        top->clk = 1;
        top->eval();
        dump();
        top->clk = 0;
        top->eval();
    };
    top->clk = 0;
    top->i_valid = 0;
    top->o_ready = 0;
    top->rst = 1;
#if MINTAKA_RUN_TIME
    top->steps = 0;
#if MINTAKA_EXITS
    const uint32_t margins[] = {MINTAKA_MARGINS};
    drive(top->margins, margins);
#endif
#endif
    top->eval();
    for (int i = 0; i < 3; ++i) tick();
    top->rst = 0;

    std::vector<int64_t> accepted(samples, 0), logits;
    uint64_t entering = 0, sent = 0;  // number of the sample that goes in, and how many of its beats have
    uint64_t received = 0, cycle = 0, start = 0, last_event = 0;
    bool offered = false;
    const auto finished = [&] {
        if (received < samples) return false;
        for (const Layer& layer : layers)
            if (layer.finished < samples) return false;
        return true;
    };
    const uint64_t drain = 8;  // taps of a layer that is read with a delay only come after the last logit
    for (; !finished() || cycle - last_event < drain; ++cycle) {
        if (!offered && entering < samples && !input.pause()) {
            stimulus.get(beat.data(), words);
            drive(top->i_data, beat.data());
#if MINTAKA_RUN_TIME
            top->steps = sent == 0 ? sample[entering].steps : 0;
#endif
            offered = true;
        }
        top->i_valid = offered;
        top->o_ready = !output.pause();
        top->eval();

        bool event = false;
        if (offered && top->i_ready) {
            if (entering == 0 && sent == 0) start = cycle;
            if (sent == 0) accepted[entering] = static_cast<int64_t>(cycle - start);
            if (++sent == sample[entering].beats) {
                ++entering;
                sent = 0;
            }
            offered = false;
            event = true;
        }
        if (top->o_valid && top->o_ready) {
            if (received == samples) fail("a logit came after the last sample");
            logits.push_back(signed_value(top->o_logit, MINTAKA_LOGIT_WIDTH));
            if (static_cast<bool>(top->o_last) != (logits.size() == classes))
                fail("sample " + std::to_string(received) + ": o_last is " + std::to_string(top->o_last) + " with logit " +
                     std::to_string(logits.size()) + " of " + std::to_string(classes));
            if (logits.size() == classes) {
#if MINTAKA_EXITS
                const int64_t steps = top->o_steps;
#else
                const int64_t steps = 0;
#endif
                const int64_t row[5] = {static_cast<int64_t>(top->o_class), static_cast<int64_t>(top->o_cycles),
                                        accepted[received], static_cast<int64_t>(cycle - start), steps};
                file.put(row, 5);
                file.put(logits.data(), logits.size());
                logits.clear();
                if (++received % 64 == 0) {
                    File count(progress, "wb");
                    std::fprintf(count.handle, "%" PRIu64, received);
                    count.close();
                }
            }
            event = true;
        }
        size_t index = 0;
#define COUNT(L, NAME)                                                     \
    if (top->L##done) {                                                   \
        layers[index].done(top->L##sops, top->L##events, top->L##busy); \
        event = true;                                                      \
    }                                                                      \
    ++index;
        MINTAKA_LAYERS(COUNT)
#define TAP(L, NAME, FIELD, WIDTH)                      \
    if (top->L##tap_valid) {                            \
        record(taps_##L, top->L##tap_##FIELD, WIDTH);   \
        event = true;                                   \
    }
        MINTAKA_TAPS(TAP)
#if MINTAKA_EXITS
#define END(L, NAME)                             \
    if (top->restart) {                          \
        const int64_t size = taps_##L.size();    \
        ends_##L.put(&size, 1);                  \
    }
        MINTAKA_TAPPED(END)
#endif
        if (event) last_event = cycle;
        if (cycle - last_event > patience)
            fail("nothing happened for " + std::to_string(patience) + " cycles: " + std::to_string(entering) +
                 " samples went in, " + std::to_string(received) + " came out");
        tick();
    }
    const int64_t total = static_cast<int64_t>(cycle);
    file.put(&total, 1);
    file.close();
    for (Layer& layer : layers) {
        if (layer.finished < samples)
            fail(std::string("layer '") + layer.name + "' finished " + std::to_string(layer.finished) + " times for " +
                 std::to_string(samples) + " samples");
        layer.counters.close();
    }
#define CLOSE_TAPS(L, NAME) taps_##L.close();
    MINTAKA_TAPPED(CLOSE_TAPS)
#if MINTAKA_EXITS
#define CLOSE_ENDS(L, NAME) ends_##L.close();
    MINTAKA_TAPPED(CLOSE_ENDS)
#endif
    top->final();
#if VM_TRACE
    trace.close();
#endif
    return 0;
}
