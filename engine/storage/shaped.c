/*
 * shaped: a device of given bandwidth, latency and queue depth, emulated around another
 * storage; and the named devices.
 *
 * The device has one channel that transfers reads in order of submission: a read's
 * transfer starts when the one before it has ended (or now, when the channel is idle:
 * nothing is saved up), takes bytes / bandwidth, and is known `latency` later. The
 * inner read starts at once; whichever is later, its end or the due time, counts. Where a model
 * has copies, each lies on a device of its own.
 */
#include "base/memory.h"
#include "storage/wrapper.h"

#include <math.h>

struct shaped {
    struct storage_device device;
    int64_t free_ns[STORAGE_COPIES]; /* when a channel has transferred all it was given */
};

static void stamp(void *own, struct held *held)
{
    struct shaped *s = own;
    int64_t *free_ns = &s->free_ns[held->read.copy];
    if (*free_ns < held->submit_ns)
        *free_ns = held->submit_ns;
    if (s->device.bandwidth > 0)
        *free_ns += (int64_t)ceil(held->read.bytes / s->device.bandwidth * 1e9);
    held->due_ns = *free_ns + s->device.latency_ns;
}

static const struct wrapper_hooks one_device = {.stamp = stamp};
static const struct wrapper_hooks several = {.any_order = true, .stamp = stamp};

enum lb_status storage_shape(struct storage *inner, const struct storage_device *device,
                             struct storage **storage, struct lb_error *err)
{
    *storage = NULL;
    /* bytes/s below 1 would overflow the clock within one read */
    if (!(device->bandwidth == 0 || (device->bandwidth >= 1 && isfinite(device->bandwidth))) ||
        device->latency_ns < 0) {
        storage_close(inner);
        return lb_fail(err, LB_ERR_INPUT,
                       "device: expected a bandwidth of 0 or at least 1 byte/s and a latency of at "
                       "least 0, got %g bytes/s and %lld ns",
                       device->bandwidth, (long long)device->latency_ns);
    }
    struct shaped *own = lb_calloc(1, sizeof *own);
    if (own)
        own->device = *device;
    const struct wrapper_hooks *hooks = storage_copies(inner) > 1 ? &several : &one_device;
    return wrapper_open(inner, device->queue_depth * storage_copies(inner), hooks, own, storage,
                        err);
}

/* Orders of magnitude of sequential reads as makers and operators publish them. */
static const struct storage_preset presets[] = {
    {"sd-card", "UHS-I SD card: 90 MB/s, 500 us, one read at a time", {90e6, 500000, 1}},
    {"emmc", "eMMC 5.1 of a phone or small board: 300 MB/s, 200 us", {300e6, 200000, 16}},
    {"sata-ssd", "SATA 6 Gbit/s SSD: 540 MB/s, 80 us, 32 commands", {540e6, 80000, 32}},
    {"nvme", "NVMe SSD as most have it today, the same as nvme-gen3", {3.4e9, 80000, 256}},
    {"nvme-gen3", "NVMe SSD on PCIe 3.0 x4: 3.4 GB/s, 80 us", {3.4e9, 80000, 256}},
    {"nvme-gen4", "NVMe SSD on PCIe 4.0 x4: 7.0 GB/s, 60 us", {7.0e9, 60000, 256}},
    {"nvme-gen5", "NVMe SSD on PCIe 5.0 x4: 14 GB/s, 50 us", {14.0e9, 50000, 256}},
    {"network-disk", "block volume of a cloud: 250 MB/s, 1 ms", {250e6, 1000000, 64}},
    {"network-disk-fast", "provisioned block volume of a cloud: 1 GB/s, 500 us", {1e9, 500000, 64}},
    {"usb3-ssd", "SSD behind USB 3 (5 Gbit/s): 400 MB/s, 150 us", {400e6, 150000, 16}},
};

const struct storage_preset *storage_presets(size_t *count)
{
    *count = sizeof presets / sizeof *presets;
    return presets;
}
