-- Whether an account may read a job's events: its owner may.
create or replace function jobs.may_read_topic(account uuid, id text) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select exists (
        select from jobs.job j
        where j.id = platform.uuid_of(may_read_topic.id)
        and j.owner_id = account)
$$;
