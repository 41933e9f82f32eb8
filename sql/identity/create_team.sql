-- Makes a team whose first member, its owner, is the creator.
create or replace function identity.create_team(creator uuid, name text, description text, client jsonb) returns identity.team
language plpgsql security definer set search_path = pg_catalog, pg_temp
as $$
declare
    made identity.team;
begin
    perform identity.require_active(creator);
    insert into identity.team as t (name, description)
    values (create_team.name, create_team.description) returning t.* into made;
    insert into identity.team_member (team_id, account_id, role) values (made.id, creator, 'owner');
    perform audit.record(creator, 'team.created', made.id::text, true, client ->> 'address', client ->> 'request_id',
        jsonb_build_object('name', made.name));
    return made;
end
$$;
grant execute on function identity.create_team to gather_accounts;
