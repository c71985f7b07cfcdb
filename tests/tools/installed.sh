#!/bin/bash
# Runs a script on a copy of this system that is gone afterwards: installed.sh PACKAGE SCRIPT, in a mount namespace of
# its own (unshare --mount). What is installed there is not installed here.
set -euo pipefail
package=$1 script=$2
mount --make-rprivate /
above=$(mktemp --directory)
mount -t tmpfs none "$above"
mkdir "$above/upper" "$above/work" "$above/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$above/upper,workdir=$above/work" "$above/root"
mount --rbind /proc "$above/root/proc"
mount --rbind /dev "$above/root/dev"
# Its index of all pages of the system is not needed here, and takes longer than all the rest.
echo man-db man-db/auto-update boolean false | chroot "$above/root" debconf-set-selections
cp "$package" "$above/root/waxseal.deb"
exec chroot "$above/root" /bin/bash -euo pipefail -c "$script"
