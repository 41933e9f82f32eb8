-- Notes that a source has other definitions than those that its owner accepted, and tells the owner once.
create or replace function circles.note_changed_source(source uuid) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    s circles.tool_source;
begin
    update circles.tool_source x set changed_at = clock_timestamp()
    where x.id = source and x.changed_at is null returning x.* into s;
    perform events.emit(array['account:' || s.owner_id], 'tool-source.changed',
        jsonb_build_object('name', s.name, 'digest', s.digest), null, s.owner_id) where s.id is not null;
end
$$;
grant execute on function circles.note_changed_source(uuid) to gather_agent_turn;
