/* fuzz_replay: a main for fuzz targets without a fuzzer: runs every file of the folders or files
 * named, and says how many. */
#include "tests/fuzz_input.h"

#include <dirent.h>
#include <sys/stat.h>

static size_t count;

static void run_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    struct stat st;
    FUZZ_CHECK(f && fstat(fileno(f), &st) == 0);
    /* of exactly this size, so that a sanitizer sees who reads beyond it */
    uint8_t *data = malloc((size_t)st.st_size + (st.st_size == 0));
    FUZZ_CHECK(data && fread(data, 1, (size_t)st.st_size, f) == (size_t)st.st_size);
    fclose(f);
    fprintf(stderr, "%s\n", path);
    (void)LLVMFuzzerTestOneInput(data, (size_t)st.st_size);
    free(data);
    count++;
}

static void run_path(const char *path)
{
    DIR *dir = opendir(path);
    if (!dir) {
        run_file(path);
        return;
    }
    for (struct dirent *entry; (entry = readdir(dir));) {
        char name[4096];
        snprintf(name, sizeof name, "%s/%s", path, entry->d_name);
        if (entry->d_name[0] != '.')
            run_file(name);
    }
    closedir(dir);
}

int main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        run_path(argv[i]);
    fprintf(stderr, "%zu inputs\n", count);
    return count > 0 ? 0 : 1;
}
