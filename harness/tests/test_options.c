/* test_options: amounts with units, options by kind, and the command line over them. */
#include "common/amounts.h"
#include "common/exit_codes.h"
#include "common/nearest.h"
#include "settings/cli.h"
#include "settings/options.h"
#include "tests/check.h"

#include <math.h>
#include <stdint.h>

static void test_sizes(void)
{
    static const struct {
        const char *text;
        uint64_t bytes;
    } good[] = {
        {"4096", 4096},
        {"16MiB", 16 << 20},
        {"4GB", 4000000000},
        {"1.5G", 3ULL << 29},
        {"1.5KiB", 1536},
        {"0", 0},
        {"1TiB", (uint64_t)1 << 40},
        {"18446744073709551615", UINT64_MAX},
    };
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        uint64_t bytes = 0, again = 1;
        char text[64];
        CHECK(amount_parse_size(good[i].text, &bytes) && bytes == good[i].bytes, "%s",
              good[i].text);
        amount_format_size(bytes, text, sizeof text);
        CHECK(amount_parse_size(text, &again) && again == bytes, "%s -> %s", good[i].text, text);
    }
    static const char *const bad[] = {"",    "x",    "-1",   "16 MiB", "16mib", "1e400GB",
                                      "inf", "0x10", "5MBs", "nan",    "1g",    "99999999999TiB"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint64_t bytes = 7;
        CHECK(!amount_parse_size(bad[i], &bytes) && bytes == 7, "'%s' was taken", bad[i]);
    }
}

static void test_rates_and_times(void)
{
    double rate = 0, same = 0;
    int64_t ns = 0;
    char text[64];
    CHECK(amount_parse_bandwidth("500MB/s", &rate) && rate == 5e8, "%g", rate);
    amount_format_bandwidth(rate, text, sizeof text);
    CHECK_TEXT(text, "500MB/s");
    CHECK(amount_parse_bandwidth("1GiB/s", &rate) && rate == 0x1p30, "%g", rate);
    amount_format_bandwidth(123456789.5, text, sizeof text);
    CHECK(amount_parse_bandwidth(text, &same) && same == 123456789.5, "%s", text);
    CHECK(!amount_parse_bandwidth("500MB", &rate), "a size is no bandwidth");
    CHECK(amount_parse_duration("100us", &ns) && ns == 100000, "%lld", (long long)ns);
    amount_format_duration(ns, text, sizeof text);
    CHECK_TEXT(text, "100us");
    CHECK(amount_parse_duration("1.5ms", &ns) && ns == 1500000, "%lld", (long long)ns);
    CHECK(!amount_parse_duration("100", &ns), "a duration needs a unit");
    CHECK(!amount_parse_duration("-1us", &ns), "no negative duration");
    CHECK_TEXT(amount_human_size(4080000000.0, text, sizeof text), "4.08 GB");
    CHECK_TEXT(amount_human_duration(12345678, text, sizeof text), "12.3 ms");
    CHECK_TEXT(amount_human_duration(999.7, text, sizeof text), "1.00 us");
}

static const struct option *option(const char *name)
{
    size_t count;
    const struct option *table = options_table(&count);
    return option_find(table, count, name);
}

/* Sets, formats, sets again: the same text comes out. */
static void round_trip(const char *name, const char *text, const char *formatted)
{
    struct settings s = {0};
    struct lb_error err = LB_ERROR_INIT;
    char out[OPTION_LONGEST];
    CHECK(option_set(option(name), &s, text, &err) == LB_OK, "%s: %s", name, err.text);
    option_format(option(name), &s, out, sizeof out);
    CHECK_TEXT(out, formatted);
}

static void refused(const char *name, const char *text, const char *message)
{
    struct settings s = {0}, before = {0};
    struct lb_error err = LB_ERROR_INIT;
    CHECK(option_set(option(name), &s, text, &err) == LB_ERR_INPUT, "%s=%s was taken", name, text);
    CHECK_TEXT(err.text, message);
    CHECK(memcmp(&s, &before, sizeof s) == 0, "%s changed by a bad value", name);
}

static void test_table(void)
{
    size_t count;
    const struct option *table = options_table(&count);
    for (size_t i = 0; i < count; i++)
        CHECK(option_find(table, count, table[i].name) == &table[i], "%s twice", table[i].name);
    CHECK(option("cache-layers") == option("cache_layers"), "dashes and underscores are the same");
    round_trip("cache_layers", "8", "8");
    round_trip("cache_layers", "auto", "auto");
    round_trip("cache_bytes", "1024KiB", "1MiB");
    round_trip("unit", "tensor", "tensor");
    round_trip("unit", "16MiB", "16MiB");
    round_trip("protect", "off", "off");
    round_trip("device", "latency=100us,bandwidth=500MB/s", "bandwidth=500MB/s,latency=100us");
    round_trip("device", "none", "none");
    round_trip("device", "sata-ssd", "sata-ssd");
    round_trip("prefetch", "sync", "sync");
    round_trip("affinity", "0-3,6", "0-3,6");
    round_trip("affinity", "", "");
    char processors[OPTION_LONGEST + 2] = "0";
    for (size_t n = 1; n + 1 < OPTION_LONGEST; n += 2)
        memcpy(processors + n, ",1", 3);
    round_trip("affinity", processors, processors);
    refused("affinity", strcat(processors, ",1"),
            "'0,1,1,1,1,1,1,1,1,1,1,1,1,1,1,...': 4097 bytes: expected less than 4096");
    refused("affinity", "3-1", "'3-1': expected processors such as 0-3,6");
    refused("affinity", "0,", "'0,': expected processors such as 0-3,6");
    refused("cache_layers", "x", "'x': expected a whole number of at least 1, or 'auto'");
    refused("cache_layers", "0", "'0': expected a whole number of at least 1, or 'auto'");
    refused("cache_layers", "4294967296",
            "'4294967296': expected a whole number of at least 1, or 'auto'");
    refused("prefetch_distance", "-1", "'-1': expected a whole number of at least 0");
    refused("prefetch", "both", "'both': expected one of off, sync, async, resident");
    refused("queue_depth", "2000", "'2000': expected a whole number from 1 to 1024");
    refused("unit", "100",
            "'100': expected a size such as 16MiB of at least 4KiB, or 'layer' or "
            "'tensor' or 'expert'");
}

static void test_nearest(void)
{
    static const char *const names[] = {"generate", "run", "synth"};
    CHECK_TEXT(nearest_name("genrate", names, 3), "generate");
    CHECK(nearest_name("zzzzzz", names, 3) == NULL, "far from everything");
}

struct mine {
    const char *output;
    bool json;
    uint32_t count;
};

static int parse(struct mine *mine, struct settings *settings, int *argc, char **argv)
{
    static const struct option own[] = {
        {"output", "FILE", "where to", OPTION_TEXT, offsetof(struct mine, output), .letter = 'o'},
        {"json", NULL, "as JSON", OPTION_FLAG, offsetof(struct mine, json), .letter = 'j'},
        {"count", "N", "how many", OPTION_COUNT, offsetof(struct mine, count), .min = 1},
    };
    size_t count;
    const struct option *table = options_table(&count);
    struct cli_group groups[] = {
        {"options", own, 3, mine, 0},
        {"streaming", table, count, settings, OPTION_RUN_ONLY},
        {NULL, NULL, 0, NULL, 0},
    };
    struct cli cli = {"test", "[options]", "A test.", groups};
    return cli_parse(&cli, argc, argv);
}

static void test_command_line(void)
{
    struct mine mine = {0};
    struct settings settings = {0};
    char *argv[] = {"test", "one", "-ofile", "--json", "--cache-layers=3", "--count", "2",
                    "two",  "--",  "--x",    NULL};
    int argc = 10;
    CHECK(parse(&mine, &settings, &argc, argv) == -1, "a good line");
    CHECK(argc == 4, "%d words", argc);
    CHECK_TEXT(argv[1], "one");
    CHECK_TEXT(argv[2], "two");
    CHECK_TEXT(argv[3], "--x");
    CHECK_TEXT(mine.output, "file");
    CHECK(mine.json && mine.count == 2 && settings.engine.cache_layers == 3, "values");

    static char *bad[][4] = {
        {"test", "--cache-layer", "3", NULL}, {"test", "--count", NULL, NULL},
        {"test", "--count=0", NULL, NULL},    {"test", "--json=on", NULL, NULL},
        {"test", "-jx", NULL, NULL},          {"test", "--prompt-tokens", "3", NULL},
        {"test", "-z", NULL, NULL},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        argc = 0;
        while (bad[i][argc])
            argc++;
        CHECK(parse(&mine, &settings, &argc, bad[i]) == EXIT_USAGE, "%s", bad[i][1]);
    }
}

int main(void)
{
    test_sizes();
    test_rates_and_times();
    test_table();
    test_nearest();
    test_command_line();
    return check_done();
}
