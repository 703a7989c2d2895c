# SPDX-License-Identifier: Apache-2.0
"""Tables of figures."""


def cell(value):
    return "-" if value is None else f"{value:,.0f}" if value >= 100000 else f"{value:.0f}"


def print_table(header, rows):
    widths = [max(len(r[i]) for r in [header, *rows]) for i in range(len(header))]
    for r in [header, *rows]:
        cells = [c.rjust(w) for c, w in zip(r, widths)]
        print("  ".join([r[0].ljust(widths[0]), *cells[1:]]).rstrip())
    print()
