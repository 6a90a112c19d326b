#!/bin/sh
# Installs or upgrades Lineside from a bundle, without a network.
set -eu
KEY=/etc/lineside/update.pub

usage() {
  cat <<'END'
usage: sh install.sh [OPTION]...                  in a bundle that is unpacked
       lineside-install [OPTION]... BUNDLE.tar    on a gateway that has Lineside already

  --key FILE    the public key (Ed25519, PEM) the bundle must be signed with; /etc/lineside/update.pub keeps it for the next time
  --unsigned    install it although no signature is checked
  --with NAME   also lineside-NAME: analytics, demo; what is installed already is always upgraded
  --downgrade   allow an older version than the installed one
  --check       only check signature and sums
END
}

refuse() {
  echo "lineside-install: $*" >&2
  exit 1
}

key='' unsigned='' with='' downgrade=--refuse-downgrade check='' bundle=''
while [ $# -gt 0 ]; do
  case "$1" in
    --key) key=$(realpath -e "${2:?--key wants a file}"); shift ;;
    --unsigned) unsigned=yes ;;
    --with) with="$with lineside-${2:?--with wants a name}"; shift ;;
    --downgrade) downgrade='' ;;
    --check) check=yes ;;
    -h | --help) usage; exit 0 ;;
    -*) usage >&2; exit 2 ;;
    *) bundle=$1 ;;
  esac
  shift
done

# Copied to where only we write: what is checked is what is installed.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
if [ -n "$bundle" ]; then
  tar -xf "$bundle" -C "$work" --strip-components=1 --no-same-owner --no-same-permissions
else
  here=$(dirname "$0")
  [ -e "$here/SHA256SUMS" ] || { usage >&2; exit 2; }
  cp "$here"/SHA256SUMS* "$here"/*.deb "$here/install.sh" "$here/README.md" "$work"
  [ ! -d "$here/debian" ] || cp -r "$here/debian" "$work"
fi
cd "$work"

verified() {
  openssl pkeyutl -verify -rawin -pubin -inkey "$1" -in SHA256SUMS -sigfile SHA256SUMS.sig >/dev/null 2>&1
}

if [ -z "$unsigned" ]; then
  trusted=${key:-$KEY}
  [ -e "$trusted" ] || refuse "no key to check the signature with; give --key FILE, or --unsigned"
  [ -e SHA256SUMS.sig ] || refuse "the bundle is not signed; --unsigned installs it all the same"
  command -v openssl >/dev/null || refuse "openssl is missing, which checks the signature; install it, or check the bundle elsewhere (README.md) and give --unsigned"
  verified "$trusted" || refuse "not signed with $trusted; --unsigned installs it all the same"
  echo "signed with $trusted"
fi
sha256sum --strict --quiet -c SHA256SUMS || refuse "the bundle is damaged"
for file in *.deb debian/*; do
  [ -e "$file" ] || continue
  grep -q "^[0-9a-f]*  $file\$" SHA256SUMS || refuse "$file is not among the sums"
done
echo "complete and undamaged"
[ -z "$check" ] || exit 0

# What does not belong here is refused before dpkg unpacks it over what runs, or skips it and calls that done.
fits() {
  version=$(dpkg-deb -f "$1" Version)
  [ "${version##*+deb}" = "${release:-${version##*+deb}}" ] || refuse "this bundle is for Debian ${version##*+deb}, this machine has $release"
  [ -z "$downgrade" ] || ! dpkg --compare-versions "$version" lt "$2" ||
    refuse "$version is older than $2, which is installed; --downgrade installs it all the same"
}
# shellcheck source=/dev/null
release=$(. /etc/os-release && echo "${VERSION_ID:-}")
arch=$(dpkg --print-architecture)
# The demo needs what analytics brings.
case "$with " in *" lineside-demo "*) with="$with lineside-analytics" ;; esac
set --
for name in lineside lineside-analytics lineside-demo; do
  state=$(dpkg-query -W -f '${Version} ${db:Status-Status}' "$name" 2>/dev/null || true)
  case "$name $state$with " in
    "lineside "* | *" installed"* | *" half-"* | *" unpacked"* | *" $name "*) ;;
    *) continue ;;
  esac
  file=$(echo "$name"_*_"$arch".deb)
  [ -e "$file" ] || refuse "this bundle is not for $arch"
  case "$state" in '' | *" not-installed" | *" config-files") fits "$file" '' ;; *) fits "$file" "${state% *}" ;; esac
  set -- "$@" "$file"
done
for name in $with; do
  case " $*" in *" ${name}_"*) ;; *) refuse "there is no $name in this bundle; --with knows analytics and demo" ;; esac
done

# Of Debian's own packages in the bundle apt takes what is missing here, and no more. Where it cannot, dpkg says what it lacks.
apt_here() {
  apt-get -qq -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=- -o Dir::State::lists="$work/lists" \
    -o Dir::Cache="$work/cache" -o APT::Sandbox::User=root -o Dpkg::Options::=--force-confold "$@" </dev/null >"$work/said" 2>&1
}
if [ -e debian/Packages ]; then
  echo "deb [trusted=yes] file:$work/debian ./" >sources.list
  mkdir -p lists/partial cache/archives/partial
  needs=$(dpkg-deb -f lineside_*.deb Depends)
  apt_here update && DEBIAN_FRONTEND=noninteractive apt_here -y --no-install-recommends --no-remove satisfy "$needs, openssl" ||
    { cat "$work/said"; echo "lineside-install: apt did not bring what of Debian is missing" >&2; }
fi
# What a person wrote below /etc stays.
dpkg $downgrade --force-confdef --force-confold -i "$@"
[ -z "$key" ] || [ -n "$unsigned" ] || [ "$key" = "$KEY" ] || install -m 644 "$key" "$KEY"
