-- Whether an account may follow `schedule:<id>`: its owner may.
create or replace function pipelines.may_read_schedule(account uuid, id text) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select exists (
        select from pipelines.schedule s
        where s.id = platform.uuid_of(may_read_schedule.id)
        and s.owner_id = account)
$$;
