/* gguf: the test models and vocabularies open. */
#include "base/check.h"
#include "gguf/gguf.h"
#include "quant/quant.h"

#include <dirent.h>

static void open_all(const char *dir)
{
    DIR *d = opendir(dir);
    int opened = 0;
    for (struct dirent *e; d && (e = readdir(d));) {
        size_t n = strlen(e->d_name);
        char path[4096];
        struct gguf_file *file;
        struct lb_error err = LB_ERROR_INIT;
        if (n < 5 || strcmp(e->d_name + n - 5, ".gguf") != 0)
            continue;
        snprintf(path, sizeof path, "%s/%s", dir, e->d_name);
        CHECK(gguf_open(path, quant_tensor_bytes, &file, &err) == LB_OK, "%s", err.text);
        if (!file)
            continue;
        const char *architecture = NULL;
        CHECK(gguf_get_text(file, "general.architecture", true, &architecture, &err) == LB_OK, "%s",
              err.text);
        opened++;
        gguf_close(file);
    }
    if (d)
        closedir(d);
    CHECK(opened > 0, "no file in %s", dir);
}

int main(void)
{
    const char *shared = check_shared();
    if (!shared)
        check_skip("no shared test data");
    char dir[4096];
    snprintf(dir, sizeof dir, "%s/models", shared);
    open_all(dir);
    snprintf(dir, sizeof dir, "%s/vocab", shared);
    open_all(dir);
    return check_done();
}
