-- Deletes a circle, as `circles.end_circle` does. Its owners can.
create or replace function circles.delete_circle(account uuid, ref text) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    c circles.circle := circles.lock_circle(account, ref);
    own_role text := circles.role_of(account, c.id);
begin
    if c.id is null then
        return circles.refused('circle-not-found');
    elsif own_role is distinct from 'owner' then
        return circles.refused(case when own_role is null then 'not-a-member' else 'forbidden' end);
    end if;
    perform events.emit(array['circle:' || c.id, 'account:' || account], 'circle.deleted',
        jsonb_build_object('id', c.id, 'deleted', true), null, account);
    perform events.emit(array['circle:' || c.id], 'access.changed', '{"account": null}', null, account);
    perform circles.end_circle(c.id);
    return '{"ok": null}';
end
$$;
grant execute on function circles.delete_circle(uuid, text) to gather_circles;
