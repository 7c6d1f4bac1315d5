#!/bin/sh
# Installs the servers that these tests start, on a Debian 12 or Ubuntu that may have nothing yet.
#
# Installs what is missing only, so that with everything there it is done at once; `nox -s servers`
# runs it each time.  Without root, or on another system, it says what is missing.
set -eu
export DEBIAN_FRONTEND=noninteractive

has() {
  for program in "$@"; do
    command -v "$program" >/dev/null || return 1
  done
}
# What lies on PATH as `postgres` may be anything: the tests start Debian's, which does not.
has_postgresql() {
  for program in /usr/lib/postgresql/*/bin/postgres; do
    [ -x "$program" ] && return 0
  done
  return 1
}

packages=""
has radosgw radosgw-admin ceph ceph-authtool ceph-mon ceph-osd monmaptool ||
  packages="radosgw ceph-mon ceph-osd ceph-common"
has_postgresql || packages="$packages postgresql"
# MariaDB's programs without its service; the client's have what sets a database up.
PATH="$PATH:/usr/sbin" has mariadbd mariadb-install-db my_print_defaults ||
  packages="$packages mariadb-server-core mariadb-client-core"
# Debian's is a program; Ubuntu has a snap alone: put a Chromium on PATH by that name there.
has chromium || packages="$packages chromium"
[ -n "$packages" ] || exit 0

if [ "$(id -u)" -ne 0 ] || ! has apt-get; then
  echo "tests/servers needs programs that are not here; in Debian they are in: $packages" >&2
  echo "On Debian or Ubuntu, as root: sh $0" >&2
  exit 1
fi
# The programs only: no cluster of the package's own, made and started as a service.
settings=/etc/postgresql-common/createcluster.conf
if ! has_postgresql && [ ! -e "$settings" ]; then
  mkdir -p "${settings%/*}"
  echo "create_main_cluster = false" >"$settings"
fi
apt-get update -q
# shellcheck disable=SC2086 - words
apt-get install -q -y --no-install-recommends $packages
