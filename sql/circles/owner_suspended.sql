-- An account that is suspended takes the turns of its agents with it, at once.
create or replace function circles.owner_suspended() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
begin
    perform circles.stop_turn(t.id, 'suspended')
    from circles.turn t left join circles.seat s on s.account_id = t.agent_id
    where t.finished_at is null and (t.agent_id = new.id or s.owner_id = new.id);
    return null;
end
$$;
create or replace trigger account_turns_end after update of status on identity.account
for each row when (new.status = 'suspended' and old.status = 'active')
execute function circles.owner_suspended();
