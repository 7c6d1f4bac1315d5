#!/bin/sh
# Installs the servers that these tests start, on Debian or Ubuntu.  As root.
set -eu
export DEBIAN_FRONTEND=noninteractive
has() { command -v "$1" >/dev/null; }
if ! { has radosgw && has ceph-mon && has ceph-osd && has ceph && has monmaptool; }; then
  apt-get update -q
  apt-get install -q -y --no-install-recommends radosgw ceph-mon ceph-osd ceph-common
fi
if ! has azurite-blob; then
  has npm || apt-get install -q -y --no-install-recommends npm
  npm install --global --no-audit --no-fund azurite@3.37.0
fi
