#!/bin/sh
# Run in a minimal Debian whose /mnt holds the packages: installs, asks, removes and purges them. `make deb-check`.
set -eu
say() { echo "  $*"; }
refused() { if "$@" >/tmp/said 2>&1; then echo "not refused: $*"; exit 1; fi; }

dpkg -i /mnt/lineside_*.deb >/tmp/said 2>&1 || { cat /tmp/said; exit 1; }
say "$(lineside --version)"
cd /tmp
lineside check /etc/lineside/starter.yaml 2>/dev/null | sed 's/^/    /'
lineside firmware apply --root / --dry-run journald | grep -q SystemMaxUse
[ "$(stat -c %U:%G:%a /etc/lineside)" = root:lineside:750 ]
[ -L /etc/systemd/system/multi-user.target.wants/lineside.service ]
[ -z "$(find /usr/lib/lineside -newer /usr/bin/lineside -name '*.pyc')" ]

sed 's/ *- limit: .*/  - river: {on: press-07\/oil_temperature, model: anomaly.HalfSpaceTrees}/' /etc/lineside/starter.yaml >core.yaml
refused lineside check core.yaml
grep -q 'install the package lineside-analytics' /tmp/said
refused lineside demo
grep -q 'install the package lineside-demo' /tmp/said
say "without analytics and demo: says what to install"

dpkg -i /mnt/lineside-analytics_*.deb /mnt/lineside-demo_*.deb >/tmp/said 2>&1 || { cat /tmp/said; exit 1; }
/usr/lib/lineside/bin/python3 -I -c 'import amqtt, river.anomaly, scipy.fft, trustme'
lineside check core.yaml >/tmp/said 2>&1 || { cat /tmp/said; exit 1; }
dpkg --verify lineside lineside-analytics lineside-demo
dpkg --audit
say "all three: installed and as they were packed"

touch /var/lib/lineside-kept
dpkg -r lineside-demo lineside-analytics lineside >/tmp/said 2>&1 || { cat /tmp/said; exit 1; }
[ ! -e /usr/lib/lineside ] || { find /usr/lib/lineside; exit 1; }
[ -e /etc/lineside/starter.yaml ]
cp core.yaml /etc/lineside/lineside.yaml
dpkg -P lineside-demo lineside-analytics lineside >/tmp/said 2>&1 || { cat /tmp/said; exit 1; }
[ -z "$(find /etc /var/lib /usr -path /var/lib/dpkg -prune -o -name 'lineside*' -print)" ]
say "removed and purged: nothing is left"
