# A host with systemd and a Postgres, for service.sh.
ARG DEBIAN
FROM ${DEBIAN}
RUN apt-get update -qq \
    && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        systemd systemd-sysv dbus procps ca-certificates postgresql postgresql-contrib \
    && rm -rf /var/lib/apt/lists/* \
    # Another port was chosen if 5432 was in use where the image was built.
    && sed -i 's/^port = .*/port = 5432/' /etc/postgresql/*/main/postgresql.conf
STOPSIGNAL SIGRTMIN+3
CMD ["/sbin/init"]
