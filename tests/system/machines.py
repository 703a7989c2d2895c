# SPDX-License-Identifier: Apache-2.0
"""Configurations of machines, as device-tree source."""
import harness

LINUX = "console=ttyAMA0"


def vm(name, **properties):
    """One VM's node. Keyword names take '_' for '-'; numbers become cells, lists cell arrays, True a flag."""
    settings = {"vcpus": 1, "memory": "192M", "kernel": harness.VMLINUZ, "initrd": harness.INITRD,
                "bootargs": LINUX, "autostart": True, **properties}
    lines = []
    for key, value in settings.items():
        key = key.replace("_", "-")
        if value is True:
            lines.append(f"{key};")
        elif isinstance(value, int) and not isinstance(value, bool):
            lines.append(f"{key} = <{value}>;")
        elif isinstance(value, list):
            lines.append(f"{key} = <{' '.join(map(str, value))}>;")
        elif value is not None and value is not False:
            escaped = str(value).replace('"', '\\"')
            lines.append(f'{key} = "{escaped}";')
    body = "\n            ".join(lines)
    return f"""
        {name} {{
            {body}
        }};"""


def machine(*vms, on_last_stop="poweroff"):
    return f"""/dts-v1/;
/ {{
    compatible = "keel,machine";
    on-last-stop = "{on_last_stop}";
    vms {{{"".join(vms)}
    }};
}};
"""
