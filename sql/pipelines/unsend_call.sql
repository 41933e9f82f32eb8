-- Notes that the request of a firing has not left.
create or replace function pipelines.unsend_call(firing uuid) returns void
language sql security definer set search_path = pg_catalog, pg_temp
as $$
    update pipelines.firing f set sent_at = null where f.id = unsend_call.firing and f.status = 'running'
$$;
grant execute on function pipelines.unsend_call to gather_schedule_dispatch;
