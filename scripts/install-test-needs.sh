#!/bin/sh
# Installs the servers that tests start for themselves, a library that moves a process's clock, systemd-analyze, which
# reads our units, and curl, which the documents use; nothing when they are there. No service is started, now or at boot.
set -eu

has_postgresql() { ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null 2>&1; }
has_mariadb() {
    { [ -x /usr/sbin/mariadbd ] || command -v mariadbd >/dev/null 2>&1; } &&
        command -v mariadb-install-db >/dev/null 2>&1 && command -v my_print_defaults >/dev/null 2>&1
}
has_faketime() { ls /usr/lib/*/faketime/libfaketimeMT.so.1 >/dev/null 2>&1; }
has_commands() { command -v curl >/dev/null 2>&1 && command -v systemd-analyze >/dev/null 2>&1; }
if has_postgresql && has_mariadb && has_faketime && has_commands; then
    exit 0
fi

if ! command -v apt-get >/dev/null 2>&1; then
    echo "The tests need a PostgreSQL server (initdb, postgres), a MariaDB server (mariadbd, mariadb-install-db)," >&2
    echo "libfaketime, systemd-analyze and curl. Install them with your system's packages." >&2
    exit 1
fi

as_root=""
if [ "$(id -u)" -ne 0 ]; then
    if ! command -v sudo >/dev/null 2>&1; then
        echo "The tests need PostgreSQL, MariaDB, libfaketime, systemd-analyze and curl: run this as root, or install" >&2
        echo "postgresql, mariadb-server-core, mariadb-client-core, faketime, systemd and curl." >&2
        exit 1
    fi
    as_root="sudo"
fi

echo "Installing PostgreSQL, MariaDB, libfaketime, systemd and curl for the tests (no service is started) ..."
log="$(mktemp)"
trap 'rm -f "$log"' EXIT
install() {
    $as_root apt-get update -qq &&
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql-common &&
    # The tests start servers of their own; the distribution's default cluster would only take memory.
    echo "create_main_cluster = false" | $as_root tee /etc/postgresql-common/createcluster.conf >/dev/null &&
    $as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        postgresql mariadb-server-core mariadb-client-core faketime systemd curl
}
if ! install >"$log" 2>&1; then
    cat "$log" >&2
    exit 1
fi
