-- Changes a team, for accounts that may run it. A null field stays as it is.
create or replace function identity.change_team(team uuid, description text, actor uuid, is_admin boolean) returns identity.team
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    changed identity.team;
begin
    perform identity.lock_team(change_team.team, actor, is_admin);
    update identity.team t set description = coalesce(change_team.description, t.description)
    where t.id = change_team.team returning t.* into changed;
    return changed;
end
$$;
grant execute on function identity.change_team to gather_accounts;
