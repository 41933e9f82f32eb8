-- Whether an account may follow `team:<id>`: its members, and administrators.
create or replace function identity.may_read_team(account uuid, id text) returns boolean
language sql stable security definer set search_path = pg_catalog, pg_temp
as $$
    select identity.allows(account, 'admin:all') or exists (
        select from identity.team_member m join identity.account a on a.id = m.account_id and a.status = 'active'
        where m.team_id = platform.uuid_of(may_read_team.id) and m.account_id = account)
$$;
