#!/bin/sh
# Run in a Debian whose /mnt is a folder for apt: fetches what NAME... need beyond a minimal installation, and says its files. `make deb`.
set -eu
arch=$1
shift
cd /mnt/debs
: >/mnt/status
# As if nothing was installed: what this Debian has itself must not be missing there.
apt() {
  apt-get -qq -o APT::Architecture="$arch" -o APT::Architectures::="$arch" -o APT::Sandbox::User=root \
    -o Dir::State=/mnt/state -o Dir::State::status=/mnt/status -o Dir::Cache=/mnt/cache "$@"
}
apt update >&2
chosen() { apt -s --no-install-recommends install '?essential' '?priority(^required$)' apt "$@" | sed -n 's/^Inst \([^ ]*\) .*/\1/p' | sort; }
chosen >/mnt/minimal
chosen "$@" >/mnt/all
# shellcheck disable=SC2046
set -- $(comm -13 /mnt/minimal /mnt/all)
[ $# -gt 0 ] || { echo "apt chose nothing" >&2; exit 1; }
apt download "$@" >&2
cd / # where none of them lies: of those apt would not say the names
apt --print-uris download "$@" | sed "s/^'[^']*' \([^ ]*\) .*/\1/"
