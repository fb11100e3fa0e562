/*
 * amounts: how people write amounts, and how layerbench prints them.
 *
 * Sizes are bytes: "4096", "16MiB", "1.5GB" (kB MB GB TB are powers of 1000, KiB MiB GiB TiB
 * and K M G T of 1024). Bandwidths are sizes a second: "500MB/s". Durations carry a unit: "100us"
 * (ns us ms s min). The amount_parse functions return false for anything else and then leave *value
 * alone.
 */
#ifndef AMOUNTS_H
#define AMOUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool amount_parse_count(const char *text, uint64_t *value);
bool amount_parse_real(const char *text, double *value); /* finite */
bool amount_parse_size(const char *text, uint64_t *bytes);
bool amount_parse_bandwidth(const char *text, double *bytes_per_second);
bool amount_parse_duration(const char *text, int64_t *ns);
bool amount_parse_bool(const char *text, bool *value); /* on, off, true, false, yes, no */

/* Exact: parsing the text gives the value back. The largest unit that divides it. */
void amount_format_size(uint64_t bytes, char *text, size_t size);
void amount_format_bandwidth(double bytes_per_second, char *text, size_t size);
void amount_format_duration(int64_t ns, char *text, size_t size);

/* For people: three digits and the unit that fits ("4.08 GB", "12.3 ms"). Returns text. */
char *amount_human_size(double bytes, char *text, size_t size);
/* In MiB, GiB where `like` is a whole number of MiB, as sizes typed so are. */
char *amount_human_size_like(uint64_t like, double bytes, char *text, size_t size);
char *amount_human_duration(double ns, char *text, size_t size);
/* Of a metric: unit "ns", "bytes", any other ("0.123 1/s") or "". */
char *amount_human(double value, const char *unit, char *text, size_t size);

#endif
