/* environment: the machine, the kernel, this process and this build. See environment.h. */
#include "machine/environment.h"

#include "base/control_group.h"
#include "build_info.h"
#include "common/file_io.h"
#include "common/json_text.h"
#include "common/process.h"
#include "common/sha256.h"
#include "common/version.h"
#include "engine.h"
#include "machine/page_cache.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <gnu/libc-version.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#define HOT 85000 /* thousandths of a degree */

/* ---- entries ---- */

void environment_put(json_t *object, const char *name, json_t *value, const char *source)
{
    json_t *entry = json_object();
    json_object_set_new(entry, "value", value);
    json_object_set_new(entry, "source", json_text(source));
    json_object_set_new(object, name, entry);
}

void environment_null(json_t *object, const char *name, const char *reason)
{
    json_t *entry = json_object();
    json_object_set_new(entry, "value", json_null());
    json_object_set_new(entry, "reason", json_text(reason));
    json_object_set_new(object, name, entry);
}

static void put_text(json_t *object, const char *name, const char *text, const char *source)
{
    environment_put(object, name, json_text(text), source);
}

/* The first line without its end; false with errno set. */
static bool first_line(const char *path, char *line, size_t size)
{
    FILE *in = fopen(path, "r");
    if (!in)
        return false;
    errno = ENODATA;
    bool good = fgets(line, (int)size, in) != NULL;
    fclose(in);
    if (good)
        line[strcspn(line, "\n")] = '\0';
    return good;
}

void environment_file(json_t *object, const char *name, const char *path)
{
    char line[4096];
    if (first_line(path, line, sizeof line)) {
        put_text(object, name, line, path);
        return;
    }
    char reason[512];
    snprintf(reason, sizeof reason, "%s: %s", path, strerror(errno));
    environment_null(object, name, reason);
}

/* The value of "key<spaces>: value" in a file of such lines. */
static bool field_of(const char *path, const char *key, char *value, size_t size)
{
    char line[4096];
    bool found = false;
    FILE *in = fopen(path, "r");
    while (in && !found && fgets(line, sizeof line, in)) {
        size_t n = strlen(key);
        if (strncmp(line, key, n) != 0 || !strchr(" \t:", line[n]))
            continue;
        char *text = line + n + strspn(line + n, " \t:");
        text[strcspn(text, "\n")] = '\0';
        snprintf(value, size, "%s", text);
        found = true;
    }
    if (in)
        fclose(in);
    return found;
}

static void put_field(json_t *object, const char *name, const char *path, const char *key)
{
    char value[2048], reason[512];
    if (field_of(path, key, value, sizeof value)) {
        put_text(object, name, value, path);
        return;
    }
    snprintf(reason, sizeof reason, "%s: no '%s'", path, key);
    environment_null(object, name, reason);
}

/* "" when not known. */
static const char *text_of(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(json_object_get(object, name), "value"));
    return text ? text : "";
}

/* ---- the machine ---- */

/* Its name where the firmware tells it, else whether there is one. */
static void put_hypervisor(json_t *e)
{
    static const char name[] = "/sys/class/dmi/id/product_name";
    char flags[4096];
    if (access(name, R_OK) == 0)
        environment_file(e, "hypervisor", name);
    else if (!field_of("/proc/cpuinfo", "flags", flags, sizeof flags))
        environment_null(e, "hypervisor", "neither firmware nor processor tell");
    else
        put_text(e, "hypervisor", strstr(flags, " hypervisor") ? "yes, of unknown name" : "none",
                 "/proc/cpuinfo");
}

static void collect_cpu(json_t *e)
{
    put_field(e, "cpu_model", "/proc/cpuinfo", "model name");
    put_field(e, "cpu_microcode", "/proc/cpuinfo", "microcode");
    put_field(e, "cpu_mhz", "/proc/cpuinfo", "cpu MHz");
    put_field(e, "cpu_cores_per_socket", "/proc/cpuinfo", "cpu cores");
    put_field(e, "cpu_flags", "/proc/cpuinfo", "flags");
    environment_put(e, "processors", json_integer(sysconf(_SC_NPROCESSORS_ONLN)), "sysconf");
    environment_file(e, "smt", "/sys/devices/system/cpu/smt/control");
    environment_file(e, "governor", "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor");
    environment_file(e, "frequency_max_khz",
                     "/sys/devices/system/cpu/cpu0/cpufreq/scaling_max_freq");
    environment_file(e, "turbo_off", "/sys/devices/system/cpu/intel_pstate/no_turbo");
    put_hypervisor(e);
    environment_file(e, "numa_nodes", "/sys/devices/system/node/online");
    environment_put(e, "memory_bytes",
                    json_integer((json_int_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE)),
                    "sysconf");
}

static void put_affinity(json_t *e)
{
    cpu_set_t set;
    char text[1024] = "";
    size_t n = 0;
    if (sched_getaffinity(0, sizeof set, &set) != 0) {
        environment_null(e, "affinity", strerror(errno));
        return;
    }
    for (int cpu = 0; cpu < CPU_SETSIZE && n + 8 < sizeof text; cpu++) {
        if (CPU_ISSET(cpu, &set))
            n += (size_t)snprintf(text + n, sizeof text - n, "%s%d", n ? "," : "", cpu);
    }
    put_text(e, "affinity", text, "sched_getaffinity");
}

/* A limit of the control group that this process is in, or of the nearest one above it that is
 * seen. */
struct limit {
    const char *file[2]; /* of version 1, 2 */
    char path[2048];
    bool found;
};

static void find_limit(void *ctx, const char *folder, bool v2)
{
    struct limit *l = ctx;
    if (l->found)
        return;
    snprintf(l->path, sizeof l->path, "%s/%s", folder, l->file[v2]);
    l->found = access(l->path, R_OK) == 0;
}

static void put_cgroup(json_t *e, const char *name, const char *controller, const char *v1_file,
                       const char *v2_file)
{
    struct limit limit = {.file = {v1_file, v2_file}};
    lb_control_groups("", controller, find_limit, &limit);
    if (limit.found)
        environment_file(e, name, limit.path);
    else
        environment_null(e, name, "no readable limit for this process");
}

static void collect_system(json_t *e)
{
    struct utsname names;
    if (uname(&names) == 0) {
        char kernel[256];
        snprintf(kernel, sizeof kernel, "%.60s %.60s %.60s", names.sysname, names.release,
                 names.machine);
        put_text(e, "kernel", kernel, "uname");
        put_text(e, "kernel_version", names.version, "uname");
    }
    environment_file(e, "kernel_command_line", "/proc/cmdline");
    environment_file(e, "clock_source",
                     "/sys/devices/system/clocksource/clocksource0/current_clocksource");
    environment_file(e, "huge_pages", "/sys/kernel/mm/transparent_hugepage/enabled");
    put_field(e, "swap_total", "/proc/meminfo", "SwapTotal");
    put_affinity(e);
    put_cgroup(e, "cgroup_memory_limit", "memory", "memory.limit_in_bytes", "memory.max");
    put_cgroup(e, "cgroup_cpu_limit", "cpu", "cpu.cfs_quota_us", "cpu.max");
}

/* ---- this build and this process ---- */

static bool hash_part(int fd, off_t from, size_t bytes, struct sha256 *hash)
{
    char *block = malloc(bytes);
    ssize_t n = block ? pread(fd, block, bytes, from) : -1;
    if (n > 0)
        sha256_add(hash, block, (size_t)n);
    free(block);
    return n >= 0;
}

/* Whole files up to 256 MiB; of larger ones the size and 1024 blocks evenly spaced, so that a
 * model of many gigabytes is not read (and cached) for its name's sake. */
static void put_hash(json_t *e, const char *name, const char *path)
{
    enum { BLOCK = 1 << 18, BLOCKS = 1024 };
    struct stat info;
    struct sha256 hash;
    char text[65], reason[512];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    bool good = fd >= 0 && fstat(fd, &info) == 0;
    bool whole = good && info.st_size <= (off_t)BLOCK * BLOCKS;
    int64_t size = good ? (int64_t)info.st_size : 0;
    sha256_begin(&hash);
    if (good && !whole)
        sha256_add(&hash, &size, sizeof size);
    for (int64_t i = 0; good && i < BLOCKS; i++) {
        int64_t from =
            whole ? i * BLOCK : (int64_t)((double)(size - BLOCK) / (BLOCKS - 1) * (double)i);
        if (from >= size)
            break;
        good = hash_part(fd, from, whole ? BLOCK : 4096, &hash);
    }
    snprintf(reason, sizeof reason, "%s: %s", path, strerror(errno));
    if (fd >= 0)
        close(fd);
    sha256_end(&hash, text);
    if (good)
        put_text(e, name, text, whole ? "sha256 of the file" : "sha256 of size and 1024 blocks");
    else
        environment_null(e, name, reason);
}

static void collect_build(json_t *e)
{
    put_text(e, "version", LAYERBENCH_VERSION, "build");
    put_text(e, "compiler", BUILD_COMPILER, "build");
    put_text(e, "compiler_flags", BUILD_CFLAGS, "build");
    put_text(e, "git_revision", BUILD_GIT_REVISION, "git describe");
    environment_put(e, "git_dirty", json_boolean(strstr(BUILD_GIT_REVISION, "dirty") != NULL),
                    "git describe");
    environment_put(e, "async_prefetch", json_boolean(LB_ASYNC_PREFETCH != 0), "build");
    put_text(e, "libc", gnu_get_libc_version(), "gnu_get_libc_version");
    put_hash(e, "binary_sha256", process_program());
}

void environment_print_build(FILE *out)
{
    struct lb_choice kernels;
    fprintf(out, "layerbench %s\nrevision %s\ncompiler %s\nkernels ", LAYERBENCH_VERSION,
            BUILD_GIT_REVISION, BUILD_COMPILER);
    for (size_t i = 0; lb_choice_at("kernels", i, &kernels); i++)
        if (strcmp(kernels.name, "auto") != 0)
            fprintf(out, " %s%s", kernels.name, kernels.available ? "" : " (not on this machine)");
    fputc('\n', out);
}

static void put_command_line(json_t *e)
{
    json_t *words = json_array();
    char *text = NULL;
    size_t length = 0;
    struct lb_error err = LB_ERROR_INIT;
    if (file_read("/proc/self/cmdline", &text, &length, &err) == LB_OK) {
        for (size_t i = 0; i < length; i += strlen(text + i) + 1)
            json_array_append_new(words, json_text(text + i));
    }
    free(text);
    environment_put(e, "command_line", words, "/proc/self/cmdline");
}

/* ---- what changes while a run goes on ---- */

static json_t *collect_volatile(const json_t *e)
{
    json_t *now = json_object();
    environment_file(now, "load", "/proc/loadavg");
    put_field(now, "memory_available", "/proc/meminfo", "MemAvailable");
    put_field(now, "swap_free", "/proc/meminfo", "SwapFree");
    put_field(now, "cpu_times", "/proc/stat", "cpu");
    environment_file(now, "pressure_cpu", "/proc/pressure/cpu");
    environment_file(now, "pressure_memory", "/proc/pressure/memory");
    environment_file(now, "pressure_io", "/proc/pressure/io");
    environment_file(now, "temperature", "/sys/class/thermal/thermal_zone0/temp");
    environment_file(now, "thermal_throttles",
                     "/sys/devices/system/cpu/cpu0/thermal_throttle/core_throttle_count");
    put_field(now, "io_read_bytes", "/proc/self/io", "read_bytes");
    struct rusage own, samples;
    if (getrusage(RUSAGE_SELF, &own) == 0 && getrusage(RUSAGE_CHILDREN, &samples) == 0)
        environment_put(now, "major_faults", json_integer(own.ru_majflt + samples.ru_majflt),
                        "getrusage");
    const char *stat = text_of(e, "model_device_stat_file");
    if (!*stat)
        stat = text_of(e, "result_device_stat_file");
    if (*stat)
        environment_file(now, "diskstats", stat);
    else
        environment_null(now, "diskstats", "no block device known");
    const char *model = json_string_value(json_object_get(json_object_get(e, "model"), "value"));
    double share = model ? page_cache_share(model) : -1;
    if (share >= 0)
        environment_put(now, "model_in_page_cache", json_real(share), "cachestat or mincore");
    else
        environment_null(now, "model_in_page_cache",
                         model ? page_cache_unknown(errno) : "no model");
    return now;
}

json_t *environment_collect(const char *model, const char *directory)
{
    json_t *e = json_object();
    collect_cpu(e);
    collect_system(e);
    collect_build(e);
    put_command_line(e);
    environment_disk(e, "result", directory);
    if (model) {
        put_text(e, "model", model, "options");
        put_hash(e, "model_sha256", model);
        environment_disk(e, "model", model);
    }
    json_object_set_new(e, "before", collect_volatile(e));
    char key[65];
    environment_key(e, key);
    put_text(e, "comparability_key", key, "sha256 of what has to be the same");
    return e;
}

void environment_finish(json_t *e)
{
    json_object_set_new(e, "after", collect_volatile(e));
}

/* ---- what follows from it ---- */

void environment_key(const json_t *e, char text[65])
{
    static const char *const names[] = {
        "cpu_model", "cpu_microcode", "governor",           "turbo_off",           "smt",
        "kernel",    "huge_pages",    "model_fs",           "model_mount_options", "model_device",
        "affinity",  "hypervisor",    "model_scheduler",    "model_read_ahead_kb", "clock_source",
        "libc",      "model_sha256",  "cgroup_memory_limit"};
    struct sha256 hash;
    sha256_begin(&hash);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *value = text_of(e, names[i]);
        sha256_add(&hash, value, strlen(value) + 1);
    }
    json_int_t processors =
        json_integer_value(json_object_get(json_object_get(e, "processors"), "value"));
    sha256_add(&hash, &processors, sizeof processors);
    sha256_end(&hash, text);
}

/* "user nice system idle iowait irq softirq steal ...": all of it, and the steal time; 0 when not
 * known. */
static double steal_time(const char *cpu_times, double *all)
{
    double values[8] = {0};
    *all = 0;
    if (sscanf(cpu_times, "%lf %lf %lf %lf %lf %lf %lf %lf", &values[0], &values[1], &values[2],
               &values[3], &values[4], &values[5], &values[6], &values[7]) != 8)
        return 0;
    for (int i = 0; i < 8; i++)
        *all += values[i];
    return values[7];
}

json_t *environment_warnings(const json_t *e)
{
    static const struct {
        const char *name, *what;
    } stalls[] = {
        {"pressure_cpu", "processors"}, {"pressure_memory", "memory"}, {"pressure_io", "storage"}};
    json_t *list = json_array();
    const char *read_ahead = text_of(e, "model_read_ahead_kb");
    const json_t *before = json_object_get(e, "before");
    const char *governor = text_of(e, "governor"), *load = text_of(before, "load");
    long processors = sysconf(_SC_NPROCESSORS_ONLN);
    double all;
    if (*governor && strcmp(governor, "performance") != 0)
        json_append_text(
            list, "CPU governor is '%s': times vary with the frequency; expected 'performance'",
            governor);
    if (atof(load) > 0.25 * (double)processors)
        json_append_text(list, "load average is %.2f: something else is running", atof(load));
    for (size_t i = 0; i < sizeof stalls / sizeof *stalls; i++) {
        const char *pressure = text_of(before, stalls[i].name);
        double share; /* "some avg10=1.23 ...": percent of the last ten seconds */
        if (sscanf(pressure, "some avg10=%lf", &share) == 1 && share >= 5)
            json_append_text(list, "processes waited for %s in %.0f%% of the last ten seconds",
                             stalls[i].what, share);
    }
    if (steal_time(text_of(before, "cpu_times"), &all) > 0.01 * all)
        json_append_text(
            list, "steal time above 1%% since boot: the hypervisor gives processors to others");
    if (atof(text_of(before, "temperature")) >= HOT)
        json_append_text(list, "the machine is at %.0f degrees: it may slow itself down to cool",
                         atof(text_of(before, "temperature")) / 1000);
    if (atol(text_of(e, "swap_total")) > atol(text_of(before, "swap_free")))
        json_append_text(list, "swap is in use (%s free)", text_of(before, "swap_free"));
    if (strstr(text_of(e, "model_fs"), "tmpfs"))
        json_append_text(list, "the model lies on %s: reads come from memory",
                         text_of(e, "model_fs"));
    if (!*read_ahead)
        read_ahead = text_of(e, "result_read_ahead_kb");
    if (atoi(read_ahead) > 1024)
        json_append_text(list,
                         "read-ahead of the device is %s KiB: mapped reads fetch more than asked",
                         read_ahead);
    if (strstr(BUILD_GIT_REVISION, "dirty"))
        json_append_text(list, "built from %s: with changes that no commit holds",
                         BUILD_GIT_REVISION);
    return list;
}

json_t *environment_changes(const json_t *e)
{
    json_t *list = json_array();
    const json_t *before = json_object_get(e, "before"), *after = json_object_get(e, "after");
    double all[2];
    double stolen = steal_time(text_of(after, "cpu_times"), &all[1]) -
                    steal_time(text_of(before, "cpu_times"), &all[0]);
    double spent = all[1] - all[0];
    long throttled =
        atol(text_of(after, "thermal_throttles")) - atol(text_of(before, "thermal_throttles"));
    long swapped = atol(text_of(before, "swap_free")) - atol(text_of(after, "swap_free"));
    if (!after)
        return list;
    if (spent > 0 && stolen > 0.01 * spent)
        json_append_text(
            list, "steal time was %.1f%% during the run: the hypervisor gave processors to others",
            100 * stolen / spent);
    if (throttled > 0)
        json_append_text(list, "the processor slowed itself down %ld times during the run, to cool",
                         throttled);
    if (swapped > 1024)
        json_append_text(list, "%ld MiB went to swap during the run", swapped / 1024);
    return list;
}
