// A Verilated board whose serial line ends in a pseudo-terminal, so that programs use it as they use a board.
//
// usage: top PERIOD
// PERIOD: of a bit on the line, in thousandths of a clock cycle, for both directions.
// Prints the name of the pseudo-terminal, then runs until its standard input is closed.

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <deque>
#include <memory>

#include "Vtop.h"
#include "mintaka_ports.h"
#include "verilated.h"

namespace {

constexpr int64_t CHECK = 512;    // cycles from one look at the terminal to the next
constexpr int64_t QUIET = 50000;  // cycles without a byte after which the simulation may sleep
constexpr int64_t START = 10000;  // cycles ahead of the terminal: boards are powered long before someone calls
constexpr int BITS = 10;          // of a byte on the line

[[noreturn]] void fail(const char* what) {
    std::fprintf(stderr, "mintaka: %s: %s\n", what, std::strerror(errno));
    std::exit(3);
}

int open_terminal() {
    const int terminal = posix_openpt(O_RDWR | O_NOCTTY);
    if (terminal < 0 || grantpt(terminal) || unlockpt(terminal)) fail("there is no pseudo-terminal");
    termios settings;
    if (tcgetattr(terminal, &settings)) fail("the pseudo-terminal has no settings");
    cfmakeraw(&settings);
    if (tcsetattr(terminal, TCSANOW, &settings)) fail("the pseudo-terminal cannot be made raw");
    fcntl(terminal, F_SETFL, O_NONBLOCK);
    return terminal;
}

// Puts bytes on the board's rx: bit n begins at cycle n * period of its byte.
struct Sender {
    int64_t period, begin = 0;
    int bits = 0, left = 0;
    bool level(int64_t cycle, std::deque<uint8_t>& bytes) {
        while (left && 1000 * (cycle - begin) >= period * (BITS + 1 - left)) --left;
        if (!left && !bytes.empty()) {
            bits = bytes.front() << 1 | 1 << 9;
            bytes.pop_front();
            begin = cycle;
            left = BITS;
        }
        return !left || (bits >> (BITS - left) & 1);
    }
};

// Takes bytes from the board's tx, each bit in its middle.
struct Listener {
    int64_t period, begin = 0;
    int bits = 0, number = -1;
    bool byte(int64_t cycle, bool level, uint8_t& found) {
        if (number < 0) {
            if (!level) {
                begin = cycle;
                number = bits = 0;
            }
            return false;
        }
        if (2000 * (cycle - begin) < period * (2 * number + 1)) return false;
        bits |= level << number;
        if (++number < BITS) return false;
        number = -1;
        if (bits & 1 || !(bits >> 9)) {
            std::fprintf(stderr, "mintaka: the board sent a byte without a start or stop bit\n");
            std::exit(3);
        }
        found = static_cast<uint8_t>(bits >> 1);
        return true;
    }
};

}  // namespace

int main(int argc, char** argv) {
    if (argc != 2) {
        std::fprintf(stderr, "mintaka: wants PERIOD\n");
        return 3;
    }
    const int64_t period = std::atoll(argv[1]);
    const int terminal = open_terminal();

    auto context = std::make_unique<VerilatedContext>();
    auto top = std::make_unique<Vtop>(context.get(), "top");
#ifdef MINTAKA_BUTTON
    top->button = MINTAKA_BUTTON;
#endif
    Sender sender{period};
    Listener listener{period};
    std::deque<uint8_t> in, out;
    int64_t last_byte = 0;
    for (int64_t cycle = 0;; ++cycle) {
        if (cycle == START) {
            std::printf("%s\n", ptsname(terminal));
            std::fflush(stdout);
        }
        if (cycle % CHECK == 0) {
            const bool quiet = in.empty() && out.empty() && cycle - last_byte > QUIET;
            pollfd files[2] = {{STDIN_FILENO, POLLIN, 0}, {terminal, POLLIN, 0}};
            if (poll(files, 2, 0) < 0) fail("poll");
            if (files[0].revents) return 0;
            uint8_t buffer[256];
            const ssize_t count = files[1].revents & POLLIN ? read(terminal, buffer, sizeof buffer) : 0;
            if (count > 0) {
                in.insert(in.end(), buffer, buffer + count);
                last_byte = cycle;
            } else if (quiet) {
                usleep(1000);
            }
            while (!out.empty() && write(terminal, &out.front(), 1) == 1) out.pop_front();
        }
        top->rx = sender.level(cycle, in);
        top->clk = 1;
        top->eval();
        top->clk = 0;
        top->eval();
        uint8_t byte;
        if (listener.byte(cycle, top->tx, byte)) {
            out.push_back(byte);
            last_byte = cycle;
        }
    }
}
