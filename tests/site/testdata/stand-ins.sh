#!/bin/sh
# stand-ins.sh NATS HAPROXY: makes images under these names where no registry can
# be reached: the NATS server of go.mod, and Debian's haproxy. It needs Go, docker,
# apt-get and busybox-static, and fails where something cannot be had.
set -eu
busybox=$(command -v busybox)
! ldd "$busybox" >/dev/null 2>&1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

root=$work/nats
mkdir -p "$root/bin" "$root/data" "$root/tmp"
cp "$busybox" "$root/bin/busybox"
ln -s busybox "$root/bin/wget" # for the health check
CGO_ENABLED=0 go build -ldflags=-s -o "$root/nats-server" github.com/nats-io/nats-server/v2
tar -C "$root" -c . | docker import --change 'ENV PATH=/bin' --change 'ENTRYPOINT ["/nats-server"]' - "$1"

root=$work/haproxy debs=$work/debs
mkdir -p "$root/tmp" "$debs/partial"
apt-get install -y -qq --no-install-recommends --download-only --reinstall -o Dir::Cache::archives="$debs" haproxy
for deb in "$debs"/*.deb; do dpkg -x "$deb" "$root"; done
export LD_LIBRARY_PATH="$root/usr/lib/$(uname -m)-linux-gnu"
ldd "$root/usr/sbin/haproxy" | awk '/not found/ { exit 1 } { print ($2 == "=>") ? $3 : $1 }' | grep ^/ >"$work/libraries"
while read -r library; do
	case $library in "$root"/*) continue ;; esac
	mkdir -p "$root$(dirname "$library")"
	cp -L "$library" "$root$library"
done <"$work/libraries"
tar -C "$root" -c . | docker import \
	--change 'ENTRYPOINT ["/usr/sbin/haproxy", "-W", "-db", "-f", "/usr/local/etc/haproxy/haproxy.cfg"]' - "$2"
