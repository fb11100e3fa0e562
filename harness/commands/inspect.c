/* inspect: what a GGUF file says about itself: metadata and tensors, as text or JSON. */
#include "commands/commands.h"
#include "common/amounts.h"
#include "common/exit_codes.h"
#include "common/json_text.h"
#include "engine.h"
#include "settings/cli.h"
#include "settings/model_options.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

struct inspect {
    bool json;
};

static const struct option own[] = {
    {"json", NULL, "print JSON", OPTION_FLAG, offsetof(struct inspect, json), .flags = 0},
};

/* ---- as text ---- */

static void print_file(void *ctx, uint32_t version, uint64_t file_bytes, size_t n_pairs,
                       size_t n_tensors)
{
    char size[32];
    (void)ctx;
    printf("GGUF version %" PRIu32 ", %s, %zu metadata entries, %zu tensors\n\n", version,
           amount_human_size((double)file_bytes, size, sizeof size), n_pairs, n_tensors);
}

/* At least `width` wide, at most `most` characters and "..."; a control character is a space, so
 * that the file cannot break lines: a chat template has many. */
static void print_text(const char *text, int width, size_t most)
{
    size_t n = 0;
    for (; text[n] && n < most; n++)
        putchar((unsigned char)text[n] < ' ' || text[n] == 0x7f ? ' ' : text[n]);
    if (text[n])
        fputs("...", stdout);
    if (width > 0)
        printf("%*s ", (int)n < width ? width - (int)n : 0, "");
}

static void print_pair(void *ctx, const char *key, const char *kind, const char *value)
{
    (void)ctx;
    print_text(key, 40, 1000);
    printf("%-7s ", kind);
    print_text(value, 0, 120);
    putchar('\n');
}

static void print_tensor(void *ctx, const char *name, const char *type, uint32_t n_dims,
                         const uint64_t *ne, uint64_t file_offset, uint64_t bytes)
{
    bool *first = ctx;
    char shape[96] = "";
    if (*first)
        printf("\n%-32s %-8s %-24s %14s %14s\n", "tensor", "type", "shape", "offset", "bytes");
    *first = false;
    for (uint32_t i = 0; i < n_dims; i++) {
        size_t n = strlen(shape);
        snprintf(shape + n, sizeof shape - n, "%s%" PRIu64, i ? " x " : "", ne[i]);
    }
    print_text(name, 32, 1000);
    printf("%-8s %-24s %14" PRIu64 " %14" PRIu64 "\n", type, shape, file_offset, bytes);
}

/* ---- as JSON ---- */

static void add_file(void *ctx, uint32_t version, uint64_t file_bytes, size_t n_pairs,
                     size_t n_tensors)
{
    json_t *root = ctx;
    (void)n_pairs;
    (void)n_tensors;
    json_object_set_new(root, "gguf_version", json_integer(version));
    json_object_set_new(root, "file_bytes", json_integer((json_int_t)file_bytes));
    json_object_set_new(root, "metadata", json_object());
    json_object_set_new(root, "tensors", json_array());
}

static void add_pair(void *ctx, const char *key, const char *kind, const char *value)
{
    json_t *entry = json_object();
    json_object_set_new(entry, "kind", json_text(kind));
    json_object_set_new(entry, "value", json_text(value));
    json_t *name = json_text(key);
    json_object_set_new(json_object_get(ctx, "metadata"), json_string_value(name), entry);
    json_decref(name);
}

static void add_tensor(void *ctx, const char *name, const char *type, uint32_t n_dims,
                       const uint64_t *ne, uint64_t file_offset, uint64_t bytes)
{
    json_t *entry = json_object(), *shape = json_array();
    for (uint32_t i = 0; i < n_dims; i++)
        json_array_append_new(shape, json_integer((json_int_t)ne[i]));
    json_object_set_new(entry, "name", json_text(name));
    json_object_set_new(entry, "type", json_text(type));
    json_object_set_new(entry, "shape", shape);
    json_object_set_new(entry, "offset", json_integer((json_int_t)file_offset));
    json_object_set_new(entry, "bytes", json_integer((json_int_t)bytes));
    json_array_append_new(json_object_get(ctx, "tensors"), entry);
}

int command_inspect(int argc, char **argv)
{
    struct inspect options = {0};
    struct cli cli = {"inspect", "[--json] FILE", "Prints metadata and tensors of a GGUF file.",
                      CLI_OWN(own, &options)};
    int code = cli_parse(&cli, &argc, argv);
    if (code >= 0)
        return code;
    if (argc != 2)
        return cli_fail("inspect", "expected one GGUF file");
    struct lb_error err = LB_ERROR_INIT;
    bool first = true;
    json_t *root = options.json ? json_object() : NULL;
    struct lb_inspect as_text = {&first, print_file, print_pair, print_tensor};
    struct lb_inspect as_json = {root, add_file, add_pair, add_tensor};
    if (lb_inspect_file(argv[1], options.json ? &as_json : &as_text, &err) != LB_OK)
        code = model_options_error("inspect", &err);
    else
        code = EXIT_OK;
    if (root && code == EXIT_OK) {
        json_dumpf(root, stdout, JSON_INDENT(1));
        putchar('\n');
    }
    json_decref(root);
    return code;
}
