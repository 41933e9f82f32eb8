-- Deletes a persona of the account. Its versions stay for the agents that have it, and for the turns that had it.
create or replace function circles.delete_persona(account uuid, persona uuid) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    p circles.persona;
begin
    select x.* into p from circles.persona x where x.id = persona and x.deleted_at is null for update;
    if p.id is null or not circles.may_use_persona(account, p) then
        return circles.refused('persona-not-found');
    elsif p.owner_id is distinct from account then
        return circles.refused('forbidden');
    end if;
    update circles.persona x set deleted_at = now() where x.id = p.id;
    return '{"ok": null}';
end
$$;
grant execute on function circles.delete_persona(uuid, uuid) to gather_circles;
