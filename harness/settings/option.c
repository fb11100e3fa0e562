/* option: text to field and back, by kind. See option.h. */
#include "settings/option.h"

#include "common/amounts.h"
#include "engine.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static void append(char *text, size_t size, const char *more)
{
    size_t n = strlen(text);
    snprintf(text + n, size - n, "%s", more);
}

/* The i-th choice, or NULL past the end. */
static const char *choice_at(const struct option *o, size_t i)
{
    struct lb_choice choice;
    if (o->choices)
        return o->choices[i];
    return o->choice_kind && lb_choice_at(o->choice_kind, i, &choice) ? choice.name : NULL;
}

static bool is_number(enum option_kind kind)
{
    return kind == OPTION_COUNT || kind == OPTION_COUNT64 || kind == OPTION_REAL ||
           kind == OPTION_SIZE || kind == OPTION_SIZE32 || kind == OPTION_BANDWIDTH ||
           kind == OPTION_DURATION;
}

bool option_is_size(const struct option *o)
{
    return o->kind == OPTION_SIZE || o->kind == OPTION_SIZE32;
}

static double largest(const struct option *o)
{
    if (o->max > 0)
        return o->max;
    switch (o->kind) {
    case OPTION_COUNT:
    case OPTION_SIZE32:
        return UINT32_MAX;
    case OPTION_DURATION:
        return 0x1p62;
    default:
        return INFINITY;
    }
}

static void expect_choice(const struct option *o, char *text, size_t size)
{
    append(text, size, "one of");
    const char *choice;
    for (size_t i = 0; (choice = choice_at(o, i)) != NULL; i++) {
        append(text, size, i ? ", " : " ");
        append(text, size, *choice ? choice : "''");
    }
}

static void expect_range(const struct option *o, char *text, size_t size)
{
    char part[64];
    if (o->max > 0 && o->max < 0x1p53) {
        snprintf(part, sizeof part, " from %.15g to %.15g", o->min, o->max);
        append(text, size, part);
    } else if (o->min != 0 || o->kind == OPTION_COUNT || o->kind == OPTION_COUNT64) {
        if (option_is_size(o))
            amount_format_size((uint64_t)o->min, part, sizeof part);
        else
            snprintf(part, sizeof part, "%.15g", o->min);
        append(text, size, " of at least ");
        append(text, size, part);
    }
}

void option_expected(const struct option *o, char *text, size_t size)
{
    static const char *const nouns[] = {
        [OPTION_FLAG] = "no value",
        [OPTION_BOOL] = "on or off",
        [OPTION_TEXT] = "a text",
        [OPTION_CHOICE] = "",
        [OPTION_COUNT] = "a whole number",
        [OPTION_COUNT64] = "a whole number",
        [OPTION_REAL] = "a number",
        [OPTION_SIZE] = "a size such as 16MiB",
        [OPTION_SIZE32] = "a size such as 1MiB",
        [OPTION_BANDWIDTH] = "a bandwidth such as 500MB/s",
        [OPTION_DURATION] = "a duration such as 100us",
        [OPTION_CUSTOM] = "",
    };
    snprintf(text, size, "%s", o->kind == OPTION_CUSTOM ? o->expected : nouns[o->kind]);
    if (o->kind == OPTION_CHOICE)
        expect_choice(o, text, size);
    if (is_number(o->kind))
        expect_range(o, text, size);
    for (const char *const *word = o->words; word && *word; word++) {
        append(text, size, word == o->words ? ", or '" : " or '");
        append(text, size, *word);
        append(text, size, "'");
    }
}

static bool parse_number(const struct option *o, const char *text, double *number, uint64_t *whole)
{
    int64_t ns;
    *whole = 0;
    switch (o->kind) {
    case OPTION_COUNT:
    case OPTION_COUNT64:
        if (!amount_parse_count(text, whole))
            return false;
        *number = (double)*whole;
        return true;
    case OPTION_SIZE:
    case OPTION_SIZE32:
        if (!amount_parse_size(text, whole))
            return false;
        *number = (double)*whole;
        return true;
    case OPTION_DURATION:
        if (!amount_parse_duration(text, &ns))
            return false;
        *number = (double)ns;
        *whole = (uint64_t)ns;
        return true;
    case OPTION_BANDWIDTH:
        return amount_parse_bandwidth(text, number);
    default:
        return amount_parse_real(text, number);
    }
}

static void store_number(const struct option *o, char *field, double number, uint64_t whole)
{
    switch (o->kind) {
    case OPTION_COUNT:
    case OPTION_SIZE32:
        *(uint32_t *)(void *)field = (uint32_t)whole;
        break;
    case OPTION_COUNT64:
    case OPTION_SIZE:
        *(uint64_t *)(void *)field = whole;
        break;
    case OPTION_DURATION:
        *(int64_t *)(void *)field = (int64_t)whole;
        break;
    default:
        *(double *)(void *)field = number;
    }
}

static bool set_number(const struct option *o, char *field, const char *text)
{
    for (uint64_t i = 0; o->words && o->words[i]; i++) {
        if (strcmp(text, o->words[i]) == 0) {
            store_number(o, field, (double)i, i);
            return true;
        }
    }
    double number;
    uint64_t whole;
    if (!parse_number(o, text, &number, &whole) || number < o->min || number > largest(o))
        return false;
    store_number(o, field, number, whole);
    return true;
}

static bool set_text(const struct option *o, char *field, const char *text)
{
    if (o->kind == OPTION_CHOICE && choice_at(o, 0)) {
        size_t i = 0;
        while (choice_at(o, i) && strcmp(choice_at(o, i), text) != 0)
            i++;
        if (!choice_at(o, i))
            return false;
    }
    *(const char **)(void *)field = text;
    return true;
}

enum lb_status option_set(const struct option *o, void *target, const char *text,
                          struct lb_error *err)
{
    char *field = (char *)target + o->offset;
    bool understood;
    if (strlen(text) >= OPTION_LONGEST)
        return lb_fail(err, LB_ERR_INPUT, "'%.30s...': %zu bytes: expected less than %d", text,
                       strlen(text), OPTION_LONGEST);
    if (o->kind == OPTION_CUSTOM)
        understood = o->set(target, text);
    else if (o->kind == OPTION_FLAG || o->kind == OPTION_BOOL)
        understood = amount_parse_bool(text, (bool *)field);
    else if (is_number(o->kind))
        understood = set_number(o, field, text);
    else
        understood = set_text(o, field, text);
    if (understood)
        return LB_OK;
    char expected[320];
    option_expected(o, expected, sizeof expected);
    return lb_fail(err, LB_ERR_INPUT, "'%.100s': expected %s", text, expected);
}

static bool format_word(const struct option *o, uint64_t number, char *text, size_t size)
{
    for (uint64_t i = 0; o->words && o->words[i]; i++) {
        if (i == number) {
            snprintf(text, size, "%s", o->words[i]);
            return true;
        }
    }
    return false;
}

void option_format(const struct option *o, const void *target, char *text, size_t size)
{
    const void *field = (const char *)target + o->offset;
    uint64_t whole = 0;
    if (o->kind == OPTION_COUNT || o->kind == OPTION_SIZE32)
        whole = *(const uint32_t *)field;
    else if (o->kind == OPTION_COUNT64 || o->kind == OPTION_SIZE)
        whole = *(const uint64_t *)field;
    if (is_number(o->kind) && o->kind != OPTION_REAL && o->kind != OPTION_BANDWIDTH &&
        format_word(o, whole, text, size))
        return;
    switch (o->kind) {
    case OPTION_FLAG:
    case OPTION_BOOL:
        snprintf(text, size, "%s", *(const bool *)field ? "on" : "off");
        break;
    case OPTION_TEXT:
    case OPTION_CHOICE: {
        const char *value = *(const char *const *)field;
        snprintf(text, size, "%s", value ? value : "");
        break;
    }
    case OPTION_COUNT:
    case OPTION_COUNT64:
        /* beyond what may be set: a mark for "not set" */
        if (o->max > 0 && (double)whole > o->max)
            text[0] = '\0';
        else
            snprintf(text, size, "%llu", (unsigned long long)whole);
        break;
    case OPTION_SIZE:
    case OPTION_SIZE32:
        amount_format_size(whole, text, size);
        break;
    case OPTION_REAL:
        snprintf(text, size, "%.9g", *(const double *)field);
        break;
    case OPTION_BANDWIDTH:
        amount_format_bandwidth(*(const double *)field, text, size);
        break;
    case OPTION_DURATION:
        amount_format_duration(*(const int64_t *)field, text, size);
        break;
    case OPTION_CUSTOM:
        o->format(target, text, size);
        break;
    }
}

const struct option *option_find(const struct option *options, size_t count, const char *name)
{
    for (size_t i = 0; i < count; i++) {
        const char *a = options[i].name, *b = name;
        while (*a && (*a == *b || (*a == '_' && *b == '-'))) {
            a++;
            b++;
        }
        if (*a == '\0' && *b == '\0')
            return &options[i];
    }
    return NULL;
}
