#!/bin/sh
# Run in a Debian of another kind of machine, under qemu: all three packages are installed, loaded and asked. `make deb-arm64-import`.
set -eu
dpkg -i /mnt/lineside*.deb >/tmp/said 2>&1 || { cat /tmp/said; exit 1; }
echo "  $(uname -m), $(lineside --version)"
/usr/lib/lineside/bin/python3 -I /mnt/imported.py
lineside check /etc/lineside/starter.yaml 2>/dev/null | sed 's/^/    /'
