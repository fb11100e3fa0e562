/* amounts: parse and print amounts with units. See amounts.h. */
#include "common/amounts.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct unit {
    const char *name;
    double factor;
};

/* In each group: the order in which an exact text is tried. */
static const struct unit size_units[] = {
    {"TiB", 0x1p40}, {"GiB", 0x1p30}, {"MiB", 0x1p20}, {"KiB", 0x1p10}, {"TB", 1e12},
    {"GB", 1e9},     {"MB", 1e6},     {"kB", 1e3},     {"KB", 1e3},     {"T", 0x1p40},
    {"G", 0x1p30},   {"M", 0x1p20},   {"K", 0x1p10},   {"k", 0x1p10},   {"B", 1},
};
static const struct unit rate_units[] = {
    {"TB/s", 1e12},    {"GB/s", 1e9},     {"MB/s", 1e6},     {"kB/s", 1e3},     {"KB/s", 1e3},
    {"TiB/s", 0x1p40}, {"GiB/s", 0x1p30}, {"MiB/s", 0x1p20}, {"KiB/s", 0x1p10}, {"B/s", 1},
};
static const struct unit time_units[] = {
    {"min", 60e9}, {"s", 1e9}, {"ms", 1e6}, {"us", 1e3}, {"ns", 1},
};

#define COUNT(array) (sizeof(array) / sizeof *(array))

static bool plain_number(const char *text, const char **end, double *value)
{
    if (!(*text >= '0' && *text <= '9') || (text[0] == '0' && (text[1] | 32) == 'x'))
        return false;
    char *stop;
    errno = 0;
    double number = strtod(text, &stop);
    if (errno != 0 || !isfinite(number))
        return false;
    *end = stop;
    *value = number;
    return true;
}

static bool with_unit(const char *text, const struct unit *units, size_t count, bool bare,
                      double *value)
{
    double number;
    const char *end;
    if (!plain_number(text, &end, &number))
        return false;
    if (*end == '\0') {
        if (!bare)
            return false;
        *value = number;
        return true;
    }
    for (size_t i = 0; i < count; i++) {
        if (strcmp(end, units[i].name) == 0) {
            *value = number * units[i].factor;
            return isfinite(*value);
        }
    }
    return false;
}

bool amount_parse_count(const char *text, uint64_t *value)
{
    if (*text < '0' || *text > '9')
        return false;
    char *end;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (errno != 0 || *end != '\0')
        return false;
    *value = number;
    return true;
}

bool amount_parse_real(const char *text, double *value)
{
    char *end;
    errno = 0;
    double number = strtod(text, &end);
    if (errno != 0 || end == text || *end != '\0' || !isfinite(number))
        return false;
    *value = number;
    return true;
}

bool amount_parse_size(const char *text, uint64_t *bytes)
{
    if (amount_parse_count(text, bytes))
        return true;
    double value;
    if (!with_unit(text, size_units, COUNT(size_units), false, &value) || value >= 0x1p63)
        return false;
    *bytes = (uint64_t)llround(value);
    return true;
}

bool amount_parse_bandwidth(const char *text, double *bytes_per_second)
{
    return with_unit(text, rate_units, COUNT(rate_units), true, bytes_per_second);
}

bool amount_parse_duration(const char *text, int64_t *ns)
{
    double value;
    if (strcmp(text, "0") == 0) {
        *ns = 0;
        return true;
    }
    if (!with_unit(text, time_units, COUNT(time_units), false, &value) || value >= 0x1p62)
        return false;
    *ns = llround(value);
    return true;
}

bool amount_parse_bool(const char *text, bool *value)
{
    static const char *const words[] = {"off", "on", "false", "true", "no", "yes"};
    for (size_t i = 0; i < COUNT(words); i++) {
        if (strcmp(text, words[i]) == 0) {
            *value = i % 2 == 1;
            return true;
        }
    }
    return false;
}

static void exact(double value, const struct unit *units, size_t count, char *text, size_t size)
{
    for (size_t i = 0; i + 1 < count; i++) {
        double in_unit = value / units[i].factor;
        if (in_unit >= 1 && in_unit == floor(in_unit)) {
            snprintf(text, size, "%.0f%s", in_unit, units[i].name);
            return;
        }
    }
    snprintf(text, size, "%.17g%s", value, units[count - 1].name);
}

void amount_format_size(uint64_t bytes, char *text, size_t size)
{
    if (bytes >> 53 || bytes == 0)
        snprintf(text, size, "%llu", (unsigned long long)bytes);
    else
        exact((double)bytes, size_units, COUNT(size_units), text, size);
}

void amount_format_bandwidth(double bytes_per_second, char *text, size_t size)
{
    exact(bytes_per_second, rate_units, COUNT(rate_units), text, size);
}

void amount_format_duration(int64_t ns, char *text, size_t size)
{
    if (ns == 0)
        snprintf(text, size, "0");
    else
        exact((double)ns, time_units, COUNT(time_units), text, size);
}

static char *human(double value, const char *const *names, size_t count, double step, char *text,
                   size_t size)
{
    size_t i = 0;
    while (i + 1 < count && fabs(value) >= 999.5) {
        value /= step;
        i++;
    }
    int decimals = i == 0 || fabs(value) >= 99.95 ? 0 : fabs(value) >= 9.995 ? 1 : 2;
    snprintf(text, size, "%.*f %s", decimals, value, names[i]);
    return text;
}

char *amount_human_size(double bytes, char *text, size_t size)
{
    static const char *const names[] = {"B", "kB", "MB", "GB", "TB"};
    return human(bytes, names, COUNT(names), 1000, text, size);
}

char *amount_human_size_like(uint64_t like, double bytes, char *text, size_t size)
{
    static const char *const names[] = {"B", "KiB", "MiB", "GiB", "TiB"};
    return like % (1 << 20) ? amount_human_size(bytes, text, size)
                            : human(bytes, names, COUNT(names), 1024, text, size);
}

char *amount_human_duration(double ns, char *text, size_t size)
{
    static const char *const names[] = {"ns", "us", "ms", "s"};
    return human(ns, names, COUNT(names), 1000, text, size);
}

char *amount_human(double value, const char *unit, char *text, size_t size)
{
    if (strcmp(unit, "ns") == 0)
        return amount_human_duration(value, text, size);
    if (strcmp(unit, "bytes") == 0)
        return amount_human_size(value, text, size);
    snprintf(text, size, "%.4g%s%s", value, *unit ? " " : "", unit);
    return text;
}
