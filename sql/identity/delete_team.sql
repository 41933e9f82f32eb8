-- Deletes a team, for accounts that may run it.
create or replace function identity.delete_team(team uuid, actor uuid, is_admin boolean, client jsonb) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    name text;
begin
    perform identity.lock_team(delete_team.team, actor, is_admin);
    delete from identity.team t where t.id = delete_team.team returning t.name into name;
    perform audit.record(actor, 'team.deleted', delete_team.team::text, true, client ->> 'address', client ->> 'request_id',
        jsonb_build_object('name', name));
end
$$;
grant execute on function identity.delete_team to gather_accounts;
