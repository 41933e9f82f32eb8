-- Refuses changes of a version: runs, digests and whoever approved them rely on its definition.
create or replace function pipelines.keep_version() returns trigger
language plpgsql
as $$
begin
    raise exception 'a version of a pipeline never changes' using errcode = 'check_violation', constraint = 'version_kept';
end
$$;
create or replace trigger version_kept before update on pipelines.version
for each row execute function pipelines.keep_version();
