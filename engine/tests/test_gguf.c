/*
 * gguf: what is written is what is read; typed look-ups; the writer's errors; the
 * test models and vocabularies open. Bad files: test_gguf_bad.c.
 */
#include "base/memory.h"
#include "gguf/gguf.h"
#include "quant/quant.h"
#include "tests/check.h"
#include "tests/temporary.h"

#include <dirent.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

static char dir[TEMPORARY_PATH];
static char path[sizeof dir + 16];

/* ---- writer to reader ---- */

static const uint64_t shape_a[] = {64, 3}, shape_b[] = {5}, shape_c[] = {256, 2, 2, 2};
static const int32_t numbers[] = {-1, 0, 7, INT32_MAX};

static void declare(struct gguf_writer *w)
{
    static const char *const texts[] = {"", "one", "\xe2\x96\x81two\n"};
    gguf_writer_put_text(w, "general.architecture", "llama");
    gguf_writer_put_u32(w, "u32", 4000000000u);
    gguf_writer_put_f32(w, "f32", 1e-5f);
    gguf_writer_put_bool(w, "yes", true);
    gguf_writer_put_bool(w, "no", false);
    gguf_writer_put_texts(w, "texts", texts, 3);
    gguf_writer_put_texts(w, "none", texts, 0);
    gguf_writer_put_array(w, "numbers", GGUF_I32, numbers, 4);
    gguf_writer_put_array(w, "empty", GGUF_U8, NULL, 0);
    gguf_writer_add_tensor(w, "a.weight", 2, shape_a, QUANT_Q8_0, 6 * 34);
    gguf_writer_add_tensor(w, "b", 1, shape_b, QUANT_F32, 20);
    gguf_writer_add_tensor(w, "c", 4, shape_c, QUANT_Q4_K, 8 * 144);
}

/* Data: byte i of the k-th tensor is 31 i + k. */
static enum lb_status write_data(struct gguf_writer *w, struct lb_error *err)
{
    static const size_t sizes[] = {6 * 34, 20, 8 * 144};
    unsigned char data[8 * 144];
    for (size_t k = 0; k < 3; k++) {
        for (size_t i = 0; i < sizes[k]; i++)
            data[i] = (unsigned char)(31 * i + k);
        size_t half = sizes[k] / 3; /* in two pieces */
        enum lb_status status = gguf_writer_data(w, data, half, err);
        if (status == LB_OK)
            status = gguf_writer_data(w, data + half, sizes[k] - half, err);
        if (status != LB_OK)
            return status;
    }
    return LB_OK;
}

static enum lb_status write_file(struct lb_error *err)
{
    struct gguf_writer *w;
    enum lb_status status = gguf_writer_open(path, &w, err);
    if (status != LB_OK)
        return status;
    declare(w);
    status = write_data(w, err);
    if (status == LB_OK)
        return gguf_writer_finish(w, err);
    gguf_writer_abandon(w);
    return status;
}

static void check_pairs(const struct gguf_file *f)
{
    uint32_t u = 0;
    float x = 0;
    bool yes = false, no = true;
    const char *text = NULL;
    CHECK(gguf_pair_count(f) == 9 && strcmp(gguf_pair_at(f, 1)->key, "u32") == 0);
    CHECK(!gguf_pair_at(f, 9) && !gguf_find_pair(f, "nothing"));
    CHECK(gguf_get_u32(f, "u32", true, &u, NULL) == LB_OK && u == 4000000000u);
    CHECK(gguf_get_f32(f, "f32", true, &x, NULL) == LB_OK && x == 1e-5f);
    CHECK(gguf_get_bool(f, "yes", true, &yes, NULL) == LB_OK && yes);
    CHECK(gguf_get_bool(f, "no", true, &no, NULL) == LB_OK && !no);
    CHECK(gguf_get_text(f, "general.architecture", true, &text, NULL) == LB_OK);
    CHECK_TEXT(text ? text : "", "llama");
    const struct gguf_pair *pair = gguf_find_pair(f, "texts");
    CHECK(pair && pair->kind == GGUF_ARRAY && pair->value.array.kind == GGUF_STRING &&
          pair->value.array.count == 3 && !pair->value.array.values);
    if (pair) {
        CHECK(pair->value.array.strings[0].length == 0);
        CHECK_TEXT(pair->value.array.strings[2].text, "\xe2\x96\x81two\n");
    }
    pair = gguf_find_pair(f, "none");
    CHECK(pair && pair->value.array.count == 0 && pair->value.array.kind == GGUF_STRING);
    pair = gguf_find_pair(f, "numbers");
    CHECK(pair && pair->value.array.kind == GGUF_I32 && pair->value.array.count == 4 &&
          memcmp(pair->value.array.values, numbers, sizeof numbers) == 0);
    pair = gguf_find_pair(f, "empty");
    CHECK(pair && pair->value.array.count == 0);
}

static void check_tensors(const struct gguf_file *f)
{
    static const char *const names[] = {"a.weight", "b", "c"};
    FILE *data = fopen(path, "rb");
    CHECK(gguf_tensor_count(f) == 3 && !gguf_tensor_at(f, 3) && !gguf_find_tensor(f, "d"));
    for (size_t k = 0; data && k < 3; k++) {
        const struct gguf_tensor *t = gguf_find_tensor(f, names[k]);
        CHECK(t && t == gguf_tensor_at(f, k) && t->file_offset % 32 == 0);
        unsigned char bytes[8 * 144];
        int wrong = !t || t->bytes > sizeof bytes ||
                    fseek(data, (long)t->file_offset, SEEK_SET) != 0 ||
                    fread(bytes, 1, t->bytes, data) != t->bytes;
        for (size_t i = 0; !wrong && i < t->bytes; i++)
            wrong = bytes[i] != (unsigned char)(31 * i + k);
        CHECK(!wrong, "data of %s", names[k]);
    }
    const struct gguf_tensor *t = gguf_find_tensor(f, "c");
    CHECK(t && t->n_dims == 4 && t->ne[0] == 256 && t->ne[3] == 2 && t->type == QUANT_Q4_K);
    t = gguf_find_tensor(f, "b");
    CHECK(t && t->n_dims == 1 && t->ne[0] == 5 && t->ne[1] == 1 && t->ne[3] == 1);
    if (data)
        fclose(data);
}

static void round_trip(void)
{
    struct lb_error err = LB_ERROR_INIT;
    struct gguf_file *f;
    CHECK(write_file(&err) == LB_OK, "%s", err.text);
    CHECK(gguf_open(path, quant_tensor_bytes, &f, &err) == LB_OK, "%s", err.text);
    if (!f)
        return;
    CHECK_TEXT(gguf_path(f), path);
    CHECK(gguf_version(f) == 3 && gguf_file_bytes(f) % 32 == 0);
    check_pairs(f);
    check_tensors(f);
    gguf_close(f);
    gguf_close(NULL);
}

/* ---- typed look-ups ---- */

static void expect(enum lb_status status, struct lb_error *err, const char *message)
{
    char full[600];
    snprintf(full, sizeof full, "%s: %s", path, message);
    CHECK(status == LB_ERR_INPUT);
    CHECK_TEXT(err->text, full);
    *err = (struct lb_error)LB_ERROR_INIT;
}

static void look_ups(void)
{
    struct lb_error err = LB_ERROR_INIT;
    struct gguf_file *f = NULL;
    uint32_t u = 5;
    float x = 5;
    bool b = true;
    const char *text = "default";
    CHECK(write_file(&err) == LB_OK && gguf_open(path, quant_tensor_bytes, &f, &err) == LB_OK, "%s",
          err.text);
    CHECK(gguf_get_u32(f, "gone", false, &u, &err) == LB_OK && u == 5);
    CHECK(gguf_get_f32(f, "gone", false, &x, &err) == LB_OK && x == 5);
    CHECK(gguf_get_bool(f, "gone", false, &b, &err) == LB_OK && b);
    CHECK(gguf_get_text(f, "gone", false, &text, &err) == LB_OK);
    CHECK_TEXT(text, "default");
    expect(gguf_get_u32(f, "gone", true, &u, &err), &err,
           "key 'gone' is missing, expected an integer from 0 to 4294967295");
    expect(gguf_get_text(f, "gone", true, &text, &err), &err,
           "key 'gone' is missing, expected a string");
    expect(gguf_get_u32(f, "f32", false, &u, &err), &err,
           "key 'f32' is of kind f32, expected an integer from 0 to 4294967295");
    expect(gguf_get_f32(f, "u32", false, &x, &err), &err,
           "key 'u32' is of kind u32, expected a finite 32-bit float");
    expect(gguf_get_bool(f, "u32", false, &b, &err), &err,
           "key 'u32' is of kind u32, expected a bool");
    expect(gguf_get_text(f, "numbers", false, &text, &err), &err,
           "key 'numbers' is of kind array, expected a string");
    expect(gguf_get_u32(f, "empty", false, &u, &err), &err,
           "key 'empty' is an array of 0 u8s, expected an integer from 0 to 4294967295");
    expect(gguf_get_u32(f, "texts", false, &u, &err), &err,
           "key 'texts' is an array of 3 strings, expected an integer from 0 to 4294967295");
    gguf_close(f);
}

/* ---- writer errors ---- */

static int files_in_dir(void)
{
    int n = 0;
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));)
        n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
    if (d)
        closedir(d);
    return n;
}

static void wrong_order(void)
{
    struct lb_error err = LB_ERROR_INIT;
    struct gguf_writer *w;
    unlink(path);
    CHECK(gguf_writer_open(path, &w, &err) == LB_OK && files_in_dir() == 0);
    declare(w);
    CHECK(gguf_writer_data(w, "abc", 3, &err) == LB_OK);
    CHECK(gguf_writer_finish(w, &err) == LB_ERR_STATE && files_in_dir() == 0);
    CHECK(strstr(err.text, "tensor 'a.weight' has 3 of 204 bytes"), "%s", err.text);

    err = (struct lb_error)LB_ERROR_INIT;
    CHECK(gguf_writer_open(path, &w, &err) == LB_OK);
    gguf_writer_add_tensor(w, "b", 1, shape_b, QUANT_F32, 20);
    static const char data[32];
    CHECK(gguf_writer_data(w, data, 21, &err) == LB_ERR_STATE);
    CHECK(strstr(err.text, "more data than tensor 'b' has"), "%s", err.text);
    gguf_writer_abandon(w);

    err = (struct lb_error)LB_ERROR_INIT;
    CHECK(gguf_writer_open(path, &w, &err) == LB_OK);
    gguf_writer_add_tensor(w, "b", 1, shape_b, QUANT_F32, 20);
    CHECK(gguf_writer_data(w, data, 20, &err) == LB_OK);
    gguf_writer_put_bool(w, "late", true);
    CHECK(gguf_writer_finish(w, &err) == LB_ERR_STATE);
    CHECK(strstr(err.text, "'late' declared after the first data"), "%s", err.text);
    CHECK(files_in_dir() == 0);
}

static void cannot_write(void)
{
    struct lb_error err = LB_ERROR_INIT;
    struct gguf_writer *w;
    CHECK(gguf_writer_open("/nowhere/at/all.gguf", &w, &err) == LB_ERR_INPUT && !w);
    CHECK(strstr(err.text, "cannot write: No such file or directory"), "%s", err.text);

    /* A disk that fills up: the limit on file sizes stands in for it. First there is no room for
     * the file, then the room goes while it is written. */
    struct rlimit old, small = {700, RLIM_INFINITY};
    CHECK(getrlimit(RLIMIT_FSIZE, &old) == 0);
    small.rlim_max = old.rlim_max;
    signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &small);
    err = (struct lb_error)LB_ERROR_INIT;
    CHECK(write_file(&err) == LB_ERR_IO);
    setrlimit(RLIMIT_FSIZE, &old);
    CHECK(strstr(err.text, ".gguf: cannot write 1856 bytes: File too large"), "%s", err.text);
    CHECK(files_in_dir() == 0);

    static const uint64_t big[] = {16 << 20};
    static char data[16 << 20];
    err = (struct lb_error)LB_ERROR_INIT;
    CHECK(gguf_writer_open(path, &w, &err) == LB_OK, "%s", err.text);
    gguf_writer_add_tensor(w, "big", 1, big, QUANT_F16, 2 * big[0]);
    CHECK(gguf_writer_data(w, data, 100, &err) == LB_OK, "%s", err.text);
    small.rlim_cur = 1 << 20;
    setrlimit(RLIMIT_FSIZE, &small);
    CHECK(gguf_writer_data(w, data, sizeof data, &err) == LB_ERR_IO);
    setrlimit(RLIMIT_FSIZE, &old);
    CHECK(strstr(err.text, ".gguf: cannot write: File too large"), "%s", err.text);
    CHECK(gguf_writer_finish(w, &err) == LB_ERR_IO && files_in_dir() == 0);
}

/* Whichever allocation fails, an old file stays as it is and no other is left. */
static void out_of_memory(void)
{
    struct lb_error err = LB_ERROR_INIT;
    struct gguf_file *f;
    uint64_t n = 1;
    CHECK(write_file(&err) == LB_OK);
    for (;; n++) {
        err = (struct lb_error)LB_ERROR_INIT;
        lb_memory_fail_at(n);
        enum lb_status status = write_file(&err);
        lb_memory_fail_at(0);
        CHECK(files_in_dir() == 1);
        if (status == LB_OK)
            break;
        CHECK(status == LB_ERR_NOMEM && err.code == LB_ERR_NOMEM, "%s", err.text);
    }
    CHECK(n > 5);
    for (n = 1;; n++) {
        err = (struct lb_error)LB_ERROR_INIT;
        lb_memory_fail_at(n);
        enum lb_status status = gguf_open(path, quant_tensor_bytes, &f, &err);
        lb_memory_fail_at(0);
        if (status == LB_OK)
            break;
        CHECK(status == LB_ERR_NOMEM && !f, "%s", err.text);
    }
    CHECK(n > 5);
    gguf_close(f);
}

/* ---- the test models ---- */

static void open_all(const char *models)
{
    DIR *d = opendir(models);
    int opened = 0;
    for (struct dirent *e; d && (e = readdir(d));) {
        size_t n = strlen(e->d_name);
        char name[4096];
        struct gguf_file *file;
        struct lb_error err = LB_ERROR_INIT;
        if (n < 5 || strcmp(e->d_name + n - 5, ".gguf") != 0)
            continue;
        snprintf(name, sizeof name, "%s/%s", models, e->d_name);
        CHECK(gguf_open(name, quant_tensor_bytes, &file, &err) == LB_OK, "%s", err.text);
        if (!file)
            continue;
        const char *architecture;
        CHECK(gguf_get_text(file, "general.architecture", true, &architecture, &err) == LB_OK, "%s",
              err.text);
        opened++;
        gguf_close(file);
    }
    if (d)
        closedir(d);
    CHECK(opened > 0, "no file in %s", models);
}

int main(void)
{
    temporary_folder(dir);
    snprintf(path, sizeof path, "%s/a.gguf", dir);
    round_trip();
    look_ups();
    wrong_order();
    cannot_write();
    out_of_memory();
    unlink(path);
    CHECK(rmdir(dir) == 0, "temporary files are left in %s", dir);
    const char *shared = check_shared();
    if (!shared)
        check_skip("models: no shared test data");
    char models[4096];
    snprintf(models, sizeof models, "%s/models", shared);
    open_all(models);
    snprintf(models, sizeof models, "%s/vocab", shared);
    open_all(models);
    return check_done();
}
