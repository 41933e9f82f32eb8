-- What the call of a firing sends: {"account", "action", "scopes", "was_sent"}; null if there is nothing to send any more.
create or replace function pipelines.begin_call(firing uuid) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    f pipelines.firing;
    s pipelines.schedule;
begin
    select o.* into f from pipelines.firing o where o.id = begin_call.firing and o.status = 'running' for update;
    if not found then
        return null;
    end if;
    select o.* into s from pipelines.schedule o where o.id = f.schedule_id;
    update pipelines.firing o set sent_at = coalesce(o.sent_at, clock_timestamp()) where o.id = f.id;
    return jsonb_build_object('account', s.owner_id, 'action', s.action, 'scopes', s.scopes, 'was_sent', f.sent_at is not null);
end
$$;
grant execute on function pipelines.begin_call to gather_schedule_dispatch;
