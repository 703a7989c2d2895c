/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "tests/unit/test_psci.h"
#include "vmm/psci.h"

enum {
    VERSION = 0x84000000U,
    SUSPEND = 0x84000001U,
    OFF = 0x84000002U,
    ON = 0x84000003U,
    AFFINITY = 0x84000004U,
    MIGRATE = 0x84000005U,
    MIGRATE_TYPE = 0x84000006U,
    SYS_OFF = 0x84000008U,
    SYS_RESET = 0x84000009U,
    FEATURES = 0x8400000aU,
    SYS_RESET2 = 0x84000012U,
    MEM_PROTECT = 0x84000013U,
    WIDE = 0x40000000U,
    PV_FEATURES = 0xc5000020U,
    PV_ST = 0xc5000021U,
};
#define ENTRY (FAKE_RAM_BASE + 0x1000)

static s64 call(u64 id, u64 a, u64 b, u64 c)
{
    u64 args[4] = { id, a, b, c };

    guest_hypercall(&fake_vcpus[0], args);
    assert_true(args[1] == a && args[2] == b && args[3] == c);
    return (s64)args[0];
}

static int setup(void **state)
{
    (void)state;
    fake_reset();
    return 0;
}

static void test_versions(void **state)
{
    (void)state;
    assert_int_equal(call(VERSION, 0, 0, 0), 0x10001);
    assert_int_equal(call(0x80000000U, 0, 0, 0), 0x10001);
    assert_int_equal(call(MIGRATE_TYPE, 0, 0, 0), 2);
}

static void test_unknown_calls_are_not_supported(void **state)
{
    static const u32 ids[] = {
        0,           1,           0x7fffffffU, 0x80000002U, 0x80000003U, 0x81000000U,
        0x82000000U, 0x83000000U, 0x8400000bU, 0x84000011U, MIGRATE,     WIDE | MIGRATE,
        MEM_PROTECT, 0x84000020U, 0x840000ffU, 0x8400ffffU, 0x84010000U, 0x86000000U,
        0xb2000000U, 0xbfffffffU, 0xc0000000U, 0xc0008000U, 0xffffffffU, 0x83ffffffU,
    };

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(ids); i++)
        assert_int_equal(call(ids[i], ENTRY, ENTRY, 0), -1);
}

static void test_calls_without_64_bit_form_are_not_supported_in_it(void **state)
{
    static const u32 ids[] = { VERSION, OFF, MIGRATE_TYPE, SYS_OFF, SYS_RESET, FEATURES };

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(ids); i++)
        assert_int_equal(call(WIDE | ids[i], VERSION, 0, 0), -1);
    assert_int_equal(fake.ends, 0);
    assert_int_equal(fake_vcpus[0].power, VCPU_ON);
}

static void test_upper_half_of_function_id_is_ignored(void **state)
{
    (void)state;
    assert_int_equal(call(0xdead00000000UL | VERSION, 0, 0, 0), 0x10001);
}

static void test_features_name_what_there_is(void **state)
{
    static const u32 have[] = {
        VERSION,    SUSPEND,           WIDE | SUSPEND, OFF,     ON,        WIDE | ON,
        AFFINITY,   WIDE | AFFINITY,   MIGRATE_TYPE,   SYS_OFF, SYS_RESET, FEATURES,
        SYS_RESET2, WIDE | SYS_RESET2, 0x80000000U,
    };
    static const u32 lack[] = {
        WIDE | VERSION, MIGRATE, MEM_PROTECT, 0x80000001U, 0x8400000eU, 0, 0xffffffffU
    };

    (void)state;
    for (u32 i = 0; i < ARRAY_SIZE(have); i++)
        assert_int_equal(call(FEATURES, have[i], 0, 0), 0);
    for (u32 i = 0; i < ARRAY_SIZE(lack); i++)
        assert_int_equal(call(FEATURES, lack[i], 0, 0), -1);
    assert_int_equal(fake.ends, 0);
}

static void test_arch_workarounds_are_as_the_architecture_says(void **state)
{
    (void)state;
    fake.workaround[1] = 0;
    fake.workaround[2] = 1;
    fake.workaround[3] = -1;
    assert_int_equal(call(0x80000001U, 0x80000000U, 0, 0), 0);
    assert_int_equal(call(0x80000001U, 0x80000001U, 0, 0), 0);
    assert_int_equal(call(0x80000001U, 0x80000002U, 0, 0), -1); /* SOC_ID */
    assert_int_equal(call(0x80000001U, 0x80008000U, 0, 0), 0);
    assert_int_equal(call(0x80000001U, 0x80007fffU, 0, 0), 1);
    assert_int_equal(call(0x80000001U, 0x80003fffU, 0, 0), -1);
    assert_int_equal(call(0x80000001U, VERSION, 0, 0), -1);
    assert_int_equal(call(0x80008000U, 0, 0, 0), 0);
    assert_int_equal(call(0x80007fffU, 1, 0, 0), 0);
    assert_int_equal(call(0x80003fffU, 0, 0, 0), -1);
}

static void test_stolen_time_is_found_by_each_vcpu(void **state)
{
    u64 args[4] = { PV_ST, 1, 2, 3 };

    (void)state;
    assert_int_equal(call(0x80000001U, PV_FEATURES, 0, 0), 0);
    assert_int_equal(call(PV_FEATURES, PV_FEATURES, 0, 0), 0);
    assert_int_equal(call(PV_FEATURES, PV_ST, 0, 0), 0);
    assert_int_equal(call(PV_FEATURES, PV_ST + 1, 0, 0), -1);
    assert_int_equal(call(PV_FEATURES, 0, 0, 0), -1);
    assert_int_equal(call(PV_ST, 0, 0, 0), 0x090a0000);
    guest_hypercall(&fake_vcpus[3], args);
    assert_int_equal(args[0], 0x090a0000 + 3 * 64);
    assert_int_equal(call(0x85000020U, PV_ST, 0, 0), -1);
    assert_int_equal(call(0x85000021U, 0, 0, 0), -1);
}

static void test_vm_without_stolen_time_has_none_of_its_calls(void **state)
{
    (void)state;
    fake_vcpus[0].stolen_ns = NULL;
    assert_int_equal(call(0x80000001U, PV_FEATURES, 0, 0), -1);
    assert_int_equal(call(PV_FEATURES, PV_ST, 0, 0), -1);
    assert_int_equal(call(PV_ST, 0, 0, 0), -1);
}

static void test_cpu_on_starts_a_vcpu_that_is_off(void **state)
{
    (void)state;
    assert_int_equal(call(WIDE | ON, 2, ENTRY, 0x123456789abcUL), PSCI_SUCCESS);
    assert_int_equal(fake_vcpus[2].power, VCPU_ON_PENDING);
    assert_int_equal(fake_vcpus[2].start_entry.v, ENTRY);
    assert_int_equal(fake_vcpus[2].start_arg, 0x123456789abcUL);
    assert_int_equal(fake.requests[2], WORK_RESET);
    assert_int_equal(fake.requests[1] | fake.requests[3], 0);
}

static void test_cpu_on_by_32_bit_takes_32_bit_arguments(void **state)
{
    (void)state;
    assert_int_equal(call(ON, 0xffffffff00000001UL, 0xffffffff00000000UL | ENTRY, 0x123456789abcUL),
                     PSCI_SUCCESS);
    assert_int_equal(fake_vcpus[1].start_entry.v, ENTRY);
    assert_int_equal(fake_vcpus[1].start_arg, 0x56789abcUL);
}

static void test_vcpu_that_waits_for_a_cpu_is_already_on(void **state)
{
    (void)state;
    assert_int_equal(call(WIDE | ON, 1, ENTRY, 7), PSCI_SUCCESS);
    assert_int_equal(call(WIDE | ON, 1, ENTRY + 4, 8), PSCI_ALREADY_ON);
    assert_int_equal(fake_vcpus[1].start_entry.v, ENTRY);
    assert_int_equal(fake_vcpus[1].start_arg, 7);
    fake_vcpus[1].power = VCPU_ON;
    assert_int_equal(call(WIDE | ON, 1, ENTRY, 0), PSCI_ALREADY_ON);
    assert_int_equal(call(WIDE | ON, 0, ENTRY, 0), PSCI_ALREADY_ON);
}

static void test_cpu_on_refuses_bad_targets_and_entries(void **state)
{
    (void)state;
    assert_int_equal(call(WIDE | ON, FAKE_VCPUS, ENTRY, 0), PSCI_INVALID_PARAMETERS);
    assert_int_equal(call(WIDE | ON, 0x100, ENTRY, 0), PSCI_INVALID_PARAMETERS);
    assert_int_equal(call(WIDE | ON, 0x80000001UL, ENTRY, 0), PSCI_INVALID_PARAMETERS);
    assert_int_equal(call(WIDE | ON, 1UL << 32 | 1, ENTRY, 0), PSCI_INVALID_PARAMETERS);
    assert_int_equal(call(WIDE | ON, 1UL << 40 | 1, ENTRY, 0), PSCI_INVALID_PARAMETERS);
    assert_int_equal(call(WIDE | ON, 1, ENTRY + 2, 0), PSCI_INVALID_ADDRESS);
    assert_int_equal(call(WIDE | ON, 1, 0x9000000, 0), PSCI_INVALID_ADDRESS);
    assert_int_equal(call(WIDE | ON, 1, FAKE_RAM_BASE + FAKE_RAM_SIZE, 0), PSCI_INVALID_ADDRESS);
    assert_int_equal(call(WIDE | ON, 1, ~3UL, 0), PSCI_INVALID_ADDRESS);
    assert_int_equal(fake_vcpus[1].power, VCPU_OFF);
    assert_int_equal(fake.requests[1], 0);
}

static void test_cpu_off_turns_the_caller_off(void **state)
{
    (void)state;
    call(OFF, 0, 0, 0);
    assert_int_equal(fake_vcpus[0].power, VCPU_OFF);
    assert_int_equal(fake.requests[0], WORK_RESET);
}

static void test_cpu_suspend_waits_for_an_interrupt(void **state)
{
    (void)state;
    assert_int_equal(call(WIDE | SUSPEND, 0, 0, 0), PSCI_SUCCESS);
    assert_int_equal(call(SUSPEND, 0x10000, ENTRY, 0), PSCI_SUCCESS);
    assert_int_equal(fake.waits, 2);
    assert_int_equal(call(SUSPEND, 0x20000, ENTRY, 0), PSCI_INVALID_PARAMETERS);
    assert_int_equal(call(SUSPEND, 0x04000000, ENTRY, 0), PSCI_INVALID_PARAMETERS);
    assert_int_equal(call(WIDE | SUSPEND, 0x10000, 0x1000, 0), PSCI_INVALID_ADDRESS);
    assert_int_equal(fake.waits, 2);
}

static void test_affinity_info_at_level_0(void **state)
{
    (void)state;
    fake_vcpus[1].power = VCPU_ON_PENDING;
    assert_int_equal(call(WIDE | AFFINITY, 0, 0, 0), 0);
    assert_int_equal(call(AFFINITY, 1, 0, 0), 0);
    assert_int_equal(call(AFFINITY, 2, 0, 0), 1);
    assert_int_equal(call(AFFINITY, FAKE_VCPUS, 0, 0), PSCI_INVALID_PARAMETERS);
    assert_int_equal(call(AFFINITY, 0x80000000U, 0, 0), PSCI_INVALID_PARAMETERS);
    assert_int_equal(call(WIDE | AFFINITY, 1UL << 32, 0, 0), PSCI_INVALID_PARAMETERS);
}

static void test_affinity_info_of_a_group(void **state)
{
    (void)state;
    for (u32 level = 1; level <= 3; level++) {
        fake_vcpus[0].power = VCPU_ON;
        fake_vcpus[3].power = VCPU_ON_PENDING;
        assert_int_equal(call(WIDE | AFFINITY, 0x77, level, 0), 0);
        fake_vcpus[0].power = VCPU_OFF;
        assert_int_equal(call(WIDE | AFFINITY, 0, level, 0), 0);
        fake_vcpus[3].power = VCPU_OFF;
        assert_int_equal(call(WIDE | AFFINITY, 0, level, 0), 1);
        assert_int_equal(call(WIDE | AFFINITY, 1UL << 32, level, 0), PSCI_INVALID_PARAMETERS);
        assert_int_equal(call(WIDE | AFFINITY, 1UL << 16, level, 0), level < 3 ? PSCI_INVALID_PARAMETERS : 1);
    }
    assert_int_equal(call(WIDE | AFFINITY, 0, 4, 0), PSCI_INVALID_PARAMETERS);
    assert_int_equal(call(WIDE | AFFINITY, 0, 0xffffffffU, 0), PSCI_INVALID_PARAMETERS);
}

static void test_system_calls_end_the_vm(void **state)
{
    (void)state;
    call(SYS_OFF, 0, 0, 0);
    assert_int_equal(fake.end, VM_END_POWER_OFF);
    call(SYS_RESET, 0, 0, 0);
    assert_int_equal(fake.end, VM_END_RESET);
    assert_int_equal(fake.ends, 2);
    assert_int_equal(call(WIDE | SYS_RESET2, 0x80000000U, 0, 0), PSCI_INVALID_PARAMETERS);
    assert_int_equal(call(SYS_RESET2, 1, 0, 0), PSCI_INVALID_PARAMETERS);
    assert_int_equal(fake.ends, 2);
    call(WIDE | SYS_RESET2, 0, 5, 0);
    assert_int_equal(fake.ends, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_versions, setup),
        cmocka_unit_test_setup(test_unknown_calls_are_not_supported, setup),
        cmocka_unit_test_setup(test_calls_without_64_bit_form_are_not_supported_in_it, setup),
        cmocka_unit_test_setup(test_upper_half_of_function_id_is_ignored, setup),
        cmocka_unit_test_setup(test_features_name_what_there_is, setup),
        cmocka_unit_test_setup(test_stolen_time_is_found_by_each_vcpu, setup),
        cmocka_unit_test_setup(test_vm_without_stolen_time_has_none_of_its_calls, setup),
        cmocka_unit_test_setup(test_arch_workarounds_are_as_the_architecture_says, setup),
        cmocka_unit_test_setup(test_cpu_on_starts_a_vcpu_that_is_off, setup),
        cmocka_unit_test_setup(test_cpu_on_by_32_bit_takes_32_bit_arguments, setup),
        cmocka_unit_test_setup(test_vcpu_that_waits_for_a_cpu_is_already_on, setup),
        cmocka_unit_test_setup(test_cpu_on_refuses_bad_targets_and_entries, setup),
        cmocka_unit_test_setup(test_cpu_off_turns_the_caller_off, setup),
        cmocka_unit_test_setup(test_cpu_suspend_waits_for_an_interrupt, setup),
        cmocka_unit_test_setup(test_affinity_info_at_level_0, setup),
        cmocka_unit_test_setup(test_affinity_info_of_a_group, setup),
        cmocka_unit_test_setup(test_system_calls_end_the_vm, setup),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
