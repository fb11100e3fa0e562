/*
 * gguf: bad files. Each gets one clear message; a file cut at any byte and files with random bytes
 * changed neither crash the reader nor make it take more memory than they justify.
 */
#include "base/random.h"
#include "gguf/gguf.h"
#include "quant/quant.h"
#include "tests/check.h"

#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

static int memory_file; /* tens of thousands of files: in memory, not on a disk */
static char path[32];

/* ---- a file in memory ---- */

struct image {
    unsigned char bytes[8192];
    size_t n;
};

static void put(struct image *m, const void *data, size_t size)
{
    memcpy(m->bytes + m->n, data, size);
    m->n += size;
}

static void put_u32(struct image *m, uint32_t value)
{
    put(m, &value, sizeof value);
}

static void put_u64(struct image *m, uint64_t value)
{
    put(m, &value, sizeof value);
}

static void put_text(struct image *m, const char *text)
{
    put_u64(m, strlen(text));
    put(m, text, strlen(text));
}

static struct image header(uint32_t version, uint64_t n_tensors, uint64_t n_pairs)
{
    struct image m = {.n = 0};
    put(&m, "GGUF", 4);
    put_u32(&m, version);
    put_u64(&m, n_tensors);
    put_u64(&m, n_pairs);
    return m;
}

static void put_key(struct image *m, const char *key, uint32_t kind)
{
    put_text(m, key);
    put_u32(m, kind);
}

static void put_tensor(struct image *m, const char *name, uint64_t n_in, uint64_t n_rows,
                       uint32_t type, uint64_t offset)
{
    put_text(m, name);
    put_u32(m, 2);
    put_u64(m, n_in);
    put_u64(m, n_rows);
    put_u32(m, type);
    put_u64(m, offset);
}

static void put_data(struct image *m, size_t size)
{
    m->n = (m->n + 31) / 32 * 32 + size;
}

/* Every kind of value, two tensors; *header_bytes: what the header takes, without padding. */
static struct image good(size_t *header_bytes)
{
    struct image m = header(3, 2, 9);
    put_key(&m, "general.architecture", GGUF_STRING);
    put_text(&m, "llama");
    put_key(&m, "general.alignment", GGUF_U32);
    put_u32(&m, 32);
    put_key(&m, "u8", GGUF_U8);
    put(&m, "\x07", 1);
    put_key(&m, "i64", GGUF_I64);
    put_u64(&m, (uint64_t)-5);
    put_key(&m, "f64", GGUF_F64);
    put(&m, &(double){0.25}, 8);
    put_key(&m, "bool", GGUF_BOOL);
    put(&m, "\x01", 1);
    put_key(&m, "i16", GGUF_I16);
    put(&m, &(int16_t){-3}, 2);
    put_key(&m, "texts", GGUF_ARRAY);
    put_u32(&m, GGUF_STRING);
    put_u64(&m, 2);
    put_text(&m, "one");
    put_text(&m, "");
    put_key(&m, "numbers", GGUF_ARRAY);
    put_u32(&m, GGUF_U16);
    put_u64(&m, 3);
    put(&m, "abcdef", 6);
    put_tensor(&m, "a", 32, 2, QUANT_Q8_0, 0);
    put_tensor(&m, "b", 8, 2, QUANT_F32, 96);
    *header_bytes = m.n;
    put_data(&m, 96 + 64);
    return m;
}

static enum lb_status open_image(const struct image *m, size_t n, struct gguf_file **file,
                                 struct lb_error *err)
{
    CHECK(ftruncate(memory_file, (off_t)n) == 0 &&
          pwrite(memory_file, m->bytes, n, 0) == (ssize_t)n);
    *err = (struct lb_error)LB_ERROR_INIT;
    return gguf_open(path, quant_tensor_bytes, file, err);
}

static void refused_status(const struct image *m, enum lb_status status, const char *message)
{
    struct gguf_file *file;
    struct lb_error err;
    char full[600];
    snprintf(full, sizeof full, "%s: %s", path, message);
    CHECK(open_image(m, m->n, &file, &err) == status && !file, "%s", message);
    CHECK_TEXT(err.text, full);
    gguf_close(file);
}

static void refused(const struct image *m, const char *message)
{
    refused_status(m, LB_ERR_INPUT, message);
}

/* ---- the cases ---- */

static void accepted(void)
{
    struct gguf_file *f;
    struct lb_error err;
    size_t header_bytes;
    uint32_t u = 0;
    float x = 0;
    struct image m = good(&header_bytes);
    for (uint32_t version = 2; version <= 3; version++) {
        m.bytes[4] = (unsigned char)version;
        CHECK(open_image(&m, m.n, &f, &err) == LB_OK, "%s", err.text);
        if (!f)
            continue;
        CHECK(gguf_version(f) == version);
        CHECK(gguf_get_u32(f, "u8", true, &u, &err) == LB_OK && u == 7);
        CHECK(gguf_find_pair(f, "i16")->value.i == -3);
        CHECK(gguf_get_f32(f, "f64", true, &x, &err) == LB_OK && x == 0.25f);
        CHECK(gguf_get_u32(f, "i64", true, &u, &err) == LB_ERR_INPUT);
        CHECK(strstr(err.text, "key 'i64' is -5, expected an integer from 0 to 4294967295"), "%s",
              err.text);
        CHECK(memcmp(gguf_find_pair(f, "numbers")->value.array.values, "abcdef", 6) == 0);
        gguf_close(f);
    }
}

static void no_file(void)
{
    struct gguf_file *file;
    struct lb_error err = LB_ERROR_INIT;
    CHECK(gguf_open("/nowhere/m.gguf", quant_tensor_bytes, &file, &err) == LB_ERR_INPUT && !file);
    CHECK_TEXT(err.text, "/nowhere/m.gguf: cannot open: No such file or directory");
    err = (struct lb_error)LB_ERROR_INIT;
    CHECK(gguf_open("/", quant_tensor_bytes, &file, &err) == LB_ERR_INPUT && !file);
    CHECK_TEXT(err.text, "/: is a directory: expected a regular file");
}

static void not_gguf(void)
{
    struct image m = {.n = 0};
    refused(&m, "truncated in the header: 4 bytes needed at byte 0, file ends at byte 0");
    put(&m, "PK\3\4more", 8);
    refused(&m, "not a GGUF file: begins with 0x04034b50, expected 0x46554747");
    m = header(1, 0, 0);
    refused(&m, "GGUF version 1, expected 2 or 3");
    m = header(4, 0, 0);
    refused(&m, "GGUF version 4, expected 2 or 3");
    m = header(0x03000000, 0, 0);
    refused(&m, "big-endian GGUF, expected little-endian");
    memcpy(m.bytes, "FUGG", 4);
    refused(&m, "not a GGUF file: begins with 0x47475546, expected 0x46554747");
}

static void huge_counts(void)
{
    struct image m = header(3, 0, UINT64_MAX);
    refused(&m, "truncated in the header: 18446744073709551615 bytes needed at byte 24, file ends "
                "at byte 24");
    m = header(3, 1000000, 0);
    refused(&m, "truncated in the header: 32000000 bytes needed at byte 24, file ends at byte 24");
    m = header(3, 0, 1);
    put_u64(&m, UINT64_MAX);
    put_u64(&m, 0);
    refused(&m, "truncated in key 1 of 1: 18446744073709551615 bytes needed at byte 32, file ends "
                "at byte 40");
    m = header(3, 0, 1);
    put_key(&m, "k", GGUF_ARRAY);
    put_u32(&m, GGUF_F64);
    put_u64(&m, 1ull << 61);
    refused(&m, "truncated in key 1 of 1: 18446744073709551615 bytes needed at byte 49, file ends "
                "at byte 49");
    m = header(3, 0, 1);
    put_key(&m, "k", GGUF_ARRAY);
    put_u32(&m, GGUF_STRING);
    put_u64(&m, 5);
    refused(&m, "truncated in key 1 of 1: 40 bytes needed at byte 49, file ends at byte 49");
}

static void bad_pairs(void)
{
    struct image m = header(3, 0, 1);
    put_key(&m, "two\nlines", 13);
    put_u64(&m, 0);
    refused(&m, "key 'two?lines': unknown kind 13, expected 0 to 12");
    m = header(3, 0, 1);
    put_key(&m, "k", GGUF_ARRAY);
    put_u32(&m, GGUF_ARRAY);
    put_u64(&m, 1);
    refused(&m, "key 'k': array of kind 9, expected no array within an array");
    m = header(3, 0, 1);
    put_key(&m, "k", GGUF_ARRAY);
    put_u32(&m, 77);
    put_u64(&m, 1);
    refused(&m, "key 'k': array of kind 77, expected a kind from 0 to 12");
    m = header(3, 0, 1);
    put_key(&m, "k", GGUF_BOOL);
    put(&m, "\x02", 1);
    refused(&m, "key 'k': bool with value 2, expected 0 or 1");
    m = header(3, 0, 2);
    put_key(&m, "k", GGUF_U8);
    put(&m, "\x02", 1);
    put_key(&m, "k", GGUF_U8);
    put(&m, "\x02", 1);
    refused(&m, "key 'k' stands twice");
    m = header(3, 0, 1);
    put_u64(&m, 3);
    put(&m, "a\0b\0\0\0\0\1", 8);
    refused(&m, "key 1 of 1: name contains a NUL byte");
}

static void bad_tensors(void)
{
    struct image m = header(3, 1, 0);
    put_tensor(&m, "t", 32, 1, 99, 0);
    put_data(&m, 64);
    refused(&m, "tensor 't': unknown tensor type 99");
    m = header(3, 1, 0);
    put_tensor(&m, "t", 256, 1, 15, 0);
    put_data(&m, 128);
    refused_status(&m, LB_ERR_UNSUPPORTED, "tensor 't': tensor type Q8_K is not supported");
    m = header(3, 1, 0);
    put_tensor(&m, "t", 33, 1, QUANT_Q8_0, 0);
    put_data(&m, 64);
    refused(&m, "tensor 't': shape 33 x 1 x 1 x 1 is impossible for type 8 (rows must be whole "
                "blocks)");
    m = header(3, 1, 0);
    put_tensor(&m, "t", 1ull << 40, 1ull << 40, QUANT_F32, 0);
    put_data(&m, 64);
    refused(&m, "tensor 't': shape 1099511627776 x 1099511627776 x 1 x 1 is impossible for type 0 "
                "(rows must be whole blocks)");
    m = header(3, 1, 0);
    put_text(&m, "t");
    put_u32(&m, 5);
    put_data(&m, 64);
    refused(&m, "tensor 't': 5 dimensions, expected 1 to 4");
    m = header(3, 1, 0);
    put_tensor(&m, "t", 32, 0, QUANT_F32, 0);
    put_data(&m, 64);
    refused(&m, "tensor 't': dimension 2 of 2 is 0, expected 1 or more");
    m = header(3, 1, 0);
    put_tensor(&m, "t", 32, 1, QUANT_F32, 8);
    put_data(&m, 256);
    refused(&m, "tensor 't': offset 8 is not a multiple of 32");
    m = header(3, 1, 0);
    put_tensor(&m, "t", 32, 1, QUANT_F32, 32);
    put_data(&m, 159);
    refused(&m, "tensor 't': lies outside the file: 128 bytes at 96 + 32, file ends at 255");
    m = header(3, 1, 0);
    put_tensor(&m, "t", 32, 1, QUANT_F32, UINT64_MAX - 31);
    put_data(&m, 128);
    refused(&m, "tensor 't': lies outside the file: 128 bytes at 96 + 18446744073709551584, file "
                "ends at 224");
}

static void tensors_together(void)
{
    struct image m = header(3, 2, 0);
    put_tensor(&m, "t", 32, 1, QUANT_F32, 0);
    put_tensor(&m, "u", 32, 1, QUANT_F32, 96);
    put_data(&m, 512);
    refused(&m, "tensors 't' and 'u' overlap at byte 224");
    m = header(3, 2, 0);
    put_tensor(&m, "t", 32, 1, QUANT_F32, 0);
    put_tensor(&m, "t", 32, 1, QUANT_F32, 128);
    put_data(&m, 512);
    refused(&m, "tensor 't' stands twice");
    static const uint32_t alignments[] = {0, 3, 48, 0x80000000u};
    for (size_t i = 0; i < 4; i++) {
        char message[100];
        m = header(3, 0, 1);
        put_key(&m, "general.alignment", GGUF_U32);
        put_u32(&m, alignments[i]);
        snprintf(message, sizeof message, "general.alignment is %u, expected a power of two",
                 alignments[i]);
        refused(&m, message);
    }
    m = header(3, 0, 1);
    put_key(&m, "general.alignment", GGUF_F32);
    put_u32(&m, 32);
    refused(&m, "key 'general.alignment' is of kind f32, expected an integer from 0 to 4294967295");
}

/* ---- any byte ---- */

static void cut_anywhere(void)
{
    size_t header_bytes;
    struct image m = good(&header_bytes);
    for (size_t n = 0; n < m.n; n++) {
        struct gguf_file *file;
        struct lb_error err;
        CHECK(open_image(&m, n, &file, &err) == LB_ERR_INPUT && !file, "cut at %zu", n);
        CHECK(
            strncmp(err.text, path, strlen(path)) == 0 && !strchr(err.text, '\n') &&
                strstr(err.text, n < header_bytes ? ": truncated in " : ": lies outside the file"),
            "cut at %zu: %s", n, err.text);
    }
}

/* What a damaged header makes the reader allocate stays small: with the address space limited to
 * little more than what is in use, no file is refused for want of memory. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED
#endif

static void limit_memory(void)
{
#ifndef SANITIZED /* sanitizers reserve address space of their own */
    struct rlimit limit;
    FILE *f = fopen("/proc/self/statm", "r");
    unsigned long pages = 0;
    if (!f || fscanf(f, "%lu", &pages) != 1 || getrlimit(RLIMIT_AS, &limit) != 0)
        CHECK(0, "cannot read /proc/self/statm");
    if (f)
        fclose(f);
    limit.rlim_cur = pages * (rlim_t)sysconf(_SC_PAGESIZE) + (4 << 20);
    setrlimit(RLIMIT_AS, &limit);
#endif
}

static void damage(void)
{
    size_t header_bytes;
    const struct image whole = good(&header_bytes);
    struct lb_random r = {2024};
    int opened = 0, no_memory = 0, lines = 0;
    limit_memory();
    for (int round = 0; round < 20000; round++) {
        struct image m = whole;
        struct gguf_file *file;
        struct lb_error err;
        uint32_t changes = 1 + lb_random_below(&r, 4);
        for (uint32_t i = 0; i < changes; i++)
            m.bytes[lb_random_below(&r, (uint32_t)header_bytes)] =
                (unsigned char)lb_random_next(&r);
        enum lb_status status = open_image(&m, m.n, &file, &err);
        opened += status == LB_OK;
        no_memory += status == LB_ERR_NOMEM;
        lines += status != LB_OK && (strchr(err.text, '\n') || err.text[0] == '\0');
        for (size_t i = 0; file && i < gguf_tensor_count(file); i++) {
            const struct gguf_tensor *t = gguf_tensor_at(file, i);
            CHECK(t->file_offset + t->bytes <= gguf_file_bytes(file) && t->bytes > 0);
        }
        gguf_close(file);
    }
    CHECK(no_memory == 0, "%d damaged files took too much memory, seed 2024", no_memory);
    CHECK(lines == 0, "%d messages of no or several lines, seed 2024", lines);
    CHECK(opened > 1000 && opened < 19000, "%d of 20000 still open, seed 2024", opened);
}

int main(void)
{
    memory_file = memfd_create("m.gguf", 0);
    if (memory_file < 0)
        check_skip("no files in memory on this system");
    snprintf(path, sizeof path, "/proc/self/fd/%d", memory_file);
    accepted();
    no_file();
    not_gguf();
    huge_counts();
    bad_pairs();
    bad_tensors();
    tensors_together();
    cut_anywhere();
    damage();
    return check_done();
}
