/* SPDX-License-Identifier: Apache-2.0 */
/* Pointer authentication in user mode: signs pointers with each key, lets others run, and authenticates.
 *
 * PAC ok SIGNATURES | PAC FAIL | PAC absent */
#include <stdint.h>
#include <stdio.h>
#include <sys/auxv.h>
#include <unistd.h>

#define PAC_HWCAP (3UL << 30) /* PACA, PACG */
#define POINTERS 4

#define SIGN(insn, p)                                                                                        \
    ({                                                                                                       \
        uint64_t v_ = (p);                                                                                   \
        __asm__ volatile(".arch armv8.3-a\n" insn " %0, %1" : "+r"(v_) : "r"(0x1234UL));                     \
        v_;                                                                                                  \
    })

int main(void)
{
    static const uint64_t pointer = 0x412340;
    uint64_t s[POINTERS];
    int ok = 1;

    if ((getauxval(AT_HWCAP) & PAC_HWCAP) != PAC_HWCAP) {
        puts("PAC absent");
        return 1;
    }
    for (int round = 0; round < 50 && ok; round++) {
        s[0] = SIGN("pacia", pointer);
        s[1] = SIGN("pacib", pointer);
        s[2] = SIGN("pacda", pointer);
        s[3] = SIGN("pacdb", pointer);
        usleep(2000);
        ok &= SIGN("autia", s[0]) == pointer && SIGN("autib", s[1]) == pointer;
        ok &= SIGN("autda", s[2]) == pointer && SIGN("autdb", s[3]) == pointer;
        ok &= SIGN("pacia", pointer) == s[0];
    }
    printf("PAC %s", ok ? "ok" : "FAIL");
    for (int i = 0; i < POINTERS; i++)
        printf(" %lx", (unsigned long)s[i]);
    printf("\n");
    return !ok;
}
