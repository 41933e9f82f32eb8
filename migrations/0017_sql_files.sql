-- Which version of each file of `sql` the database has.
create table platform.applied_sql (
    path text primary key,
    sha256 bytea not null
);
