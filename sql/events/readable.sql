-- The topics among `topics` that an account may read; see `events.may_read`.
create or replace function events.readable(account uuid, topics text[], administers boolean) returns setof text
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select t from unnest(topics) t where events.may_read(account, t, administers)
$$;
grant execute on function events.readable(uuid, text[], boolean) to gather_realtime;
