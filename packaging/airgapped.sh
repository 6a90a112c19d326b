#!/bin/sh
# Run in a minimal Debian without a network, whose /mnt holds a bundle and its key: all it needs comes from there. `make deb-check`.
set -eu
refused() { if "$@" >/tmp/said 2>&1; then echo "not refused: $*"; exit 1; fi; }
must() { "$@" >/tmp/said 2>&1 || { echo "$*"; cat /tmp/said; exit 1; }; }
[ ! -e /usr/bin/python3 ] && [ ! -e /usr/bin/openssl ]
[ "$(tail -n +3 /proc/net/dev | grep -cv ' lo:')" = 0 ]

bundle=$(echo /mnt/lineside-*.tar)
tar -xf "$bundle" -C /tmp
cd /tmp/lineside-*
refused sh install.sh --key /mnt/release.pub
grep -q 'openssl is missing' /tmp/said
must sh install.sh --unsigned --with analytics --with demo
echo "  without a network: $(lineside --version), $(dpkg-query -f '${Package}\n' -W | wc -l) packages"
lineside check /etc/lineside/starter.yaml 2>/dev/null | sed 's/^/    /'
/usr/lib/lineside/bin/python3 -I -c 'import amqtt, river.anomaly, scipy.fft'
must dpkg --audit
[ ! -s /tmp/said ]

before=$(dpkg-query -W)
must lineside-install --key /mnt/release.pub "$bundle"
grep -q 'signed with /mnt/release.pub' /tmp/said
[ "$before" = "$(dpkg-query -W)" ]
echo "  again, and with its signature checked: nothing of Debian was taken twice"
