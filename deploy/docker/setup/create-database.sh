#!/bin/bash
# Creates the role, the database and the extension dblink on the server, if they are missing. PG* name a superuser there.
set -euo pipefail
psql -X -v ON_ERROR_STOP=1 -d postgres <<'SQL'
select 'create role pgasync login password ''server-password'''
where not exists (select from pg_roles where rolname = 'pgasync') \gexec
select 'create database pgasync owner pgasync'
where not exists (select from pg_database where datname = 'pgasync') \gexec
SQL
psql -X -v ON_ERROR_STOP=1 -d pgasync -c 'create extension if not exists dblink'
