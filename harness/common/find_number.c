/* find_number: see find_number.h. */
#include "common/find_number.h"

#include <jansson.h>
#include <math.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- JSON ---- */

static json_t *parse(const char *text)
{
    json_t *whole = text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
    if (whole || !text)
        return whole;
    size_t end = strlen(text);
    while (end > 0 && strchr("\r\n ", text[end - 1]))
        end--;
    size_t begin = end;
    while (begin > 0 && text[begin - 1] != '\n')
        begin--;
    return json_loadb(text + begin, end - begin, JSON_DECODE_ANY, NULL);
}

/* "a~1b" -> "a/b": the part of a pointer up to its next '/'. */
static void unescape(const char *from, size_t length, char *key, size_t size)
{
    size_t n = 0;
    for (size_t i = 0; i < length && n + 1 < size; i++) {
        bool escaped = from[i] == '~' && i + 1 < length;
        key[n++] = !escaped ? from[i] : from[i + 1] == '1' ? '/' : '~';
        i += escaped;
    }
    key[n] = '\0';
}

static bool by_pointer(const char *text, const char *place, double *number, char why[160])
{
    json_t *root = parse(text);
    const json_t *at = root;
    for (const char *p = place; at && *p == '/';) {
        size_t length = strcspn(p + 1, "/");
        char key[128], *rest;
        unescape(p + 1, length, key, sizeof key);
        if (json_is_array(at)) {
            unsigned long i = strtoul(key, &rest, 10);
            at = *key >= '0' && *key <= '9' && !*rest ? json_array_get(at, i) : NULL;
        } else {
            at = json_object_get(at, key);
        }
        p += 1 + length;
    }
    *number = json_is_number(at) ? json_number_value(at) : NAN;
    char *there = at ? json_dumps(at, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    if (!root)
        snprintf(why, 160, "printed no JSON: expected a number at %.60s", place);
    else if (!at)
        snprintf(why, 160, "nothing at %.60s in the JSON that it printed", place);
    else
        snprintf(why, 160, "%.40s at %.60s: expected a number", there ? there : "?", place);
    free(there);
    json_decref(root);
    return isfinite(*number);
}

/* ---- regular expressions ---- */

static bool match(const regex_t *expression, const char *text, double *number, bool *matched)
{
    regmatch_t parts[2];
    if (!text || regexec(expression, text, 2, parts, 0) != 0)
        return false;
    const regmatch_t *part = &parts[expression->re_nsub > 0];
    char digits[64], *rest;
    int length = part->rm_so < 0 ? 0 : (int)(part->rm_eo - part->rm_so);
    snprintf(digits, sizeof digits, "%.*s", length, text + (part->rm_so < 0 ? 0 : part->rm_so));
    *number = strtod(digits, &rest);
    *matched = true;
    return rest != digits && isfinite(*number);
}

static bool compile(const char *place, regex_t *expression, char why[160])
{
    int code = regcomp(expression, place, REG_EXTENDED | REG_NEWLINE);
    if (code != 0)
        regerror(code, expression, why, 160);
    return code == 0;
}

static bool by_expression(const char *text, const char *more, const char *place, double *number,
                          char why[160])
{
    regex_t expression;
    bool matched = false;
    if (!compile(place, &expression, why))
        return false;
    bool found =
        match(&expression, text, number, &matched) || match(&expression, more, number, &matched);
    regfree(&expression);
    snprintf(why, 160,
             matched ? "what '%.100s' finds is no number" : "printed nothing like '%.100s'", place);
    return found;
}

bool find_number(const char *text, const char *more, const char *place, double *number,
                 char why[160])
{
    return *place == '/' ? by_pointer(text, place, number, why)
                         : by_expression(text, more, place, number, why);
}

bool find_number_valid(const char *place, char why[160])
{
    regex_t expression;
    if (*place == '/')
        return true;
    snprintf(why, 160, "is empty");
    if (!*place || !compile(place, &expression, why))
        return false;
    regfree(&expression);
    return true;
}
