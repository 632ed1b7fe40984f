/* A library like libnvidia-ml.so.1, of a machine with two GPUs, for the real pynvml to load.
 *
 * MADE_UP_NVML in the environment says what is wrong: ecc, lost, old (a driver without the newer
 * functions), mismatch (it cannot be initialised). The signatures are those of nvml.h.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { OK = 0, NOT_SUPPORTED = 3, NOT_FOUND = 6, TOO_SMALL = 7, LOST = 15, MISMATCH = 18 };

typedef struct {
    char legacy[16];
    unsigned domain, bus, device, id, subsystem;
    char bus_id[32];
} Pci;
typedef struct {
    unsigned long long total, free, used;
} Memory;
typedef struct {
    unsigned pid;
    unsigned long long memory;
    unsigned gpu_instance, compute_instance;
} Process;
typedef struct {
    unsigned long long reference_us, violation_ns;
} Violation;

static const char *UUIDS[] = {"GPU-aaaaaaaa-0000", "GPU-bbbbbbbb-1111"};
static const char *BUSES[] = {"00000000:3B:00.0", "00000000:86:00.0"};

static int is(const char *what) {
    const char *told = getenv("MADE_UP_NVML");
    return told != NULL && strcmp(told, what) == 0;
}
static int number(void *gpu) { return (int)(size_t)gpu - 1; }
static int state(void *gpu) { return is("lost") && number(gpu) == 1 ? LOST : OK; }

int nvmlInitWithFlags(unsigned flags) { return is("mismatch") ? MISMATCH : OK; }
const char *nvmlErrorString(int code) { return "made up"; }
int nvmlSystemGetDriverVersion(char *text, unsigned size) {
    snprintf(text, size, "570.86.10");
    return OK;
}
int nvmlSystemGetCudaDriverVersion_v2(int *version) {
    *version = 12080;
    return OK;
}
int nvmlDeviceGetCount_v2(unsigned *count) {
    *count = 2;
    return OK;
}
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **gpu) {
    if (index > 1) return NOT_FOUND;
    *gpu = (void *)(size_t)(index + 1);
    return state(*gpu);
}
int nvmlDeviceGetHandleByUUID(const char *uuid, void **gpu) {
    for (unsigned index = 0; index < 2; index++)
        if (strcmp(uuid, UUIDS[index]) == 0) return nvmlDeviceGetHandleByIndex_v2(index, gpu);
    return NOT_FOUND;
}
int nvmlDeviceGetIndex(void *gpu, unsigned *index) {
    *index = number(gpu);
    return state(gpu);
}
int nvmlDeviceGetUUID(void *gpu, char *text, unsigned size) {
    snprintf(text, size, "%s", UUIDS[number(gpu)]);
    return OK;
}
int nvmlDeviceGetName(void *gpu, char *text, unsigned size) {
    snprintf(text, size, "Made Up 80GB");
    return state(gpu);
}
int nvmlDeviceGetMemoryInfo(void *gpu, Memory *memory) {
    *memory = (Memory){80ULL << 30, 79ULL << 30, 1ULL << 30};
    return state(gpu);
}
int nvmlDeviceGetPciInfo_v3(void *gpu, Pci *pci) {
    memset(pci, 0, sizeof *pci);
    snprintf(pci->bus_id, sizeof pci->bus_id, "%s", BUSES[number(gpu)]);
    return state(gpu);
}
int nvmlDeviceGetClockInfo(void *gpu, int kind, unsigned *mhz) {
    *mhz = kind == 1 ? 1755 : 1;
    return state(gpu);
}
int nvmlDeviceGetMaxClockInfo(void *gpu, int kind, unsigned *mhz) {
    *mhz = kind == 1 ? 1980 : 1;
    return state(gpu);
}
int nvmlDeviceGetViolationStatus(void *gpu, int policy, Violation *told) {
    *told = (Violation){1, policy == 1 ? 5000 : policy == 0 ? 7000 : 9};
    return state(gpu);
}
int nvmlDeviceGetTemperature(void *gpu, int sensor, unsigned *celsius) {
    *celsius = sensor == 0 ? 41 : 1;
    return state(gpu);
}
int nvmlDeviceGetTotalEccErrors(void *gpu, int kind, int counter, unsigned long long *count) {
    *count = kind == 1 && counter == 0 && is("ecc") ? 3 : 0;
    return state(gpu);
}
int nvmlDeviceGetPersistenceMode(void *gpu, int *on) {
    *on = 1;
    return state(gpu);
}
static int running(unsigned *count, Process *found) {
    if (*count < 1 || found == NULL) {
        *count = 1;
        return TOO_SMALL;
    }
    *count = 1;
    found[0] = (Process){1, 4096, 0xffffffff, 0xffffffff};
    return OK;
}
int nvmlDeviceGetComputeRunningProcesses_v2(void *gpu, unsigned *count, Process *found) {
    return running(count, found);
}
int nvmlDeviceGetRetiredPagesPendingStatus(void *gpu, int *pending) {
    *pending = 1;
    return OK;
}
int nvmlDeviceGetCurrentClocksThrottleReasons(void *gpu, unsigned long long *reasons) {
    *reasons = 0x40;
    return state(gpu);
}
#ifndef OLD
int nvmlDeviceGetComputeRunningProcesses_v3(void *gpu, unsigned *count, Process *found) {
    if (number(gpu) == 0) {
        *count = 0;
        return OK;
    }
    return running(count, found);
}
int nvmlDeviceGetRemappedRows(void *gpu, unsigned *corrected, unsigned *uncorrected,
                              unsigned *pending, unsigned *failed) {
    *corrected = 4, *uncorrected = 5, *pending = 0, *failed = 1;
    return state(gpu);
}
int nvmlDeviceGetCurrentClocksEventReasons(void *gpu, unsigned long long *reasons) {
    *reasons = 0x1;
    return state(gpu);
}
int nvmlDeviceGetMigMode(void *gpu, unsigned *now, unsigned *pending) {
    *now = 1, *pending = 0;
    return state(gpu);
}
#endif
