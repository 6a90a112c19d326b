#!/bin/sh
# Run in a Debian of another kind of machine, under qemu: the core is unpacked, imported and asked. `make deb-arm64-import`.
set -eu
dpkg -i /mnt/lineside_*.deb >/tmp/said 2>&1 || { cat /tmp/said; exit 1; }
echo "  $(uname -m), $(lineside --version)"
/usr/lib/lineside/bin/python3 -I -c '
import gateway.app, uvloop
from gateway import registry
kinds = ("sources", "detectors", "uplinks")
plugins = [registry.load(kind, name).name for kind in kinds for name in registry.names(kind)]
import asyncua, nkeys, numpy, paho.mqtt.client, pymodbus, sqlite_utils
assert (numpy.eye(3) @ numpy.ones(3)).sum() == 3
print("  imported:", *plugins)
'
lineside check /etc/lineside/starter.yaml 2>/dev/null | sed 's/^/    /'
